/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-refusal.h"

#include <sys/utsname.h>

#include "decide.h"
#include "module-tree.h"
#include "policy-of.h"

#define NIC "pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00"

static struct ModuleRefusals *refusals;

static bool is_memory_short;

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
	return is_memory_short ? NULL : __real_strdup(s);
}

static void put_aliases(const char *text)
{
	_cleanup_free_ char *path = NULL;
	struct utsname running;

	assert_int_equal(uname(&running), 0);
	assert_true(asprintf(&path, "/lib/modules/%s/modules.alias", running.release) > 0);
	tree_put(path, text);
}

static int setup(void **state)
{
	assert_int_equal(tree_make(state), 0);
	assert_int_equal(setenv("TDX_AUTH_MODULE_ROOT", tree_root, 1), 0);
	put_aliases("# Aliases extracted from modules themselves.\n"
		    "alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\n"
		    "alias pci:v00008086d*sv*sd*bc02sc00i00 generic-nic\n"
		    "alias pci:v00001B36d00000010sv*sd*bc*sc*i* nvme\n"
		    "alias acpi*:LNXPWRBN:* button\n"
		    "alias platform:some-device some_device\n"
		    "alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage\n"
		    "alias usb:v*p*d*dc*dsc*dp*ic08isc06ip62in* uas\n"
		    "alias usb:v*p*d*dc*dsc*dp*ic03isc*ip*in* usbhid\n"
		    "alias nonsense\nalias [ x\nalias\n");
	assert_int_equal(module_refusals_new(NULL, &refusals), 0);
	return 0;
}

static int teardown(void **state)
{
	module_refusals_free(refusals);
	return tree_remove(state);
}

static void modprobe(const char *text)
{
	tree_put("/etc/modprobe.d/own.conf", text);
	assert_true(module_refusals_reread(refusals) >= 0);
}

/* Fails unless it is refused by @line of own.conf, 0 for not at all. */
static void expect_device(const struct Device *device, unsigned line)
{
	const char *by = module_refusals_find(refusals, device);
	char place[64];

	(void)snprintf(place, sizeof(place), "/etc/modprobe.d/own.conf:%u", line);
	if (line == 0 ? by != NULL : !streq_or_null(by, place))
		fail_msg("%s: refused by %s", device->modalias, by ? by : "nothing");
}

static void expect(const char *modalias, unsigned line)
{
	expect_device(&(struct Device){.bus = BUS_PCI, .modalias = (char *)modalias}, line);
	/* and as it was remembered */
	expect_device(&(struct Device){.bus = BUS_PCI, .modalias = (char *)modalias}, line);
}

static void test_a_device_is_refused_where_all_its_modules_are(void **state)
{
	expect(NIC, 0);
	modprobe("blacklist e1000e\n");
	expect(NIC, 0); /* another one knows it */
	modprobe("blacklist nvme\nblacklist e1000e\ninstall generic_* /bin/false\n");
	expect(NIC, 2);
	expect("pci:v00001B36d00000010sv0sd0bc01sc08i02", 1);
	expect("pci:v00001B36d00000011sv0sd0bc01sc08i02", 0); /* no module knows it */
	expect("pci:v00008086d00001111sv00000000sd00000000bc02sc00i00", 3);
	modprobe("");
	expect(NIC, 0);
}

static void test_dashes_in_modaliases_are_underscores(void **state)
{
	modprobe("blacklist some-device\n");
	expect("platform:some-device", 1);
	expect("platform:some_device", 1);
}

static void test_a_usb_device_is_refused_where_none_of_its_interfaces_has_another(void **state)
{
	uint32_t interfaces[] = {0x080650, 0x080662, 0xff0000};
	char stick[] = "usb:v0001p0002d0000dc00dsc00dp00";
	struct Device device = {
		.bus = BUS_USB, .modalias = stick, .interfaces = interfaces, .n_interfaces = 3};

	assert_false(module_refusals_need_interfaces(refusals));
	modprobe("blacklist usb_storage\n");
	assert_true(module_refusals_need_interfaces(refusals));
	expect_device(&device, 0);
	modprobe("blacklist uas\nblacklist usb_storage\n");
	expect_device(&device, 2);
	interfaces[2] = 0x030101;
	expect_device(&device, 0);
	device.n_interfaces = 0;
	expect_device(&device, 0);
	modprobe("blacklist nvme\n");
	assert_false(module_refusals_need_interfaces(refusals));
}

