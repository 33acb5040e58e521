/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide.h"
#include "enforce.h"
#include "hardened.h"
#include "phase.h"
#include "policy-of.h"
#include "verdict.h"

static struct Device pci(uint32_t vendor, uint32_t device, uint32_t class_code)
{
	return (struct Device){
		.bus = BUS_PCI,
		.sysname = (char *)"0000:00:01.0",
		.ids = {[ID_VENDOR] = vendor, [ID_DEVICE] = device, [ID_CLASS] = class_code},
		.have_ids = 1 << ID_VENDOR | 1 << ID_DEVICE | 1 << ID_CLASS,
		.authorized = -1,
		.authorized_by = _ORIGIN_INVALID};
}

static enum Action action_for(const struct Policy *policy, const struct Device *device)
{
	struct Decision decision;

	policy_decide(policy, device, NULL, &decision);
	return decision.action;
}

static void test_first_rule_that_matches_wins(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\n"
		"rules:\n"
		"- { name: a, action: deny, match: { pci: { vendor: 0x8086, device: 0x100e } } }\n"
		"- { name: b, action: allow, driver: x, match: { pci: { vendor: 0x8086 } } }\n"
		"- { name: c, action: deny, match: { pci: { vendor: 0x8086 } } }\n");
	struct Device device = pci(0x8086, 0x10d3, 0);
	_cleanup_free_ char *source = NULL;
	struct Decision decision;

	policy_decide(policy, &device, NULL, &decision);
	assert_int_equal(decision.action, ACTION_ALLOW);
	assert_string_equal(decision.driver, "x");
	source = decision_source(&decision, BUS_PCI);
	assert_string_equal(source, "p.yaml:b");
	device.ids[ID_DEVICE] = 0x100e;
	assert_int_equal(action_for(policy, &device), ACTION_DENY);
}

static void test_all_conditions_of_a_rule_must_hold(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\n"
		"rules:\n"
		"- action: deny\n"
		"  match: { pci: { vendor: 0x8086 }, modalias: \"pci:v00008086*sc06*\" }\n");
	struct Device device = pci(0x8086, 0x1, 0);

	assert_int_equal(action_for(policy, &device), ACTION_KERNEL); /* no modalias */
	device.modalias = (char *)"pci:v00008086d00000001bc01sc06i01";
	assert_int_equal(action_for(policy, &device), ACTION_DENY);
	device.ids[ID_VENDOR] = 0x8087;
	assert_int_equal(action_for(policy, &device), ACTION_KERNEL);
}

static void test_ids_of_one_bus_never_match_on_another(void **state)
{
	_cleanup_policy_ struct Policy *policy =
		policy_of("version: 1\n"
			  "rules: [ { action: deny, match: { virtio: { device: 0x1042 } } } ]\n");
	struct Device device = pci(0x1af4, 0x1042, 0);

	assert_int_equal(action_for(policy, &device), ACTION_KERNEL);
}

static void test_an_id_that_could_not_be_read_matches_nothing(void **state)
{
	_cleanup_policy_ struct Policy *policy =
		policy_of("version: 1\n"
			  "rules: [ { action: allow, match: { pci: { vendor: 0x0 } } } ]\n");
	struct Device device = pci(0, 0, 0);

	device.have_ids = 0;
	assert_int_equal(action_for(policy, &device), ACTION_KERNEL);
}

static void test_a_rule_without_name_is_shown_by_its_line(void **state)
{
	_cleanup_policy_ struct Policy *policy =
		policy_of("version: 1\nrules:\n- action: deny\n  match: { modalias: \"*\" }\n");
	struct Device device = pci(1, 2, 3);
	_cleanup_free_ char *source = NULL;
	struct Decision decision;

	device.modalias = (char *)"x";
	policy_decide(policy, &device, NULL, &decision);
	source = decision_source(&decision, BUS_PCI);
	assert_string_equal(source, "p.yaml:3");
}

/* --- the rest of the language --- */

#define DENY(match) "version: 1\nrules: [ { action: deny, match: " match " } ]\n"
#define ALLOW(match) "version: 1\nrules: [ { action: allow, match: " match " } ]\n"

