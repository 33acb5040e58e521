/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "arena.h"
#include "glob-match.h"
#include "io.h"
#include "modprobe-config.h"

#define ALIASES_SIZE_MAX ((off_t)64 * 1024 * 1024)
#define ANSWERS_MAX 1024 /* that are remembered: a host may make up ids for as long as it likes */

/* libkmod is not asked: it brings a library for cryptography with it, of which a daemon that has to
 * be small needs nothing. modules.alias(5) is what it goes by, too; test-modules.c holds our globs
 * to its answers. Most devices fit no alias of a module that is refused, so that the file is looked
 * at once, and again for the few that do. */

/* An alias of a module that is refused. */
struct Refused {
	const char *glob; /* in `text` */
	const char *by;	  /* in `places` */
};

/* What was found for a modalias that fits one of those. */
struct Answer {
	const char *modalias;
	bool is_known; /* to a module that is not refused, too */
};

/* What is read; replaced as a whole. */
struct Rules {
	struct ModprobeConfig config; /* without our own lines */
	struct Vector refused;	      /* of struct Refused */
	struct Arena text;	      /* of globs and answers */
	void *answers;		      /* tsearch() tree of struct Answer */
	size_t n_answers;
	bool need_interfaces;
	struct stat aliases; /* of the file, where it was read */
};

struct ModuleRefusals {
	char *root;
	char *directory; /* of the running kernel's modules */
	char *aliases;	 /* its modules.alias */
	struct Rules rules;
	struct Arena places; /* what was handed out */
	void *place_tree;    /* tsearch() tree of these */
};

