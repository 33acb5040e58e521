/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "covers.h"
#include "decide.h"
#include "glob-match.h"
#include "lint-modalias.h"
#include "lint.h"
#include "policy-of.h"
#include "random-policy.h"

static void collect(const struct Rule *rule, const char *message, void *userdata)
{
	FILE *f = userdata;

	fprintf(f, "%u: %s\n", rule ? rule->line : 0, message);
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

/* Whether lines of the lint begin and end so. */
static void expect(const char *policy, const char *const *lines, size_t n)
{
	_cleanup_free_ char *out = warnings(policy);
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		if (!strstr(out, lines[i]))
			fail_msg("no \"%s\" in:\n%s", lines[i], out);
	for (const char *p = out; (p = strchr(p, '\n')); p++)
		found++;
	if (found != n)
		fail_msg("not %zu warnings:\n%s", n, out);
}

#define EXPECT(policy, ...)                                                                        \
	do {                                                                                       \
		static const char *const lines[] = {__VA_ARGS__};                                  \
		expect("version: 1\n" policy, lines, ELEMENTSOF(lines));                           \
	} while (0)

static void test_a_default_that_allows_is_warned_about(void **state)
{
	EXPECT("defaults: { \"*\": allow, acpi: allow, usb: deny }\n",
	       "0: defaults: \"*\": allow: ", "0: defaults: acpi: allow: ");
}

static void test_a_class_with_digits_left_out_is_warned_about(void **state)
{
	EXPECT("rules:\n"
	       "- { action: deny, match: { pci: { class: 0x0106 } } }\n"
	       "- { action: deny, match: { pci: {}, not: { pci: { class: [0x010802, 0x01xx] } } } "
	       "}\n"
	       "- { action: deny, match: { pci: { class: [0x0106xx, 0x000100], revision: 0x1 } } "
	       "}\n",
	       "3: a class of fewer than 6 digits", "4: a class of fewer than 6 digits");
}

static void test_acpi_ids_in_lower_case_are_warned_about(void **state)
{
	EXPECT("rules:\n"
	       "- { action: deny, match: { acpi: { hid: [pnp0501, PNP0c0f, lnxcpu] } } }\n"
	       "- { action: deny, match: { acpi: { hid: [PNP0501, VMBus, 'INT*'] } } }\n"
	       "- { action: deny, match: { pnp: { id: pnp0501 } } }\n"
	       "- { action: deny, match: { modalias: 'acpi:pnp0501:*' } }\n",
	       "3: hid \"pnp0501\" hardly fits", "3: hid \"PNP0c0f\" hardly fits",
	       "3: hid \"lnxcpu\" hardly fits", "6: modalias \"acpi:pnp0501:*\" never fits");
}

static void test_a_driver_spelled_otherwise_than_the_hardened_one_is_warned_about(void **state)
{
	EXPECT("rules:\n"
	       "- { action: allow, driver: virtio_pci, match: { pci: { vendor: 0x1 } } }\n"
	       "- { action: allow, driver: virtio-pci, match: { pci: { vendor: 0x2 } } }\n"
	       "- { action: allow, driver: virtio-blk, match: { virtio: { device: 2 } } }\n"
	       "- { action: allow, driver: e1000-e, match: { pci: { vendor: 0x3 } } }\n",
	       "3: no driver is called \"virtio_pci\": its name is \"virtio-pci\"",
	       "5: no driver is called \"virtio-blk\": its name is \"virtio_blk\"");
}

static void test_what_goes_by_any_compatible_is_warned_about(void **state)
{
	EXPECT("rules:\n"
	       "- { action: allow, match: { acpi: { hid: '*' } } }\n"
	       "- { action: allow, match: { modalias: 'of:N*T*C*' } }\n"
	       "- { action: allow, match: { modalias: 'of:N*T*Cns16550a' } }\n"
	       "- { action: allow, driver: a, match: { acpi: { hid: 'P*' } } }\n"
	       "- { action: deny, match: { acpi: { hid: 'PRP*' } } }\n"
	       "- { action: allow, match: { pci: { vendor: 0x1 }, modalias: '*' } }\n",
	       "3: allows any driver", "3: fits what goes by PRP0001", "4: allows any driver",
	       "4: fits what goes by PRP0001", "5: allows any driver", "6: never reached",
	       "8: allows any driver");
	/* a name says nothing of it, nor does not saying anything */
	EXPECT("rules:\n"
	       "- { action: allow, match: { platform: { name: 'a*' } } }\n"
	       "- { action: allow, match: { acpi: {}, parent: { acpi: { hid: 'A*' } } } }\n"
	       "- { action: allow, match: { acpi: {}, not: { modalias: '*of:N*' } } }\n"
	       "- { action: allow, match: { acpi: {}, not: { modalias: 'of:*' } } }\n",
	       "3: allows any driver", "3: fits what goes by PRP0001", "4: allows any driver",
	       "4: fits what goes by PRP0001", "5: allows any driver", "6: allows any driver",
	       "6: fits what goes by PRP0001");
}

static void expect_problem(const char *glob, const char *begin)
{
	const char *problem = modalias_glob_problem(glob);

	if (!problem || !startswith(problem, begin))
		fail_msg("%s: %s", glob, problem ? problem : "none");
}

static void test_a_modalias_glob_that_never_fits_is_told_why(void **state)
{
	static const char *const good[] = {
		"*",
		"?ci:*",
		"pci:*",
		"pci:v00008086d000010D3sv*",
		"pci:v0000808[67]d*sv*sd*bc01sc08i02",
		"pci:v????8086*",
		"virtio:d00000002v*",
		"usb:v1050p*",
		"acpi:PNP0501:*",
		"acpi:*PNP0501:*",
		"acpi:PNP0501:",
		"of:NserialT*Cns16550a*",
		"platform:serial8250",
		"pl\\atform:*",
	};

	for (size_t i = 0; i < ELEMENTSOF(good); i++)
		if (modalias_glob_problem(good[i]))
			fail_msg("%s: %s", good[i], modalias_glob_problem(good[i]));
	expect_problem("pci:v00008086d000010d3*", "hexadecimal digits are in upper case");
	expect_problem("PCI:*", "hexadecimal digits are in upper case");
	expect_problem("pci:v00008086d000010D3", "a modalias goes on");
	expect_problem("pci", "a modalias goes on");
	expect_problem("acpi:PNP0501", "a modalias goes on");
	expect_problem("usb:v1050p0406", "a modalias goes on");
	expect_problem("pci:v8086*", "no device");
	expect_problem("pnp:dPNP0501*", "no device");
	expect_problem("dmi:*", "no device");
	expect_problem("pci-*", "no device");
}

/* A text of a format, each digit drawn, and a glob that most of its characters are left in. */
static void draw_modalias(const char *format, char *modalias, char *glob)
{
	for (; *format; format++, modalias++) {
		*modalias = *format == '#' ? "0123456789ABCDEF"[draw(16)] : *format;
		if (draw(10) == 0)
			*glob++ = '?';
		else if (draw(20) == 0)
			*glob++ = '*';
		else if (draw(40) > 0)
			*glob++ = *modalias;
	}
	*modalias = *glob = '\0';
}

static void test_no_glob_that_fits_a_modalias_is_called_one_that_never_does(void **state)
{
	static const char *const formats[] = {
		"pci:v0000####d0000####sv0000####sd0000####bc##sc##i##",
		"virtio:d0000####v########",
		"usb:v####p####d####dc##dsc##dp##",
		"acpi:PNP####:INT####:",
		"of:Nserial@#T<NULL>Cns16550a",
		"platform:dev.#",
	};
	unsigned fitting = 0, never = 0;

	srand(5);
	for (int i = 0; i < 20000; i++) {
		char modalias[128], glob[128];

		draw_modalias(formats[draw(ELEMENTSOF(formats))], modalias, glob);
		if (!glob_match(glob, modalias)) {
			never += modalias_glob_problem(glob) != NULL;
			continue;
		}
		fitting++;
		if (modalias_glob_problem(glob))
			fail_msg("%s fits %s", glob, modalias);
	}
	assert_in_range(fitting, 5000, 20000);
	assert_in_range(never, 1000, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_rule_behind_one_that_fits_all_of_it_is_never_reached),
		cmocka_unit_test(test_covering_holds_for_every_device),
		cmocka_unit_test(test_what_is_hardly_meant_is_warned_about),
		cmocka_unit_test(test_a_default_that_allows_is_warned_about),
		cmocka_unit_test(test_a_class_with_digits_left_out_is_warned_about),
		cmocka_unit_test(test_acpi_ids_in_lower_case_are_warned_about),
		cmocka_unit_test(
			test_a_driver_spelled_otherwise_than_the_hardened_one_is_warned_about),
		cmocka_unit_test(test_what_goes_by_any_compatible_is_warned_about),
		cmocka_unit_test(test_a_modalias_glob_that_never_fits_is_told_why),
		cmocka_unit_test(test_no_glob_that_fits_a_modalias_is_called_one_that_never_does),
	};

	return RUN_TESTS("lint", tests);
}
