/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A listed id in a lying dress. virtio-pci is a module here, as in a distribution: while it is not
 * there, a driver that matches the class code has the device to itself. */

#include <errno.h>

#include "agent-protocol.h"
#include "vmtest.h"

#define WRITE "/init write"
/* What the kernel does with a USB controller before it has a driver. */
#define NOTE_FIXUPS "initcall_debug"
#define HANDED_OFF "dmesg | grep -q 'pci %s: calling  quirk_usb_early_handoff'"

static const char *const liars[] = {
	"virtio-blk-pci,class=0x0106,drive=null1,bus=rp1",
	"virtio-blk-pci,class=0x0c03,drive=null2,bus=rp2",
	"virtio-blk-pci,class=0x0805,drive=null3,bus=rp3",
	"e1000,addr=1c.0,romfile=",
	NULL,
};

static struct vm *up(void **state, const char *cmdline)
{
	return vm_up(state, .kernel = "patched-modular", .cmdline = cmdline, .devices = liars,
		     .init = VM_INIT_INITRAMFS, .channel = VM_CHANNEL_SERIAL);
}

/* The directory of the liar with this class code. */
static char *find_class(struct vm *vm, const char *class)
{
	char *device = vm_output(vm,
				 "for p in /sys/bus/pci/devices/*; do "
				 "grep -q ^0x%s $p/class && grep -q 0x1af4 $p/vendor && "
				 "readlink -f $p; done; :",
				 class);

	if (isempty(device) || strchr(device, '\n'))
		vm_fail(vm, "not one virtio device of class %s: '%s'", class, device);
	return device;
}

static void expect_driver(struct vm *vm, const char *device, const char *driver)
{
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\" | grep . || :", device);
}

static void test_class_code_gets_a_wrong_driver_without_the_gate(void **state)
{
	struct vm *vm = up(state, "dev_auth=off " NOTE_FIXUPS);
	_cleanup_free_ char *usb = find_class(vm, "0c03"), *sd = find_class(vm, "0805");

	/* uhci_hcd and sdhci-pci fail in the end, on a device that is neither; but they were asked,
	 * and ran on it. */
	vm_expect(vm, 0, "dmesg | grep -q \"uhci_hcd $(basename %s)\"", usb);
	vm_expect(vm, 0, "dmesg | grep -q \"sdhci-pci $(basename %s)\"", sd);
	/* Nor is a driver needed. */
	vm_expect(vm, 0, HANDED_OFF, strrchr(usb, '/') + 1);
}

static void expect_no_wrong_driver(struct vm *vm, const char *class, const char *driver,
				   const char *decision)
{
	_cleanup_free_ char *device = find_class(vm, class);

	vm_expect_output(vm, decision,
			 "echo $(cat %s/authorized %s/authorized_by %s/authorized_driver)", device,
			 device, device);
	expect_driver(vm, device, "");
	/* ahci wants a programming interface too, which QEMU's class= does not set: a new id
	 * stands in for it. */
	vm_expect(vm, 0, WRITE " /sys/bus/pci/drivers/%s/new_id '1af4 1042'", driver);
	vm_expect(vm, EPERM, WRITE " /sys/bus/pci/drivers/%s/bind $(basename %s)", driver, device);
	vm_expect(vm, 0, WRITE " %s/driver_override %s", device, driver);
	vm_expect(vm, EPERM, WRITE " /sys/bus/pci/drivers/%s/bind $(basename %s)", driver, device);
	vm_expect(vm, 0, "echo > %s/driver_override", device);
	expect_driver(vm, device, "");
	vm_expect(vm, 1, "dmesg | grep \"%s $(basename %s)\"", driver, device);
}

static void test_listed_id_admits_only_the_driver_of_its_entry(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");

	vm_expect(vm, 1,
		  "grep -E '^(pci|virtio)/' " AGENT_FIRST_SIGHT " | grep -v ' driver=- ' | "
		  "grep -v ' driver=pcieport '");
	expect_no_wrong_driver(vm, "0106", "ahci", "1 builtin virtio-pci");
	expect_no_wrong_driver(vm, "0c03", "uhci_hcd", "0 default");
	expect_no_wrong_driver(vm, "0805", "sdhci-pci", "1 builtin virtio-pci");
}

/* By some classes goes more than drivers: with these a listed id is not listed. */
static void test_listed_id_with_the_class_of_a_usb_controller_is_left_alone(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce " NOTE_FIXUPS);
	_cleanup_free_ char *usb = find_class(vm, "0c03");

	vm_expect(vm, 0, "dmesg | grep -q 'pci .*: calling  '");
	vm_expect(vm, 1, HANDED_OFF, strrchr(usb, '/') + 1);
	vm_expect(vm, 0, "modprobe virtio_pci");
	expect_driver(vm, usb, "");
}

static void test_the_driver_of_the_entry_binds_once_it_is_there(void **state)
{
	static const char *const classes[] = {"0106", "0805"};
	struct vm *vm = up(state, "dev_auth=enforce");

	vm_expect(vm, 0, "modprobe virtio_pci");
	for (size_t i = 0; i < ELEMENTSOF(classes); i++) {
		_cleanup_free_ char *device = find_class(vm, classes[i]);

		expect_driver(vm, device, "virtio-pci");
	}
	/* Root disk, two liars. */
	vm_expect_soon(vm, "[ $(ls -d /sys/block/vd* | wc -l) = 3 ]");
}

static void test_bridge_class_admits_no_network_driver(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");

	vm_expect(vm, 0, "modprobe e1000");
	vm_expect(vm, 0,
		  "grep -q '^pci/.* driver=- authorized=0 by=default "
		  ".*v00008086d0000100E' " AGENT_FIRST_SIGHT);
	vm_expect(vm, 1, "ls -d /sys/bus/pci/drivers/e1000/0* 2>/dev/null | grep .");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_class_code_gets_a_wrong_driver_without_the_gate),
		vm_test(test_listed_id_admits_only_the_driver_of_its_entry),
		vm_test(test_listed_id_with_the_class_of_a_usb_controller_is_left_alone),
		vm_test(test_the_driver_of_the_entry_binds_once_it_is_there),
		vm_test(test_bridge_class_admits_no_network_driver),
	};

	return RUN_TESTS("modular", tests);
}
