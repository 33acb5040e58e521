/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "policy-parse.h"
#include "test.h"

#define V "version: 1\n"
#define RULE V "rules:\n  - name: r\n"

static void expect_good(const char *text, struct Policy **ret)
{
	struct ParseErrors errors;
	struct Policy *policy = policy_new();
	int r = policy_parse(policy, "test.yaml", text, strlen(text), &errors);

	if (r < 0)
		fail_msg("%u:%u: %s", errors.items[0].line, errors.items[0].column,
			 errors.items[0].message);
	*ret = policy;
}

/* One error, and what it says. */
static void expect_bad(const char *text, size_t size, unsigned line, unsigned column,
		       const char *message)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	_cleanup_(parse_errors_done) struct ParseErrors errors;
	const struct ParseError *error = &errors.items[0];

	if (policy_parse(policy, "test.yaml", text, size, &errors) != -EBADMSG)
		fail_msg("accepted:\n%s", text);
	if (!strstr(error->message, message))
		fail_msg("\"%s\" does not say \"%s\"", error->message, message);
	if (error->line != line || error->column != column)
		fail_msg("%u:%u, not %u:%u: %s", error->line, error->column, line, column,
			 error->message);
	if (errors.n != 1)
		fail_msg("one more error: %s", errors.items[1].message);
}

static const struct Condition *condition(const struct Policy *policy, size_t rule, size_t i)
{
	assert_true(i < policy_rule(policy, rule)->match.n_conditions);
	return &policy_rule(policy, rule)->match.conditions[i];
}

static void expect_number(const struct Condition *c, enum IdField field, uint32_t i, uint32_t value,
			  uint32_t mask)
{
	assert_int_equal(c->type, CONDITION_ID);
	assert_int_equal(c->field, field);
	assert_true(i < c->n);
	assert_int_equal(c->numbers[i].value, value);
	assert_int_equal(c->numbers[i].mask, mask);
}

static void test_rules_and_defaults_are_read(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	const struct Rule *rule;

	expect_good(V "defaults: { \"*\": kernel, usb: remove, pci: allow }\n"
		      "rules:\n"
		      "  - name: nic\n"
		      "    action: allow\n"
		      "    driver: e1000e\n"
		      "    match: { pci: { vendor: \"0x8086\", device: 0x10D3 } }\n"
		      "    count: { min: 1, max: 2, over: remove }\n"
		      "    when: cold\n"
		      "    after-freeze: true\n"
		      "    reason: the NIC\n"
		      "  - action: deny\n"
		      "    match:\n"
		      "      virtio: { device: 5 }\n"
		      "      modalias: ['virtio:*[]]\\[']\n"
		      "    when: [cold, hot]\n"
		      "  - { action: remove, match: { usb: {} } }\n",
		    &policy);
	assert_int_equal(policy_n_rules(policy), 3);
	rule = policy_rule(policy, 0);
	assert_string_equal(rule->name, "nic");
	assert_string_equal(rule->file, "test.yaml");
	assert_int_equal(rule->line, 4);
	assert_int_equal(rule->action, ACTION_ALLOW);
	assert_string_equal(rule->driver, "e1000e");
	assert_string_equal(rule->reason, "the NIC");
	assert_int_equal(rule->count.min, 1);
	assert_int_equal(rule->count.max, 2);
	assert_int_equal(rule->count.over, ACTION_REMOVE);
	assert_int_equal(rule->when, WHEN_COLD);
	assert_true(rule->after_freeze);
	assert_int_equal(rule->match.bus, BUS_PCI);
	expect_number(condition(policy, 0, 0), ID_VENDOR, 0, 0x8086, UINT32_MAX);
	expect_number(condition(policy, 0, 1), ID_DEVICE, 0, 0x10d3, UINT32_MAX);
	rule = policy_rule(policy, 1);
	assert_null(rule->name);
	assert_int_equal(rule->when, WHEN_COLD | WHEN_HOT);
	assert_int_equal(rule->count.max, UINT32_MAX);
	assert_false(rule->after_freeze);
	assert_int_equal(rule->match.bus, BUS_VIRTIO);
	expect_number(condition(policy, 1, 0), ID_DEVICE, 0, 5, UINT32_MAX);
	assert_int_equal(condition(policy, 1, 1)->type, CONDITION_MODALIAS);
	assert_string_equal(condition(policy, 1, 1)->globs[0], "virtio:*[]]\\[");
	rule = policy_rule(policy, 2);
	assert_int_equal(rule->action, ACTION_REMOVE);
	assert_int_equal(rule->match.bus, BUS_USB);
	assert_int_equal(rule->match.n_conditions, 0);
	assert_int_equal(policy_default(policy, BUS_PCI), ACTION_ALLOW);
	assert_int_equal(policy_default(policy, BUS_USB), ACTION_REMOVE);
	assert_int_equal(policy_default(policy, BUS_VIRTIO), ACTION_KERNEL);
}

