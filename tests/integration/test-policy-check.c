/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What `policy check` tells of a policy by the machine that it is for. */

#include <sys/mman.h>
#include <sys/stat.h>

#include "authctl.h"
#include "modules.h"
#include "test.h"
#include "testbed.h"

#define run(ret_out, ret_err, ...)                                                                 \
	testbed_run(authctl_main, ret_out, ret_err, "tdx-authctl", __VA_ARGS__, NULL)

/* What the check of @policy prints; the caller frees it. */
static char *checked(struct Testbed *bed, const char *policy)
{
	char *out;

	testbed_policy(bed, policy);
	assert_int_equal(run(&out, NULL, "policy", "check", bed->policy), EXIT_DONE);
	return out;
}

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

static void expect_times(const char *text, unsigned n, const char *part)
{
	if (count(text, part) != n)
		fail_msg("not %u times \"%s\" in:\n%s", n, part, text);
}

static void test_a_driver_that_is_there_in_another_spelling_is_warned_about(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	testbed_add_file(bed, "/sys/bus/pci/drivers/my-own_driver/uevent", "");
	testbed_add_file(bed, "/sys/bus/usb/drivers/its_driver/uevent", "");
	out = checked(bed, "version: 1\nrules:\n"
			   "- { action: allow, driver: my_own_driver, match: { pci: {} } }\n"
			   "- { action: allow, driver: my-own_driver, match: { acpi: {} } }\n"
			   "- { action: allow, driver: my-own-driver, match: { address: x } }\n"
			   "- { action: allow, driver: its-driver, match: { virtio: {} } }\n");
	expect_times(out, 2, "no driver is called");
	expect_times(out, 1,
		     ":3: no driver is called \"my_own_driver\": its name is "
		     "\"my-own_driver\"");
	expect_times(out, 1,
		     ":5: no driver is called \"my-own-driver\": its name is "
		     "\"my-own_driver\"");
}

static void test_a_driver_that_is_spelled_right_or_not_loaded_is_not_warned_about(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	testbed_add_file(bed, "/sys/bus/pci/drivers/my_driver/uevent", "");
	testbed_add_file(bed, "/sys/bus/pci/drivers/my-driver/uevent", "");
	out = checked(bed, "version: 1\nrules:\n"
			   "- { action: allow, driver: my-driver, match: { pci: {} } }\n"
			   "- { action: allow, driver: other, match: { acpi: {} } }\n");
	expect_times(out, 0, "no driver is called");
}

static void test_a_hardened_driver_in_another_spelling_is_told_of_once(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	testbed_add_file(bed, "/sys/bus/pci/drivers/virtio-pci/uevent", "");
	out = checked(bed, "version: 1\nrules:\n"
			   "- { action: allow, driver: virtio_pci, match: { pci: {} } }\n");
	expect_times(out, 1, "no driver is called");
}

static void test_a_rule_that_needs_more_devices_than_are_here_is_warned_about(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *out = NULL;

	out = checked(bed, "version: 1\nrules:\n"
			   "- { action: kernel, match: { pci: { vendor: 0x8086 } },\n"
			   "    count: { min: 2 } }\n"
			   "- { action: kernel, match: { pci: {} }, count: { min: 1 } }\n");
	expect_times(out, 1, ":3: needs 2 devices, and 1 of them is here now\n");
	expect_times(out, 1, ":5: needs 1 device, and 0 of them are here now\n");
	free(out);
	out = checked(bed, "version: 1\nrules:\n"
			   "- { action: kernel, match: { pci: {} }, count: { min: 1 } }\n");
	expect_times(out, 0, "needs");
}

static void test_modules_that_cannot_be_asked_are_told_of_once(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *other = NULL;
	bool known = modules_have_aliases(NULL, NULL);

	out = checked(
		bed,
		"version: 1\nrules:\n"
		"- { action: allow, driver: a, match: { pci: { vendor: 0xfff1, device: 0x1 } } }\n"
		"- { action: allow, driver: b, match: { pci: { vendor: 0xfff2, device: 0x1 } } "
		"}\n");
	expect_times(out, known ? 0 : 1, "not checked against the modules");
	expect_times(out, known ? 2 : 0, "no module of the running kernel knows these ids");
	other = checked(bed, "version: 1\n");
	expect_times(other, 0, "not checked");
}