static void test_what_tdx_auth_rendered_refuses_no_device(void **state)
{
	tree_put("/etc/modprobe.d/00-tdx-auth.conf", "install * /bin/false\n");
	modprobe("install * /usr/lib/tdx-auth/tdx-auth-modgate\n");
	expect(NIC, 0);
}

static void test_an_alias_to_off_takes_the_place_of_all_modules(void **state)
{
	modprobe("alias pci:v00008086d000010D3* off\n");
	expect(NIC, 1);
	expect("pci:v00001B36d00000010sv0sd0bc01sc08i02", 0);
	/* another of modprobe.d's own stands beside it */
	modprobe("alias pci:v00008086d* generic-nic\nalias pci:v00008086d000010D3* off\n");
	expect(NIC, 0);
	modprobe("alias pci:v00008086d* generic-nic\nalias pci:v00008086d000010D3* off\n"
		 "blacklist generic-nic\n");
	expect(NIC, 3);
	/* and takes the place of those that are not refused */
	modprobe("alias pci:v00008086d000010D3* vfio-pci\nblacklist vfio_pci\n");
	expect(NIC, 2);
	modprobe("alias pci:v00008086d000010D3* vfio-pci\nblacklist e1000e\n"
		 "blacklist generic_nic\n");
	expect(NIC, 0);
	/* the names of modules are no modaliases */
	modprobe("alias e1000e off\nalias generic_nic off\nalias off\nalias\n");
	expect(NIC, 0);
	modprobe("alias * off\n");
	assert_true(module_refusals_need_interfaces(refusals));
}

static void test_a_change_of_an_alias_is_one_of_answers(void **state)
{
	modprobe("alias pci:v00008086d* other\nblacklist e1000e\nblacklist generic_nic\n");
	assert_int_equal(module_refusals_reread(refusals), 0);
	tree_put("/etc/modprobe.d/own.conf", "alias pci:v00008087d* other\nblacklist e1000e\n"
					     "blacklist generic_nic\n");
	assert_int_equal(module_refusals_reread(refusals), 1);
	expect(NIC, 2);
}

static void test_the_kernels_command_line_refuses_too(void **state)
{
	struct Device device = {.bus = BUS_PCI,
				.modalias = (char *)"pci:v00001B36d00000010sv0sd0bc01sc08i02"};

	tree_put("/proc/cmdline",
		 "quiet x=\"a modprobe.blacklist=e1000e b\" "
		 "\"modprobe.blacklist=,some-device,nvme\" nomodprobe.blacklist=x\n");
	modprobe("");
	assert_string_equal(module_refusals_find(refusals, &device), "/proc/cmdline:1");
	expect(NIC, 0);
	device.modalias = (char *)"platform:some-device";
	assert_string_equal(module_refusals_find(refusals, &device), "/proc/cmdline:1");
}

static void test_without_modules_nothing_is_refused(void **state)
{
	put_aliases("");
	modprobe("blacklist e1000e\ninstall * /bin/true\n");
	expect(NIC, 0);
	expect("", 0);
	assert_null(module_refusals_find(NULL, &(struct Device){.bus = BUS_PCI}));
	assert_null(module_refusals_find(refusals, &(struct Device){.bus = BUS_PCI}));
}

static void test_places_outlive_what_was_read(void **state)
{
	struct Device device = {.bus = BUS_PCI, .modalias = (char *)"platform:some-device"};
	const char *by;

	modprobe("blacklist some_device\n");
	by = module_refusals_find(refusals, &device);
	modprobe("\nblacklist some_device\n");
	assert_string_equal(by, "/etc/modprobe.d/own.conf:1");
	modprobe("blacklist some_device\n");
	assert_ptr_equal(by, module_refusals_find(refusals, &device));
}

