/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-allow.h"

#include <errno.h>

#include "glob-match.h"
#include "module-tree.h"
#include "policy-of.h"

#define V "version: 1\n"

static struct {
	struct ModuleList list;
	struct ModprobeConfig config;
	struct ModuleVerdict *verdicts;
	struct Vector notes;
	int error; /* of what resolves */
} kernel;

static const struct {
	const char *alias, *module;
} aliases[] = {
	{"pci:v00001B36d0000000Dsv*sd*bc*sc*i*", "xhci_pci"},
	{"pci:v00008086d000010D3sv*sd*bc*sc*i*", "e1000e"},
	{"pci:v00008086d000010D3sv*sd*bc*sc*i*", "other_nic"},
	{"pci:v*d*sv*sd*bc01sc08i02", "nvme"},
	{"virtio:d00000002v*", "virtio_blk"},
	{"virtio:d0000001Av*", "virtiofs"},
	{"virtio:d00000008v*", "virtio_scsi"},
	{"usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*", "usbhid"},
	{"usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*", "usb_storage"},
	{"crypto-crc", "crc_a"},
	{"crypto-crc", "crc_b"},
};

static int resolve(const char *alias, char ***ret, void *userdata)
{
	size_t n = 0;

	if (kernel.error < 0)
		return kernel.error;
	*ret = calloc(ELEMENTSOF(aliases) + 1, sizeof(**ret));
	for (size_t i = 0; i < ELEMENTSOF(aliases); i++)
		if (glob_match(aliases[i].alias, alias))
			(*ret)[n++] = strdup(aliases[i].module);
	return 0;
}

static const char deps[] =
	"kernel/drivers/usb/xhci-pci.ko: kernel/drivers/usb/xhci-hcd.ko\n"
	"kernel/drivers/usb/xhci-hcd.ko:\n"
	"kernel/drivers/net/e1000e.ko: kernel/drivers/ptp/ptp.ko\n"
	"kernel/drivers/net/other_nic.ko:\n"
	"kernel/drivers/ptp/ptp.ko:\n"
	"kernel/drivers/nvme/nvme.ko: kernel/drivers/nvme/nvme-core.ko\n"
	"kernel/drivers/nvme/nvme-core.ko: kernel/lib/crc.ko\n"
	"kernel/drivers/block/virtio_blk.ko:\n"
	"kernel/drivers/usb/usb-storage.ko:\n"
	"kernel/drivers/crc_a.ko:\nkernel/crypto/crc_b.ko:\n"
	"kernel/lib/crc.ko:\n"
	"kernel/drivers/scsi/virtio_scsi.ko: kernel/drivers/scsi/scsi_mod.ko\n"
	"kernel/drivers/scsi/scsi_mod.ko:\n"
	"kernel/drivers/scsi/sd_mod.ko: kernel/drivers/scsi/scsi_mod.ko\n"
	"kernel/drivers/scsi/sr_mod.ko: kernel/drivers/scsi/scsi_mod.ko\n"
	"kernel/drivers/hid/usbhid.ko: kernel/drivers/hid/hid.ko\nkernel/drivers/hid/hid.ko:\n"
	"kernel/drivers/hid/hid-generic.ko: kernel/drivers/hid/hid.ko\n"
	"kernel/fs/guestfs.ko: kernel/drivers/virt/guest.ko\n"
	"kernel/drivers/virt/guest.ko:\n"
	"kernel/fs/virtiofs.ko:\nkernel/fs/ext4.ko:\nkernel/sound/snd.ko:\n"
	"kernel/arch/x86/events/intel/uncore.ko:\nkernel/arch/x86/crypto/aes.ko:\n"
	"updates/dkms/own.ko:\nkernel/net/a;b.ko:\n";

static int setup(void **state)
{
	assert_int_equal(tree_make(state), 0);
	tree_put("/lib/modules/1/modules.dep", deps);
	tree_put("/lib/modules/1/modules.alias",
		 "alias fs-ext4 ext4\nalias virtio:d0000001Av* virtiofs\n");
	tree_put("/lib/modules/1/modules.builtin", "kernel/drivers/tpm.ko\n");
	assert_int_equal(module_list_read(tree_root, "1", &kernel.list), 0);
	return 0;
}

static void forget(void)
{
	module_verdicts_free(kernel.verdicts, kernel.list.n);
	kernel.verdicts = NULL;
	for (size_t i = 0; i < kernel.notes.n; i++)
		free(((char **)kernel.notes.data)[i]);
	vector_done(&kernel.notes);
	modprobe_config_done(&kernel.config);
}

static int teardown(void **state)
{
	forget();
	module_list_done(&kernel.list);
	kernel.error = 0;
	return tree_remove(state);
}