static void test_a_kernel_has_aliases_where_their_file_is(void **state)
{
	char root[] = "/tmp/tdx-auth-modules-XXXXXX";
	_cleanup_free_ char *dir = NULL, *file = NULL;

	assert_non_null(mkdtemp(root));
	assert_true(asprintf(&dir, "%s/lib/modules/1.2", root) > 0);
	assert_true(asprintf(&file, "%s/modules.alias", dir) > 0);
	assert_int_equal(g_mkdir_with_parents(dir, 0755), 0);
	assert_false(modules_have_aliases(root, "1.2"));
	assert_true(g_file_set_contents(file, "alias a b\n", -1, NULL));
	assert_true(modules_have_aliases(root, "1.2"));
	assert_false(modules_have_aliases(root, "1.3"));
	(void)unlink(file);
	for (char *p = dir; strlen(p) >= strlen(root); *strrchr(p, '/') = '\0')
		(void)rmdir(p);
}

static void test_a_module_policy_of_which_nothing_is_rendered_is_warned_about(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *off = NULL;
	bool is_rendered = access("/etc/modprobe.d/00-tdx-auth.conf", F_OK) == 0 ||
			   access("/usr/lib/modprobe.d/00-tdx-auth.conf", F_OK) == 0;

	testbed_policy(bed, "version: 1\nmodules: { mode: enforce }\n");
	assert_int_equal(run(&out, NULL, "policy", "check", bed->policy), EXIT_DONE);
	expect_times(out, is_rendered ? 0 : 1, "modules: mode: enforce: nothing of it is in force");
	testbed_policy(bed, "version: 1\nmodules: { mode: \"off\" }\n");
	assert_int_equal(run(&off, NULL, "policy", "check", bed->policy), EXIT_DONE);
	expect_times(off, 0, "in force");
}

static void test_a_policy_for_another_machine_is_not_compared_with_this_one(void **state)
{
	char root[] = "/var/tmp/tdx-auth-root-XXXXXX";
	_cleanup_free_ char *dir = NULL, *file = NULL, *out = NULL;

	assert_non_null(mkdtemp(root));
	assert_true(asprintf(&dir, "%s/etc/tdx-auth/policy.d", root) > 0);
	assert_true(asprintf(&file, "%s/a.yaml", dir) > 0);
	assert_int_equal(g_mkdir_with_parents(dir, 0755), 0);
	assert_true(
		g_file_set_contents(file,
				    "version: 1\ndefaults: { acpi: allow }\nrules:\n"
				    "- { action: kernel, match: { pci: {} }, count: { min: 1 } }\n",
				    -1, NULL));
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(run(&out, NULL, "policy", "check", "--root", root), EXIT_DONE);
	expect_times(out, 0, "needs");
	expect_times(out, 1, "not checked against a machine");
	expect_times(out, 1, "defaults: acpi: allow: ");
	expect_times(out, 1, file); /* the one outside, as errors name it */
	expect_times(out, 1, "1 rule in 1 file, 1 warning\n");
	(void)unlink(file);
	for (char *p = dir; strlen(p) >= strlen(root); *strrchr(p, '/') = '\0')
		(void)rmdir(p);
}

/* --- standard input --- */