#define MATCH(match) "  - { action: deny, match: " match " }\n"

static void test_match_keys_of_every_bus_are_read(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	const struct Condition *c;

	expect_good(V "rules:\n" MATCH(
			    "{ pci: { subsystem_vendor: 0x1, subsystem_device: [0x2, 0x3xx4], "
			    "class: 0x0106xx, revision: 0x1 } }")
			    MATCH("{ usb: { serial: 'a*', manufacturer: b, product: [c, d] } }")
				    MATCH("{ usb: { interfaces: { all-of: \"08:06:50\", none-of: "
					  "[\"03:*:*\", \"0B:00:*\"] } } }")
					    MATCH("{ thunderbolt: { unique_id: u, vendor_name: v, "
						  "device_name: w } }")
						    MATCH("{ acpi: { hid: [PNP0501, PNP0C02] } }")
							    MATCH("{ pnp: { id: PNP0501 } }")
								    MATCH("{ platform: { name: "
									  "i8042 } }"),
		    &policy);
	expect_number(condition(policy, 0, 0), ID_SUBSYSTEM_VENDOR, 0, 1, UINT32_MAX);
	expect_number(condition(policy, 0, 1), ID_SUBSYSTEM_DEVICE, 0, 2, UINT32_MAX);
	expect_number(condition(policy, 0, 1), ID_SUBSYSTEM_DEVICE, 1, 0x3004, 0xfffff00f);
	expect_number(condition(policy, 0, 2), ID_CLASS, 0, 0x010600, 0xffffff00);
	expect_number(condition(policy, 0, 3), ID_REVISION, 0, 1, UINT32_MAX);
	c = condition(policy, 1, 2);
	assert_int_equal(c->type, CONDITION_ATTRIBUTE);
	assert_string_equal(c->key, "product");
	assert_int_equal(c->n, 2);
	assert_string_equal(c->globs[1], "d");
	c = condition(policy, 2, 1);
	assert_int_equal(c->type, CONDITION_INTERFACES);
	assert_int_equal(c->quantity, QUANTITY_NONE_OF);
	assert_int_equal(c->numbers[0].value, 0x030000);
	assert_int_equal(c->numbers[0].mask, 0xff0000);
	assert_int_equal(c->numbers[1].value, 0x0b0000);
	assert_int_equal(c->numbers[1].mask, 0xffff00);
	assert_string_equal(condition(policy, 3, 0)->key, "unique_id");
	assert_int_equal(condition(policy, 4, 0)->type, CONDITION_LISTED);
	assert_string_equal(condition(policy, 4, 0)->key, "hid");
	assert_int_equal(condition(policy, 5, 0)->type, CONDITION_LISTED);
	assert_int_equal(condition(policy, 6, 0)->type, CONDITION_NAME);
	assert_true(policy->needs.interfaces);
	assert_false(policy->needs.parents);
	assert_int_equal(policy->needs.attributes.n, 6);
}

