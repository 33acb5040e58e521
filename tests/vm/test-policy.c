/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a policy says over time, in a guest with systemd and udev: reload, counts, freeze, and the
 * verbs that look at it. */

#include "agent-protocol.h"
#include "vmtest.h"

#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define LOGGED(text) "journalctl -u tdx-authd | grep -qF '" text "'"

/* Writes a policy of these rules, in printf's format, into the guest. */
#define WRITE(rules)                                                                               \
	"mkdir -p /etc/tdx-auth/policy.d && "                                                      \
	"printf 'version: 1\\nrules:\\n" rules "' > " OWNER

#define ALLOW_NIC                                                                                  \
	"- {name: nic, action: allow, driver: e1000e, match: {pci: {device: 0x10d3}}%s}\\n"
#define RELOAD "systemctl reload tdx-authd"
/* Beside a daemon it refuses to, and what it writes would have the socket start one. */
#define APPLY "systemctl stop tdx-authd.socket tdx-authd && tdx-authctl apply"

static struct vm *up(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");

	vm_expect_soon(vm, IS_UP);
	vm_expect(vm, 0, "udevadm settle; modprobe e1000e");
	return vm;
}

static void load(struct vm *vm, const char *more)
{
	vm_expect(vm, 0, WRITE(ALLOW_NIC) " && " RELOAD, more);
}

static void expect_driver(struct vm *vm, const char *device, const char *driver)
{
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\"", device);
}

/* When a later event was served, so were those before it. */
static void settle(struct vm *vm)
{
	vm_expect(vm, 0, "udevadm settle; " RELOAD);
}

#define NICS_BESIDE                                                                                \
	"{ for d in /sys/bus/pci/devices/*; do grep -qx 0x10d3 $d/device && "                      \
	"[ $(readlink -f $d) != %s ] && readlink -f $d; done; true; }"

/* Plugs a card, and returns its directory: that of the only one but @other. */
static char *plug(struct vm *vm, const char *device, const char *other)
{
	vm_plug(vm, device);
	vm_expect_soon(vm, "[ $(" NICS_BESIDE " | wc -l) = 1 ]", other);
	return vm_output(vm, NICS_BESIDE, other);
}

static void test_reload_gives_and_takes_back(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	settle(vm);
	expect_driver(vm, device, "");
	load(vm, "");
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_driver(vm, device, "e1000e");
	/* no rule any more: the kernel's decision, which is to refuse it */
	vm_expect(vm, 0, "rm " OWNER " && " RELOAD);
	vm_expect_soon(vm, "[ ! -e %s/driver ]", device);
	vm_expect_output(vm, "default", "cat %s/authorized_by", device);
}

static void test_decision_by_hand_outlives_a_reload_and_is_shown(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	settle(vm);
	vm_expect(vm, 0, "tdx-authctl authorize pci:$(basename %s)", device);
	vm_expect(
		vm, 0,
		WRITE("- {name: no, action: deny, match: {pci: {device: 0x10d3}}}\\n") " &&"
										       " " RELOAD);
	vm_expect_soon(vm, LOGGED("stays authorized, as decided earlier in this boot"));
	expect_driver(vm, device, "e1000e");
	vm_expect(vm, 0,
		  "tdx-authctl list | grep $(basename %s) | "
		  "grep -F '50-owner.yaml:no; authorized by hand'",
		  device);
	/* asked for, the policy goes before it, and the daemon takes it for the policy's */
	vm_expect(vm, 0, APPLY);
	expect_driver(vm, device, "");
	vm_expect(vm, 0, "systemctl start tdx-authd && rm " OWNER " && " RELOAD);
	vm_expect_soon(vm, "[ $(cat %s/authorized_by) = default ]", device);
}

static void test_device_that_leaves_makes_room(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *first = NULL, *second = NULL;

	load(vm, ", count: {min: 1, max: 1}");
	vm_expect_soon(vm, LOGGED("nic: needs 1 device and admits 0"));
	first = plug(vm, NIC_DEVICE, "none");
	vm_expect_soon(vm, "[ -e %s/driver ]", first);
	second = plug(vm, "e1000e,id=nic2,bus=rp2,romfile=", first);
	vm_expect(vm, 0, "udevadm settle");
	expect_driver(vm, second, "");
	vm_expect(vm, 0, "tdx-authctl explain pci:$(basename %s) | grep 'admits no more devices'",
		  second);
	vm_unplug(vm, "nic1");
	vm_expect_soon(vm, "[ -e %s/driver ]", second);
	expect_driver(vm, second, "e1000e");
}

