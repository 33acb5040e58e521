/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program, with other places. */
#include "names.h"
#undef MODULE_TABLE_OWNER
#undef MODULE_TABLE_VENDOR
#undef JOURNAL_SOCKET
#define MODULE_TABLE_OWNER owner_table
#define MODULE_TABLE_VENDOR vendor_table
#define JOURNAL_SOCKET "/tmp/tdx-auth-test-modgate.socket"
#define MODPROBES modprobe_path
static char modprobe_path[] = "/tmp/tdx-auth-modprobe-XXXXXX";
static char owner_table[] = "/tmp/tdx-auth-owner-XXXXXX";
static char vendor_table[] = "/tmp/tdx-auth-vendor-XXXXXX";
int modgate_main(int argc, char **argv);
#define main modgate_main
#include "tdx-auth-modgate.c" // NOLINT(bugprone-suspicious-include)
#undef main

#include <sys/stat.h>
#include <sys/wait.h>

#include "capture.h"

struct Run {
	const char *module;
	int status;
};

static void put(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
}

static void run(void *argument)
{
	struct Run *run = argument;
	char name[] = "tdx-auth-modgate";
	char *argv[] = {name, NULL};

	if (run->module)
		(void)setenv("MODPROBE_MODULE", run->module, 1);
	else
		(void)unsetenv("MODPROBE_MODULE");
	run->status = modgate_main(1, argv);
}

/* What it writes to standard error about @module; it never succeeds. */
static char *said(const char *module)
{
	struct Run how = {.module = module};
	char *text = capture(STDERR_FILENO, run, &how);

	assert_int_equal(how.status, EXIT_FAILURE);
	return text;
}

static void expect_said(const char *module, const char *what)
{
	_cleanup_free_ char *text = said(module);

	if (!strstr(text, what))
		fail_msg("no \"%s\" in: %s", what, text);
}

static void test_the_reason_of_the_table_is_said(void **state)
{
	put(owner_table, "# x\nab\tfirst\na\tsecond, and more\nb\tthird\n");
	expect_said("a", "module a");
	expect_said("a", "is denied: second, and more\n");
	expect_said("ab", ": first\n");
	expect_said("b", ": third\n");
}

static void test_what_the_table_does_not_have_is_denied_as_unknown(void **state)
{
	put(owner_table, "a\tfirst\n#\tno\n");
	expect_said("b", "is denied: unknown to the policy");
	expect_said("", "is what modprobe runs");
	expect_said(NULL, "is what modprobe runs");
	put(owner_table, "");
	expect_said("a", "is denied: unknown to the policy");
}

static void test_the_vendors_table_is_read_where_the_owner_has_none(void **state)
{
	put(owner_table, "a\towner\n");
	put(vendor_table, "a\tvendor\nb\tvendor\n");
	expect_said("a", ": owner\n");
	expect_said("b", ": unknown");
	assert_int_equal(unlink(owner_table), 0);
	expect_said("a", ": vendor\n");
	assert_int_equal(unlink(vendor_table), 0);
	expect_said("a", ": unknown");
}

static void test_hostile_names_and_tables_are_escaped(void **state)
{
	put(owner_table, "a\tr\033[2J\n$(x)\tq\n");
	expect_said("a", ": r\\x1b[2J\n");
	expect_said("$(x)", "module $(x)");
	expect_said("b\n\033[2J", "module b\\n\\x1b[2J");
	expect_said("b c", "module b\\x20c");
}