static void test_match_keys_of_any_bus_are_read(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	const struct Condition *c;

	expect_good(V "rules:\n" MATCH("{ attrs: { label: 'a*', power/control: [on, auto] }, "
				       "address: '0000:00:*' }")
			    MATCH("{ not: [ { pci: {} }, { parent: { usb: { idVendor: 0x1 } } } ], "
				  "ancestor: { acpi: { hid: X } } }"),
		    &policy);
	c = condition(policy, 0, 1);
	assert_int_equal(c->type, CONDITION_ATTRIBUTE);
	assert_string_equal(c->key, "power/control");
	assert_int_equal(c->n, 2);
	assert_int_equal(condition(policy, 0, 2)->type, CONDITION_NAME);
	assert_string_equal(string_at(&policy->needs.attributes, 0), "label");
	c = condition(policy, 1, 0);
	assert_int_equal(c->type, CONDITION_NOT);
	assert_int_equal(c->n, 2);
	assert_int_equal(c->matches[0].bus, BUS_PCI);
	c = &c->matches[1].conditions[0];
	assert_int_equal(c->type, CONDITION_PARENT);
	assert_int_equal(c->matches[0].bus, BUS_USB);
	assert_int_equal(condition(policy, 1, 1)->type, CONDITION_ANCESTOR);
	assert_true(policy->needs.parents);
}

