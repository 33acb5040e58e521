/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>
#include <sys/stat.h>

#include "authctl.h"
#include "first-drivers.h"
#include "initrd.h"
#include "names.h"
#include "test.h"
#include "testbed.h"

/* What an initrd calls, what it leaves for the system after it, and what that says of it. */

#define NIC "0000:00:01.0"
#define DISK "0000:00:02.0"
#define run(ret_out, ret_err, ...)                                                                 \
	testbed_run(authctl_main, ret_out, ret_err, "tdx-authctl", __VA_ARGS__, NULL)

static void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

/* A file of the programs in /run/tdx-auth; NULL where it is not there. */
static char *read_runtime(const struct Testbed *bed, const char *name)
{
	_cleanup_free_ char *path = NULL;
	char *text = NULL;

	assert_true(asprintf(&path, "%s/%s", bed->runtime_dir, name) > 0);
	(void)g_file_get_contents(path, &text, NULL, NULL);
	return text;
}

static mode_t runtime_mode(const struct Testbed *bed, const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	assert_true(asprintf(&path, "%s/%s", bed->runtime_dir, name) > 0);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void write_runtime(const struct Testbed *bed, const char *name, const char *text)
{
	_cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", bed->runtime_dir, name) > 0);
	assert_true(g_file_set_contents(path, text, -1, NULL));
}

static char *kernel_log(struct Testbed *bed)
{
	_cleanup_free_ char *root = umockdev_testbed_get_root_dir(bed->umockdev), *path = NULL;
	char *text = NULL;

	assert_true(asprintf(&path, "%s/dev/kmsg", root) > 0);
	assert_true(g_file_get_contents(path, &text, NULL, NULL));
	return text;
}

static void test_apply_in_an_initrd_leaves_word_of_what_it_went_by(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	_cleanup_free_ char *bare = umockdev_testbed_add_device(bed->umockdev, "pci", NIC, NULL,
								"vendor", "0x8086\n", NULL, NULL);
	_cleanup_free_ char *attr = NULL, *noted = NULL, *log = NULL, *err = NULL, *shown = NULL;

	testbed_add_file(bed, "/dev/kmsg", "");
	/* what this kernel cannot refuse is no reason not to boot */
	assert_int_equal(run(NULL, &err, "apply", "--initrd"), EXIT_DONE);
	attr = testbed_attr(bed, keyboard, "authorized");
	assert_string_equal(attr, "0");
	noted = read_runtime(bed, INITRD_POLICY_FILE);
	assert_non_null(noted);
	assert_int_equal(run(&shown, NULL, "policy", "show"), EXIT_DONE);
	assert_non_null(startswith(noted, "# policy\n"));
	assert_string_equal(startswith(noted, "# policy\n"), shown);
	assert_int_equal(runtime_mode(bed, INITRD_POLICY_FILE), 0600); /* it may name serials */
	log = kernel_log(bed);
	expect_in(log, "<30>tdx-authctl: usb:1-1 refused (default for usb)\n");
	expect_in(log, "<30>tdx-authctl: the policy was applied before udev: ");
	assert_string_equal(err, ""); /* the console */
}

static void test_apply_in_an_initrd_takes_no_other_policy_and_respects_the_freeze(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL, *noted = NULL;

	assert_int_equal(run(NULL, NULL, "apply", "--initrd", "--policy", bed->policy), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "status", "--initrd"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "show", NIC, "--refused"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "freeze"), EXIT_DONE);
	assert_int_equal(run(NULL, &err, "apply", "--initrd"), EXIT_REFUSED);
	noted = read_runtime(bed, INITRD_POLICY_FILE);
	assert_null(noted);
}

/* --- status --- */

static void expect_initrd(const char *text_part, const char *word)
{
	_cleanup_free_ char *text = NULL, *json = NULL;
	struct json_object *root;

	(void)run(&text, NULL, "status");
	expect_in(text, text_part);
	(void)run(&json, NULL, "status", "--json");
	root = json_tokener_parse(json);
	assert_non_null(root);
	assert_string_equal(json_object_get_string(json_object_object_get(
				    json_object_object_get(root, "initrd"), "policy")),
			    word);
	json_object_put(root);
}

static void test_status_tells_which_policy_the_initrd_had(void **state)
{
	static const char other[] = "# policy\nversion: 1\nrules: []\n";
	static const char built_in[] = "# built-in\nversion: 1\n";
	struct Testbed *bed = *state;

	testbed_add_file(bed, "/dev/kmsg", "");
	expect_initrd("no policy was applied in an initrd", "none");
	assert_int_equal(run(NULL, NULL, "apply", "--initrd"), EXIT_DONE);
	expect_initrd("the policy that is installed here was applied there", "same");
	write_runtime(bed, INITRD_POLICY_FILE, other);
	expect_initrd("THE INITRD'S POLICY DIFFERS from the one here: run update-initramfs -u",
		      "differs");
	write_runtime(bed, INITRD_POLICY_FILE, built_in);
	expect_initrd("THE INITRD'S POLICY WAS REFUSED", "refused-built-in");
}

static void test_what_was_noted_and_is_damaged_is_told_as_unknown(void **state)
{
	static const char *const damaged[] = {"", "policy\n", "# policy", "# other\nversion: 1\n"};
	struct Testbed *bed = *state;

	for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
		write_runtime(bed, INITRD_POLICY_FILE, damaged[i]);
		expect_initrd("whether it is the one here cannot be told", "unknown");
	}
}