static int judge_with(const char *text, const char *modprobe, struct Device *device)
{
	_cleanup_policy_ struct Policy *policy = policy_of(text);
	struct Decision decision = {0};
	struct ModuleQuestion question = {.policy = policy,
					  .list = &kernel.list,
					  .config = &kernel.config,
					  .devices = &device,
					  .decisions = &decision,
					  .n_devices = device ? 1 : 0,
					  .resolve = resolve};

	forget();
	assert_int_equal(
		modprobe_config_parse(&kernel.config, "a.conf", modprobe, strlen(modprobe)), 0);
	if (device)
		policy_decide(policy, device, NULL, &decision);
	return modules_judge(&question, &kernel.verdicts, &kernel.notes);
}

static void judge(const char *text)
{
	assert_int_equal(judge_with(text, "", NULL), 0);
}

static const struct ModuleVerdict *verdict(const char *name)
{
	const struct Module *module = module_list_find(&kernel.list, name);

	assert_non_null(module);
	return &kernel.verdicts[module_number(&kernel.list, module)];
}

static void expect(const char *name, enum ModuleReason reason, const char *why)
{
	_cleanup_free_ char *text = module_verdict_why(verdict(name));

	if (verdict(name)->reason != reason || !strstr(text, why))
		fail_msg("%s: %s, %s", name, module_reason_to_string(verdict(name)->reason), text);
}

static void test_what_is_no_driver_is_allowed_unless_strict(void **state)
{
	judge(V "defaults: { \"*\": deny }\n");
	expect("ext4", MODULE_OUTSIDE, "no driver");
	expect("aes", MODULE_OUTSIDE, "");
	expect("virtiofs", MODULE_DENIED, "nothing"); /* devices have it loaded */
	expect("snd", MODULE_DENIED, "nothing");
	expect("uncore", MODULE_DENIED, "");
	expect("own", MODULE_DENIED, "");
	expect("nvme", MODULE_DENIED, "");
	expect("virtio_blk", MODULE_DENIED, "");
	expect("tpm", MODULE_BUILTIN, "part of the kernel");
	expect("guestfs", MODULE_DENIED, "needs guest, which is denied");
	expect("guest", MODULE_DENIED, "nothing");
	expect("a;b", MODULE_DENIED, ""); /* no glob could have it */
	judge(V "modules: { strict: true }\n");
	expect("ext4", MODULE_DENIED, "");
	expect("aes", MODULE_DENIED, "");
}

static void test_the_policys_list_allows_with_its_place(void **state)
{
	judge(V "modules:\n  strict: true\n  allow: [guestfs,\n    \"nvme-*\"]\n");
	expect("guestfs", MODULE_LISTED, "\"guestfs\" at /etc/p.yaml:4");
	expect("guest", MODULE_NEEDED, "needed by guestfs");
	expect("nvme_core", MODULE_LISTED, "\"nvme-*\" at /etc/p.yaml:5");
	expect("crc", MODULE_NEEDED, "needed by nvme_core");
	expect("nvme", MODULE_DENIED, "");
}

static void test_a_rules_driver_is_allowed_with_what_it_needs(void **state)
{
	judge(V "rules:\n- { name: disk, action: allow, driver: nvme, match: { pci: { class: "
		"0x010802 } } "
		"}\n");
	expect("nvme", MODULE_RULE, "driver of the rule p.yaml:disk");
	expect("nvme_core", MODULE_NEEDED, "needed by nvme");
	assert_int_equal(kernel.notes.n, 0);
	judge(V
	      "rules:\n- { action: allow, driver: e1000e, match: { pci: { vendor: 0x8086, device: "
	      "0x10d3 } } }\n");
	expect("e1000e", MODULE_RULE, "p.yaml:3");
	expect("other_nic", MODULE_DENIED, "");
	judge(V "rules:\n- { action: allow, match: { virtio: { device: 26 } } }\n");
	expect("virtiofs", MODULE_RULE, "p.yaml:3");
	judge(V "rules:\n- { action: deny, match: { pci: { vendor: 0x8086, device: 0x10d3 } } }\n");
	expect("e1000e", MODULE_DENIED, "");
}

