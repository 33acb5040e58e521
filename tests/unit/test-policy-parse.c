/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "policy-parse.h"
#include "test.h"

#define V "version: 1\n"
#define RULE V "rules:\n  - name: r\n"

static void expect_good(const char *text, struct Policy **ret)
{
	struct ParseError error;
	struct Policy *policy = policy_new();
	int r = policy_parse(policy, "test.yaml", text, strlen(text), &error);

	if (r < 0)
		fail_msg("%u:%u: %s", error.line, error.column, error.message);
	*ret = policy;
}

static void expect_bad(const char *text, size_t size, unsigned line, unsigned column,
		       const char *message)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	struct ParseError error;

	if (policy_parse(policy, "test.yaml", text, size, &error) != -EBADMSG)
		fail_msg("accepted:\n%s", text);
	if (!strstr(error.message, message))
		fail_msg("\"%s\" does not say \"%s\"", error.message, message);
	if (error.line != line || error.column != column)
		fail_msg("%u:%u, not %u:%u: %s", error.line, error.column, line, column,
			 error.message);
	parse_error_done(&error);
}

static void test_whole_language_of_this_version_is_read(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	const struct Rule *rule;

	expect_good(V "defaults: { \"*\": kernel, usb: deny, pci: allow }\n"
		      "rules:\n"
		      "  - name: nic\n"
		      "    action: allow\n"
		      "    driver: e1000e\n"
		      "    match: { pci: { vendor: \"0x8086\", device: 0x10D3 } }\n"
		      "    reason: the NIC\n"
		      "  - action: deny\n"
		      "    match:\n"
		      "      virtio: { device: 5 }\n"
		      "      modalias: 'virtio:*[]]\\['\n"
		      "  - { action: kernel, match: { usb: { idVendor: 0x046d } } }\n",
		    &policy);
	assert_int_equal(policy->n_rules, 3);
	rule = &policy->rules[0];
	assert_string_equal(rule->name, "nic");
	assert_string_equal(rule->file, "test.yaml");
	assert_int_equal(rule->line, 4);
	assert_int_equal(rule->action, ACTION_ALLOW);
	assert_string_equal(rule->driver, "e1000e");
	assert_string_equal(rule->reason, "the NIC");
	assert_int_equal(rule->n_conditions, 2);
	assert_int_equal(rule->conditions[0].field, ID_VENDOR);
	assert_int_equal(rule->conditions[0].number, 0x8086);
	assert_int_equal(rule->conditions[1].number, 0x10d3);
	rule = &policy->rules[1];
	assert_null(rule->name);
	assert_int_equal(rule->conditions[0].bus, BUS_VIRTIO);
	assert_int_equal(rule->conditions[0].number, 5);
	assert_int_equal(rule->conditions[1].type, CONDITION_MODALIAS);
	assert_string_equal(rule->conditions[1].text, "virtio:*[]]\\[");
	assert_int_equal(policy->rules[2].action, ACTION_KERNEL);
	assert_int_equal(policy_default(policy, BUS_PCI), ACTION_ALLOW);
	assert_int_equal(policy_default(policy, BUS_USB), ACTION_DENY);
	assert_int_equal(policy_default(policy, BUS_VIRTIO), ACTION_KERNEL);
}

static void test_without_defaults_native_buses_are_denied(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	expect_good(V, &policy);
	assert_int_equal(policy_default(policy, BUS_USB), ACTION_DENY);
	assert_int_equal(policy_default(policy, BUS_THUNDERBOLT), ACTION_DENY);
	assert_int_equal(policy_default(policy, BUS_PCI), ACTION_KERNEL);
}

static void test_later_file_adds_rules_and_overrides_defaults(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	const char *more = V "defaults: { pci: allow }\n"
			     "rules: [ { action: deny, match: { modalias: b } } ]\n";
	struct ParseError error;

	expect_good(V "defaults: { pci: deny }\n"
		      "rules: [ { action: deny, match: { modalias: a } } ]\n",
		    &policy);
	assert_int_equal(policy_parse(policy, "later.yaml", more, strlen(more), &error), 0);
	assert_int_equal(policy->n_rules, 2);
	assert_string_equal(policy->rules[0].file, "test.yaml");
	assert_string_equal(policy->rules[1].file, "later.yaml");
	assert_int_equal(policy_default(policy, BUS_PCI), ACTION_ALLOW);
}