static bool fits(const char *text, const struct Device *device)
{
	_cleanup_policy_ struct Policy *policy = policy_of(text);
	struct Decision decision;

	policy_decide(policy, device, NULL, &decision);
	return decision.rule;
}

static void test_masked_ids_fit_any_digit_in_the_place_of_x(void **state)
{
	struct Device device = pci(0x8086, 0x10d3, 0x010601);

	assert_true(fits(DENY("{ pci: { class: 0x0106xx } }"), &device));
	assert_true(fits(DENY("{ pci: { class: [0x02xxxx, 0x01xx01] } }"), &device));
	assert_false(fits(DENY("{ pci: { class: 0x0107xx } }"), &device));
	/* digits in front are zeros, not any */
	assert_false(fits(DENY("{ pci: { class: 0xxxxx } }"), &device));
	assert_true(fits(DENY("{ pci: { class: 0xxxxxxx } }"), &device));
}

static void test_an_attribute_that_is_not_there_fits_nothing(void **state)
{
	struct Attribute attributes[] = {{(char *)"label", NULL}};
	struct Device device = pci(1, 2, 3);

	device.attributes = attributes;
	device.n_attributes = 1;
	assert_false(fits(DENY("{ attrs: { label: '*' } }"), &device));
	assert_false(fits(DENY("{ attrs: { other: '*' } }"), &device));
	assert_true(fits(DENY("{ not: { attrs: { label: '*' } } }"), &device));
	attributes[0].value = (char *)"x";
	assert_true(fits(DENY("{ attrs: { label: ['y', 'x'] } }"), &device));
}

/* The host shows one id more: no `allow` may let it in, no `deny` may be got around. */
static void test_ids_that_a_device_lists_beside_others(void **state)
{
	struct Device device = {.bus = BUS_ACPI, .modalias = (char *)"acpi:PNP0501:EVIL0001:"};

	assert_false(fits(ALLOW("{ acpi: { hid: PNP0501 } }"), &device));
	assert_true(fits(ALLOW("{ acpi: { hid: [PNP0501, EVIL0001] } }"), &device));
	assert_true(fits(DENY("{ acpi: { hid: PNP0501 } }"), &device));
	assert_true(fits(DENY("{ acpi: { hid: EVIL* } }"), &device));
	/* "all but" turns it round */
	assert_false(fits(ALLOW("{ acpi: {}, not: { acpi: { hid: EVIL0001 } } }"), &device));
	assert_true(fits(DENY("{ acpi: {}, not: { acpi: { hid: EVIL0001 } } }"), &device));
	device.modalias = (char *)"of:NserialT(null)Cns16550a";
	assert_false(fits(ALLOW("{ acpi: { hid: '*' } }"), &device));
	device = (struct Device){.bus = BUS_PNP, .text_ids = (char *)"pnp0501"};
	assert_true(fits(ALLOW("{ pnp: { id: PNP0501 } }"), &device));
}

static void test_interfaces(void **state)
{
	uint32_t shown[] = {0x080650, 0x030101};
	struct Device device = {
		.bus = BUS_USB, .sysname = (char *)"1-1", .interfaces = shown, .n_interfaces = 2};

	assert_true(fits(ALLOW("{ usb: { interfaces: { one-of: \"03:*:*\" } } }"), &device));
	assert_false(fits(ALLOW("{ usb: { interfaces: { one-of: \"03:00:*\" } } }"), &device));
	assert_true(fits(ALLOW("{ usb: { interfaces: { all-of: [\"03:*:*\", \"08:*:*\"] } } }"),
			 &device));
	assert_false(fits(ALLOW("{ usb: { interfaces: { all-of: [\"03:*:*\", \"09:*:*\"] } } }"),
			  &device));
	assert_false(fits(ALLOW("{ usb: { interfaces: { equals: \"08:06:50\" } } }"), &device));
	assert_true(fits(ALLOW("{ usb: { interfaces: { equals: [\"08:06:50\", \"03:*:*\"] } } }"),
			 &device));
	assert_false(fits(ALLOW("{ usb: { interfaces: { none-of: \"03:*:*\" } } }"), &device));
	assert_true(fits(ALLOW("{ usb: { interfaces: { none-of: \"0b:*:*\" } } }"), &device));
	assert_false(
		fits(ALLOW("{ usb: { interfaces: { one-of: \"08:*:*\", none-of: \"03:*:*\" } } }"),
		     &device));
}

