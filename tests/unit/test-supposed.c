/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "supposed.h"

#include "hardened.h"
#include "policy-of.h"
#include "random-policy.h"

#define POLICIES 300
#define DEVICES 100

#define DENY(match) "version: 1\nrules: [ { action: deny, match: " match " } ]\n"
#define ALLOW(match) "version: 1\nrules: [ { action: allow, match: " match " } ]\n"
#define NIC "pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00"

static void expect(const char *policy_text, const char *s, enum Answer expected,
		   const char *expected_key)
{
	_cleanup_policy_ struct Policy *policy = policy_of(policy_text);
	_cleanup_(modalias_done) struct Modalias modalias = {0};
	_cleanup_vector_ struct Vector unknown = {0};
	struct Mismatch mismatch = {0};
	enum Answer answer;

	assert_int_equal(modalias_parse(s, &modalias), 0);
	assert_int_equal(
		supposed_matches(policy_rule(policy, 0), &modalias, &answer, &mismatch, &unknown),
		0);
	if (answer != expected)
		fail_msg("%s on %s: %d, not %d", policy_text, s, answer, expected);
	assert_int_equal(unknown.n, expected == ANSWER_MAYBE ? 1 : 0);
	if (expected == ANSWER_MAYBE)
		assert_string_equal(string_at(&unknown, 0), expected_key);
	else if (expected == ANSWER_NO)
		assert_string_equal(mismatch.key, expected_key);
}

static void test_what_a_modalias_does_not_tell_may_be_anything(void **state)
{
	expect(DENY("{ pci: { vendor: 0x8086 } }"), NIC, ANSWER_YES, NULL);
	expect(DENY("{ pci: { vendor: 0x8087 } }"), NIC, ANSWER_NO, "vendor");
	expect(DENY("{ pci: { vendor: 0x8086, revision: 0x2 } }"), NIC, ANSWER_MAYBE, "revision");
	expect(DENY("{ pci: { device: 0x1 } }"), "pci:v00008086d*", ANSWER_MAYBE, "device");
	expect(DENY("{ usb: { serial: x } }"), "usb:v*", ANSWER_MAYBE, "serial");
	expect(DENY("{ pci: { class: 0x01xxxx } }"), "pci:v*d*sv*sd*bc02*", ANSWER_NO, "class");
	expect(DENY("{ pci: { class: 0x02xxxx } }"), "pci:v*d*sv*sd*bc02*", ANSWER_YES, NULL);
	expect(DENY("{ pci: { class: 0x0200xx } }"), "pci:v*d*sv*sd*bc02*", ANSWER_MAYBE, "class");
	expect(DENY("{ pci: { class: 0xxx00xx } }"), "pci:v*d*sv*sd*bc*sc01i*", ANSWER_NO, "class");
	expect(DENY("{ usb: {} }"), NIC, ANSWER_NO, "usb");
	expect(DENY("{ attrs: { label: x } }"), NIC, ANSWER_MAYBE, "label");
	expect(DENY("{ parent: { pci: {} } }"), NIC, ANSWER_MAYBE, "parent");
	expect(DENY("{ address: '0000:*' }"), NIC, ANSWER_MAYBE, "address");
	expect(DENY("{ address: '*' }"), NIC, ANSWER_YES, NULL);
	expect("version: 1\nrules: [ { action: deny, match: { pci: {} }, when: hot } ]\n", NIC,
	       ANSWER_MAYBE, "when");
}

#define KEYBOARD "usb:v1050p0406d0543dc00dsc00dp00ic03isc01ip01in00"
#define INTERFACES(s) DENY("{ usb: { interfaces: { " s " } } }")