static void test_a_driver_in_another_module_is_found(void **state)
{
	judge(V "rules:\n- { action: allow, driver: xhci_hcd, match: { pci: { vendor: 0x1b36, "
		"device: "
		"0xd } } }\n");
	expect("xhci_pci", MODULE_RULE, "p.yaml:3");
	expect("xhci_hcd", MODULE_RULE, "");
	/* no module has its name: those that know the ids */
	judge(V "rules:\n- { action: allow, driver: \"Intel NIC\", match: { pci: { vendor: 0x8086, "
		"device: 0x10d3 } } }\n");
	expect("e1000e", MODULE_IDS, "by ids alone, as no module is called Intel NIC: p.yaml:3");
	expect("other_nic", MODULE_IDS, "");
	assert_int_equal(kernel.notes.n, 1);
	assert_non_null(
		strstr(string_at(&kernel.notes, 0),
		       "p.yaml:3: no module is called like the driver Intel NIC; by their ids "
		       "alone these are allowed for it: e1000e, other_nic"));
	judge(V "rules:\n- { action: allow, driver: gone, match: { pci: { vendor: 0x1, device: 0x1 "
		"} } "
		"}\n");
	assert_int_equal(kernel.notes.n, 1);
	assert_non_null(strstr(string_at(&kernel.notes, 0), "no module has the name"));
}

/* tpm is built in, and its name is that of a module. */
static void test_a_driver_that_is_built_in_brings_no_module_by_ids(void **state)
{
	judge(V "rules:\n- { action: allow, driver: tpm, match: { pci: { vendor: 0x8086, device: "
		"0x10d3 } } }\n");
	expect("e1000e", MODULE_DENIED, "nothing");
	expect("other_nic", MODULE_DENIED, "nothing");
}

/* A bridge by its class, that has the ids of a NIC. */
static void test_a_hardened_bridge_brings_no_module_by_ids_of_the_hosts_choice(void **state)
{
	char nic[] = "pci:v00008086d000010D3sv00000000sd00000000bc06sc04i00";
	char path[] = "/sys/devices/pci0000:00/0000:00:03.0", name[] = "0000:00:03.0";
	struct Device device = {
		.bus = BUS_PCI,
		.modalias = nic,
		.syspath = path,
		.sysname = name,
		.have_ids = 1 << ID_VENDOR | 1 << ID_DEVICE | 1 << ID_CLASS,
		.ids = {[ID_VENDOR] = 0x8086, [ID_DEVICE] = 0x10d3, [ID_CLASS] = 0x060400}};

	assert_int_equal(judge_with(V, "", &device), 0);
	expect("e1000e", MODULE_DENIED, "nothing");
	expect("other_nic", MODULE_DENIED, "nothing");
	/* who allows it without a driver wants what fits */
	assert_int_equal(judge_with(V "defaults: { pci: allow }\n", "", &device), 0);
	expect("e1000e", MODULE_DEVICE, "");
}

static void test_a_rule_without_driver_and_ids_is_noted(void **state)
{
	judge(V "rules:\n- { action: allow, match: { pci: { vendor: 0x8086 } } }\n");
	assert_int_equal(kernel.notes.n, 1);
	assert_non_null(strstr(string_at(&kernel.notes, 0), "p.yaml:3 names no driver"));
}

static void test_hardened_drivers_are_allowed_where_the_kernel_decides(void **state)
{
	judge(V);
	expect("virtio_blk", MODULE_HARDENED, "virtio_blk");
	expect("nvme", MODULE_DENIED, "");
	judge(V "defaults: { virtio: deny }\n");
	expect("virtio_blk", MODULE_DENIED, "");
	judge(V "defaults: { virtio: deny }\nrules:\n- { action: kernel, match: { virtio: { "
		"device: 2 } } }\n");
	expect("virtio_blk", MODULE_HARDENED, "");
}

static void test_devices_allow_their_driver_and_name_why_they_are_denied(void **state)
{
	char nic[] = "pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00";
	char path[] = "/sys/devices/pci0000:00/0000:00:03.0", name[] = "0000:00:03.0";
	struct Device device = {.bus = BUS_PCI,
				.modalias = nic,
				.syspath = path,
				.sysname = name,
				.have_ids = 3,
				.ids = {0x8086, 0x10d3}};

	assert_int_equal(judge_with(V "defaults: { pci: allow }\n", "", &device), 0);
	expect("e1000e", MODULE_DEVICE, "for pci:0000:00:03.0, allowed by default for pci");
	expect("other_nic", MODULE_DEVICE, "");
	expect("ptp", MODULE_NEEDED, "");
	assert_int_equal(judge_with(V "rules:\n- { name: x, action: deny, match: { pci: {} } }\n",
				    "", &device),
			 0);
	expect("e1000e", MODULE_DENIED, "fits pci:0000:00:03.0, denied by p.yaml:x");
	assert_int_equal(judge_with(V, "", &device), 0);
	expect("e1000e", MODULE_DENIED,
	       "fits pci:0000:00:03.0, not hardened and left to the kernel by default");
}