/* What programs that are started read from standard input. */
static void set_standard_input(const char *text)
{
	int fd = memfd_create("in", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_true(dup2(fd, STDIN_FILENO) >= 0);
	(void)close(fd);
}

static void test_a_policy_is_checked_from_standard_input(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *err = NULL, *both = NULL, *large = NULL;

	set_standard_input("version: 1\nrules:\n- { action: allow, match: { pci: {} } }\n");
	assert_int_equal(run(&out, NULL, "policy", "check", "-"), EXIT_DONE);
	expect_times(out, 1, "<stdin>:3: allows any driver");
	set_standard_input("version: 1\nrulez: []\n");
	assert_int_equal(run(NULL, &err, "policy", "check", "-"), EXIT_FAILED);
	expect_times(err, 1, "policy refused: <stdin>:2:1: unknown key \"rulez\"");
	set_standard_input("version: 1\nrules:\n- { action: deny, match: { pci: {} } }\n");
	assert_int_equal(run(&both, NULL, "policy", "check", bed->policy, "-"), EXIT_DONE);
	expect_times(both, 1, "1 rule in 2 files");
	large = malloc((1 << 20) + 2);
	memset(large, '#', (1 << 20) + 1);
	large[(1 << 20) + 1] = '\0';
	set_standard_input(large);
	assert_int_equal(run(NULL, NULL, "policy", "check", "-"), EXIT_FAILED);
}

static void test_a_policy_from_standard_input_is_tested_and_shown(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *snapshot = NULL, *text = NULL, *out = NULL, *shown = NULL;
	static const char policy[] =
		"version: 1\nrules:\n- { name: a, action: deny, match: { pci: {} } }\n";

	assert_true(asprintf(&snapshot, "%s/snapshot", bed->runtime_dir) > 0);
	assert_int_equal(run(&text, NULL, "snapshot", "--policy", bed->policy), EXIT_DONE);
	assert_true(g_file_set_contents(snapshot, text, -1, NULL));
	set_standard_input(policy);
	assert_int_equal(run(&out, NULL, "policy", "test", "--snapshot", snapshot, "--policy", "-"),
			 EXIT_DONE);
	expect_times(out, 1, "<stdin>:a");
	set_standard_input(policy);
	assert_int_equal(run(&shown, NULL, "policy", "show", "--policy", "-"), EXIT_DONE);
	expect_times(shown, 1, "# \"<stdin>\":3\n  - name: \"a\"\n");
}

static void test_nothing_is_put_in_force_from_standard_input(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *value = NULL, *err = NULL;

	set_standard_input("version: 1\ndefaults: { pci: allow }\n");
	assert_int_equal(run(NULL, &err, "apply", "--policy", "-"), EXIT_USAGE);
	expect_times(err, 1, "apply takes its policy from a file");
	value = testbed_attr(bed, nic, "authorized");
	assert_string_equal(value, "0");
}

/* To take the others' right to write from a device node is no advice. */
static void test_what_is_no_file_is_refused_as_such(void **state)
{
	_cleanup_free_ char *err = NULL;

	(void)state;
	assert_int_equal(run(NULL, &err, "policy", "check", "/dev/null"), EXIT_FAILED);
	expect_times(err, 1, "policy refused: /dev/null: not a regular file\n");
}

static void test_standard_input_is_read_once(void **state)
{
	assert_int_equal(run(NULL, NULL, "policy", "check", "-", "-"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "policy", "test", "--snapshot", "-", "--policy", "-"),
			 EXIT_USAGE);
}

#define CHECK_TEST(f) cmocka_unit_test_setup_teardown(f, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK_TEST(test_a_driver_that_is_there_in_another_spelling_is_warned_about),
		CHECK_TEST(test_a_driver_that_is_spelled_right_or_not_loaded_is_not_warned_about),
		CHECK_TEST(test_a_hardened_driver_in_another_spelling_is_told_of_once),
		CHECK_TEST(test_a_rule_that_needs_more_devices_than_are_here_is_warned_about),
		CHECK_TEST(test_modules_that_cannot_be_asked_are_told_of_once),
		CHECK_TEST(test_a_kernel_has_aliases_where_their_file_is),
		CHECK_TEST(test_a_module_policy_of_which_nothing_is_rendered_is_warned_about),
		CHECK_TEST(test_a_policy_for_another_machine_is_not_compared_with_this_one),
		CHECK_TEST(test_a_policy_is_checked_from_standard_input),
		CHECK_TEST(test_a_policy_from_standard_input_is_tested_and_shown),
		CHECK_TEST(test_nothing_is_put_in_force_from_standard_input),
		CHECK_TEST(test_what_is_no_file_is_refused_as_such),
		CHECK_TEST(test_standard_input_is_read_once),
	};

	return RUN_TESTS("policy-check", tests);
}