static void test_modules_union_over_files_and_the_last_mode_wins(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	const char *more = V "modules: { mode: audit, allow: [\"nf_*\"], strict: true }\n";
	struct ParseErrors errors;

	expect_good(V "modules: { mode: enforce, allow: [dm_crypt] }\n", &policy);
	assert_int_equal(policy->modules.mode, MODULES_ENFORCE);
	assert_false(policy->modules.strict);
	assert_int_equal(policy_parse(policy, "later.yaml", more, strlen(more), &errors), 0);
	assert_int_equal(policy->modules.mode, MODULES_AUDIT);
	assert_int_equal(policy->modules.allow.n, 2);
	assert_string_equal(string_at(&policy->modules.allow, 0), "dm_crypt");
	assert_string_equal(string_at(&policy->modules.allow, 1), "nf_*");
	assert_int_equal(policy->modules.places.n, 2);
	assert_int_equal(((struct Place *)policy->modules.places.data)[1].line, 2);
	assert_true(policy->modules.strict);
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
	struct ParseErrors errors;

	expect_good(V "defaults: { pci: deny }\n"
		      "rules: [ { action: deny, match: { modalias: a } } ]\n",
		    &policy);
	assert_int_equal(policy_parse(policy, "later.yaml", more, strlen(more), &errors), 0);
	assert_int_equal(policy_n_rules(policy), 2);
	assert_string_equal(policy_rule(policy, 0)->file, "test.yaml");
	assert_string_equal(policy_rule(policy, 1)->file, "later.yaml");
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
	assert_int_equal(policy_n_rules(policy), 3000);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(condition(policy, i, 0)->numbers[0].value, i);
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
		{RULE "    match: { pci: { vendor: [[0x1]] } }\n", 4, 30, "not a list"},
		{RULE "    match: { pci: { vendor: [] } }\n", 4, 29, "an empty list fits nothing"},
		{RULE "    match: { pci: { class: 0x010y } }\n", 4, 28, "x for any"},
		{RULE "    match: { not: {} }\n", 4, 19, "\"not\" names nothing to match"},
		{RULE "    match: { not: { pci: {}, usb: {} } }\n", 4, 35, "never both match"},
		{RULE "    match: { attrs: { config: x } }\n", 4, 31, "to talk to the device"},
		{RULE "    match: { attrs: { resource0: x } }\n", 4, 34, "to talk to the device"},
		{RULE "    match: { attrs: { a/b: x } }\n", 4, 28, "name of an attribute"},
		{RULE "    match: { pci: {}, attrs: {} }\n", 4, 30, "names none"},
		{RULE "    match: { attrs: { current_link_speed: x } }\n", 4, 43,
		 "talk to the device"},
		{RULE "    match: { attrs: { serial: x }, usb: { serial: x } }\n", 4, 51,
		 "\"serial\" is given twice"},
		{RULE "    match: { attrs: { ../x: x } }\n", 4, 29, "name of an attribute"},
		{RULE "    match: { attrs: { a: x, a: y } }\n", 4, 32, "\"a\" is given twice"},
		{RULE "    match: { acpi: { hid: PRP0001 } }\n", 4, 27, "match the modalias"},
		{RULE "    match: { usb: { interfaces: {} } }\n", 4, 33, "names none"},
		{RULE "    match: { usb: { interfaces: { one-of: \"3:*:*\" } } }\n", 4, 43,
		 "is no interface"},
		{RULE "    match: { usb: { interfaces: { one-of: \"03:*\" } } }\n", 4, 43,
		 "is no interface"},
		{RULE "    match: { usb: { interfaces: { one-of: \"03:*:*:*\" } } }\n", 4, 43,
		 "is no interface"},
		{RULE "    count: {}\n", 4, 12, "neither \"min\" nor \"max\""},
		{RULE "    count: { max: 0 }\n", 4, 19, "a number from 1 on"},
		{RULE "    count: { max: 4294967295 }\n", 4, 19, "a number from 1 on"},
		{RULE "    count: { max: 99999999999999999999 }\n", 4, 19, "a number from 1 on"},
		{RULE "    count: { max: 010 }\n", 4, 19, "a number from 1 on"},
		{RULE "    count: { min: 3, max: 2 }\n", 4, 12, "more than \"max\""},
		{RULE "    count: { min: 3, over: deny }\n", 4, 12, "needs a \"max\""},
		{RULE "    count: { max: 1, over: allow }\n", 4, 28, "known are: deny, remove"},
		{RULE "    when: []\n", 4, 11, "an empty list"},
		{RULE "    when: code\n", 4, 11, "nearest valid one is \"cold\""},
		{RULE "    after-freeze: yes\n", 4, 19, "takes true or false"},
		{RULE "    after-freeze: \"true\"\n", 4, 19, "takes true or false"},
		{V "modules: { mode: on }\n", 2, 18, "unknown mode \"on\""},
		{V "modules: { allow: [a/b] }\n", 2, 20, "cannot be the name of a module"},
		{V "defaults: { acpi: remove }\n", 2, 19, "cannot be removed"},
		{RULE "    driver: a/b\n", 4, 13, "cannot be the name of a driver"},
		{RULE "    driver: \" ab\"\n", 4, 13, "cannot be the name of a driver"},
		{RULE "    match: deny\n", 4, 12, "\"match\" takes a mapping"},
		{RULE "    match: {}\n", 4, 12, "names nothing to match"},
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
		{RULE "    action: remove\n    match: { virtio: {} }\n", 3, 5, "cannot be removed"},
		{RULE "    action: deny\n    count: { max: 1 }\n    match: { pci: {} }\n", 3, 5,
		 "\"count\" goes with"},
		{RULE "    action: deny\n    after-freeze: true\n    match: { pci: {} }\n", 3, 5,
		 "\"after-freeze\" goes with"},
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
		{V "rules: [[1]]\n", 2, 9, "takes a mapping"},
		{V "x\xff: 1\n", 2, 2, "UTF-8"},
		{V "x\x01: 1\n", 2, 2, "control characters"},
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		expect_bad(bad[i].text, strlen(bad[i].text), bad[i].line, bad[i].column,
			   bad[i].message);
}

static void test_all_errors_of_a_file_are_found_in_one_reading(void **state)
{
	static const char text[] = V "defaults: { pcj: deny, usb: permit }\n"
				     "rules:\n"
				     "  - action: allow\n"
				     "    match: { pci: { vendor: [1, 0x8086], devise: 0x1 } }\n"
				     "  - { name: [ { a: [ b ] } ], action: deny }\n"
				     "  - nothing\n"
				     "  - action: allow\n"
				     "moduls: { a: [ { b: c } ] }\n";
	static const struct {
		unsigned line, column;
	} places[] = {{2, 13}, {2, 29}, {5, 30}, {5, 42}, {6, 13}, {7, 5}, {8, 5}, {9, 1}};
	_cleanup_policy_ struct Policy *policy = policy_new();
	_cleanup_(parse_errors_done) struct ParseErrors errors;

	assert_int_equal(policy_parse(policy, "x", text, sizeof(text) - 1, &errors), -EBADMSG);
	for (size_t i = 0; i < errors.n && i < ELEMENTSOF(places); i++)
		if (errors.items[i].line != places[i].line ||
		    errors.items[i].column != places[i].column)
			fail_msg("%u:%u: %s", errors.items[i].line, errors.items[i].column,
				 errors.items[i].message);
	assert_int_equal(errors.n, ELEMENTSOF(places));
}

