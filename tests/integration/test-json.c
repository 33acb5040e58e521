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

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("no \"%s\" in %s", key, json_object_to_json_string(object));
	return value;
}

/* --- policies --- */

static void test_policies_as_json_are_policies(void **state)
{
	static const char *const verbs[] = {"show", "generate"};
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Key\"board*\n");
	unsigned char descriptors[18] = {18, 1};

	umockdev_testbed_set_attribute_link(bed->umockdev, keyboard, "driver",
					    "../../../bus/usb/drivers/usb");
	umockdev_testbed_set_attribute_binary(bed->umockdev, keyboard, "descriptors", descriptors,
					      sizeof(descriptors));
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
		JSON_TEST(test_policies_as_json_are_policies),
		JSON_TEST(test_a_snapshot_is_json_with_the_option_and_without),
	};

	return RUN_TESTS("json", tests);
}
