/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All aliases of a distribution's kernel: what this project makes of a modalias is what modprobe(8)
 * makes of it. modules.sh says where the kernel's files are; with $TDX_AUTH_LONG every alias is
 * tried, else a part of them, in equal steps. */

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "glob-match.h"
#include "modules.h"
#include "test.h"
#include "util.h"
#include "vector.h"

#define STEP 10		     /* every so manieth alias in the short form */
#define SCAN_STEP 150	     /* the same where all the other aliases are tried as well */
#define BATCH 500	     /* questions to one modprobe */
#define NEXT "tdx_auth:next" /* modprobe.conf: a question whose answer nothing else has, */
#define NEXT_ANSWER "tdx_auth_next"

struct Alias {
	char *pattern;
	char *module;
	char *modalias; /* a device's that fits */
};

static struct {
	const char *root, *version, *config;
	struct Vector aliases; /* of struct Alias */
} tree;

static struct Alias *alias_at(size_t i)
{
	return (struct Alias *)tree.aliases.data + i;
}

static size_t step(size_t of_short_form)
{
	return getenv("TDX_AUTH_LONG") ? 1 : of_short_form;
}

/* --- devices --- */

/* A member of the bracket expression at @glob, the one at @pick of its first range, and its end. */
static char member(const char *glob, size_t pick, const char **ret_end)
{
	char low = glob[1];

	assert_true(low && low != '!' && low != '^' && low != ']' && low != '\\');
	*ret_end = strchr(glob, ']');
	assert_non_null(*ret_end);
	(*ret_end)++;
	if (glob[2] == '-' && glob[3] != ']')
		low = (char)(low + (char)(pick % (size_t)(glob[3] - low + 1)));
	return low;
}

/* What a device has in the place of a star: nothing, a byte, or all that there is room for. */
static char *fitting(const char *glob, size_t pick)
{
	static const char *const fillers[] = {"", "00", "0000FFFF", "1"};
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	while (*glob) {
		switch (*glob) {
		case '*':
			fputs(fillers[pick++ % ELEMENTSOF(fillers)], f);
			glob++;
			break;
		case '?':
			fputc("05AF"[pick++ % 4], f);
			glob++;
			break;
		case '[':
			fputc(member(glob, pick++, &glob), f);
			break;
		default:
			fputc(*glob++, f);
		}
	}
	(void)fclose(f);
	return text;
}

/* --- sets of modules --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names, each once, in one string. */
static char *as_set(const char **names, size_t n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	if (n > 0)
		qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !streq(names[i], names[i - 1]))
			fprintf(f, " %s", names[i]);
	(void)fclose(f);
	return text;
}

static char *resolved(const struct Alias *alias)
{
	char **modules = NULL, *set;
	int n = modules_for(tree.root, tree.version, alias->modalias, &modules);

	if (n < 0)
		fail_msg("\"%s\": %s", alias->modalias, strerror(-n));
	set = as_set((const char **)modules, (size_t)n);
	modules_free(modules);
	return set;
}

static bool has_module(const char *set, const char *module)
{
	for (const char *p = set; (p = strstr(p, module)); p++)
		if (p[-1] == ' ' && (p[strlen(module)] == ' ' || !p[strlen(module)]))
			return true;
	return false;
}

/* --- modprobe --- */