static void test_parents_and_ancestors(void **state)
{
	struct Device bridge = pci(0x1b36, 0x000c, 0x060400);
	struct Device transport = pci(0x1af4, 0x1042, 0x010000);
	struct Device disk = {.bus = BUS_VIRTIO, .parent = &transport};

	transport.parent = &bridge;
	assert_true(fits(DENY("{ parent: { pci: { vendor: 0x1af4 } } }"), &disk));
	assert_false(fits(DENY("{ parent: { pci: { vendor: 0x1b36 } } }"), &disk));
	assert_true(fits(DENY("{ ancestor: { pci: { vendor: 0x1b36 } } }"), &disk));
	assert_true(
		fits(DENY("{ ancestor: [ { usb: {} }, { pci: { device: 0x1042 } } ] }"), &disk));
	assert_false(fits(DENY("{ ancestor: { virtio: {} } }"), &disk));
	assert_true(fits(DENY("{ not: { parent: { usb: {} } } }"), &disk));
	assert_false(fits(DENY("{ parent: { pci: {} } }"), &bridge));
}

static void test_names_fit_addresses_and_platform_devices(void **state)
{
	struct Device device = pci(1, 2, 3);

	assert_true(fits(DENY("{ address: '0000:00:01.*' }"), &device));
	assert_false(fits(DENY("{ address: '0000:00:02.*' }"), &device));
	assert_false(fits(DENY("{ platform: { name: '*' } }"), &device));
	device.bus = BUS_PLATFORM;
	device.sysname = (char *)"serial8250.0";
	assert_true(fits(DENY("{ platform: { name: serial8250* } }"), &device));
}

static void test_a_rule_that_does_not_fit_names_the_first_key_that_fails(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\nrules:\n"
		"- { action: deny, match: { usb: {} } }\n"
		"- { action: deny, match: { pci: { vendor: 0x1, device: 0x3 } } }\n"
		"- { action: deny, match: { pci: { vendor: 0x1 } }, when: hot }\n"
		"- { action: deny, match: { pci: { vendor: 0x1 }, attrs: { label: x } } }\n");
	static const char *const keys[] = {"usb", "device", "when", "label"};
	struct Device device = pci(1, 2, 3);

	for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
		struct Mismatch mismatch = {0};

		assert_false(rule_matches(policy_rule(policy, i), &device, NULL, &mismatch));
		assert_string_equal(mismatch.key, keys[i]);
	}
}

/* --- moments --- */

static enum Action action_at(const struct Policy *policy, const struct Device *device,
			     const struct Moment *moment, enum DecidedBy by)
{
	struct Decision decision;

	policy_decide(policy, device, moment, &decision);
	assert_int_equal(decision.by, by);
	return decision.action;
}

static void test_when_is_part_of_what_must_fit(void **state)
{
	_cleanup_policy_ struct Policy *policy =
		policy_of("version: 1\nrules:\n"
			  "- { action: allow, match: { pci: {} }, when: cold }\n"
			  "- { action: deny, match: { pci: {} } }\n");
	struct Device device = pci(1, 2, 3);

	assert_int_equal(action_at(policy, &device, NULL, DECIDED_BY_RULE), ACTION_ALLOW);
	assert_int_equal(
		action_at(policy, &device, &(struct Moment){.is_hot = true}, DECIDED_BY_RULE),
		ACTION_DENY);
}