static void test_a_rule_whose_devices_are_not_there_is_noted_beside_others(void **state)
{
	char nic[] = "pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00";
	char path[] = "/sys/devices/pci0000:00/0000:00:03.0", name[] = "0000:00:03.0";
	struct Device device = {.bus = BUS_PCI,
				.modalias = nic,
				.syspath = path,
				.sysname = name,
				.have_ids = 3,
				.ids = {0x8086, 0x10d3}};

	assert_int_equal(judge_with(V "rules:\n- { action: allow, driver: nvme, match: { pci: { "
				      "vendor: 0x1, device: 0x1 } } }\n",
				    "", &device),
			 0);
	assert_int_equal(kernel.notes.n, 1);
	assert_non_null(strstr(string_at(&kernel.notes, 0), "nvme does not know the ids"));
	assert_int_equal(judge_with(V "rules:\n- { action: allow, driver: nvme, match: { pci: { "
				      "vendor: 0x8086, device: 0x10d3 } } }\n",
				    "", &device),
			 0);
	assert_int_equal(kernel.notes.n, 0);
}

static void test_usb_devices_allow_what_their_interfaces_need(void **state)
{
	char stick[] = "usb:v0001p0002d0000dc00dsc00dp00";
	char path[] = "/sys/devices/usb1/1-1", name[] = "1-1";
	uint32_t interfaces[] = {0x080650};
	struct Device device = {.bus = BUS_USB,
				.modalias = stick,
				.syspath = path,
				.sysname = name,
				.interfaces = interfaces,
				.n_interfaces = 1};

	assert_int_equal(judge_with(V "defaults: { usb: kernel }\n", "", &device), 0);
	expect("usb_storage", MODULE_DEVICE, "usb:1-1, left to the kernel");
	assert_int_equal(judge_with(V, "", &device), 0);
	expect("usb_storage", MODULE_DENIED, "fits usb:1-1, denied by");
}

static void test_soft_dependencies_come_along(void **state)
{
	assert_int_equal(judge_with(V "modules: { allow: [nvme] }\n",
				    "softdep nvme pre: crypto-crc post: snd\n"
				    "softdep nvme pre: ptp\n"
				    "softdep other_nic pre: usb_storage\n",
				    NULL),
			 0);
	expect("crc_a", MODULE_SOFT, "soft dependency of nvme");
	expect("snd", MODULE_SOFT, "");
	expect("ptp", MODULE_DENIED, ""); /* the first line alone counts */
	expect("usb_storage", MODULE_DENIED, "");
}

static void test_what_cannot_be_resolved_is_an_error(void **state)
{
	kernel.error = -EIO;
	assert_int_equal(judge_with(V, "", NULL), -EIO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_what_is_behind_an_allowed_device_has_its_plain_driver(void **state)
{
	judge(V "defaults: { \"*\": deny }\n");
	expect("sd_mod", MODULE_DENIED, "nothing");
	expect("hid_generic", MODULE_DENIED, "nothing");
	judge(V "rules: [ { action: allow, driver: virtio_scsi, match: { virtio: { device: 8 } } } "
		"]\n");
	expect("virtio_scsi", MODULE_RULE, "");
	expect("sd_mod", MODULE_BEHIND, "drives what is behind virtio_scsi");
	expect("sr_mod", MODULE_DENIED, "nothing");
	expect("hid_generic", MODULE_DENIED, "nothing");
	judge(V "modules: { allow: [usbhid] }\n");
	expect("hid_generic", MODULE_BEHIND, "usbhid");
	expect("sd_mod", MODULE_DENIED, "nothing");
	/* a bus that something needs is none that somebody meant */
	judge(V "modules: { allow: [hid] }\n");
	expect("hid_generic", MODULE_DENIED, "nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_rule_whose_devices_are_not_there_is_noted_beside_others),
		TEST(test_what_is_behind_an_allowed_device_has_its_plain_driver),
		TEST(test_what_is_no_driver_is_allowed_unless_strict),
		TEST(test_the_policys_list_allows_with_its_place),
		TEST(test_a_rules_driver_is_allowed_with_what_it_needs),
		TEST(test_a_driver_in_another_module_is_found),
		TEST(test_a_driver_that_is_built_in_brings_no_module_by_ids),
		TEST(test_a_hardened_bridge_brings_no_module_by_ids_of_the_hosts_choice),
		TEST(test_a_rule_without_driver_and_ids_is_noted),
		TEST(test_hardened_drivers_are_allowed_where_the_kernel_decides),
		TEST(test_devices_allow_their_driver_and_name_why_they_are_denied),
		TEST(test_usb_devices_allow_what_their_interfaces_need),
		TEST(test_soft_dependencies_come_along),
		TEST(test_what_cannot_be_resolved_is_an_error),
	};

	return RUN_TESTS("module-allow", tests);
}
