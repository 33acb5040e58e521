/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>

#include "authctl.h"
#include "test.h"
#include "testbed.h"

#define NIC "0000:00:01.0"
#define run(ret_out, ret_err, ...)                                                                 \
	testbed_run(authctl_main, ret_out, ret_err, "tdx-authctl", __VA_ARGS__, NULL)

static const char rules[] = "version: 1\n"
			    "rules:\n"
			    "- name: nic\n"
			    "  action: allow\n"
			    "  driver: e1000e\n"
			    "  match: { pci: { vendor: 0x8086 } }\n";

/* What a command prints, which ends with the exit status @status, as JSON. */
#define run_json(status, ...)                                                                      \
	({                                                                                         \
		_cleanup_free_ char *_out = NULL;                                                  \
		struct json_object *_object;                                                       \
                                                                                                   \
		assert_int_equal(run(&_out, NULL, __VA_ARGS__, "--json"), status);                 \
		_object = json_tokener_parse(_out);                                                \
		if (!_object)                                                                      \
			fail_msg("no JSON:\n%s", _out);                                            \
		_object;                                                                           \
	})

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("no \"%s\" in %s", key, json_object_to_json_string(object));
	return value;
}

static void expect(struct json_object *object, const char *key, const char *value)
{
	const char *found = json_object_get_string(get(object, key));

	if (!streq_or_null(found, value))
		fail_msg("\"%s\" is %s, not %s", key, found ? found : "null",
			 value ? value : "null");
}

/* --- devices --- */

static void write_file(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

static char *snapshot_of(struct Testbed *bed)
{
	_cleanup_free_ char *out = NULL;
	char *path;

	assert_int_equal(run(&out, NULL, "snapshot", "--policy", bed->policy), EXIT_DONE);
	assert_true(asprintf(&path, "%s/snapshot", bed->runtime_dir) > 0);
	write_file(path, out);
	return path;
}

/* The keys that devices have in the output of every verb. */
static void expect_nic(struct json_object *nic, const char *backend, const char *protection)
{
	struct json_object *verdict = get(nic, "verdict"), *ids = get(nic, "ids");

	expect(nic, "device", "pci:" NIC);
	expect(nic, "bus", "pci");
	expect(nic, "name", NIC);
	assert_non_null(get(nic, "syspath"));
	(void)get(nic, "description");
	expect(nic, "label", NULL);
	(void)get(nic, "modalias");
	expect(ids, "vendor", "0x8086");
	expect(ids, "device", "0x10d3");
	expect(nic, "listed_ids", NULL);
	expect(nic, "driver", NULL);
	expect(nic, "authorized", "false");
	(void)get(nic, "authorized_by");
	(void)get(nic, "authorized_driver");
	expect(nic, "backend", backend);
	expect(nic, "protection", protection);
	expect(verdict, "action", "allow");
	expect(verdict, "driver", "e1000e");
	assert_non_null(strstr(json_object_get_string(get(verdict, "why")), ":nic"));
}

static void test_a_device_has_the_same_keys_whatever_prints_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3), *snapshot = NULL;
	struct json_object *list, *show, *explain, *why, *test;

	testbed_policy(bed, rules);
	snapshot = snapshot_of(bed);
	list = run_json(EXIT_DONE, "list", "--policy", bed->policy);
	expect_nic(json_object_array_get_idx(get(list, "devices"), 0), "kernel", "kernel");
	expect(get(list, "protection"), "pci", "kernel");
	show = run_json(EXIT_DONE, "show", NIC, "--policy", bed->policy);
	expect_nic(show, "kernel", "kernel");
	(void)get(show, "modules");
	explain = run_json(EXIT_DONE, "explain", NIC, "--policy", bed->policy);
	expect_nic(explain, "kernel", "kernel");
	(void)get(explain, "kernel_default");
	(void)get(explain, "modules");
	assert_int_equal(json_object_array_length(get(explain, "rules")), 1);
	assert_int_equal(json_object_array_length(get(explain, "possible")), 1);
	expect(explain, "depends_on", "[ ]");
	expect(explain, "unknown", "[ ]");
	why = run_json(EXIT_DONE, "why", nic, "--policy", bed->policy);
	expect_nic(json_object_array_get_idx(why, 0), "kernel", "kernel");
	expect(json_object_array_get_idx(why, 0), "chain", "1");
	/* whether the machine of a snapshot would enforce is not in it */
	test = run_json(EXIT_DONE, "policy", "test", "--snapshot", snapshot, "--policy",
			bed->policy);
	expect_nic(json_object_array_get_idx(test, 0), "kernel", NULL);
	expect(json_object_array_get_idx(test, 0), "as_expected", NULL);
	json_object_put(list);
	json_object_put(show);
	json_object_put(explain);
	json_object_put(why);
	json_object_put(test);
	(void)unlink(snapshot);
}