static void test_the_first_errors_of_many_are_kept_and_all_are_counted(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	_cleanup_(parse_errors_done) struct ParseErrors errors;
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(V "rules:\n", f);
	for (int i = 0; i < 10000; i++)
		fputs("- wrong\n", f);
	fclose(f);
	assert_int_equal(policy_parse(policy, "x", text, size, &errors), -EBADMSG);
	assert_int_equal(errors.n, 10000);
	assert_int_equal(errors.items[PARSE_ERRORS_MAX - 1].line, PARSE_ERRORS_MAX + 2);
	assert_non_null(errors.items[PARSE_ERRORS_MAX - 1].message);
}

/* @levels of "not" in the match of a rule: the document, its rules and the rule are three more. */
static char *nested_policy(unsigned levels)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(V "rules: [ { action: deny, match: ", f);
	for (unsigned i = 0; i < levels; i++)
		fputs("{ not: ", f);
	fputs("{ modalias: x }", f);
	for (unsigned i = 0; i < levels; i++)
		fputs(" }", f);
	fputs(" } ]\n", f);
	fclose(f);
	return text;
}

static void test_depth_is_limited(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	_cleanup_free_ char *deepest = nested_policy(12), *deeper = nested_policy(13),
			    *deep = malloc(200000);
	_cleanup_(parse_errors_done) struct ParseErrors errors;

	expect_good(deepest, &policy);
	expect_bad(deeper, strlen(deeper), 2, 124, "more than 16 mappings and lists");
	/* what libyaml itself would have to keep track of */
	memset(deep, '[', 200000);
	memcpy(deep, V "rules: ", sizeof(V "rules: ") - 1);
	assert_int_equal(policy_parse(policy, "x", deep, 200000, &errors), -EBADMSG);
	assert_int_equal(errors.n, 2);
	assert_non_null(strstr(errors.items[1].message, "more than 16 mappings and lists"));
}

static void test_a_billion_laughs_are_refused_at_the_first(void **state)
{
	static const char text[] = V "a: &a [l, l]\nb: &b [*a, *a]\nc: [*b, *b]\n";
	_cleanup_policy_ struct Policy *policy = policy_new();
	_cleanup_(parse_errors_done) struct ParseErrors errors;

	assert_int_equal(policy_parse(policy, "x", text, sizeof(text) - 1, &errors), -EBADMSG);
	assert_int_equal(errors.items[0].line, 2);
	assert_non_null(strstr(errors.items[0].message, "unknown key \"a\""));
	assert_non_null(strstr(errors.items[1].message, "anchors, aliases and tags"));
}

static void test_crlf_is_as_good_as_lf(void **state)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	expect_good("version: 1\r\nrules:\r\n- action: deny\r\n  match: { modalias: x }\r\n",
		    &policy);
	assert_string_equal(condition(policy, 0, 0)->globs[0], "x");
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
		cmocka_unit_test(test_rules_and_defaults_are_read),
		cmocka_unit_test(test_match_keys_of_every_bus_are_read),
		cmocka_unit_test(test_match_keys_of_any_bus_are_read),
		cmocka_unit_test(test_modules_union_over_files_and_the_last_mode_wins),
		cmocka_unit_test(test_all_errors_of_a_file_are_found_in_one_reading),
		cmocka_unit_test(test_the_first_errors_of_many_are_kept_and_all_are_counted),
		cmocka_unit_test(test_depth_is_limited),
		cmocka_unit_test(test_a_billion_laughs_are_refused_at_the_first),
		cmocka_unit_test(test_crlf_is_as_good_as_lf),
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