static int compare_strings(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int compare_answers(const void *a, const void *b)
{
	return strcmp(((const struct Answer *)a)->modalias, ((const struct Answer *)b)->modalias);
}

static void keep(void *p)
{
	(void)p; /* an arena's */
}

static void rules_done(struct Rules *rules)
{
	modprobe_config_done(&rules->config);
	vector_done(&rules->refused);
	tdestroy(rules->answers, keep);
	arena_done(&rules->text);
}

/* --- places --- */

/* Each string once, for as long as the process lives: decisions point to them. */
static const char *place_of(struct ModuleRefusals *refusals, const struct ModprobeLine *line)
{
	_cleanup_free_ char *text = NULL;
	char *const *found;
	char *copy;

	if (asprintf(&text, "%s:%u", line->file, line->line) < 0) {
		text = NULL;
		return NULL;
	}
	found = tfind(text, &refusals->place_tree, compare_strings);
	if (found)
		return *found;
	copy = arena_strdup(&refusals->places, text);
	return copy && tsearch(copy, &refusals->place_tree, compare_strings) ? copy : NULL;
}

/* --- modules.alias --- */

static int read_aliases(const char *path, struct stat *ret_stat, char **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (ret_stat)
		*ret_stat = st;
	if (!S_ISREG(st.st_mode) || st.st_size > ALIASES_SIZE_MAX)
		return -EINVAL;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = read_full(fd, text, (size_t)st.st_size);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

/* Cuts the next "alias GLOB MODULE" off *@pos; false at the end. */
static bool next_alias(char **pos, char **ret_glob, char **ret_module)
{
	while (**pos) {
		char *line = *pos, *words, *rest;
		size_t n = strcspn(line, "\n");

		*pos = line + n + (line[n] == '\n');
		line[n] = '\0';
		words = (char *)startswith(line, "alias ");
		if (!words)
			continue;
		*ret_glob = strtok_r(words, " ", &rest);
		*ret_module = *ret_glob ? strtok_r(NULL, " ", &rest) : NULL;
		if (!*ret_module)
			continue;
		module_name_normalize(*ret_module);
		return true;
	}
	return false;
}

static bool any_refuses(const struct ModprobeConfig *config)
{
	const struct ModprobeLine *lines = config->lines.data;

	for (size_t i = 0; i < config->lines.n; i++)
		if (lines[i].command == MODPROBE_BLACKLIST ||
		    lines[i].command == MODPROBE_INSTALL ||
		    (lines[i].command == MODPROBE_ALIAS && streq(lines[i].text, "off")))
			return true;
	return false;
}

static int add_refused(struct ModuleRefusals *refusals, struct Rules *rules, const char *glob,
		       const struct ModprobeLine *line)
{
	struct Refused refused = {.glob = arena_strdup(&rules->text, glob),
				  .by = place_of(refusals, line)};

	if (!refused.glob || !refused.by)
		return -ENOMEM;
	module_name_normalize((char *)refused.glob);
	rules->need_interfaces = rules->need_interfaces || startswith(glob, "usb:") ||
				 glob_prefix(glob) < strlen("usb:");
	return vector_add(&rules->refused, &refused, sizeof(refused));
}

/* The line by which the module of an alias of modprobe.d is refused, or NULL. */
static const struct ModprobeLine *alias_refusal(const struct ModprobeConfig *config,
						const struct ModprobeLine *alias)
{
	return streq(alias->text, "off") ? alias : modprobe_config_refusal(config, alias->text);
}

/* They are before the others, as they take the place of those. */
static int find_refused_aliases(struct ModuleRefusals *refusals, struct Rules *rules)
{
	const struct ModprobeLine *lines = rules->config.lines.data;
	int r = 0;

	for (size_t i = 0; r == 0 && i < rules->config.lines.n; i++) {
		const struct ModprobeLine *line = lines[i].command == MODPROBE_ALIAS
							  ? alias_refusal(&rules->config, &lines[i])
							  : NULL;

		if (line)
			r = add_refused(refusals, rules, lines[i].name, line);
	}
	return r;
}

/* The aliases of a module stand together. */
static int find_refused(struct ModuleRefusals *refusals, struct Rules *rules)
{
	_cleanup_free_ char *text = NULL;
	char *pos, *glob, *module, *last = NULL;
	const struct ModprobeLine *line = NULL;
	int r;

	if (!any_refuses(&rules->config))
		return 0;
	r = find_refused_aliases(refusals, rules);
	if (r < 0)
		return r;
	r = read_aliases(refusals->aliases, &rules->aliases, &text);
	if (r < 0 || !text)
		return r == -ENOENT ? 0 : r;
	pos = text;
	while (r == 0 && next_alias(&pos, &glob, &module)) {
		if (!last || !streq(last, module))
			line = modprobe_config_refusal(&rules->config, module);
		last = module;
		if (line)
			r = add_refused(refusals, rules, glob, line);
	}
	return r;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static const struct ModprobeLine *next_alias_line(const struct ModprobeConfig *config, size_t *i)
{
	const struct ModprobeLine *lines = config->lines.data;

	while (*i < config->lines.n)
		if (lines[(*i)++].command == MODPROBE_ALIAS)
			return &lines[*i - 1];
	return NULL;
}

static bool have_the_same_aliases(const struct ModprobeConfig *a, const struct ModprobeConfig *b)
{
	size_t i = 0, k = 0;

	for (;;) {
		const struct ModprobeLine *x = next_alias_line(a, &i), *y = next_alias_line(b, &k);

		if (!x || !y)
			return !x && !y;
		if (!streq(x->name, y->name) || !streq(x->text, y->text))
			return false;
	}
}

static bool answer_the_same(const struct Rules *a, const struct Rules *b)
{
	const struct Refused *x = a->refused.data, *y = b->refused.data;

	if (a->refused.n != b->refused.n)
		return false;
	for (size_t i = 0; i < a->refused.n; i++)
		if (x[i].by != y[i].by || !streq(x[i].glob, y[i].glob))
			return false;
	return a->refused.n == 0 || (is_same_file(&a->aliases, &b->aliases) &&
				     have_the_same_aliases(&a->config, &b->config));
}

int module_refusals_reread(struct ModuleRefusals *refusals)
{
	struct Rules rules = {.config.without_ours = true};
	int r = modprobe_config_read(refusals->root, NULL, &rules.config);
	bool is_new;

	if (r == 0)
		r = modprobe_config_read_cmdline(refusals->root, &rules.config);
	if (r == 0)
		r = find_refused(refusals, &rules);
	if (r < 0) {
		rules_done(&rules);
		return r;
	}
	is_new = !answer_the_same(&refusals->rules, &rules);
	rules_done(&refusals->rules);
	refusals->rules = rules;
	return is_new;
}

/* --- devices --- */

static const char *find_glob(const struct Rules *rules, const char *modalias)
{
	const struct Refused *refused = rules->refused.data;

	for (size_t i = 0; i < rules->refused.n; i++)
		if (glob_match(refused[i].glob, modalias))
			return refused[i].by;
	return NULL;
}

/* Where an alias of modprobe.d fits, libkmod looks no further (kmod_module_new_from_lookup()).
 * Returns 1 where one names a module that is not refused, 0 where all are, -ENOENT where none fits.
 */
static int alias_knows(const struct ModprobeConfig *config, const char *modalias)
{
	const struct ModprobeLine *line;
	int answer = -ENOENT;

	for (size_t i = 0; (line = next_alias_line(config, &i));) {
		if (!glob_match(line->name, modalias))
			continue;
		if (!alias_refusal(config, line))
			return 1;
		answer = 0;
	}
	return answer;
}

/* Whether another module knows @modalias, which is not refused. Where that cannot be read, none is
 * taken for granted. */
static bool another_knows(const struct ModuleRefusals *refusals, const char *modalias)
{
	_cleanup_free_ char *text = NULL;
	char *pos, *glob, *module;
	size_t bus = strcspn(modalias, ":") + 1;
	int r = alias_knows(&refusals->rules.config, modalias);

	if (r >= 0)
		return r;
	if (read_aliases(refusals->aliases, NULL, &text) < 0)
		return false;
	pos = text;
	while (next_alias(&pos, &glob, &module)) {
		if (strncmp(glob, modalias, bus) != 0 && glob_prefix(glob) >= bus)
			continue;
		module_name_normalize(glob);
		if (glob_match(glob, modalias) &&
		    !modprobe_config_refusal(&refusals->rules.config, module))
			return true;
	}
	return false;
}

static void remember(struct Rules *rules, const char *modalias, bool is_known)
{
	struct Answer *answer;

	if (rules->n_answers >= ANSWERS_MAX)
		return;
	answer = arena_alloc(&rules->text, 1, sizeof(*answer));
	if (!answer)
		return;
	*answer = (struct Answer){arena_strdup(&rules->text, modalias), is_known};
	if (answer->modalias && tsearch(answer, &rules->answers, compare_answers))
		rules->n_answers++;
}

static bool is_known_to_others(struct ModuleRefusals *refusals, const char *modalias)
{
	struct Answer key = {.modalias = modalias};
	struct Answer *const *found = tfind(&key, &refusals->rules.answers, compare_answers);
	bool is_known;

	if (found)
		return (*found)->is_known;
	is_known = another_knows(refusals, modalias);
	remember(&refusals->rules, modalias, is_known);
	return is_known;
}

/* The modaliases by which modules are found for a device. */
static size_t n_modaliases(const struct Device *device)
{
	return device->bus == BUS_USB ? device->n_interfaces : 1;
}

static char *modalias_at(const struct Device *device, size_t i)
{
	char *modalias = device->bus == BUS_USB ? usb_interface_modalias(device, i)
						: strdup(device->modalias);

	if (modalias)
		module_name_normalize(modalias);
	return modalias;
}

const char *module_refusals_find(struct ModuleRefusals *refusals, const struct Device *device)
{
	static const char untold[] = "modprobe.d (out of memory)";
	const char *by = NULL;

	if (!refusals || refusals->rules.refused.n == 0 || !device->modalias)
		return NULL;
	for (size_t i = 0; !by && i < n_modaliases(device); i++) {
		_cleanup_free_ char *modalias = modalias_at(device, i);

		by = modalias ? find_glob(&refusals->rules, modalias) : untold;
	}
	for (size_t i = 0; by && i < n_modaliases(device); i++) {
		_cleanup_free_ char *modalias = modalias_at(device, i);

		if (modalias && is_known_to_others(refusals, modalias))
			return NULL;
	}
	return by;
}

bool module_refusals_need_interfaces(const struct ModuleRefusals *refusals)
{
	return refusals && refusals->rules.need_interfaces;
}

/* --- birth and death --- */

/* For tests. */
static const char *module_root(void)
{
	const char *dir = secure_getenv("TDX_AUTH_MODULE_ROOT");

	return dir ? dir : "";
}

int module_refusals_new(const char *root, struct ModuleRefusals **ret)
{
	_cleanup_(module_refusals_freep) struct ModuleRefusals *refusals =
		calloc(1, sizeof(*refusals));
	struct utsname running;
	int r;

	if (!refusals)
		return -ENOMEM;
	refusals->root = strdup(root ? root : module_root());
	if (!refusals->root || uname(&running) < 0 ||
	    asprintf(&refusals->directory, "%s/lib/modules/%s", module_root(), running.release) <
		    0) {
		refusals->directory = NULL;
		return -ENOMEM;
	}
	if (asprintf(&refusals->aliases, "%s/modules.alias", refusals->directory) < 0) {
		refusals->aliases = NULL;
		return -ENOMEM;
	}
	r = module_refusals_reread(refusals);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(refusals);
	return 0;
}

void module_refusals_free(struct ModuleRefusals *refusals)
{
	if (!refusals)
		return;
	rules_done(&refusals->rules);
	tdestroy(refusals->place_tree, keep);
	arena_done(&refusals->places);
	free(refusals->aliases);
	free(refusals->directory);
	free(refusals->root);
	free(refusals);
}

const char *module_refusals_root(const struct ModuleRefusals *refusals)
{
	return refusals->root;
}

const char *module_refusals_directory(const struct ModuleRefusals *refusals)
{
	return refusals->directory;
}