static void test_many_rules_keep_their_order(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(V "rules:\n", f);
	for (int i = 0; i < 3000; i++)
		fprintf(f, "- { name: r%d, action: deny, match: { virtio: { device: %d } } }\n", i,
			i);
	fclose(f);
	expect_good(text, &policy);
	assert_int_equal(policy->n_rules, 3000);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(policy->rules[i].conditions[0].number, i);
}

static void test_errors_name_their_place_and_the_nearest_valid_key(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *message;
	} bad[] = {
		/* unknown keys */
		{V "rule: []\n", 2, 1, "unknown key \"rule\", the nearest valid one is \"rules\""},
		{RULE "    actoin: deny\n", 4, 5, "nearest valid one is \"action\""},
		{RULE "    match: { pcie: {} }\n", 4, 14, "nearest valid one is \"pci\""},
		{RULE "    match: { pci: { vender: 0x1 } }\n", 4, 21,
		 "unknown pci match key \"vender\", the nearest valid one is \"vendor\""},
		{RULE "    match: { usb: { vendor: 0x1 } }\n", 4, 21,
		 "nearest valid one is \"idVendor\""},
		{V "defaults: { usbb: deny }\n", 2, 13, "nearest valid one is \"usb\""},
		{V "\"a\\eb\": 1\n", 2, 1,
		 "unknown key \"a\x1b"
		 "b\""},
		/* not yet known */
		{RULE "    count: { max: 1 }\n", 4, 5, "\"count\" is not yet known"},
		{RULE "    action: remove\n", 4, 13, "\"remove\" is not yet known"},
		{RULE "    match: { ancestor: {} }\n", 4, 14, "\"ancestor\" is not yet known"},
		{RULE "    match: { pci: { class: 0x01 } }\n", 4, 21, "\"class\" is not yet known"},
		{V "modules: {}\n", 2, 1, "\"modules\" is not yet known"},
		/* wrong types and values */
		{V "rules: {}\n", 2, 8, "\"rules\" takes a list of rules, not a mapping"},
		{V "rules: deny\n", 2, 8, "\"rules\" takes a list of rules, not a single value"},
		{V "rules: [deny]\n", 2, 9, "takes a mapping, not a single value"},
		{RULE "    action: [deny]\n", 4, 13, "\"action\" takes a single value, not a list"},
		{RULE "    action:\n", 4, 12, "\"action\" has no value"},
		{RULE "    action: permit\n", 4, 13, "unknown action \"permit\""},
		{RULE "    match: { pci: { vendor: 8086 } }\n", 4, 29, "it takes 0x"},
		{RULE "    match: { pci: { vendor: 0x18086 } }\n", 4, 29, "up to 4 hexadecimal"},
		{RULE "    match: { pci: { vendor: 0x } }\n", 4, 29, "it takes 0x"},
		{RULE "    match: { virtio: { device: ten } }\n", 4, 32, "or a decimal number"},
		{RULE "    match: { virtio: { device: 4294967296 } }\n", 4, 32, "no value"},
		{RULE "    match: { pci: { vendor: [0x1] } }\n", 4, 29, "not a list"},
		{RULE "    driver: a/b\n", 4, 13, "cannot be the name of a driver"},
		{RULE "    driver: \" ab\"\n", 4, 13, "cannot be the name of a driver"},
		{RULE "    match: deny\n", 4, 12, "\"match\" takes a mapping"},
		{RULE "    match: {}\n", 4, 12, "names nothing to match"},
		{RULE "    match: { pci: {} }\n", 4, 19, "\"pci\" names nothing to match"},
		{"version: 2\n", 1, 10, "version: 1"},
		{"version: \"1\"\n", 1, 10, "version: 1"},
		{"rules: []\n", 1, 1, "\"version: 1\" is missing"},
		{"", 1, 1, "a policy is a mapping"},
		{"# nothing\n", 2, 1, "a policy is a mapping"},
		{"- a\n", 1, 1, "a policy is a mapping"},
		{V "? [a]\n: b\n", 2, 3, "must be a word"},
		{RULE "    action: ~\n", 4, 13, "\"action\" has no value"},
		{RULE "    driver: null\n", 4, 13, "\"driver\" has no value"},
		{RULE "    match: { modalias: \"\" }\n", 4, 24, "\"modalias\" has no value"},
		{RULE "    match: { virtio: { device: 010 } }\n", 4, 32, "or a decimal number"},
		/* duplicates */
		{V V, 2, 1, "\"version\" is given twice"},
		{RULE "    action: deny\n    action: deny\n", 5, 5, "\"action\" is given twice"},
		{RULE "    match: { pci: { vendor: 0x1, vendor: 0x2 } }\n", 4, 34, "given twice"},
		{RULE "    action: deny\n    match: { modalias: a }\n"
		      "  - name: r\n    action: deny\n",
		 6, 11, "\"r\" stands in this file already"},
		/* rules that cannot be meant */
		{RULE "    match: { modalias: a }\n", 3, 5, "no \"action\""},
		{RULE "    action: deny\n", 3, 5, "no \"match\""},
		{RULE "    action: deny\n    driver: x\n    match: { modalias: a }\n", 3, 5,
		 "\"driver\" goes with \"action: allow\""},
		{RULE "    action: allow\n    driver: x\n    match: { usb: { idVendor: 0x1 } }\n",
		 3, 5, "cannot be enforced on the usb bus"},
		{RULE "    match: { pci: { vendor: 0x1 }, usb: { idVendor: 0x1 } }\n", 4, 41,
		 "never both match"},
		{RULE "    match: { pci: { vendor: 0x1 }, modalias: \"virtio:*\" }\n", 4, 12,
		 "\"pci\" and a modalias of the virtio bus never both match"},
		{RULE "    action: allow\n    driver: x\n    match: { modalias: \"usb:*\" }\n", 3,
		 5, "cannot be enforced on the usb bus"},
		{RULE "    match: { modalias: \"pci:[\" }\n", 4, 24, "a bracket is not closed"},
		{RULE "    match: { modalias: \"pci:[!]\" }\n", 4, 24, "a bracket is not closed"},
		/* YAML */
		{V "rules:\n\t- name: r\n", 3, 1, "a tab"},
		{V "rules: [] #\tcomment\n", 2, 12, "a tab"},
		{V "rules: [\n", 3, 1, "expected"},
		{V "rules: &a []\n", 2, 8, "anchors, aliases and tags"},
		{V "rules: *a\n", 2, 8, "anchors, aliases and tags"},
		{V "defaults: { *: deny }\n", 2, 14, "a leading * must be quoted"},
		{V "rules: !!seq []\n", 2, 8, "anchors, aliases and tags"},
		{V "---\n" V, 2, 1, "one document"},
		{"%YAML 1.1\n---\n" V, 1, 1, "directives"},
		{"%TAG ! tag:x,2000:\n---\n" V, 1, 1, "directives"},
		{"\xef\xbb\xbf" V, 1, 1, "byte order mark"},
		{V "rules: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n", 2, 9, "takes a mapping"},
		{V "x\xff: 1\n", 2, 2, "UTF-8"},
		{V "x\x01: 1\n", 2, 2, "control characters"},
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		expect_bad(bad[i].text, strlen(bad[i].text), bad[i].line, bad[i].column,
			   bad[i].message);
}

