/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide.h"
#include "lint.h"
#include "policy-of.h"
#include "random-policy.h"

static void collect(const struct Rule *rule, const char *message, void *userdata)
{
	FILE *f = userdata;

	fprintf(f, "%u: %s\n", rule->line, message);
}

static char *warnings(const char *text)
{
	_cleanup_policy_ struct Policy *policy = policy_of(text);
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	assert_true(policy_lint(policy, collect, f) >= 0);
	fclose(f);
	return out;
}

/* Whether the second of two rules is never reached. */
static bool is_covered(const char *first, const char *second)
{
	_cleanup_free_ char *text = NULL, *out = NULL;

	assert_true(asprintf(&text, "version: 1\nrules:\n- { %s }\n- { %s }\n", first, second) > 0);
	out = warnings(text);
	return strstr(out, "4: never reached: p.yaml:3 fits all");
}

#define DENY "action: deny, match: "
#define GIVE "action: kernel, match: "

static void test_a_rule_behind_one_that_fits_all_of_it_is_never_reached(void **state)
{
	assert_true(is_covered(DENY "{ pci: {} }", DENY "{ pci: { vendor: 0x1 } }"));
	assert_true(is_covered(DENY "{ pci: { vendor: [0x1, 0x2] } }",
			       DENY "{ pci: { vendor: 0x2, device: 0x3 } }"));
	assert_true(is_covered(DENY "{ pci: { class: 0x02xxxx } }",
			       DENY "{ pci: { class: 0x0200xx } }"));
	assert_true(is_covered(DENY "{ modalias: 'pci:*' }", DENY "{ modalias: 'pci:v1' }"));
	assert_true(is_covered(DENY "{ not: { usb: { idVendor: 0x1 } } }",
			       DENY "{ not: { usb: {} } }"));
	assert_true(is_covered(DENY "{ ancestor: { pci: {} } }",
			       DENY "{ parent: { pci: { vendor: 0x1 } } }"));
	assert_true(is_covered(DENY "{ acpi: { hid: [A, B] } }", GIVE "{ acpi: { hid: A } }"));
	assert_false(is_covered(DENY "{ pci: { vendor: 0x1 } }", DENY "{ pci: {} }"));
	assert_false(is_covered(DENY "{ pci: { class: 0x0200xx } }",
				DENY "{ pci: { class: 0x02xxxx } }"));
	assert_false(is_covered(DENY "{ pci: {} }, when: cold", DENY "{ pci: { vendor: 0x1 } }"));
	assert_false(is_covered(DENY "{ not: { usb: {} } }",
				DENY "{ not: { usb: { idVendor: 0x1 } } }"));
	assert_false(is_covered(DENY "{ parent: { pci: {} } }", DENY "{ ancestor: { pci: {} } }"));
	/* one id of several that a device lists is no reason for a rule that gives */
	assert_false(is_covered(GIVE "{ acpi: { hid: A } }", DENY "{ acpi: { hid: A } }"));
}

/* No rule that is called unreachable is ever reached. */
static void test_covering_holds_for_every_device(void **state)
{
	unsigned covered = 0;

	srand(3);
	for (int i = 0; i < 300; i++) {
		_cleanup_policy_ struct Policy *policy = random_policy(20);

		for (size_t wide = 0; wide < policy_n_rules(policy); wide++)
			for (size_t narrow = 0; narrow < policy_n_rules(policy); narrow++) {
				const struct Rule *a = policy_rule(policy, wide),
						  *b = policy_rule(policy, narrow);

				if (wide == narrow || !rule_covers(a, b))
					continue;
				covered++;
				for (int j = 0; j < 100; j++) {
					_cleanup_device_ struct Device *device = random_device(2);
					struct Moment moment = {.is_hot = draw(2)};

					if (rule_matches(b, device, &moment, NULL) &&
					    !rule_matches(a, device, &moment, NULL))
						fail_msg("policy %d: rule %zu does not cover %zu",
							 i, wide, narrow);
				}
			}
	}
	assert_in_range(covered, 200, UINT32_MAX);
}

static void test_what_is_hardly_meant_is_warned_about(void **state)
{
	_cleanup_free_ char *out =
		warnings("version: 1\nrules:\n"
			 "- { action: allow, match: { pci: { vendor: 0x1 } } }\n"
			 "- { action: deny, match: { not: { address: '0000:*' } } }\n"
			 "- { action: allow, match: { usb: { idVendor: 0x1 } } }\n"
			 "- { action: kernel, match: { virtio: { device: 1 } } }\n");

	assert_non_null(strstr(out, "3: allows any driver"));
	assert_non_null(strstr(out, "4: matches an address"));
	assert_null(strstr(out, "5: "));
	assert_null(strstr(out, "6: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_rule_behind_one_that_fits_all_of_it_is_never_reached),
		cmocka_unit_test(test_covering_holds_for_every_device),
		cmocka_unit_test(test_what_is_hardly_meant_is_warned_about),
	};

	return RUN_TESTS("lint", tests);
}