/* Where a modalias cannot be made, nobody can tell what it is refused for. */
static void test_a_device_is_refused_where_memory_is_short(void **state)
{
	struct Device unknown = {.bus = BUS_PCI,
				 .modalias = (char *)"pci:v00000000d00000000sv0sd0bc0sc0i0"};

	modprobe("blacklist uas\n");
	assert_null(module_refusals_find(refusals, &unknown));
	is_memory_short = true;
	assert_string_equal(module_refusals_find(refusals, &unknown), "modprobe.d (out of memory)");
	is_memory_short = false;
	assert_null(module_refusals_find(refusals, &unknown));
}

static void test_what_changes_no_answer_is_no_change(void **state)
{
	modprobe("blacklist nvme\n");
	assert_int_equal(module_refusals_reread(refusals), 0);
	tree_put("/etc/modprobe.d/other.conf", "blacklist no_such_module\noptions nvme a=1\n");
	assert_int_equal(module_refusals_reread(refusals), 0);
	tree_put("/etc/modprobe.d/own.conf", "\nblacklist nvme\n");
	assert_int_equal(module_refusals_reread(refusals), 1);
	tree_put("/etc/modprobe.d/own.conf", "blacklist nvme\n");
	assert_int_equal(module_refusals_reread(refusals), 1);
	put_aliases("alias pci:v00001B36d00000010sv*sd*bc*sc*i* nvme\n");
	assert_int_equal(module_refusals_reread(refusals), 1);
}

/* --- decisions --- */

static struct Decision decided(const char *text, bool is_sealed)
{
	_cleanup_policy_ struct Policy *policy = policy_of(text);
	struct Device device = {.bus = BUS_PCI, .have_ids = 3, .ids = {0x1af4, 0x1042}};
	struct Moment moment = {.refused_by = "/etc/modprobe.d/own.conf:1", .is_sealed = is_sealed};
	struct Decision decision;

	policy_decide(policy, &device, &moment, &decision);
	decision.rule = NULL; /* it goes with the policy */
	return decision;
}

static void test_a_refused_device_is_denied_unless_a_rule_allows_it(void **state)
{
	struct Decision decision = decided("version: 1\n", false);
	_cleanup_free_ char *source = decision_source(&decision, BUS_PCI);

	assert_int_equal(decision.action, ACTION_DENY);
	assert_int_equal(decision.by, DECIDED_BY_MODPROBE);
	assert_string_equal(source, "/etc/modprobe.d/own.conf:1");
	decision = decided("version: 1\nrules:\n- { action: allow, match: { pci: {} } }\n", false);
	assert_int_equal(decision.action, ACTION_ALLOW);
	decision = decided("version: 1\nrules:\n- { action: allow, match: { pci: {} } }\n", true);
	assert_int_equal(decision.by, DECIDED_BY_SEAL);
	decision = decided("version: 1\nrules:\n- { action: kernel, match: { pci: {} } }\n", false);
	assert_int_equal(decision.by, DECIDED_BY_MODPROBE);
	decision = decided("version: 1\ndefaults: { pci: allow }\n", false);
	assert_int_equal(decision.by, DECIDED_BY_MODPROBE);
	decision = decided("version: 1\ndefaults: { pci: remove }\n", false);
	assert_int_equal(decision.action, ACTION_REMOVE);
	assert_int_equal(decision.by, DECIDED_BY_DEFAULT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_device_is_refused_where_all_its_modules_are),
		TEST(test_dashes_in_modaliases_are_underscores),
		TEST(test_a_usb_device_is_refused_where_none_of_its_interfaces_has_another),
		TEST(test_what_tdx_auth_rendered_refuses_no_device),
		TEST(test_an_alias_to_off_takes_the_place_of_all_modules),
		TEST(test_a_change_of_an_alias_is_one_of_answers),
		TEST(test_the_kernels_command_line_refuses_too),
		TEST(test_without_modules_nothing_is_refused),
		TEST(test_places_outlive_what_was_read),
		TEST(test_a_device_is_refused_where_memory_is_short),
		TEST(test_what_changes_no_answer_is_no_change),
		cmocka_unit_test(test_a_refused_device_is_denied_unless_a_rule_allows_it),
	};

	return RUN_TESTS("module-refusal", tests);
}