static void test_over_its_count_a_rule_takes_away(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\nrules:\n"
		"- { action: deny, match: { usb: {} } }\n"
		"- { action: kernel, match: { pci: {} }, count: { max: 2, over: remove } }\n"
		"- { action: allow, match: { pci: {} } }\n");
	struct Device device = pci(0x1af4, 0x1041, 0x020000);
	uint32_t admitted[] = {9, 1, 9};
	struct Moment moment = {.admitted = admitted};

	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_RULE), ACTION_KERNEL);
	admitted[1] = 2;
	/* not the next rule, nor what the built-in list says */
	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_COUNT), ACTION_REMOVE);
}

static void test_after_the_freeze_only_rules_that_say_so_admit(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\nrules:\n"
		"- { action: allow, match: { pci: { vendor: 0x1 } }, after-freeze: true }\n"
		"- { action: allow, match: { pci: { vendor: 0x2 } } }\n"
		"- { action: remove, match: { pci: { vendor: 0x3 } } }\n");
	struct Moment moment = {.is_frozen = true};
	struct Device device = pci(1, 2, 3);

	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_RULE), ACTION_ALLOW);
	device.ids[ID_VENDOR] = 2;
	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_FREEZE), ACTION_DENY);
	device.ids[ID_VENDOR] = 3;
	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_RULE), ACTION_REMOVE);
	/* what no rule speaks of: the built-in list admits no more either */
	device.ids[ID_VENDOR] = 4;
	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_FREEZE), ACTION_DENY);
}

static void test_after_the_seal_nothing_is_given(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\nrules:\n"
		"- { action: allow, match: { pci: { vendor: 0x1 } }, after-freeze: true }\n"
		"- { action: remove, match: { pci: { vendor: 0x2 } } }\n");
	const struct Phase phase = {.is_sealed = true, .sealed = 9};
	struct Moment moment = {.is_frozen = true, .is_sealed = true};
	struct Device device = pci(1, 2, 3);

	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_SEAL), ACTION_DENY);
	device.ids[ID_VENDOR] = 2;
	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_RULE), ACTION_REMOVE);
	device.ids[ID_VENDOR] = 3;
	moment.is_frozen = false;
	assert_int_equal(action_at(policy, &device, &moment, DECIDED_BY_SEAL), ACTION_DENY);
	/* what was authorized before is not touched, nor what nobody can refuse */
	device.ino = 9;
	device.authorized = 1;
	assert_false(phase_is_sealed(&phase, &device));
	device.authorized = -1;
	assert_false(phase_is_sealed(&phase, &device));
	device.authorized = 0;
	assert_true(phase_is_sealed(&phase, &device));
	device.authorized = 1;
	device.ino = 10;
	assert_true(phase_is_sealed(&phase, &device));
}

static bool speaks_of_usb(const char *text)
{
	_cleanup_policy_ struct Policy *policy = policy_of(text);

	return policy_speaks_of(policy, BUS_USB);
}

static void test_a_policy_speaks_of_what_its_rules_and_defaults_can_fit(void **state)
{
	(void)state;
	assert_true(speaks_of_usb("version: 1\n"));
	assert_true(speaks_of_usb("version: 1\ndefaults: { '*': deny }\n"));
	assert_false(speaks_of_usb("version: 1\ndefaults: { usb: kernel }\nrules:\n"
				   "- { action: deny, match: { pci: {} } }\n"));
	assert_true(speaks_of_usb("version: 1\ndefaults: { usb: kernel }\nrules:\n"
				  "- { action: deny, match: { usb: {} } }\n"));
	assert_true(speaks_of_usb("version: 1\ndefaults: { usb: kernel }\nrules:\n"
				  "- { action: deny, match: { modalias: '*' } }\n"));
}

static void test_what_is_exempt_takes_no_room_of_a_rule(void **state)
{
	_cleanup_policy_ struct Policy *policy =
		policy_of("version: 1\nrules:\n"
			  "- { action: allow, match: { usb: {} }, count: { max: 1 } }\n");
	struct Device hub = {.bus = BUS_USB, .sysname = (char *)"usb1", .ino = 1};
	struct Device device = {.bus = BUS_USB, .sysname = (char *)"1-1", .ino = 2};
	struct Decision decisions[2];

	assert_int_equal(policy_decide_all(policy, (struct Device *[]){&hub, &device}, 2, NULL,
					   NULL, decisions),
			 0);
	assert_int_equal(decisions[0].by, DECIDED_BY_EXEMPTION);
	assert_int_equal(decisions[1].by, DECIDED_BY_RULE);
	/* nor has the freeze anything to say of it */
	assert_int_equal(
		action_at(policy, &hub, &(struct Moment){.is_frozen = true}, DECIDED_BY_EXEMPTION),
		ACTION_KERNEL);
}

