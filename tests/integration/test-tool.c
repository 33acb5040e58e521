/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>

#include "authctl.h"
#include "test.h"
#include "testbed.h"

#define NIC "0000:00:01.0"
#define run(ret_out, ret_err, ...)                                                                 \
	testbed_run(authctl_main, ret_out, ret_err, "tdx-authctl", __VA_ARGS__, NULL)

static void expect_attr(struct Testbed *bed, const char *syspath, const char *attr,
			const char *value)
{
	_cleanup_free_ char *found = testbed_attr(bed, syspath, attr);

	assert_string_equal(found, value);
}

static void test_list_shows_each_device_with_verdict_and_protection(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *out = NULL;

	testbed_policy(bed, "version: 1\n"
			    "rules: [ { name: nic, action: allow, driver: e1000e,\n"
			    "  match: { pci: { vendor: 0x8086 } } } ]\n");
	assert_int_equal(run(&out, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	assert_non_null(strstr(out, "pci:" NIC));
	assert_non_null(strstr(out, "allow e1000e"));
	assert_non_null(strstr(out, ":nic\n"));
	assert_non_null(strstr(out, "pci  kernel      a refused device gets no driver"));
}

static void test_list_says_where_nothing_can_be_refused(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *bare =
		umockdev_testbed_add_device(bed->umockdev, "pci", NIC, NULL, "vendor", "0x8086\n",
					    "device", "0x10d3\n", NULL, NULL);
	_cleanup_free_ char *out = NULL;

	assert_int_equal(run(&out, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	assert_non_null(strstr(out, "UNPROTECTED"));
}

static void test_hostile_strings_are_escaped_in_text_and_valid_in_json(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *usb =
		testbed_add_usb(bed, "1-1", "evil\n\x1b[2Jpci:0000:00:09.0\xff\"\n");
	_cleanup_free_ char *text = NULL, *json = NULL;
	struct json_object *root, *device;
	const char *description;

	assert_int_equal(run(&text, NULL, "show", "usb:1-1", "--policy", bed->policy), EXIT_DONE);
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\xff'));
	assert_non_null(strstr(text, "\\x1b[2J"));
	assert_null(strstr(text, "\npci:"));
	assert_int_equal(run(&json, NULL, "list", "--json", "--policy", bed->policy), EXIT_DONE);
	assert_null(strchr(json, '\x1b'));
	assert_null(strchr(json, '\xff'));
	root = json_tokener_parse(json);
	assert_non_null(root);
	device = json_object_array_get_idx(json_object_object_get(root, "devices"), 0);
	description = json_object_get_string(json_object_object_get(device, "label"));
	assert_string_equal(description, "evil\n\x1b[2Jpci:0000:00:09.0\\xff\"");
	json_object_put(root);
}

static void test_authorize_and_deny_work_without_the_daemon(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *out = NULL;

	assert_int_equal(run(&out, NULL, "authorize", NIC, "--driver", "e1000e"), EXIT_DONE);
	assert_string_equal(out, "pci:" NIC ": authorized only for e1000e, driver: none\n");
	expect_attr(bed, nic, "authorized", "1");
	expect_attr(bed, nic, "authorized_driver", "e1000e");
	assert_int_equal(run(NULL, NULL, "deny", "pci:" NIC), EXIT_DONE);
	expect_attr(bed, nic, "authorized", "0");
	assert_int_equal(run(NULL, NULL, "authorize", nic), EXIT_DONE); /* by path */
	expect_attr(bed, nic, "authorized", "1");
}

static void test_a_device_that_is_not_there_has_its_own_exit_status(void **state)
{
	_cleanup_free_ char *err = NULL;

	assert_int_equal(run(NULL, &err, "deny", "pci:0000:99:00.0"), EXIT_NO_DEVICE);
	assert_non_null(strstr(err, "no such device"));
	assert_int_equal(run(NULL, NULL, "show", "../../etc"), EXIT_NO_DEVICE);
}

static void test_a_root_hub_is_not_denied(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *hub = testbed_add_usb(bed, "usb1", "Root Hub\n");

	assert_int_equal(run(NULL, NULL, "deny", "usb:usb1"), EXIT_FAILED);
	expect_attr(bed, hub, "authorized", "1");
}

static void test_apply_brings_every_device_where_the_policy_wants_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	_cleanup_free_ char *out = NULL;

	testbed_policy(bed, "version: 1\n"
			    "rules: [ { action: allow, match: { pci: { vendor: 0x8086 } } } ]\n");
	assert_int_equal(run(&out, NULL, "apply", "--json", "--policy", bed->policy), EXIT_DONE);
	expect_attr(bed, nic, "authorized", "1");
	expect_attr(bed, keyboard, "authorized", "0");
	assert_non_null(strstr(out, "\"authorized\":1"));
	assert_non_null(strstr(out, "\"refused\":1"));
}

static void test_apply_fails_where_the_kernel_cannot_refuse(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *bare = umockdev_testbed_add_device(bed->umockdev, "pci", NIC, NULL,
								"vendor", "0x8086\n", NULL, NULL);
	_cleanup_free_ char *err = NULL;

	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	assert_int_equal(run(NULL, &err, "apply", "--policy", bed->policy), EXIT_FAILED);
	assert_non_null(
		strstr(err, "UNPROTECTED: this kernel cannot refuse a driver to devices of pci;"));
}

static void test_apply_fails_where_a_device_cannot_be_read(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *err = NULL, *list = NULL;

	testbed_make_unreadable(bed, nic, "modalias");
	assert_int_equal(run(NULL, &err, "apply", "--policy", bed->policy), EXIT_FAILED);
	assert_non_null(strstr(err, NIC ": could not be read, so it was not decided over"));
	assert_int_equal(run(NULL, &list, "list", "--policy", bed->policy), EXIT_FAILED);
	assert_non_null(strstr(list, NIC ": cannot be read"));
}

static void test_a_name_on_two_buses_must_say_its_bus(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *pci = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *parent = umockdev_testbed_add_device(bed->umockdev, "platform", "host",
								  NULL, "x", "y", NULL, NULL);
	_cleanup_free_ char *platform = umockdev_testbed_add_device(
		bed->umockdev, "platform", NIC, parent, "authorized", "0\n", NULL, NULL);
	_cleanup_free_ char *err = NULL;

	assert_int_equal(run(NULL, &err, "authorize", NIC), EXIT_USAGE);
	assert_non_null(strstr(err, "say BUS:NAME"));
	expect_attr(bed, pci, "authorized", "0");
	assert_int_equal(run(NULL, NULL, "authorize", "pci:" NIC), EXIT_DONE);
	expect_attr(bed, pci, "authorized", "1");
}

static void test_a_mode_nobody_knows_is_no_protection(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *out = NULL;

	testbed_mode(bed, "permissive");
	assert_int_equal(run(&out, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	assert_non_null(strstr(out, "UNPROTECTED"));
}

static void test_apply_with_a_bad_policy_writes_nothing(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	_cleanup_free_ char *err = NULL;

	testbed_policy(bed, "version: 1\ndefaults: { pci: allow }\nrulez: []\n");
	assert_int_equal(run(NULL, &err, "apply", "--policy", bed->policy), EXIT_FAILED);
	assert_non_null(strstr(err, ":3:1: unknown key \"rulez\", the nearest valid one is"));
	expect_attr(bed, nic, "authorized", "0");
	expect_attr(bed, keyboard, "authorized", "1");
}

static void test_in_audit_mode_nothing_is_decided_by_hand(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	_cleanup_free_ char *err = NULL;

	testbed_mode(bed, "audit");
	assert_int_equal(run(NULL, &err, "authorize", "pci:" NIC), EXIT_FAILED);
	assert_non_null(strstr(err, "audit mode"));
	expect_attr(bed, nic, "authorized", "0");
	assert_int_equal(run(NULL, NULL, "deny", "usb:1-1"), EXIT_DONE);
	expect_attr(bed, keyboard, "authorized", "0");
}

static void test_a_path_that_is_no_governed_device_has_the_status_of_none(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *other = umockdev_testbed_add_device(bed->umockdev, "input", "input0",
								 NULL, "x", "y", NULL, NULL);

	assert_int_equal(run(NULL, NULL, "show", other), EXIT_NO_DEVICE);
}

static void test_a_driver_nobody_registered_is_warned_about(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *err = NULL;

	assert_int_equal(run(NULL, &err, "authorize", NIC, "--driver", "e1000f"), EXIT_DONE);
	assert_non_null(strstr(err, "no driver of the pci bus is called \"e1000f\" now"));
	expect_attr(bed, nic, "authorized_driver", "e1000f");
}

static void test_why_tells_a_path_that_is_not_there(void **state)
{
	_cleanup_free_ char *err = NULL;

	(void)state;
	assert_int_equal(run(NULL, &err, "why", "/nonexistent"), EXIT_NO_DEVICE);
	assert_non_null(strstr(err, "/nonexistent: No such file or directory\n"));
}

static void test_wrong_usage_has_its_own_exit_status(void **state)
{
	_cleanup_free_ char *err = NULL;

	assert_int_equal(run(NULL, &err, "nonsense"), EXIT_USAGE);
	assert_non_null(strstr(err, "unknown verb \"nonsense\"\n"));
	assert_int_equal(run(NULL, NULL, "show"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "list", "extra"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "list", "--root", ""), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "list", "--policy="), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "policy", "check", ""), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "deny", NIC, "--driver", "x"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "authorize", NIC, "--driver", "a/b"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "--bogus"), EXIT_USAGE);
}

static void expect_usage_error(const char *first, const char *second, const char *message)
{
	_cleanup_free_ char *err = NULL;

	assert_int_equal(run(NULL, &err, first, second), EXIT_USAGE);
	if (!strstr(err, message))
		fail_msg("no \"%s\" in:\n%s", message, err);
}

static void test_unknown_verbs_and_options_are_answered_with_the_nearest(void **state)
{
	expect_usage_error("lits", NULL, "unknown verb \"lits\", the nearest is \"list\"\n");
	expect_usage_error("polciy", "check", "\"polciy\", the nearest is \"policy\"\n");
	expect_usage_error("generate", NULL, "the nearest is \"policy generate\"\n");
	expect_usage_error("policy", "tets",
			   "unknown verb \"policy tets\", the nearest is \"policy test\"\n");
	expect_usage_error("list", "--polcy", "unknown option --polcy, the nearest is --policy\n");
	expect_usage_error("list", "--\x1b=x", "unknown option --\\x1b=x\n");
	expect_usage_error("list", "--json=x", "--json takes no argument\n");
	expect_usage_error("list", "--policy", "--policy takes an argument\n");
	expect_usage_error("list", "-x", "there is one short option: -h\n");
	expect_usage_error("policy", "x\x1b",
			   "unknown verb \"policy x\\x1b\": policy takes one of: check, ");
	expect_usage_error("x\x1b", NULL, "unknown verb \"x\\x1b\"\n");
	expect_usage_error("help", NULL, "unknown verb \"help\"\n");
}

static void test_the_first_word_of_several_verbs_lists_them(void **state)
{
	expect_usage_error("policy", NULL, "policy takes one of: check, show, generate, test\n");
}

#define TOOL_TEST(f) cmocka_unit_test_setup_teardown(f, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOOL_TEST(test_list_shows_each_device_with_verdict_and_protection),
		TOOL_TEST(test_list_says_where_nothing_can_be_refused),
		TOOL_TEST(test_hostile_strings_are_escaped_in_text_and_valid_in_json),
		TOOL_TEST(test_authorize_and_deny_work_without_the_daemon),
		TOOL_TEST(test_a_device_that_is_not_there_has_its_own_exit_status),
		TOOL_TEST(test_a_root_hub_is_not_denied),
		TOOL_TEST(test_apply_brings_every_device_where_the_policy_wants_it),
		TOOL_TEST(test_apply_fails_where_the_kernel_cannot_refuse),
		TOOL_TEST(test_apply_fails_where_a_device_cannot_be_read),
		TOOL_TEST(test_a_name_on_two_buses_must_say_its_bus),
		TOOL_TEST(test_a_mode_nobody_knows_is_no_protection),
		TOOL_TEST(test_apply_with_a_bad_policy_writes_nothing),
		TOOL_TEST(test_in_audit_mode_nothing_is_decided_by_hand),
		TOOL_TEST(test_a_path_that_is_no_governed_device_has_the_status_of_none),
		TOOL_TEST(test_a_driver_nobody_registered_is_warned_about),
		TOOL_TEST(test_why_tells_a_path_that_is_not_there),
		TOOL_TEST(test_wrong_usage_has_its_own_exit_status),
		TOOL_TEST(test_unknown_verbs_and_options_are_answered_with_the_nearest),
		TOOL_TEST(test_the_first_word_of_several_verbs_lists_them),
	};

	return RUN_TESTS("tool", tests);
}
