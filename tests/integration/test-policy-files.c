/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/stat.h>

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
	assert_int_equal(policy_load("/tmp", &policy), -EINVAL);
	assert_int_equal(policy_load("/nonexistent/policy.yaml", &policy), -ENOENT);
}

static void test_a_policy_with_an_error_is_refused_whole(void **state)
{
	struct Policy *policy = NULL;

	write_policy("version: 1\ndefaults: { pci: allow }\nrule: []\n", 0644);
	assert_int_equal(policy_load(path, &policy), -EBADMSG);
	assert_null(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_of_the_owner_is_read),
		cmocka_unit_test(test_a_file_others_can_write_is_refused),
		cmocka_unit_test(test_a_file_of_another_user_is_refused),
		cmocka_unit_test(test_what_is_no_file_is_refused),
		cmocka_unit_test(test_a_policy_with_an_error_is_refused_whole),
	};

	return cmocka_run_group_tests_name("policy-files", tests, setup, teardown);
}