/* --- the built-in list --- */

static void expect_hardened(struct Device device, const char *expected)
{
	const char *driver;

	assert_true(hardened_find(&device, &driver));
	if (expected)
		assert_string_equal(driver, expected);
	else
		assert_null(driver);
}

static void expect_not_hardened(struct Device device)
{
	const char *driver;

	assert_false(hardened_find(&device, &driver));
}

static void test_listed_pci_devices_are_admitted_for_one_driver(void **state)
{
	expect_hardened(pci(0x1af4, 0x1041, 0x020000), "virtio-pci");
	/* a lying class code, and an ordinary NIC dressed as a bridge, get no other driver */
	expect_hardened(pci(0x1af4, 0x1042, 0x010601), "virtio-pci");
	expect_hardened(pci(0x8086, 0x100e, 0x060400), "pcieport");
	expect_hardened(pci(0x1b36, 0x000c, 0x060401), "pcieport");
}

static void test_listed_ids_with_a_class_that_more_than_drivers_go_by_are_not(void **state)
{
	expect_not_hardened(pci(0x1af4, 0x1041, 0x0c0330));
	expect_not_hardened(pci(0x1af4, 0x1042, 0x030000));
	expect_not_hardened(pci(0x1af4, 0x1042, 0x000100));
	expect_not_hardened(pci(0x1af4, 0x1042, 0x060100));
	expect_hardened(pci(0x1af4, 0x1042, 0x0c0500), "virtio-pci");
	expect_hardened(pci(0x1af4, 0x1042, 0x000200), "virtio-pci");
}

static void test_unlisted_devices_are_not(void **state)
{
	expect_not_hardened(pci(0x8086, 0x10d3, 0x020000));
	expect_not_hardened(pci(0x1af4, 0x1045, 0x00ff00)); /* balloon */
	expect_not_hardened(pci(0x1af5, 0x1041, 0x020000));
	expect_not_hardened(pci(0x8086, 0x2918, 0x060100));
}

static void test_every_acpi_id_must_be_listed(void **state)
{
	struct Device device = {.bus = BUS_ACPI, .sysname = (char *)"PNP0A08:00"};

	device.modalias = (char *)"acpi:PNP0A08:PNP0A03:";
	expect_hardened(device, NULL);
	device.modalias = (char *)"acpi:PNP0A08:PNP0501:";
	expect_not_hardened(device);
	device.modalias = (char *)"acpi:PNP0A0:";
	expect_not_hardened(device);
	device.modalias = (char *)"acpi:";
	expect_not_hardened(device);
	device.modalias = NULL;
	expect_not_hardened(device);
	device = (struct Device){.bus = BUS_PNP, .text_ids = (char *)"PNP0B00\nPNP0501"};
	expect_not_hardened(device);
	device.text_ids = (char *)"PNP0B00";
	expect_hardened(device, NULL);
}

static void test_pnp_ids_are_known_in_lower_case(void **state)
{
	struct Device device = {.bus = BUS_PNP, .text_ids = (char *)"PNP0c01\nPNP0c02"};

	expect_hardened(device, NULL);
	device = (struct Device){.bus = BUS_ACPI, .modalias = (char *)"acpi:PNP0c01:"};
	expect_not_hardened(device);
}

static void test_an_acpi_device_is_listed_by_what_it_shows_as(void **state)
{
	struct Device device = {.bus = BUS_ACPI};

	device.modalias = (char *)"acpi:PNP0B00:";
	expect_hardened(device, NULL);
	device.modalias = (char *)"acpi:LNRO0005:";
	expect_hardened(device, NULL);
	device.modalias = (char *)"acpi:virtio-mmio:";
	expect_not_hardened(device);
	device = (struct Device){.bus = BUS_PNP, .text_ids = (char *)"PNP0A03"};
	expect_hardened(device, NULL);
}

