/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-json.h"

#include "capture.h"
#include "output.h"
#include "policy-of.h"
#include "random-policy.h"

#define POLICIES 100
#define DEVICES 100

static void print(void *argument)
{
	assert_int_equal(json_print_yaml(argument), 0);
}

static char *as_json(const struct Policy *policy)
{
	struct json_object *object = NULL;

	assert_int_equal(policy_to_json(policy, &object), 0);
	return capture(STDOUT_FILENO, print, object);
}

static size_t number_of(const struct Policy *policy, const struct Rule *rule)
{
	return rule ? (size_t)(rule - policy_rule(policy, 0)) + 1 : 0;
}

static void test_a_policy_as_json_is_read_as_the_same_policy(void **state)
{
	srand(3);
	for (int i = 0; i < POLICIES; i++) {
		_cleanup_policy_ struct Policy *policy = random_policy(40);
		_cleanup_free_ char *text = as_json(policy);
		_cleanup_policy_ struct Policy *again = policy_of(text);

		for (int j = 0; j < DEVICES; j++) {
			_cleanup_device_ struct Device *device = random_device(2);
			struct Moment moment = {.is_hot = draw(2)};
			struct Decision a, b;

			policy_decide(policy, device, &moment, &a);
			policy_decide(again, device, &moment, &b);
			if (a.action != b.action ||
			    number_of(policy, a.rule) != number_of(again, b.rule))
				fail_msg("policy %d, device %d:\n%s", i, j, text);
		}
	}
}

/* JSON has no escape that YAML has as well for what is beyond U+FFFF, private or not. */
static void test_every_character_of_a_policy_survives(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\n"
		"rules:\n"
		"- name: nasty\n"
		"  action: allow\n"
		"  match: { usb: { serial: \"\\t\\n\\\"\\x7f\\x85\\u2028\\ufffe\\ufeff/\","
		" product: \"\\U000E0001\\U0001F600\\U00100000\" } }\n"
		"  reason: \"\\e[2J\\\\ \"\n"
		"- { action: deny, match: { attrs: { \"a\\e\\u202e\": x } } }\n");
	_cleanup_free_ char *text = as_json(policy);
	_cleanup_policy_ struct Policy *again = policy_of(text);
	const struct Rule *before = policy_rule(policy, 0), *after = policy_rule(again, 0);
	const struct Match *attributes = &policy_rule(again, 1)->match;

	assert_string_equal(after->name, "p.yaml:nasty");
	assert_string_equal(after->reason, before->reason);
	assert_int_equal(after->match.n_conditions, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_string_equal(after->match.conditions[i].globs[0],
				    before->match.conditions[i].globs[0]);
	assert_string_equal(attributes->conditions[0].key, "a\x1b\xe2\x80\xae");
	assert_null(strchr(text, '\x1b'));
	assert_null(strstr(text, "\xe2\x80\xae"));
}

static void test_all_that_a_policy_says_is_in_its_json(void **state)
{
	_cleanup_policy_ struct Policy *policy =
		policy_of("version: 1\n"
			  "defaults: { pci: deny }\n"
			  "rules:\n"
			  "- { action: kernel, match: { pci: { class: 0x01xx02 } },\n"
			  "    count: { min: 1, max: 2, over: remove }, after-freeze: true,\n"
			  "    when: hot }\n"
			  "modules: { mode: \"off\", strict: true, allow: [\"nf_*\", \"12\"] }\n");
	_cleanup_free_ char *text = as_json(policy);
	static const char *const expected[] = {
		"\"version\":1,",
		"\"pci\":\"deny\"",
		"\"name\":\"p.yaml:4\"",
		"\"class\":\"0x01xx02\"",
		"\"min\":1,",
		"\"max\":2,",
		"\"over\":\"remove\"",
		"\"after-freeze\":true",
		"\"when\":\"hot\"",
		"\"mode\":\"off\"",
		"\"strict\":true",
		"\"12\"",
	};

	for (size_t i = 0; i < ELEMENTSOF(expected); i++)
		if (!strstr(text, expected[i]))
			fail_msg("no %s in\n%s", expected[i], text);
}

static void test_a_rule_that_is_called_like_a_line_stays_the_only_one(void **state)
{
	_cleanup_policy_ struct Policy *policy =
		policy_of("version: 1\n"
			  "rules:\n"
			  "- { action: deny, match: { usb: {} } }\n"
			  "- { name: \"3\", action: deny, match: { pci: {} } }\n");
	_cleanup_free_ char *text = as_json(policy);
	_cleanup_policy_ struct Policy *again = policy_of(text);

	assert_null(policy_rule(again, 0)->name);
	assert_string_equal(policy_rule(again, 1)->name, "p.yaml:3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_policy_as_json_is_read_as_the_same_policy),
		cmocka_unit_test(test_every_character_of_a_policy_survives),
		cmocka_unit_test(test_all_that_a_policy_says_is_in_its_json),
		cmocka_unit_test(test_a_rule_that_is_called_like_a_line_stays_the_only_one),
	};

	return RUN_TESTS("policy-json", tests);
}