/* Starts modprobe with every @every-th alias from @first on, NEXT behind each. */
static pid_t start_modprobe(size_t first, size_t every, int output)
{
	const char *args[2 * BATCH + 16];
	size_t n = 0;
	posix_spawn_file_actions_t actions;
	pid_t pid;
	const char *const options[] = {"modprobe", "-C", tree.config,  "-d",
				       tree.root,  "-S", tree.version, "-aqR"};

	for (size_t i = 0; i < ELEMENTSOF(options); i++)
		args[n++] = options[i];
	for (size_t i = 0, k = first; i < BATCH && k < tree.aliases.n; i++, k += every) {
		args[n++] = alias_at(k)->modalias;
		args[n++] = NEXT;
	}
	args[n] = NULL;
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO), 0);
	assert_int_equal(
		posix_spawnp(&pid, "modprobe", &actions, NULL, (char *const *)args, environ), 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* What modprobe answers to one question. */
static char *read_answer(FILE *f)
{
	_cleanup_vector_ struct Vector names = {0};
	char line[256], *set;

	while (fgets(line, sizeof(line), f)) {
		char *name;

		line[strcspn(line, "\n")] = '\0';
		if (streq(line, NEXT_ANSWER)) {
			set = as_set(names.data, names.n);
			for (size_t i = 0; i < names.n; i++)
				free(((char **)names.data)[i]);
			return set;
		}
		name = strdup(line);
		assert_int_equal(vector_add(&names, &name, sizeof(name)), 0);
	}
	fail_msg("modprobe has no answer to the question after this: %s",
		 names.n > 0 ? string_at(&names, names.n - 1) : "nothing");
	return NULL;
}

static void compare_batch(size_t first, size_t every)
{
	_cleanup_fclose_ FILE *f = NULL;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = start_modprobe(first, every, fds[1]);
	(void)close(fds[1]);
	f = fdopen(fds[0], "r");
	assert_non_null(f);
	for (size_t i = 0, k = first; i < BATCH && k < tree.aliases.n; i++, k += every) {
		_cleanup_free_ char *theirs = read_answer(f), *ours = resolved(alias_at(k));

		if (!streq(ours, theirs))
			fail_msg("\"%s\":%s, but modprobe says:%s", alias_at(k)->modalias, ours,
				 theirs);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
}

/* --- tests --- */

static void test_a_modalias_resolves_to_what_modprobe_says(void **state)
{
	size_t every = step(STEP);

	for (size_t first = 0; first < tree.aliases.n; first += every * BATCH)
		compare_batch(first, every);
}

/* kmod takes "-" and "_" for the same, except in brackets: alias_normalize() of libkmod. */
static char *normalized(const char *s)
{
	char *copy = strdup(s);
	bool in_bracket = false;

	assert_non_null(copy);
	for (char *p = copy; *p; p++) {
		in_bracket = *p == '[' || (in_bracket && *p != ']');
		if (*p == '-' && !in_bracket)
			*p = '_';
	}
	return copy;
}

/* An alias of crypto's may be the name of another module, by which kmod finds that one alone. No
 * modalias of a device is a name: it has a colon. */
static bool is_name(const struct Alias *alias, const char *set)
{
	_cleanup_free_ char *name = normalized(alias->modalias);

	return set[0] == ' ' && streq(set + 1, name) && !strchr(name, ':');
}

static void test_a_device_that_fits_an_alias_has_its_module(void **state)
{
	for (size_t i = 0; i < tree.aliases.n; i += step(STEP)) {
		const struct Alias *alias = alias_at(i);
		_cleanup_free_ char *set = resolved(alias);

		if (!has_module(set, alias->module) && !is_name(alias, set))
			fail_msg("\"%s\" fits \"%s\" of %s, but resolves to:%s", alias->modalias,
				 alias->pattern, alias->module, set);
	}
}

static void test_our_globs_find_what_kmod_finds(void **state)
{
	_cleanup_vector_ struct Vector patterns = {0};

	for (size_t i = 0; i < tree.aliases.n; i++) {
		char *pattern = normalized(alias_at(i)->pattern);

		assert_int_equal(vector_add(&patterns, &pattern, sizeof(pattern)), 0);
	}
	for (size_t i = 0; i < tree.aliases.n; i += step(SCAN_STEP)) {
		_cleanup_free_ char *modalias = normalized(alias_at(i)->modalias);
		_cleanup_free_ char *ours = NULL, *theirs = resolved(alias_at(i));
		_cleanup_vector_ struct Vector found = {0};

		if (is_name(alias_at(i), theirs))
			continue;
		for (size_t k = 0; k < patterns.n; k++)
			if (glob_match(string_at(&patterns, k), modalias))
				assert_int_equal(
					vector_add(&found, &alias_at(k)->module, sizeof(char *)),
					0);
		ours = as_set(found.data, found.n);
		if (!has_module(ours, alias_at(i)->module) || !streq(ours, theirs))
			fail_msg("\"%s\":%s, but kmod says:%s", modalias, ours, theirs);
	}
	for (size_t i = 0; i < patterns.n; i++)
		free(((char **)patterns.data)[i]);
}

static void test_a_kernel_that_is_not_there_has_no_modules(void **state)
{
	char **modules;

	assert_int_equal(modules_for(tree.root, "0.0.0-none", alias_at(0)->modalias, &modules), 0);
	modules_free(modules);
	assert_int_equal(modules_for("/nonexistent", tree.version, alias_at(0)->modalias, &modules),
			 0);
	modules_free(modules);
}

/* --- the kernel's files --- */

static int read_aliases(void **state)
{
	_cleanup_free_ char *path = NULL, *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	size_t size = 0;

	if (asprintf(&path, "%s/lib/modules/%s/modules.alias", tree.root, tree.version) < 0)
		return -ENOMEM;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		struct Alias alias;

		if (sscanf(line, "alias %ms %ms", &alias.pattern, &alias.module) != 2)
			continue;
		alias.modalias = fitting(alias.pattern, tree.aliases.n);
		if (vector_add(&tree.aliases, &alias, sizeof(alias)) < 0)
			return -ENOMEM;
	}
	return tree.aliases.n > 1000 ? 0 : -ENODATA; /* else it is not a distribution's */
}

static int free_aliases(void **state)
{
	for (size_t i = 0; i < tree.aliases.n; i++) {
		free(alias_at(i)->pattern);
		free(alias_at(i)->module);
		free(alias_at(i)->modalias);
	}
	vector_done(&tree.aliases);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_modalias_resolves_to_what_modprobe_says),
		cmocka_unit_test(test_a_device_that_fits_an_alias_has_its_module),
		cmocka_unit_test(test_our_globs_find_what_kmod_finds),
		cmocka_unit_test(test_a_kernel_that_is_not_there_has_no_modules),
	};

	if (argc != 4) {
		fprintf(stderr, "test-modules: run it by modules.sh\n");
		return EXIT_FAILURE;
	}
	tree.root = argv[1];
	tree.version = argv[2];
	tree.config = argv[3];
	return RUN_TESTS_WITH("modules", tests, read_aliases, free_aliases);
}