static void test_platform_devices_go_by_their_names(void **state)
{
	struct Device device = {.bus = BUS_PLATFORM, .sysname = (char *)"LNRO0005:00"};

	expect_hardened(device, "virtio-mmio");
	device.sysname = (char *)"virtio-mmio.0";
	expect_hardened(device, "virtio-mmio");
	device.sysname = (char *)"i8042";
	expect_not_hardened(device);
	device.sysname = (char *)"LNRO0005";
	expect_not_hardened(device);
}

/* --- verdicts --- */

static void expect_verdict(const struct Policy *policy, const struct Device *device,
			   const char *word, const char *driver, const char *why)
{
	struct Decision decision;
	struct Verdict verdict;

	policy_decide(policy, device, NULL, &decision);
	assert_int_equal(verdict_of(device, &decision, false, &verdict), 0);
	assert_string_equal(verdict.word, word);
	assert_true(streq_or_null(verdict.driver, driver));
	assert_string_equal(verdict.why, why);
	verdict_done(&verdict);
}

static void test_verdict_says_who_decides(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\n"
		"rules: [ { name: n, action: deny, match: { pci: { vendor: 0x1234 } } } ]\n");
	struct Device device = pci(0x1af4, 0x1041, 0x020000);
	struct Device hub = {.bus = BUS_USB, .sysname = (char *)"usb1"};
	struct Rule rule = {.file = "p.yaml", .line = 1};
	struct Verdict verdict;

	expect_verdict(policy, &device, "allow", "virtio-pci",
		       "default for pci: on tdx-auth's list of hardened devices");
	device.ids[ID_DEVICE] = 0x1045;
	expect_verdict(policy, &device, "deny", NULL,
		       "default for pci: not on tdx-auth's list of hardened devices");
	device.ids[ID_VENDOR] = 0x1234;
	expect_verdict(policy, &device, "deny", NULL, "p.yaml:n");
	/* what the kernel shows goes before what the list would say */
	device = pci(0x1af4, 0x1041, 0x020000);
	device.authorized = 0;
	device.authorized_by = ORIGIN_CMDLINE;
	expect_verdict(policy, &device, "deny", NULL, "default for pci: the kernel's command line");
	/* the older vendor attribute: nothing to hold a driver with */
	rule.driver = (char *)"igb";
	assert_int_equal(verdict_of(&device, &(struct Decision){ACTION_ALLOW, "igb", &rule}, false,
				    &verdict),
			 0);
	assert_string_equal(verdict.word, "deny");
	verdict_done(&verdict);
	expect_verdict(policy, &hub, "-", NULL, "root hub: part of its controller");
}

static void test_verdict_shows_that_user_space_decided_otherwise(void **state)
{
	_cleanup_policy_ struct Policy *policy = policy_of(
		"version: 1\n"
		"rules: [ { name: n, action: deny, match: { pci: { vendor: 0x1 } } } ]\n");
	struct Device device = pci(1, 2, 3);

	device.authorized = 0;
	device.authorized_by = ORIGIN_USER;
	expect_verdict(policy, &device, "deny", NULL, "p.yaml:n");
	device.authorized = 1;
	expect_verdict(policy, &device, "deny", NULL,
		       "p.yaml:n; authorized by hand, or by a former policy");
}

static const char *audit_word(enum Origin origin)
{
	struct Device device = pci(1, 2, 3);
	struct Decision decision = {.action = ACTION_KERNEL};
	struct Verdict verdict;
	const char *word;

	device.authorized = 1;
	device.authorized_by = origin;
	assert_int_equal(verdict_of(&device, &decision, true, &verdict), 0);
	word = verdict.word;
	verdict_done(&verdict);
	return word;
}

/* In audit mode all devices read as authorized; what is asked is what enforce would do. */
static void test_verdict_in_audit_mode_is_that_of_enforce(void **state)
{
	assert_string_equal(audit_word(ORIGIN_DEFAULT), "deny");
	assert_string_equal(audit_word(ORIGIN_BUILTIN), "allow");
	assert_string_equal(audit_word(ORIGIN_CMDLINE), "kernel");
}