static void test_a_verdict_that_is_not_firm_is_null_with_all_that_are_possible(void **state)
{
	struct Testbed *bed = *state;
	struct json_object *explain, *rule;

	testbed_policy(bed, "version: 1\n"
			    "rules:\n"
			    "- { action: allow, driver: x, match: { pci: { revision: 0x2 } } }\n"
			    "- { action: deny, match: { pci: {} } }\n");
	explain = run_json(EXIT_DONE, "explain", "pci:v00008086d*", "--policy", bed->policy);
	expect(explain, "device", NULL);
	expect(explain, "name", NULL);
	expect(explain, "syspath", NULL);
	expect(explain, "bus", "pci");
	expect(explain, "backend", NULL);
	expect(explain, "protection", NULL);
	expect(get(explain, "verdict"), "action", NULL);
	expect(get(explain, "verdict"), "driver", NULL);
	assert_int_equal(json_object_array_length(get(explain, "possible")), 2);
	expect(json_object_array_get_idx(get(explain, "possible"), 0), "driver", "x");
	expect(json_object_array_get_idx(get(explain, "possible"), 1), "action", "deny");
	expect(explain, "depends_on", "[ \"revision\" ]");
	assert_non_null(strstr(json_object_get_string(get(explain, "unknown")), "\"class\""));
	rule = json_object_array_get_idx(get(explain, "rules"), 0);
	expect(rule, "fits", NULL);
	expect(rule, "failed_key", NULL);
	expect(json_object_array_get_idx(get(explain, "rules"), 1), "fits", "true");
	json_object_put(explain);
	testbed_policy(bed, "version: 1\n"
			    "rules:\n"
			    "- { action: deny, match: { pci: { revision: 0x2 } } }\n"
			    "- { action: deny, match: { pci: {} } }\n");
	explain = run_json(EXIT_DONE, "explain", "pci:v00008086d*", "--policy", bed->policy);
	expect(get(explain, "verdict"), "action", "deny");
	expect(explain, "depends_on", "[ ]");
	json_object_put(explain);
}

static void test_what_changed_is_told_in_the_types_of_a_snapshot(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3),
			    *snapshot = snapshot_of(bed), *new = NULL;
	struct json_object *diff, *change;

	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized", "1\n");
	new = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	assert_non_null(new);
	diff = run_json(EXIT_FAILED, "diff", snapshot, "--policy", bed->policy);
	assert_int_equal(json_object_array_length(diff), 2);
	change = json_object_array_get_idx(diff, 0);
	expect(change, "change", "changed");
	expect(change, "device", "pci:" NIC);
	expect(change, "bus", "pci");
	expect(change, "name", NIC);
	expect(change, "syspath", nic);
	expect(change, "key", "authorized");
	assert_false(json_object_get_boolean(get(change, "before")));
	assert_true(json_object_get_boolean(get(change, "after")));
	change = json_object_array_get_idx(diff, 1);
	expect(change, "change", "added");
	expect(change, "device", "pci:0000:00:02.0");
	expect(change, "key", NULL);
	expect(change, "before", NULL);
	expect(change, "after", NULL);
	json_object_put(diff);
	(void)unlink(snapshot);
}

/* The running kernel's mode, and what devices there call themselves, say nothing of another
 * machine's devices. */
static void test_devices_of_a_snapshot_are_told_without_the_machine(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *usb = testbed_add_usb_in_use(bed, "1-1", "Keyboard\n", "1"),
			    *snapshot = snapshot_of(bed), *text = NULL;
	struct json_object *show;

	umockdev_testbed_set_attribute(bed->umockdev, usb, "product", "Mouse\n");
	show = run_json(EXIT_DONE, "show", "usb:1-1", "--snapshot", snapshot, "--policy",
			bed->policy);
	expect(show, "label", "Keyboard");
	expect(show, "backend", "bus");
	expect(show, "protection", NULL);
	json_object_put(show);
	assert_int_equal(run(&text, NULL, "list", "--snapshot", snapshot, "--policy", bed->policy),
			 EXIT_DONE);
	assert_null(strstr(text, "PROTECTION"));
	(void)unlink(snapshot);
}

/* --- policies --- */