static void test_oversized_policy_is_refused(void **state)
{
	size_t size = PARSE_SIZE_MAX + 1;
	_cleanup_free_ char *text = malloc(size);

	memset(text, '\n', size);
	memcpy(text, V, sizeof(V) - 1);
	expect_bad(text, size, 1, 1, "larger than 1048576 bytes");
}

static void test_nul_in_a_key_or_value_is_refused(void **state)
{
	static const char text[] = RULE "    driver: \"a\\0b\"\n";

	static const char key[] = RULE "    \"action\\0\": allow\n";

	expect_bad(text, sizeof(text) - 1, 4, 13, "contains a NUL");
	expect_bad(key, sizeof(key) - 1, 4, 5, "rule key contains a NUL");
}

static void test_driver_names(void **state)
{
	char longest[POLICY_DRIVER_MAX + 2];

	memset(longest, 'd', sizeof(longest));
	longest[POLICY_DRIVER_MAX + 1] = '\0';
	assert_false(driver_name_valid(longest));
	longest[POLICY_DRIVER_MAX] = '\0';
	assert_true(driver_name_valid(longest));
	assert_true(driver_name_valid("virtio-pci"));
	assert_false(driver_name_valid(""));
	assert_false(driver_name_valid("a\n"));
	assert_false(driver_name_valid("a\xc3\xa4"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_language_of_this_version_is_read),
		cmocka_unit_test(test_without_defaults_native_buses_are_denied),
		cmocka_unit_test(test_later_file_adds_rules_and_overrides_defaults),
		cmocka_unit_test(test_many_rules_keep_their_order),
		cmocka_unit_test(test_errors_name_their_place_and_the_nearest_valid_key),
		cmocka_unit_test(test_oversized_policy_is_refused),
		cmocka_unit_test(test_nul_in_a_key_or_value_is_refused),
		cmocka_unit_test(test_driver_names),
	};

	return RUN_TESTS("policy-parse", tests);
}