/* --- drivers --- */

static void test_drivers_of_before_the_first_decision_are_noted_once(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *device = umockdev_testbed_add_device(bed->umockdev, "platform", "a b",
								  NULL, "x", "y", NULL, NULL);
	_cleanup_free_ char *link = NULL, *noted = NULL, *again = NULL, *status = NULL;

	testbed_add_file(bed, "/dev/kmsg", "");
	assert_true(asprintf(&link, "%s/driver", device) > 0);
	testbed_add_link(bed, link, "../../bus/platform/drivers/evil\x1b");
	assert_int_equal(run(NULL, NULL, "apply", "--initrd"), EXIT_DONE);
	noted = read_runtime(bed, FIRST_DRIVERS_FILE);
	assert_string_equal(noted, "platform a\\x20b evil\\x1b\n");
	(void)run(&status, NULL, "status");
	expect_in(status, "Before any decision:  evil\\x1b (platform)\n");
	/* which later ones change nothing of */
	free(testbed_add_usb_in_use(bed, "1-1", "Keyboard\n", "1"));
	assert_int_equal(run(NULL, NULL, "apply", "--initrd"), EXIT_DONE);
	again = read_runtime(bed, FIRST_DRIVERS_FILE);
	assert_string_equal(again, noted);
}

static void test_where_the_kernel_decides_itself_no_driver_is_noted(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb_in_use(bed, "1-1", "Keyboard\n", "1");
	_cleanup_free_ char *noted = NULL;

	testbed_add_file(bed, "/dev/kmsg", "");
	testbed_mode(bed, "enforce");
	assert_int_equal(run(NULL, NULL, "apply", "--initrd"), EXIT_DONE);
	noted = read_runtime(bed, FIRST_DRIVERS_FILE);
	assert_null(noted);
}

static void test_a_damaged_list_of_drivers_is_refused(void **state)
{
	static const char *const damaged[] = {
		"pci 0000:00:01.0 e1000e",
		"pci 0000:00:01.0\n",
		"nobus x y\n",
		"pci 0000:00:01.0 e1000e x\n",
		"pci  e1000e\n",
		"pci x \n",
		"pci x \\q\n",
		"\n",
	};
	struct Testbed *bed = *state;

	for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
		_cleanup_free_ char *err = NULL;

		write_runtime(bed, FIRST_DRIVERS_FILE, damaged[i]);
		(void)run(NULL, &err, "status");
		expect_in(err, "cannot read which drivers had devices before");
	}
}

/* --- what is refused --- */

static void test_a_refused_device_is_listed_with_a_rule_that_allows_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *disk = testbed_add_pci(bed, DISK, 0x1b36, 0x0010);
	_cleanup_free_ char *text = NULL, *json = NULL, *policy = NULL, *list = NULL;
	struct json_object *root, *first;

	testbed_mode(bed, "enforce");
	testbed_policy(bed, "version: 1\nrules:\n"
			    "  - { name: nic, action: allow, match: { pci: { vendor: 0x8086 } } }\n"
			    "  - { name: no-disk, action: deny, match: { pci: { vendor: 0x1b36 } "
			    "} }\n");
	assert_int_equal(run(NULL, NULL, "apply", "--policy", bed->policy), EXIT_DONE);
	assert_int_equal(run(&text, NULL, "list", "--refused", "--policy", bed->policy), EXIT_DONE);
	assert_null(strstr(text, NIC));
	expect_in(text, "pci:" DISK);
	expect_in(text, ":no-disk\n");
	expect_in(text, "match: { pci: { vendor: \"0x1b36\", device: \"0x0010\"");
	assert_int_equal(run(&json, NULL, "list", "--refused", "--json", "--policy", bed->policy),
			 EXIT_DONE);
	root = json_tokener_parse(json);
	first = json_object_array_get_idx(json_object_object_get(root, "devices"), 0);
	/* and it does what it says */
	assert_true(asprintf(&policy, "version: 1\nrules:\n%s",
			     json_object_get_string(json_object_object_get(first, "rule"))) > 0);
	testbed_policy(bed, policy);
	assert_int_equal(run(NULL, NULL, "apply", "--policy", bed->policy), EXIT_DONE);
	assert_int_equal(run(&list, NULL, "list", "--refused", "--policy", bed->policy), EXIT_DONE);
	assert_null(strstr(list, DISK));
	json_object_put(root);
}

#define INITRD_TEST(f) cmocka_unit_test_setup_teardown(f, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		INITRD_TEST(test_apply_in_an_initrd_leaves_word_of_what_it_went_by),
		INITRD_TEST(test_apply_in_an_initrd_takes_no_other_policy_and_respects_the_freeze),
		INITRD_TEST(test_status_tells_which_policy_the_initrd_had),
		INITRD_TEST(test_what_was_noted_and_is_damaged_is_told_as_unknown),
		INITRD_TEST(test_drivers_of_before_the_first_decision_are_noted_once),
		INITRD_TEST(test_where_the_kernel_decides_itself_no_driver_is_noted),
		INITRD_TEST(test_a_damaged_list_of_drivers_is_refused),
		INITRD_TEST(test_a_refused_device_is_listed_with_a_rule_that_allows_it),
	};

	return RUN_TESTS("initrd", tests);
}
