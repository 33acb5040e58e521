/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "policy-files.h"
#include "test.h"

static char path[] = "/tmp/tdx-auth-policy-XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return -1;
	return close(fd);
}

static int teardown(void **state)
{
	return unlink(path);
}

static void write_policy(const char *text, mode_t mode)
{
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void test_a_file_of_the_owner_is_read(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	write_policy("version: 1\ndefaults: { pci: deny }\n", 0644);
	assert_int_equal(policy_load(path, &policy), 0);
	assert_int_equal(policy_default(policy, BUS_PCI), ACTION_DENY);
}

static void test_a_file_others_can_write_is_refused(void **state)
{
	struct Policy *policy = NULL;

	write_policy("version: 1\n", 0664);
	assert_int_equal(policy_load(path, &policy), -EPERM);
	write_policy("version: 1\n", 0646);
	assert_int_equal(policy_load(path, &policy), -EPERM);
	assert_null(policy);
}

/* usbguard#150, usbguard#593: the mode was checked and the owner was not, and no reason given. */
static void test_a_file_of_another_user_is_refused(void **state)
{
	struct Policy *policy = NULL;

	write_policy("version: 1\n", 0644);
	assert_int_equal(chown(path, 1, (gid_t)-1), 0);
	assert_int_equal(policy_load(path, &policy), -EPERM);
	assert_int_equal(chown(path, 0, (gid_t)-1), 0);
}

static void test_what_is_no_file_is_refused(void **state)
{
	struct Policy *policy = NULL;

	assert_int_equal(policy_load("/dev/zero", &policy), -EINVAL);
	assert_int_equal(policy_load("/usr", &policy), -EINVAL);
	assert_int_equal(policy_load("/nonexistent/policy.yaml", &policy), -ENOENT);
}

static void test_a_policy_with_an_error_is_refused_whole(void **state)
{
	struct Policy *policy = NULL;

	write_policy("version: 1\ndefaults: { pci: allow }\nrule: []\n", 0644);
	assert_int_equal(policy_load(path, &policy), -EBADMSG);
	assert_null(policy);
}

/* --- drop-ins --- */

#define VENDOR "/usr/lib/tdx-auth/policy.d"
#define OWNER "/etc/tdx-auth/policy.d"

static int setup_root(void **state)
{
	char *root = strdup("/tmp/tdx-auth-root-XXXXXX");

	*state = mkdtemp(root);
	return *state ? 0 : -1;
}

_printf_(2, 3) static void in_root(const char *root, const char *format, ...)
{
	_cleanup_free_ char *command = NULL, *all = NULL;
	va_list ap;

	va_start(ap, format);
	assert_true(vasprintf(&command, format, ap) >= 0);
	va_end(ap);
	assert_true(asprintf(&all, "cd %s && %s", root, command) >= 0);
	assert_int_equal(system(all), 0); // NOLINT(bugprone-command-processor,cert-env33-c)
}

static int teardown_root(void **state)
{
	in_root("/", "rm -rf %s", (char *)*state);
	free(*state);
	return 0;
}

/* A drop-in with one rule, named like the default it sets for pci. */
static void drop_in(const char *root, const char *dir, const char *name, const char *action)
{
	in_root(root,
		"mkdir -p .%s && printf 'version: 1\\ndefaults: { pci: %s }\\nrules: [ { name: %s, "
		"action: deny, match: { modalias: x } } ]\\n' > .%s/%s",
		dir, action, action, dir, name);
}

static void test_drop_ins_are_read_by_name_and_the_owners_goes_first(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	drop_in(*state, VENDOR, "50-b.yaml", "allow");
	drop_in(*state, VENDOR, "10-a.yaml", "kernel");
	drop_in(*state, OWNER, "50-b.yaml", "deny");
	drop_in(*state, OWNER, "60-c.yml", "allow"); /* not a drop-in's name */
	assert_int_equal(policy_load_from_root(*state, &policy), 0);
	assert_int_equal(policy_n_rules(policy), 2);
	assert_string_equal(policy_rule(policy, 0)->name, "kernel");
	assert_string_equal(policy_rule(policy, 1)->name, "deny");
	assert_int_equal(policy_default(policy, BUS_PCI), ACTION_DENY);
}

static void test_a_link_to_dev_null_takes_a_drop_in_away(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	drop_in(*state, VENDOR, "50-b.yaml", "allow");
	in_root(*state, "mkdir -p ." OWNER " && ln -s /dev/null ." OWNER "/50-b.yaml");
	assert_int_equal(policy_load_from_root(*state, &policy), 0);
	assert_int_equal(policy_n_rules(policy), 0);
}

static void test_no_directory_is_a_policy_without_rules(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	assert_int_equal(policy_load_from_root(*state, &policy), 0);
	assert_int_equal(policy_n_rules(policy), 0);
	assert_int_equal(policy_default(policy, BUS_USB), ACTION_DENY);
}

/* What loading says on standard error, which it fails after. */
static char *errors_of(const char *root)
{
	int saved = dup(STDERR_FILENO), fd = memfd_create("errors", MFD_CLOEXEC);
	char *text = calloc(1, 65536);
	struct Policy *policy = NULL;

	(void)dup2(fd, STDERR_FILENO);
	assert_true(policy_load_from_root(root, &policy) < 0);
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	assert_true(pread(fd, text, 65535, 0) > 0);
	(void)close(fd);
	return text;
}

static void test_a_link_that_leads_nowhere_is_refused(void **state)
{
	struct Policy *policy = NULL;

	in_root(*state, "mkdir -p ./etc/tdx-auth && ln -s /nonexistent ." OWNER);
	assert_int_equal(policy_load_from_root(*state, &policy), -ENOLINK);
	in_root(*state, "rm -r ./etc/tdx-auth && ln -s gone ./etc/tdx-auth");
	assert_int_equal(policy_load_from_root(*state, &policy), -ENOLINK);
	in_root(*state,
		"rm ./etc/tdx-auth && mkdir -p ." OWNER " && ln -s gone ." OWNER "/50-b.yaml");
	assert_int_equal(policy_load_from_root(*state, &policy), -ENOLINK);
	assert_null(policy);
}

static void test_a_loop_of_links_is_refused(void **state)
{
	struct Policy *policy = NULL;

	in_root(*state, "mkdir -p ./etc/tdx-auth && ln -s policy.d ." OWNER);
	assert_int_equal(policy_load_from_root(*state, &policy), -ELOOP);
	in_root(*state, "rm ." OWNER " && mkdir ." OWNER " && ln -s . ." OWNER "/loop.yaml");
	assert_int_equal(policy_load_from_root(*state, &policy), -EINVAL);
	assert_null(policy);
}

static void test_links_are_followed_within_the_root(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	drop_in(*state, "/srv/policies", "50-b.yaml", "deny");
	in_root(*state, "mkdir -p ./etc/tdx-auth && ln -s /srv/policies ." OWNER);
	assert_int_equal(policy_load_from_root(*state, &policy), 0);
	assert_int_equal(policy_n_rules(policy), 1);
	policy_unref(policy);
	/* above the root is the root */
	in_root(*state, "rm ." OWNER " && ln -s ../../../../../srv/policies ." OWNER);
	assert_int_equal(policy_load_from_root(*state, &policy), 0);
	assert_int_equal(policy_n_rules(policy), 1);
}

static void test_the_errors_of_all_drop_ins_are_found(void **state)
{
	_cleanup_free_ char *log = NULL;

	drop_in(*state, OWNER, "10-a.yaml", "permit");
	drop_in(*state, VENDOR, "20-b.yaml", "kernel");
	drop_in(*state, VENDOR, "30-c.yaml", "refuse");
	log = errors_of(*state);
	assert_non_null(strstr(log, "10-a.yaml:2:18: unknown action \"permit\""));
	assert_non_null(strstr(log, "30-c.yaml:2:18: unknown action \"refuse\""));
}

static unsigned long file_system;
int __real_fstatfs64(int fd, struct statfs *ret);
int __wrap_fstatfs64(int fd, struct statfs *ret);

int __wrap_fstatfs64(int fd, struct statfs *ret)
{
	int r = __real_fstatfs64(fd, ret);

	if (file_system)
		ret->f_type = (__typeof__(ret->f_type))file_system;
	return r;
}

static void test_a_file_system_whose_owners_others_assert_is_refused(void **state)
{
	static const unsigned long types[] = {V9FS_MAGIC,
					      NFS_SUPER_MAGIC,
					      MSDOS_SUPER_MAGIC,
					      ISOFS_SUPER_MAGIC,
					      0x65735546 /* fuse, virtiofs */,
					      0xff534d42 /* cifs */};
	struct Policy *policy = NULL;

	drop_in(*state, OWNER, "50-b.yaml", "allow");
	for (size_t i = 0; i < ELEMENTSOF(types); i++) {
		file_system = types[i];
		assert_int_equal(policy_load_from_root(*state, &policy), -EPERM);
	}
	file_system = EXT4_SUPER_MAGIC;
	assert_int_equal(policy_load_from_root(*state, &policy), 0);
	file_system = 0;
	policy_unref(policy);
}

static void test_a_directory_others_can_write_is_refused(void **state)
{
	struct Policy *policy = NULL;

	drop_in(*state, OWNER, "50-b.yaml", "allow");
	in_root(*state, "chmod 777 ." OWNER);
	assert_int_equal(policy_load_from_root(*state, &policy), -EPERM);
	in_root(*state, "chmod 755 ." OWNER " && chown 1 ." OWNER);
	assert_int_equal(policy_load_from_root(*state, &policy), -EPERM);
	assert_null(policy);
}

static void test_a_way_that_others_can_divert_is_refused(void **state)
{
	struct Policy *policy = NULL;

	drop_in(*state, OWNER, "50-b.yaml", "allow");
	in_root(*state, "chmod 777 ./etc/tdx-auth");
	assert_int_equal(policy_load_from_root(*state, &policy), -EPERM);
	in_root(*state, "chmod 755 ./etc/tdx-auth && chown 1 ./etc");
	assert_int_equal(policy_load_from_root(*state, &policy), -EPERM);
	in_root(*state, "chown 0 ./etc && mkdir open && chmod 777 open && "
			"mv ." OWNER " open/policy.d && ln -s ../../open/policy.d ." OWNER);
	assert_int_equal(policy_load_from_root(*state, &policy), -EPERM);
	in_root(*state, "chmod 1777 open"); /* sticky: others cannot move what is not theirs */
	assert_int_equal(policy_load_from_root(*state, &policy), 0);
	policy_unref(policy);
	/* though anybody can make a link there */
	in_root(*state, "ln -s policy.d open/other && chown -h 1 open/other && rm ." OWNER
			" && ln -s ../../open/other ." OWNER);
	assert_int_equal(policy_load_from_root(*state, &policy), -EPERM);
}

#define ROOT_TEST(f) cmocka_unit_test_setup_teardown(f, setup_root, teardown_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_of_the_owner_is_read),
		cmocka_unit_test(test_a_file_others_can_write_is_refused),
		cmocka_unit_test(test_a_file_of_another_user_is_refused),
		cmocka_unit_test(test_what_is_no_file_is_refused),
		cmocka_unit_test(test_a_policy_with_an_error_is_refused_whole),
		ROOT_TEST(test_drop_ins_are_read_by_name_and_the_owners_goes_first),
		ROOT_TEST(test_a_link_to_dev_null_takes_a_drop_in_away),
		ROOT_TEST(test_no_directory_is_a_policy_without_rules),
		ROOT_TEST(test_a_link_that_leads_nowhere_is_refused),
		ROOT_TEST(test_a_loop_of_links_is_refused),
		ROOT_TEST(test_links_are_followed_within_the_root),
		ROOT_TEST(test_the_errors_of_all_drop_ins_are_found),
		ROOT_TEST(test_a_file_system_whose_owners_others_assert_is_refused),
		ROOT_TEST(test_a_directory_others_can_write_is_refused),
		ROOT_TEST(test_a_way_that_others_can_divert_is_refused),
	};

	return RUN_TESTS_WITH("policy-files", tests, setup, teardown);
}
