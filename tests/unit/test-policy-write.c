/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide.h"
#include "policy-of.h"
#include "policy-write.h"
#include "random-policy.h"

#define POLICIES 300
#define DEVICES 100

static char *written(const struct Policy *policy)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	policy_write(f, policy);
	fclose(f);
	return text;
}

static void test_what_is_written_decides_the_same(void **state)
{
	srand(2);
	for (int i = 0; i < POLICIES; i++) {
		_cleanup_policy_ struct Policy *policy = random_policy(40);
		_cleanup_free_ char *text = written(policy);
		_cleanup_policy_ struct Policy *again = policy_of(text);

		assert_int_equal(policy_n_rules(policy), policy_n_rules(again));
		for (int j = 0; j < DEVICES; j++) {
			_cleanup_device_ struct Device *device = random_device(2);
			struct Moment moment = {.is_hot = draw(2)};
			struct Decision a, b;

			policy_decide(policy, device, &moment, &a);
			policy_decide(again, device, &moment, &b);
			if (a.action != b.action ||
			    (a.rule ? a.rule - policy_rule(policy, 0) : -1) !=
				    (b.rule ? b.rule - policy_rule(again, 0) : -1))
				fail_msg("policy %d, device %d:\n%s", i, j, text);
		}
	}
}

static void test_all_that_a_policy_says_is_written(void **state)
{
	static const char text[] =
		"version: 1\n"
		"defaults: { pci: deny }\n"
		"rules:\n"
		"- name: \"n\\e#\\n\"\n"
		"  action: allow\n"
		"  driver: \"a b\"\n"
		"  match: { pci: { class: 0x01xx02 }, attrs: { label: \"\\xe9\\\"'\" } }\n"
		"  count: { min: 1, max: 2, over: remove }\n"
		"  when: hot\n"
		"  after-freeze: true\n"
		"  reason: \"because: \\U0001F600\"\n"
		"- { action: remove, match: { usb: { serial: x, interfaces: { one-of: "
		"\"03:*:01\" } } } }\n"
		"modules: { mode: audit, strict: true, allow: [\"nf_*\", loop] }\n";
	_cleanup_policy_ struct Policy *policy = policy_of(text);
	_cleanup_free_ char *out = written(policy);
	static const char *const expected[] = {
		"  pci: deny\n",
		"  # \"/etc/p.yaml\":4\n",
		"  - name: \"n\\U0000001B#\\U0000000A\"\n    action: allow\n",
		"    driver: \"a b\"\n",
		"    match: { pci: { class: \"0x01xx02\" }, attrs: { \"label\": ",
		"\"\\U000000E9\\\"'\" } }\n",
		"    count: { min: 1, max: 2, over: remove }\n",
		"    when: hot\n",
		"    after-freeze: true\n",
		"    reason: \"because: \\U0001F600\"\n",
		"  - action: remove\n",
		"usb: { serial: \"x\", interfaces: { one-of: \"03:*:01\" } }",
		"modules:\n  mode: audit\n  strict: true\n  allow:\n    - \"nf_*\"\n",
		"    - \"loop\"\n",
	};

	for (size_t i = 0; i < ELEMENTSOF(expected); i++)
		if (!strstr(out, expected[i]))
			fail_msg("no \"%s\" in\n%s", expected[i], out);
}

static void parse_into(struct Policy *policy, const char *file, const char *text)
{
	_cleanup_(parse_errors_done) struct ParseErrors errors;

	assert_int_equal(policy_parse(policy, file, text, strlen(text), &errors), 0);
}

static void expect_name(const struct Policy *policy, size_t number, const char *name)
{
	const char *found = policy_rule(policy, number)->name;

	if (!streq_or_null(found, name))
		fail_msg("rule %zu is \"%s\"", number, found ? found : "(none)");
}

static void test_names_are_kept_and_unique_over_all_files(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_new(), *again = NULL, *third = NULL;
	_cleanup_free_ char *text = NULL, *text_again = NULL;

	parse_into(policy, "/etc/a.yaml",
		   "version: 1\nrules:\n"
		   "- { name: own, action: deny, match: { usb: {} } }\n"
		   "- { name: both, action: deny, match: { usb: {} } }\n"
		   "- { action: deny, match: { usb: {} } }\n"
		   "- { name: \"c.yaml:clash\", action: deny, match: { usb: {} } }\n");
	parse_into(policy, "/etc/b.yaml",
		   "version: 1\nrules:\n"
		   "- { name: both, action: deny, match: { usb: {} } }\n"
		   "- { name: clash, action: deny, match: { usb: {} } }\n");
	parse_into(policy, "/etc/c.yaml",
		   "version: 1\nrules:\n"
		   "- { name: clash, action: deny, match: { usb: {} } }\n");
	text = written(policy);
	again = policy_of(text);
	expect_name(again, 0, "own");
	expect_name(again, 1, "a.yaml:both");
	expect_name(again, 2, NULL);
	expect_name(again, 3, NULL);
	expect_name(again, 4, "b.yaml:both");
	expect_name(again, 5, "b.yaml:clash");
	expect_name(again, 6, NULL);
	assert_non_null(strstr(text, "\"/etc/c.yaml\":3 \"clash\"\n  - action: deny\n"));
	/* and what was written keeps them */
	text_again = written(again);
	third = policy_of(text_again);
	for (size_t i = 0; i < policy_n_rules(third); i++)
		expect_name(third, i, policy_rule(again, i)->name);
}

/* The name of a file is bytes, and stands before names that several files have. */
static void test_what_is_no_utf8_is_written_as_what_a_policy_may_hold(void **state)
{
	static const char *const texts[][2] = {
		{"a\xf8.yaml", "\"a\\U0000FFFD.yaml\""},
		{"a\xe0\xa0", "\"a\\U0000FFFD\\U0000FFFD\""},
		/* which a reader of YAML takes for no character: a surrogate, and what is too large
		 */
		{"\xed\xa0\x80", "\"\\U0000FFFD\\U0000FFFD\\U0000FFFD\""},
		{"\xf7\xbf\xbf\xbf", "\"\\U0000FFFD\\U0000FFFD\\U0000FFFD\\U0000FFFD\""},
		{"\xc1\x81\x80", "\"\\U0000FFFD\\U0000FFFD\\U0000FFFD\""},
		{"\xc3\xa9\"\\", "\"\\U000000E9\\\"\\\\\""},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
		_cleanup_free_ char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		assert_non_null(f);
		yaml_write_text(f, texts[i][0]);
		assert_int_equal(fclose(f), 0);
		assert_string_equal(text, texts[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_decides_the_same),
		cmocka_unit_test(test_all_that_a_policy_says_is_written),
		cmocka_unit_test(test_names_are_kept_and_unique_over_all_files),
		cmocka_unit_test(test_what_is_no_utf8_is_written_as_what_a_policy_may_hold),
	};

	return RUN_TESTS("policy-write", tests);
}