static void test_after_the_freeze_only_marked_rules_admit(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = NULL;

	load(vm, "");
	vm_expect(vm, 0, "tdx-authctl freeze");
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect(vm, 0, "udevadm settle");
	vm_expect(vm, 3, "tdx-authctl authorize pci:$(basename %s)", device);
	vm_expect(vm, 3, "tdx-authctl apply");
	vm_expect(vm, 0, WRITE("- {action: allow, match: {pci: {}}}\\n") " && " RELOAD);
	vm_expect_soon(vm, LOGGED("it does not change after the freeze"));
	expect_driver(vm, device, "");
	/* what was there is not touched, by a start after the freeze either */
	vm_expect(vm, 0, "systemctl restart tdx-authd && " IS_UP);
	vm_expect(vm, 0, "touch /root/alive && ls /sys/class/net | grep -qvx lo");
	expect_driver(vm, device, "");
}

#define LISTED_NICS "grep -lx 0x1041 /sys/bus/pci/devices/*/device"

/* Not by the kernel's own list either, nor by root's hand. */
static void test_after_the_seal_nothing_becomes_authorized(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *before = vm_plug_pci(vm, NIC_DEVICE, NIC), *device = NULL;

	load(vm, ", after-freeze: true");
	vm_expect_soon(vm, "[ -e %s/driver ]", before);
	vm_expect(vm, 0, "tdx-authctl seal");
	vm_expect_output(vm, "1", "cat /sys/kernel/device_authorization/lock");
	device = plug(vm, "e1000e,id=nic2,bus=rp2,romfile=", before);
	vm_plug(vm, "virtio-net-pci,id=nic3,bus=rp3,romfile=");
	vm_expect_soon(vm, "[ $(" LISTED_NICS " | wc -l) = 2 ]");
	vm_expect(vm, 0, "udevadm settle");
	vm_expect(vm, 0, "! echo 1 > %s/authorized", device);
	vm_expect(vm, 0, "systemctl restart tdx-authd && " IS_UP);
	expect_driver(vm, device, "");
	vm_expect_output(vm, "1",
			 "for d in $(" LISTED_NICS
			 "); do ls -d ${d%%/*}/driver 2>/dev/null; done | wc -l");
	expect_driver(vm, before, "e1000e");
	vm_expect(vm, 0, "tdx-authctl explain pci:$(basename %s) | grep 'after the seal'", device);
	/* taking away still works, and is not taken back */
	vm_expect(vm, 0, "tdx-authctl deny pci:$(basename %s)", before);
	expect_driver(vm, before, "");
	vm_expect(vm, 3, "tdx-authctl authorize pci:$(basename %s)", before);
}

static void restart(struct vm *vm, const char *how)
{
	vm_expect(vm, 0, "systemctl %s tdx-authd", how);
	vm_expect_soon(vm, IS_UP);
	settle(vm);
}

static void test_restart_takes_no_device_for_there_at_start_that_was_plugged(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = NULL;

	load(vm, ", when: cold");
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	settle(vm);
	expect_driver(vm, device, "");
	restart(vm, "kill -s KILL");
	expect_driver(vm, device, "");
	restart(vm, "restart");
	expect_driver(vm, device, "");
	vm_expect(vm, 0, "tdx-authctl list | grep $(basename %s) | grep -F ' deny '", device);
}

/* The later one is at the lower address: an order of paths would give it the other's place. */
static void test_restart_leaves_a_count_to_those_that_came_first(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *first = NULL, *second = NULL;

	load(vm, ", count: {max: 1}");
	first = plug(vm, "e1000e,id=nic2,bus=rp2,romfile=", "none");
	vm_expect_soon(vm, "[ -e %s/driver ]", first);
	second = plug(vm, NIC_DEVICE, first);
	settle(vm);
	expect_driver(vm, second, "");
	restart(vm, "kill -s KILL");
	expect_driver(vm, first, "e1000e");
	expect_driver(vm, second, "");
}

