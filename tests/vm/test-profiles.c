/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Profiles on the machines that they are for, as far as QEMU is such a machine; those of clouds it
 * is not, see tests/profiles.py. */

#include "agent-protocol.h"
#include "vmtest.h"

#define DIRECTORY "/etc/tdx-auth/policy.d"
#define GENERATE "tdx-authctl policy generate --profile "
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define RELOAD "systemctl reload tdx-authd"

/* "ID DRIVER" of the virtio devices, in the order of their ids. */
#define VIRTIO                                                                                     \
	"cd /sys/bus/virtio/devices && for d in *; do "                                            \
	"echo $(cat $d/device) $(basename \"$(readlink $d/driver)\"); done | sort"

static void expect_driver(struct vm *vm, const char *device, const char *driver)
{
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\"", device);
}

static void install(struct vm *vm, const char *profile)
{
	vm_expect_soon(vm, IS_UP);
	vm_expect(vm, 0, "mkdir -p " DIRECTORY " && " GENERATE "%s > " DIRECTORY "/50-profile.yaml",
		  profile);
	/* nor does it take away what the machine runs on */
	vm_expect(vm, 0, "tdx-authctl policy check");
	vm_expect(vm, 0, RELOAD);
}

/* When a later event was served, so were those before it. */
static void settle(struct vm *vm)
{
	vm_expect(vm, 0, "udevadm settle; " RELOAD "; udevadm settle");
}

static void test_q35_gets_what_it_needs_and_volumes_after_the_freeze(void **state)
{
	static const char *const devices[] = {
		"virtio-net-pci,disable-legacy=on,romfile=", "virtio-rng-pci", NULL};
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce", .devices = devices);
	_cleanup_free_ char *volume = NULL, *card = NULL, *nic = NULL;

	install(vm, "qemu-q35");
	/* the second NIC is one too many for its transport, and shows no virtio device any more */
	vm_expect_soon(vm, "[ \"$(" VIRTIO ")\" = \"0x0001 virtio_net\n0x0002 virtio_blk\n"
			   "0x0003 virtio_console\" ]");
	vm_expect(vm, 0, "tdx-authctl freeze");
	volume = vm_plug_pci(vm, "virtio-blk-pci,id=volume,drive=null1,bus=rp1", "1af4:1042");
	vm_expect_soon(vm, "[ -e %s/virtio*/block ]", volume);
	card = vm_plug_pci(vm, "e1000e,id=card,bus=rp2,romfile=", "8086:10d3");
	nic = vm_plug_pci(vm, "virtio-net-pci-transitional,id=late,bus=rp3,romfile=", "1af4:1000");
	vm_expect(vm, 0, "udevadm settle; tdx-authctl status > /dev/null");
	expect_driver(vm, card, "");
	expect_driver(vm, nic, "");
}

/* This board has no timer that a kernel could calibrate others by: test-microvm.c. */
#define NO_TIMER "tsc_early_khz=1000000"

static void test_microvm_gets_what_it_needs(void **state)
{
	static const char *const devices[] = {"virtio-rng-device", "virtio-balloon-device", NULL};
	struct vm *vm = vm_up(state, .kernel = "patched", .microvm = true, .machine = "acpi=on",
			      .cmdline = "dev_auth=enforce " NO_TIMER, .devices = devices);

	vm_expect(vm, 0,
		  "mount -t tmpfs run /run; " GENERATE "microvm > /run/profile.yaml && "
		  "tdx-authctl policy check /run/profile.yaml && "
		  "tdx-authctl apply --policy /run/profile.yaml");
	vm_expect_output(vm, "0x0002 virtio_blk\n0x0003 virtio_console\n0x0004\n0x0005", VIRTIO);
	vm_expect_output(vm, "1", "cat /sys/bus/pnp/devices/00:00/authorized");
}

/* A guest as a stand-in, so what it boots by is let in before. */
#define GUEST                                                                                      \
	"version: 1\\nrules:\\n"                                                                   \
	"- {action: kernel, match: {virtio: {}}}\\n"                                               \
	"- {action: kernel, match: {pci: {vendor: 0x1af4}}, when: cold}\\n"

static void test_metal_gets_its_own_and_nothing_that_is_plugged(void **state)
{
	static const char *const devices[] = {"nvme,id=own,serial=own,drive=null1",
					      "qemu-xhci,id=xhci", "usb-kbd,bus=xhci.0,port=1",
					      "usb-storage,bus=xhci.0,port=2,drive=null2", NULL};
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce", .devices = devices);
	_cleanup_free_ char *own = NULL, *plugged = NULL, *listed = NULL;

	vm_expect(vm, 0,
		  "mkdir -p " DIRECTORY " && printf '" GUEST "' > " DIRECTORY "/40-guest.yaml");
	install(vm, "bare-metal");
	own = vm_find_pci(vm, "1b36:0010");
	vm_expect_soon(vm, "[ -e %s/driver ]", own);
	expect_driver(vm, own, "nvme");
	vm_expect_soon(vm, "grep -q 1 /sys/bus/usb/devices/*-1/authorized");
	vm_expect_soon(vm, "[ -e /sys/bus/usb/devices/*-2/authorized ]");
	plugged = vm_plug_pci(vm,
			      "nvme,id=plugged,use-intel-id=on,serial=plugged,drive=null3,bus=rp1",
			      "8086:5845");
	/* a bridge, which the kernel has on its list */
	listed = vm_plug_pci(vm, "x3130-upstream,id=listed,bus=rp2", "104c:8232");
	settle(vm);
	expect_driver(vm, plugged, "");
	expect_driver(vm, listed, "");
	vm_expect_output(vm, "0", "cat /sys/bus/usb/devices/*-2/authorized");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_q35_gets_what_it_needs_and_volumes_after_the_freeze),
		vm_test(test_microvm_gets_what_it_needs),
		vm_test(test_metal_gets_its_own_and_nothing_that_is_plugged),
	};

	return RUN_TESTS("profiles", tests);
}
