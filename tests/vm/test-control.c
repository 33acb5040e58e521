/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What user space decides about all devices: the lock, the default of a bus; and the list. */

#include <errno.h>

#include "agent-protocol.h"
#include "vmtest.h"

#define WRITE AGENT_PATH " write"
#define LOCK "/sys/kernel/device_authorization/lock"
#define DEFAULT "/sys/bus/pci/authorized_default"
#define HARDENED "/sys/kernel/device_authorization/hardened"
#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define VIRTIO_NIC "1af4:1041"
#define VIRTIO_NIC_DEVICE "virtio-net-pci,id=nic2,bus=rp2,romfile="
#define TAINT_USER 64 /* Documentation/admin-guide/tainted-kernels.rst */

/* Root, but not the owner of the machine. */
#define CONFINED "setpriv --bounding-set -sys_admin --inh-caps -sys_admin "

static struct vm *up(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched",
			      .cmdline = "dev_auth=enforce dev_auth.deny=pci:1af4:1041");

	vm_expect(vm, 0, "modprobe e1000e");
	return vm;
}

static void expect_state(struct vm *vm, const char *device, const char *state, const char *driver)
{
	vm_expect_output(vm, state, "echo $(cat %s/authorized %s/authorized_by)", device, device);
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\"", device);
}

static void test_locked_nothing_becomes_authorized(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=enforce");
	_cleanup_free_ char *nic = NULL, *plugged = NULL, *first = NULL;

	vm_expect(vm, 0, "modprobe e1000e");
	first = vm_find_pci(vm, VIRTIO_NIC);
	nic = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_output(vm, "0", "cat " LOCK);
	vm_expect(vm, 0, WRITE " " LOCK " 1");
	vm_expect_output(vm, "1", "cat " LOCK);
	vm_expect(vm, EPERM, WRITE " " LOCK " 0");
	vm_expect(vm, EPERM, WRITE " %s/authorized 1", nic);
	expect_state(vm, nic, "0 default", "");
	/* what is authorized stays so, and by whom it is so */
	vm_expect(vm, 0, WRITE " %s/authorized 1", first);
	expect_state(vm, first, "1 builtin", "virtio-pci");
	/* what the list admits and comes late does not get in */
	vm_expect(vm, 0, WRITE " %s/authorized 0", first);
	vm_expect(vm, EPERM, WRITE " %s/authorized default", first);
	expect_state(vm, first, "0 user", "");
	vm_plug(vm, VIRTIO_NIC_DEVICE);
	vm_expect_soon(vm, "[ $(cat /sys/bus/pci/devices/*/device | grep -c 0x1041) = 2 ]");
	plugged = vm_output(vm,
			    "for d in /sys/bus/pci/devices/*; do grep -q 0x1041 $d/device && "
			    "[ $(readlink -f $d) != %s ] && readlink -f $d; done",
			    first);
	expect_state(vm, plugged, "0 user", "");
}

static void test_tool_says_that_the_kernel_is_locked(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=enforce");
	_cleanup_free_ char *nic = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, WRITE " " LOCK " 1");
	vm_expect(vm, 1, "tdx-authctl authorize %s > /run/said 2>&1", nic);
	vm_expect(vm, 0, "grep -q 'authorization is locked' /run/said");
	expect_state(vm, nic, "0 default", "");
}

static void test_loosening_and_locking_need_cap_sys_admin(void **state)
{
	struct vm *vm = up(state);

	vm_expect(vm, 0, CONFINED "grep -q '^CapEff:.*[014589cd].....$' /proc/self/status");
	vm_expect(vm, EPERM, CONFINED WRITE " " DEFAULT " 1");
	vm_expect_output(vm, "builtin", "cat " DEFAULT);
	vm_expect(vm, 0, CONFINED WRITE " " DEFAULT " 0");
	vm_expect_output(vm, "0", "cat " DEFAULT);
	vm_expect(vm, EPERM, CONFINED WRITE " " DEFAULT " builtin");
	vm_expect(vm, EPERM, CONFINED WRITE " " DEFAULT " 1");
	vm_expect_output(vm, "0", "cat " DEFAULT);
	vm_expect(vm, EPERM, CONFINED WRITE " " LOCK " 1");
	vm_expect_output(vm, "0", "cat " LOCK);
	vm_expect(vm, 1, "dmesg | grep -q 'devices are authorized that no list knows'");
	vm_expect(vm, 0, WRITE " " DEFAULT " builtin");
	vm_expect_output(vm, "builtin", "cat " DEFAULT);
	vm_expect_output(vm, "0", "echo $(($(cat /proc/sys/kernel/tainted) & %d))", TAINT_USER);
}

static void test_default_0_suspends_the_lists(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched",
			      .cmdline = "dev_auth=enforce dev_auth.allow=pci:8086:10d3");
	_cleanup_free_ char *nic = NULL;

	vm_expect(vm, 0, "modprobe e1000e");
	vm_expect_output(vm, "builtin", "cat " DEFAULT);
	vm_expect(vm, 0, WRITE " " DEFAULT " 0");
	nic = vm_plug_pci(vm, NIC_DEVICE, NIC);
	expect_state(vm, nic, "0 user", "");
	vm_expect(vm, 0, WRITE " " DEFAULT " builtin");
	expect_state(vm, nic, "0 user", "");
	vm_expect(vm, 0, WRITE " %s/authorized default", nic);
	expect_state(vm, nic, "1 cmdline", "e1000e");
}

static void test_default_1_authorizes_all_but_the_denied_warns_and_taints(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *nic = NULL, *denied = vm_find_pci(vm, VIRTIO_NIC);

	vm_expect_output(vm, "0", "echo $(($(cat /proc/sys/kernel/tainted) & %d))", TAINT_USER);
	vm_expect(vm, 0, WRITE " " DEFAULT " 1");
	vm_expect_output(vm, "64", "echo $(($(cat /proc/sys/kernel/tainted) & %d))", TAINT_USER);
	vm_expect(vm, 0, "dmesg | grep -q 'bus pci: devices are authorized that no list knows'");
	nic = vm_plug_pci(vm, NIC_DEVICE, NIC);
	expect_state(vm, nic, "1 user", "e1000e");
	vm_expect(vm, 0, WRITE " %s/authorized default", denied);
	expect_state(vm, denied, "0 cmdline", "");
}

static void test_hardened_shows_the_list(void **state)
{
	struct vm *vm = up(state);

	vm_expect(vm, 0, "grep -qx 'pci class=0x060400/0xffff00 driver=pcieport' " HARDENED);
	vm_expect(vm, 0, "grep -qx 'pci vendor=0x1af4 device=0x1041 driver=virtio-pci' " HARDENED);
	vm_expect(vm, 0, "grep -qx 'virtio device=0x0002 driver=virtio_blk' " HARDENED);
	vm_expect(vm, 0, "grep -qx 'acpi name=PNP0A08 driver=pci_root' " HARDENED);
	vm_expect(vm, 1, "grep -q PRP0001 " HARDENED);
	vm_expect(vm, EACCES, WRITE " " HARDENED " 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_locked_nothing_becomes_authorized),
		vm_test(test_tool_says_that_the_kernel_is_locked),
		vm_test(test_loosening_and_locking_need_cap_sys_admin),
		vm_test(test_default_0_suspends_the_lists),
		vm_test(test_default_1_authorizes_all_but_the_denied_warns_and_taints),
		vm_test(test_hardened_shows_the_list),
	};

	return RUN_TESTS("control", tests);
}
