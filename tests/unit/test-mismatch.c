/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mismatch.h"
#include "policy-of.h"

#define DENY(match) "version: 1\nrules: [ { action: deny, match: " match " } ]\n"

static struct Device pci(const char *name, uint32_t vendor, struct Device *parent)
{
	return (struct Device){.bus = BUS_PCI,
			       .sysname = (char *)name,
			       .ids = {[ID_VENDOR] = vendor, [ID_DEVICE] = 0x1042},
			       .have_ids = 1 << ID_VENDOR | 1 << ID_DEVICE,
			       .parent = parent};
}

static void expect_text(const char *policy_text, const struct Device *device, const char *expected)
{
	_cleanup_policy_ struct Policy *policy = policy_of(policy_text);
	const struct Rule *rule = policy_rule(policy, 0);
	_cleanup_free_ char *text = NULL;
	struct Mismatch mismatch = {0};

	assert_false(rule_matches(rule, device, NULL, &mismatch));
	text = mismatch_text(rule, &mismatch, device, NULL);
	assert_string_equal(text, expected);
}

static void test_a_key_is_told_with_what_the_device_has_there(void **state)
{
	struct Device device = pci("0000:00:01.0", 0x1af4, NULL);

	expect_text(DENY("{ usb: {} }"), &device, "usb: is on the pci bus");
	expect_text(DENY("{ pci: { vendor: 0x8086 } }"), &device, "vendor: is 0x1af4");
	expect_text(DENY("{ pci: { revision: 0x1 } }"), &device, "revision: is unknown");
	expect_text(DENY("{ modalias: x }"), &device, "modalias: is none");
	expect_text(DENY("{ address: x }"), &device, "address: is 0000:00:01.0");
	expect_text(DENY("{ attrs: { label: x } }"), &device, "label: no such attribute");
	expect_text("version: 1\nrules: [ { action: deny, match: { pci: {} }, when: hot } ]\n",
		    &device, "when: was there at start");
}

static void test_interfaces_are_told_up_to_three(void **state)
{
	uint32_t interfaces[] = {0x030101, 0x080650, 0x0e0100, 0x0e0200};
	struct Device device = {.bus = BUS_USB, .sysname = (char *)"1-1"};

	expect_text(DENY("{ usb: { interfaces: { one-of: \"ff:*:*\" } } }"), &device,
		    "interfaces: has none");
	device.interfaces = interfaces;
	device.n_interfaces = ELEMENTSOF(interfaces);
	expect_text(DENY("{ usb: { interfaces: { one-of: \"ff:*:*\" } } }"), &device,
		    "interfaces: has 03:01:01, 08:06:50, 0e:01:00 and 1 more");
}

static void test_a_parent_is_told_with_the_key_that_failed_within(void **state)
{
	struct Device parent = pci("0000:00:01.0", 0x1af4, NULL),
		      device = {.bus = BUS_VIRTIO, .sysname = (char *)"virtio0"};

	expect_text(DENY("{ parent: { pci: { vendor: 0x8086 } } }"), &device, "parent: has none");
	device.parent = &parent;
	expect_text(DENY("{ parent: { pci: { vendor: 0x8086 } } }"), &device,
		    "parent: pci:0000:00:01.0 (vendor: is 0x1af4)");
	expect_text(DENY("{ parent: [ { usb: {} }, { pci: { device: 0x1 } } ] }"), &device,
		    "parent: pci:0000:00:01.0 (usb: is on the pci bus; device: is 0x1042)");
}