/* --- plans --- */

static enum EnforcePlan plan(const struct Device *device, enum Action action, const char *driver,
			     struct EnforceRequest *ret)
{
	struct Decision decision = {.action = action, .driver = driver};
	const char *why;

	return enforce_plan(device, &decision, ret, &why);
}

static void test_plan_writes_only_what_differs(void **state)
{
	struct Device device = pci(1, 2, 3);
	struct EnforceRequest request;

	device.authorized_driver = (char *)"";
	device.authorized = 0;
	assert_int_equal(plan(&device, ACTION_DENY, NULL, &request), PLAN_NOTHING);
	assert_int_equal(plan(&device, ACTION_KERNEL, NULL, &request), PLAN_NOTHING);
	assert_int_equal(plan(&device, ACTION_ALLOW, "x", &request), PLAN_WRITE);
	assert_true(request.authorize && request.set_driver);
	assert_string_equal(request.driver, "x");
	device.authorized = 1;
	assert_int_equal(plan(&device, ACTION_ALLOW, NULL, &request), PLAN_NOTHING);
	assert_int_equal(plan(&device, ACTION_ALLOW, "x", &request), PLAN_WRITE);
	assert_int_equal(plan(&device, ACTION_DENY, NULL, &request), PLAN_WRITE);
	assert_false(request.authorize);
	device.authorized_driver = (char *)"x";
	assert_int_equal(plan(&device, ACTION_ALLOW, "x", &request), PLAN_NOTHING);
}

static void test_plan_removes_what_can_be_and_refuses_what_cannot(void **state)
{
	struct Device device = pci(1, 2, 3);
	struct EnforceRequest request;

	/* on a kernel that cannot refuse it, too */
	assert_int_equal(plan(&device, ACTION_REMOVE, NULL, &request), PLAN_WRITE);
	assert_true(request.remove && !request.authorize);
	device.authorized = 1;
	assert_int_equal(plan(&device, ACTION_REMOVE, NULL, &request), PLAN_WRITE);
	assert_true(request.remove && !request.authorize);
	device.bus = BUS_VIRTIO;
	assert_int_equal(plan(&device, ACTION_REMOVE, NULL, &request), PLAN_UNSUPPORTED);
	assert_false(request.remove || request.authorize);
}

static void test_plan_refuses_where_a_driver_cannot_be_held_to(void **state)
{
	struct Device device = pci(1, 2, 3);
	struct EnforceRequest request = {.authorize = true};

	device.authorized = 1; /* the older vendor attribute: no authorized_driver */
	assert_int_equal(plan(&device, ACTION_ALLOW, "x", &request), PLAN_UNSUPPORTED);
	assert_false(request.authorize);
}

static void test_plan_lifts_a_restriction_that_no_rule_makes_any_more(void **state)
{
	struct Device device = pci(1, 2, 3);
	struct EnforceRequest request;

	device.authorized = 1;
	device.authorized_by = ORIGIN_USER;
	device.authorized_driver = (char *)"x";
	assert_int_equal(plan(&device, ACTION_ALLOW, NULL, &request), PLAN_WRITE);
	assert_true(request.authorize && request.forget && !request.set_driver);
	device.authorized_driver = (char *)"";
	assert_int_equal(plan(&device, ACTION_ALLOW, NULL, &request), PLAN_NOTHING);
	/* what the built-in list holds a device to is no earlier rule's */
	device = pci(0x1af4, 0x1041, 0x020000);
	device.authorized = 1;
	device.authorized_by = ORIGIN_USER;
	device.authorized_driver = (char *)"virtio-pci";
	assert_int_equal(plan(&device, ACTION_ALLOW, NULL, &request), PLAN_NOTHING);
}