/* It has this interface, and perhaps others. */
static void test_the_interface_of_a_modalias_is_one_of_the_devices(void **state)
{
	expect(INTERFACES("one-of: '03:*:*'"), KEYBOARD, ANSWER_YES, NULL);
	expect(INTERFACES("one-of: '08:*:*'"), KEYBOARD, ANSWER_MAYBE, "interfaces");
	expect(INTERFACES("none-of: '03:*:*'"), KEYBOARD, ANSWER_NO, "interfaces");
	expect(INTERFACES("none-of: '08:*:*'"), KEYBOARD, ANSWER_MAYBE, "interfaces");
	expect(INTERFACES("all-of: '03:01:*'"), KEYBOARD, ANSWER_YES, NULL);
	expect(INTERFACES("all-of: ['03:*:*', '08:*:*']"), KEYBOARD, ANSWER_MAYBE, "interfaces");
	expect(INTERFACES("equals: '03:*:*'"), KEYBOARD, ANSWER_MAYBE, "interfaces");
	expect(INTERFACES("equals: '08:*:*'"), KEYBOARD, ANSWER_NO, "interfaces");
	expect(INTERFACES("none-of: '03:*:*'"), "usb:v1050p0406d0543dc00dsc00dp00ic03*",
	       ANSWER_MAYBE, "interfaces");
}

/* Whatever the revision is. */
static void test_what_is_ruled_out_depends_on_nothing(void **state)
{
	expect(DENY("{ pci: { revision: 0x2, vendor: 0x8087 } }"), NIC, ANSWER_NO, "vendor");
	expect(DENY("{ not: { pci: { revision: 0x2, vendor: 0x8087 } } }"), NIC, ANSWER_YES, NULL);
	expect(DENY("{ not: { pci: { revision: 0x2 } } }"), NIC, ANSWER_MAYBE, "not");
	expect(DENY("{ not: { pci: {} } }"), NIC, ANSWER_NO, "not");
}

static void test_a_modalias_is_known_up_to_its_first_wildcard(void **state)
{
	expect(DENY("{ modalias: '" NIC "' }"), NIC "*", ANSWER_YES, NULL);
	expect(DENY("{ modalias: 'pci:v00008086*' }"), "pci:v00008086d*", ANSWER_YES, NULL);
	expect(DENY("{ modalias: 'pci:v00008086d00001*' }"), "pci:v00008086d*", ANSWER_MAYBE,
	       "modalias");
	expect(DENY("{ modalias: 'pci:v00008087*' }"), "pci:v00008086d*", ANSWER_NO, "modalias");
	/* a wildcard is not a text */
	expect(DENY("{ modalias: 'pci:v00008086d[!0]' }"), "pci:v00008086d*", ANSWER_MAYBE,
	       "modalias");
	expect(DENY("{ modalias: 'pci:v00008086d' }"), "pci:v00008086d0000100E*", ANSWER_NO,
	       "modalias");
	/* in sysfs a pnp device has none */
	expect(DENY("{ modalias: 'pnp:*' }"), "pnp:dPNP0501", ANSWER_NO, "modalias");
}

static void test_a_device_may_list_more_ids_than_are_told(void **state)
{
	expect(ALLOW("{ acpi: { hid: PNP0501 } }"), "acpi:PNP0501:", ANSWER_YES, NULL);
	expect(ALLOW("{ acpi: { hid: PNP0501 } }"), "acpi:PNP0501:*", ANSWER_MAYBE, "hid");
	expect(ALLOW("{ acpi: { hid: PNP0501 } }"), "acpi:PNP0501:EVIL0001:", ANSWER_NO, "hid");
	expect(ALLOW("{ pnp: { id: pnp0501 } }"), "pnp:dPNP0501", ANSWER_MAYBE, "id");
	expect(DENY("{ pnp: { id: pnp0501 } }"), "pnp:dPNP0501", ANSWER_YES, NULL);
	expect(DENY("{ pnp: { id: PNP0500 } }"), "pnp:dPNP0501", ANSWER_MAYBE, "id");
}

static void test_a_platform_device_may_be_called_by_a_number_more(void **state)
{
	expect(DENY("{ platform: { name: serial8250 } }"), "platform:serial8250", ANSWER_MAYBE,
	       "name");
	expect(DENY("{ platform: { name: 'serial8250*' } }"), "platform:serial8250", ANSWER_YES,
	       NULL);
	expect(DENY("{ platform: { name: serial } }"), "platform:serial8250", ANSWER_NO, "name");
}