static void test_the_first_three_ancestors_are_told_and_the_rest_counted(void **state)
{
	struct Device above[5], device = {.bus = BUS_VIRTIO, .sysname = (char *)"virtio0"};

	for (uint32_t i = 0; i < ELEMENTSOF(above); i++)
		above[i] = pci("bridge", i + 1, i + 1 < ELEMENTSOF(above) ? &above[i + 1] : NULL);
	device.parent = &above[0];
	expect_text(DENY("{ ancestor: { pci: { vendor: 0x8086 } } }"), &device,
		    "ancestor: pci:bridge (vendor: is 0x1), pci:bridge (vendor: is 0x2), "
		    "pci:bridge (vendor: is 0x3) and 2 more");
	above[2].parent = NULL;
	expect_text(DENY("{ ancestor: { usb: {} } }"), &device,
		    "ancestor: pci:bridge (usb: is on the pci bus), pci:bridge (usb: is on the pci "
		    "bus), pci:bridge (usb: is on the pci bus)");
}

static void test_what_must_not_fit_is_told_with_what_made_it_fit(void **state)
{
	struct Device parent = pci("0000:00:01.0", 0x1af4, NULL),
		      device = pci("0000:01:00.0", 0x8086, &parent);

	expect_text(DENY("{ not: [ { usb: {} }, { pci: {} } ] }"), &device,
		    "not: fits, being on the pci bus");
	expect_text(DENY("{ not: { pci: { vendor: 0x8086, device: 0x1042 } } }"), &device,
		    "not: fits (vendor: is 0x8086, device: is 0x1042)");
	expect_text(DENY("{ not: { ancestor: { pci: { vendor: 0x1af4 } } } }"), &device,
		    "not: fits (ancestor: is pci:0000:00:01.0)");
	expect_text(DENY("{ parent: { not: { pci: { vendor: 0x1af4 } } } }"), &device,
		    "parent: pci:0000:00:01.0 (not: fits (vendor: is 0x1af4))");
}

/* With an `allow`, a `not` holds only where no id at all is the one that is named. */
static void test_within_not_listed_ids_are_judged_the_other_way_round(void **state)
{
	struct Device device = {.bus = BUS_ACPI,
				.sysname = (char *)"A:00",
				.modalias = (char *)"acpi:GOOD0001:EVIL0001:"};

	expect_text("version: 1\nrules: [ { action: allow, match:\n"
		    "  { acpi: {}, not: { acpi: { hid: EVIL0001 } } } } ]\n",
		    &device, "not: fits (hid: is acpi:GOOD0001:EVIL0001:)");
}

static void test_what_is_told_has_bounds(void **state)
{
	char value[4096];
	struct Attribute attribute = {(char *)"label", value};
	struct Device parent = pci("0000:00:01.0", 0x1af4, NULL),
		      device = pci("0000:01:00.0", 0x8086, &parent);
	char expected[sizeof("label: is ") + 100 + sizeof("...")];

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	device.attributes = &attribute;
	device.n_attributes = 1;
	(void)snprintf(expected, sizeof(expected), "label: is %.100s...", value);
	expect_text(DENY("{ attrs: { label: y } }"), &device, expected);
	/* no character is cut in two */
	memcpy(value + 98, "\xe2\x82\xac", 3);
	(void)snprintf(expected, sizeof(expected), "label: is %.98s...", value);
	expect_text(DENY("{ attrs: { label: y } }"), &device, expected);
	/* nor is any depth followed */
	expect_text(DENY("{ parent: { not: { not: { parent: { usb: {} } } } } }"), &device,
		    "parent: pci:0000:00:01.0 (not: fits (not: does not fit))");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_is_told_with_what_the_device_has_there),
		cmocka_unit_test(test_interfaces_are_told_up_to_three),
		cmocka_unit_test(test_a_parent_is_told_with_the_key_that_failed_within),
		cmocka_unit_test(test_the_first_three_ancestors_are_told_and_the_rest_counted),
		cmocka_unit_test(test_what_must_not_fit_is_told_with_what_made_it_fit),
		cmocka_unit_test(test_within_not_listed_ids_are_judged_the_other_way_round),
		cmocka_unit_test(test_what_is_told_has_bounds),
	};

	return RUN_TESTS("mismatch", tests);
}