static void test_plan_gives_a_users_decision_back_to_the_kernel(void **state)
{
	struct Device device = pci(1, 2, 3);
	struct EnforceRequest request;

	device.authorized = 1;
	device.authorized_by = ORIGIN_USER;
	assert_int_equal(plan(&device, ACTION_KERNEL, NULL, &request), PLAN_WRITE);
	assert_true(request.to_default && !request.authorize);
	device.authorized_by = ORIGIN_BUILTIN;
	assert_int_equal(plan(&device, ACTION_KERNEL, NULL, &request), PLAN_NOTHING);
}

static void test_plan_says_what_the_kernel_cannot(void **state)
{
	struct Device device = pci(1, 2, 3);
	struct EnforceRequest request;

	assert_int_equal(plan(&device, ACTION_DENY, NULL, &request), PLAN_UNSUPPORTED);
	assert_int_equal(plan(&device, ACTION_ALLOW, NULL, &request), PLAN_NOTHING);
	assert_int_equal(plan(&device, ACTION_ALLOW, "x", &request), PLAN_UNSUPPORTED);
	assert_false(request.authorize);
}

static void test_plan_leaves_root_hubs_alone(void **state)
{
	struct Device hub = {.bus = BUS_USB, .sysname = (char *)"usb1", .authorized = 1};
	struct EnforceRequest request;

	assert_int_equal(plan(&hub, ACTION_DENY, NULL, &request), PLAN_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masked_ids_fit_any_digit_in_the_place_of_x),
		cmocka_unit_test(test_an_attribute_that_is_not_there_fits_nothing),
		cmocka_unit_test(test_ids_that_a_device_lists_beside_others),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_parents_and_ancestors),
		cmocka_unit_test(test_names_fit_addresses_and_platform_devices),
		cmocka_unit_test(test_a_rule_that_does_not_fit_names_the_first_key_that_fails),
		cmocka_unit_test(test_when_is_part_of_what_must_fit),
		cmocka_unit_test(test_over_its_count_a_rule_takes_away),
		cmocka_unit_test(test_after_the_freeze_only_rules_that_say_so_admit),
		cmocka_unit_test(test_after_the_seal_nothing_is_given),
		cmocka_unit_test(test_a_policy_speaks_of_what_its_rules_and_defaults_can_fit),
		cmocka_unit_test(test_what_is_exempt_takes_no_room_of_a_rule),
		cmocka_unit_test(test_first_rule_that_matches_wins),
		cmocka_unit_test(test_all_conditions_of_a_rule_must_hold),
		cmocka_unit_test(test_ids_of_one_bus_never_match_on_another),
		cmocka_unit_test(test_an_id_that_could_not_be_read_matches_nothing),
		cmocka_unit_test(test_a_rule_without_name_is_shown_by_its_line),
		cmocka_unit_test(test_listed_pci_devices_are_admitted_for_one_driver),
		cmocka_unit_test(test_listed_ids_with_a_class_that_more_than_drivers_go_by_are_not),
		cmocka_unit_test(test_unlisted_devices_are_not),
		cmocka_unit_test(test_every_acpi_id_must_be_listed),
		cmocka_unit_test(test_pnp_ids_are_known_in_lower_case),
		cmocka_unit_test(test_an_acpi_device_is_listed_by_what_it_shows_as),
		cmocka_unit_test(test_platform_devices_go_by_their_names),
		cmocka_unit_test(test_verdict_says_who_decides),
		cmocka_unit_test(test_verdict_shows_that_user_space_decided_otherwise),
		cmocka_unit_test(test_verdict_in_audit_mode_is_that_of_enforce),
		cmocka_unit_test(test_plan_writes_only_what_differs),
		cmocka_unit_test(test_plan_removes_what_can_be_and_refuses_what_cannot),
		cmocka_unit_test(test_plan_refuses_where_a_driver_cannot_be_held_to),
		cmocka_unit_test(test_plan_lifts_a_restriction_that_no_rule_makes_any_more),
		cmocka_unit_test(test_plan_gives_a_users_decision_back_to_the_kernel),
		cmocka_unit_test(test_plan_says_what_the_kernel_cannot),
		cmocka_unit_test(test_plan_leaves_root_hubs_alone),
	};

	return RUN_TESTS("match", tests);
}