static bool hardened_is_known(const char *s)
{
	_cleanup_(modalias_done) struct Modalias modalias = {0};

	assert_int_equal(modalias_parse(s, &modalias), 0);
	return supposed_hardened_is_known(&modalias);
}

static void test_the_list_of_hardened_devices_wants_its_ids(void **state)
{
	assert_true(hardened_is_known(NIC));
	assert_false(hardened_is_known("pci:v00001AF4d00001042sv*"));
	assert_true(hardened_is_known("virtio:d00000002v*"));
	assert_false(hardened_is_known("virtio:d*"));
	assert_true(hardened_is_known("acpi:PNP0A03:"));
	assert_false(hardened_is_known("acpi:PNP0A03:*"));
	assert_true(hardened_is_known("acpi:EVIL0001:*"));
	assert_false(hardened_is_known("pnp:dPNP0B00"));
	assert_true(hardened_is_known("platform:serial8250"));
	assert_false(hardened_is_known("platform:virtio-mmio"));
}

/* --- whatever the rest is --- */

static char *some(uint32_t id, int digits)
{
	char *text;

	if (draw(2) || asprintf(&text, "%0*X", digits, id) < 0)
		return strdup("*");
	return text;
}

/* The device's own modalias, and one that tells a part of it. */
static char *tell_pci(struct Device *device)
{
	const uint32_t *ids = device->ids;
	_cleanup_free_ char *vendor = some(ids[ID_VENDOR], 8), *id = some(ids[ID_DEVICE], 8),
			    *class = some(0, 2), *interface = some(ids[ID_CLASS], 2);
	char *told;

	device->have_ids |= 1U << ID_VENDOR | 1U << ID_DEVICE | 1U << ID_CLASS;
	assert_true(asprintf(&device->modalias, "pci:v%08Xd%08Xsv%08Xsd%08Xbc00sc00i%02X",
			     ids[ID_VENDOR], ids[ID_DEVICE], ids[ID_SUBSYSTEM_VENDOR],
			     ids[ID_SUBSYSTEM_DEVICE], ids[ID_CLASS]) > 0);
	assert_true(asprintf(&told, "pci:v%sd%ssv*sd*bc%ssc00i%s", vendor, id, class, interface) >
		    0);
	return told;
}

static char *tell_virtio(struct Device *device)
{
	_cleanup_free_ char *id = some(device->ids[ID_DEVICE], 8);
	char *told;

	device->have_ids |= 1U << ID_DEVICE | 1U << ID_VENDOR;
	assert_true(asprintf(&device->modalias, "virtio:d%08Xv%08X", device->ids[ID_DEVICE],
			     device->ids[ID_VENDOR]) > 0);
	assert_true(asprintf(&told, "virtio:d%sv*", id) > 0);
	return told;
}

static char *tell_acpi(struct Device *device)
{
	static const char *const ids[][3] = {
		{"acpi:PNP1:", "acpi:PNP1:", "acpi:PNP1:*"},
		{"acpi:PNP1:PNP2:", "acpi:PNP1:PNP2:", "acpi:PNP1:*"},
		{"acpi:PNP3:PNP4:PNP1:", "acpi:PNP3:PNP4:*", "acpi:PNP3:*"},
	};
	const char *const *row = ids[draw(ELEMENTSOF(ids))];

	device->modalias = strdup(row[0]);
	return strdup(row[1 + draw(2)]);
}

static char *tell_pnp(struct Device *device)
{
	free(device->text_ids);
	device->text_ids = strdup(draw(2) ? "PNP1" : "PNP1\nPNP4");
	return strdup("pnp:dPNP1");
}

static char *tell_platform(struct Device *device)
{
	char *told;

	assert_true(asprintf(&told, "platform:%s%s", device->sysname, draw(2) ? "" : "*") > 0);
	device->modalias = strndup(told, strcspn(told, "*"));
	if (draw(2)) {
		_cleanup_free_ char *name = TAKE_PTR(device->sysname);

		assert_true(asprintf(&device->sysname, "%s.%u", name, draw(10)) > 0);
	}
	return told;
}