static void test_policies_as_json_are_policies(void **state)
{
	static const char *const verbs[] = {"show", "generate"};
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb_in_use(bed, "1-1", "Key\"board*\n", "1");

	testbed_policy(bed, rules);
	for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
		_cleanup_free_ char *out = NULL;
		struct json_object *object;

		if (i == 0)
			assert_int_equal(run(&out, NULL, "policy", "show", "--json", "--policy",
					     bed->policy),
					 EXIT_DONE);
		else
			assert_int_equal(run(&out, NULL, "policy", "generate", "--json"),
					 EXIT_DONE);
		object = json_tokener_parse(out);
		assert_int_equal(json_object_array_length(get(object, "rules")), 1);
		json_object_put(object);
		testbed_policy(bed, out);
		assert_int_equal(run(NULL, NULL, "policy", "check", bed->policy), EXIT_DONE);
	}
}

static void test_check_tells_errors_and_warnings_with_their_places(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *second = NULL;
	struct json_object *check, *item;

	testbed_policy(bed, "version: 1\n"
			    "rules:\n"
			    "- { name: \"any\\e\", action: allow, match: { pci: {} } }\n"
			    "- { action: deny, match: { pci: { vendor: 0x8086 } } }\n");
	check = run_json(EXIT_DONE, "policy", "check", bed->policy);
	expect(check, "rules", "2");
	expect(check, "refused", "0");
	expect(check, "errors", "[ ]");
	item = json_object_array_get_idx(get(check, "files"), 0);
	assert_string_equal(json_object_get_string(item), bed->policy);
	assert_int_equal(json_object_array_length(get(check, "warnings")), 2);
	item = json_object_array_get_idx(get(check, "warnings"), 0);
	expect(item, "file", bed->policy);
	expect(item, "line", "3");
	expect(item, "name", "any\x1b");
	assert_non_null(strstr(json_object_get_string(get(item, "message")), "any driver"));
	item = json_object_array_get_idx(get(check, "warnings"), 1);
	expect(item, "name", NULL);
	json_object_put(check);
	testbed_policy(bed, "version: 1\nrules:\n- { action: permit, match: { pci: {} } }\n");
	check = run_json(EXIT_FAILED, "policy", "check", bed->policy);
	expect(check, "rules", NULL);
	expect(check, "refused", NULL);
	expect(check, "warnings", "[ ]");
	item = json_object_array_get_idx(get(check, "errors"), 0);
	expect(item, "file", bed->policy);
	expect(item, "line", "3");
	expect(item, "column", "13");
	assert_non_null(strstr(json_object_get_string(get(item, "message")), "\"permit\""));
	json_object_put(check);
	testbed_policy(bed, "version: 1\ndefaults: { pci: allow }\n");
	check = run_json(EXIT_DONE, "policy", "check", bed->policy, "--root", bed->runtime_dir);
	item = json_object_array_get_idx(get(check, "warnings"), 0);
	expect(item, "file", bed->policy);
	expect(item, "line", NULL);
	item = json_object_array_get_idx(get(check, "notes"), 0);
	assert_non_null(strstr(json_object_get_string(item), "not checked against a machine"));
	json_object_put(check);
	assert_true(asprintf(&second, "%s/second", bed->runtime_dir) > 0);
	write_file(second, "version: 1\n");
	check = run_json(EXIT_DONE, "policy", "check", bed->policy, second, "--root",
			 bed->runtime_dir);
	expect(json_object_array_get_idx(get(check, "warnings"), 0), "file", NULL);
	(void)unlink(second);
	json_object_put(check);
	check = run_json(EXIT_FAILED, "policy", "check", "/nonexistent.yaml");
	item = json_object_array_get_idx(get(check, "errors"), 0);
	expect(item, "file", NULL);
	expect(item, "line", NULL);
	assert_non_null(strstr(json_object_get_string(get(item, "message")), "/nonexistent.yaml"));
	json_object_put(check);
}

static void test_a_snapshot_is_json_with_the_option_and_without(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *out = NULL, *again = NULL;

	assert_int_equal(run(&out, NULL, "snapshot", "--policy", bed->policy), EXIT_DONE);
	assert_int_equal(run(&again, NULL, "snapshot", "--json", "--policy", bed->policy),
			 EXIT_DONE);
	assert_string_equal(out, again);
}

#define JSON_TEST(f) cmocka_unit_test_setup_teardown(f, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		JSON_TEST(test_a_device_has_the_same_keys_whatever_prints_it),
		JSON_TEST(test_a_verdict_that_is_not_firm_is_null_with_all_that_are_possible),
		JSON_TEST(test_what_changed_is_told_in_the_types_of_a_snapshot),
		JSON_TEST(test_devices_of_a_snapshot_are_told_without_the_machine),
		JSON_TEST(test_policies_as_json_are_policies),
		JSON_TEST(test_check_tells_errors_and_warnings_with_their_places),
		JSON_TEST(test_a_snapshot_is_json_with_the_option_and_without),
	};

	return RUN_TESTS("json", tests);
}