static void test_the_journal_has_the_module_in_a_field(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	_cleanup_free_ char *text = NULL;
	char record[4096];
	ssize_t n;

	(void)unlink(JOURNAL_SOCKET);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	put(owner_table, "a\tfirst\n");
	text = said("a\nPRIORITY=0");
	assert_non_null(strstr(text, "a\\nPRIORITY=0"));
	n = recv(fd, record, sizeof(record) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	record[n] = '\0';
	assert_non_null(strstr(record, "\n" FIELD_MODULE "=a\\nPRIORITY=0\n"));
	assert_non_null(strstr(record, "\nMESSAGE_ID=" MESSAGE_ID_MODULE "\n"));
	assert_null(strstr(record, "\nPRIORITY=0"));
	assert_int_equal(strncmp(record, "MESSAGE=module ", 15), 0);
	(void)unlink(JOURNAL_SOCKET);
}

/* What the gate takes @module to be asked for as, by these words, and its parameters. */
static void expect_read(const char *words, size_t size, const char *module, const char *alias,
			const char *parameters)
{
	struct Request request = {.module = module};
	char text[64] = "";

	memcpy(request.bytes, words, size);
	read_words(&request);
	if (!streq_or_null(request.alias, alias) && (request.alias || alias))
		fail_msg("%s is wanted as %s, not %s", module, request.alias, alias);
	for (char *const *p = request.parameters; p && *p; p++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s;", *p);
	assert_string_equal(text, parameters);
}
#define EXPECT_READ(words, ...) expect_read(words, sizeof(words), __VA_ARGS__)

static void test_what_modprobe_was_asked_for_is_found_in_its_words(void **state)
{
	EXPECT_READ("modprobe\0-q\0--\0pci:v1\0", "a", "pci:v1", "");
	EXPECT_READ("modprobe\0-C\0conf\0-v\0a\0b=1\0", "a", "a", "b=1;");
	EXPECT_READ("modprobe\0a\0-v\0b=1\0--first-time\0c=2\0", "a", "a", "b=1;c=2;");
	EXPECT_READ("modprobe\0-vS\0"
		    "6.1\0a\0",
		    "a", "a", "");
	EXPECT_READ("modprobe\0-a\0a\0b\0", "a", "a", "");
	EXPECT_READ("modprobe\0-qab\0a\0b\0", "b", "b", "");
	EXPECT_READ("modprobe\0a\0b\0--all\0", "c", NULL, "");
	EXPECT_READ("modprobe\0--al\0alias\0", "a", "alias", "");
	EXPECT_READ("modprobe\0--new\0a\0b\0", "a", "a", "");
	EXPECT_READ("modprobe\0", "a", NULL, "");
	EXPECT_READ("modprobe\0-q\0--\0", "a", NULL, "");
	EXPECT_READ("modprobe\0-C\0", "a", NULL, "");
	EXPECT_READ("", "a", NULL, "");
	assert_true(names_module("snd-hda", "snd_hda"));
	assert_false(names_module("snd", "snd_hda"));
	assert_false(names_module("snd_hda", "snd"));
}

/* --- audit --- */

#define MODPROBE "/sbin/modprobe"

/* Runs modprobe with words for the shell, where the modules a and b have the gate in their places.
 * Returns what the gate would have modprobe load, line by line. */
static char *audited(const char *self, const char *words)
{
	char config[] = "/tmp/tdx-auth-config-XXXXXX", log[] = "/tmp/tdx-auth-log-XXXXXX";
	_cleanup_free_ char *text = NULL, *command = NULL;
	char *found = calloc(1, 4096);
	_cleanup_fclose_ FILE *file = NULL;

	(void)close(mkstemp(config));
	(void)close(mkstemp(log));
	assert_true(asprintf(&text, "install a %s %s audit\ninstall b %s %s audit\n", self,
			     modprobe_path, self, modprobe_path) > 0);
	put(config, text);
	free(text);
	assert_true(asprintf(&text, "#!/bin/sh\necho \"$*\" >>%s\n", log) > 0);
	put(modprobe_path, text);
	assert_int_equal(chmod(modprobe_path, 0755), 0);
	assert_true(asprintf(&command, MODPROBE " -C %s %s 2>/dev/null", config, words) > 0);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
	file = fopen(log, "re");
	assert_non_null(file);
	assert_true(fread(found, 1, 4095, file) < 4095);
	(void)unlink(config);
	(void)unlink(log);
	return found;
}

static const char *self; /* the path of this program */

static void test_an_audit_gives_a_module_its_own_parameters_alone(void **state)
{
	_cleanup_free_ char *one = NULL, *all = NULL;

	if (access(MODPROBE, X_OK) < 0)
		skip();
	one = audited(self, "a x=1 'y=2 3'");
	assert_string_equal(one, "--ignore-install -- a x=1 y=2 3\n");
	all = audited(self, "-a a b");
	assert_string_equal(all, "--ignore-install -- a\n--ignore-install -- b\n");
}

/* As modprobe runs it: PROGRAM MODPROBE audit. */
static int be_the_gate(char **argv)
{
	char *const args[] = {argv[0], argv[2], NULL};

	(void)snprintf(modprobe_path, sizeof(modprobe_path), "%s", argv[1]);
	return modgate_main(2, (char **)args);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_reason_of_the_table_is_said),
		cmocka_unit_test(test_what_the_table_does_not_have_is_denied_as_unknown),
		cmocka_unit_test(test_the_vendors_table_is_read_where_the_owner_has_none),
		cmocka_unit_test(test_hostile_names_and_tables_are_escaped),
		cmocka_unit_test(test_the_journal_has_the_module_in_a_field),
		cmocka_unit_test(test_what_modprobe_was_asked_for_is_found_in_its_words),
		cmocka_unit_test(test_an_audit_gives_a_module_its_own_parameters_alone),
	};
	int r;

	if (argc == 3)
		return be_the_gate(argv);
	self = argv[0];
	(void)close(mkstemp(modprobe_path));
	(void)close(mkstemp(owner_table));
	(void)close(mkstemp(vendor_table));
	r = RUN_TESTS("modgate", tests);
	(void)unlink(owner_table);
	(void)unlink(vendor_table);
	(void)unlink(modprobe_path);
	return r;
}