/* usbguard#122, usbguard#155, usbguard#589, usbguard#634: owners locked themselves out. */
static void test_policy_that_refuses_the_root_disk_is_not_loaded(void **state)
{
	struct vm *vm = up(state);

	vm_expect(vm, 0, WRITE("- {name: oops, action: deny, match: {virtio: {device: 2}}}\\n"));
	vm_expect(vm, 3, "tdx-authctl policy check 2>/run/error");
	vm_expect(vm, 0, "grep -F '50-owner.yaml:oops: virtio:virtio' /run/error");
	vm_expect(vm, 0, "grep -F 'the root file system is behind it' /run/error");
	vm_expect(vm, 0, "tdx-authctl policy check --i-know");
	vm_expect(vm, 3, "tdx-authctl apply --policy " OWNER);
	vm_expect(vm, 0, RELOAD);
	vm_expect_soon(vm, LOGGED("the former one stays in force"));
	vm_expect(vm, 0, "touch /root/alive && sync");
}

static void test_why_leads_from_disks_mounts_and_interfaces_to_devices(void **state)
{
	_cleanup_free_ char *mount = NULL, *disk = NULL, *interface = NULL;
	struct vm *vm = up(state);

	vm_expect(vm, 0, "modprobe virtio_net");
	vm_expect_soon(vm, "ls /sys/class/net | grep -qvx lo");
	vm_expect(vm, 0, "udevadm settle");
	mount = vm_output(vm, "tdx-authctl why /");
	disk = vm_output(vm, "tdx-authctl why /dev/vda");
	interface = vm_output(vm, "tdx-authctl why "
				  "$(ls /sys/bus/virtio/drivers/virtio_net/virtio*/net)");
	assert_string_equal(mount, disk);
	assert_non_null(strstr(mount, "virtio block device"));
	assert_non_null(strstr(mount, "allow virtio-pci"));
	assert_non_null(strstr(interface, "virtio network device"));
	vm_expect(vm, 0, "tdx-authctl why / --json | grep -F '\"driver\":\"virtio_blk\"'");
	vm_expect(vm, 4, "tdx-authctl why /proc");
	vm_expect(vm, 4, "tdx-authctl why /nonexistent");
	vm_expect(vm, 4, "tdx-authctl why lo");
}

static void test_snapshot_shows_what_the_host_changed(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = NULL;

	vm_expect(vm, 0, "tdx-authctl snapshot > /run/snapshot");
	vm_expect(vm, 0, "tdx-authctl diff /run/snapshot");
	vm_expect(vm, 0, "tdx-authctl snapshot | cmp - /run/snapshot");
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect(vm, 1, "tdx-authctl diff /run/snapshot > /run/diff");
	vm_expect(vm, 0, "grep -x \"added pci:$(basename %s)\" /run/diff", device);
	/* off-line, and as the machine itself says */
	vm_expect(vm, 0,
		  "tdx-authctl snapshot > /run/snapshot && "
		  "tdx-authctl policy test --snapshot /run/snapshot > /run/verdicts && "
		  "tdx-authctl policy test --snapshot /run/snapshot --expect /run/verdicts");
	vm_expect(vm, 0, "grep \"pci:$(basename %s) *deny\" /run/verdicts", device);
}

static void test_generated_policy_keeps_what_is_in_use(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	settle(vm);
	vm_expect(vm, 0, "tdx-authctl authorize pci:$(basename %s)", device);
	vm_expect(vm, 0, "mkdir -p /etc/tdx-auth/policy.d && tdx-authctl policy generate > " OWNER);
	vm_expect(vm, 0, "tdx-authctl policy check");
	vm_expect(vm, 0, APPLY);
	expect_driver(vm, device, "e1000e");
	vm_expect(vm, 0, "tdx-authctl explain pci:$(basename %s) | grep 'Outcome: *allow e1000e'",
		  device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_reload_gives_and_takes_back),
		vm_test(test_decision_by_hand_outlives_a_reload_and_is_shown),
		vm_test(test_device_that_leaves_makes_room),
		vm_test(test_after_the_freeze_only_marked_rules_admit),
		vm_test(test_after_the_seal_nothing_becomes_authorized),
		vm_test(test_restart_takes_no_device_for_there_at_start_that_was_plugged),
		vm_test(test_restart_leaves_a_count_to_those_that_came_first),
		vm_test(test_policy_that_refuses_the_root_disk_is_not_loaded),
		vm_test(test_why_leads_from_disks_mounts_and_interfaces_to_devices),
		vm_test(test_snapshot_shows_what_the_host_changed),
		vm_test(test_generated_policy_keeps_what_is_in_use),
	};

	return RUN_TESTS("policy", tests);
}