/* Of one of its interfaces, as far as it is told. */
static char *tell_usb(struct Device *device)
{
	uint32_t interface =
		device->n_interfaces > 0 ? device->interfaces[draw(device->n_interfaces)] : 0;
	_cleanup_free_ char *class = some(interface >> 16 & 0xff, 2),
			    *subclass = some(interface >> 8 & 0xff, 2),
			    *protocol = some(interface & 0xff, 2);
	char *told;

	device->have_ids |= 1U << ID_VENDOR | 1U << ID_DEVICE;
	assert_true(asprintf(&device->modalias, "usb:v%04Xp%04Xd0000dc00dsc00dp00",
			     device->ids[ID_VENDOR], device->ids[ID_DEVICE]) > 0);
	if (device->n_interfaces == 0)
		return strdup(device->modalias);
	assert_true(asprintf(&told, "%sic%sisc%sip%sin*", device->modalias, class, subclass,
			     protocol) > 0);
	return told;
}

static char *tell(struct Device *device)
{
	free(TAKE_PTR(device->modalias));
	switch (device->bus) {
	case BUS_PCI:
		return tell_pci(device);
	case BUS_VIRTIO:
		return tell_virtio(device);
	case BUS_USB:
		return tell_usb(device);
	case BUS_ACPI:
		return tell_acpi(device);
	case BUS_PNP:
		return tell_pnp(device);
	case BUS_PLATFORM:
		return tell_platform(device);
	default:
		return NULL;
	}
}

static void check_rule(const struct Rule *rule, const struct Device *device,
		       const struct Modalias *modalias, unsigned counts[3])
{
	_cleanup_vector_ struct Vector unknown = {0};
	struct Moment moment = {.is_hot = draw(2)};
	struct Mismatch mismatch = {0};
	enum Answer answer;

	assert_int_equal(supposed_matches(rule, modalias, &answer, &mismatch, &unknown), 0);
	counts[answer]++;
	assert_int_equal(unknown.n > 0, answer == ANSWER_MAYBE);
	if (answer == ANSWER_YES)
		assert_true(rule_matches(rule, device, &moment, NULL));
	else if (answer == ANSWER_NO)
		assert_false(rule_matches(rule, device, &moment, NULL));
}

static void test_what_is_certain_holds_of_every_device_of_the_modalias(void **state)
{
	unsigned counts[3] = {0};

	srand(4);
	for (int i = 0; i < POLICIES; i++) {
		_cleanup_policy_ struct Policy *policy = random_policy(20);

		for (int j = 0; j < DEVICES; j++) {
			_cleanup_device_ struct Device *device = random_device(2);
			_cleanup_free_ char *told = tell(device);
			_cleanup_(modalias_done) struct Modalias modalias = {0};
			const char *driver;

			if (!told)
				continue;
			if (modalias_parse(told, &modalias) < 0)
				fail_msg("%s is refused", told);
			for (size_t k = 0; k < policy_n_rules(policy); k++)
				check_rule(policy_rule(policy, k), device, &modalias, counts);
			if (supposed_hardened_is_known(&modalias))
				assert_int_equal(hardened_find(device, &driver),
						 hardened_find(modalias.device, &driver));
		}
	}
	/* it is none of these that is always the answer */
	for (size_t i = 0; i < ELEMENTSOF(counts); i++)
		assert_true(counts[i] > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_modalias_does_not_tell_may_be_anything),
		cmocka_unit_test(test_what_is_ruled_out_depends_on_nothing),
		cmocka_unit_test(test_the_interface_of_a_modalias_is_one_of_the_devices),
		cmocka_unit_test(test_a_modalias_is_known_up_to_its_first_wildcard),
		cmocka_unit_test(test_a_device_may_list_more_ids_than_are_told),
		cmocka_unit_test(test_a_platform_device_may_be_called_by_a_number_more),
		cmocka_unit_test(test_the_list_of_hardened_devices_wants_its_ids),
		cmocka_unit_test(test_what_is_certain_holds_of_every_device_of_the_modalias),
	};

	return RUN_TESTS("supposed", tests);
}
