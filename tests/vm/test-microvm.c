/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A machine without PCI: all that it has is behind virtio-mmio, its root disk and its console too.
 * The transports are known by the kernel's command line, or by ACPI as LNRO0005. */

#include "agent-protocol.h"
#include "vmtest.h"

/* Besides the root disk and the console one that is not listed. */
static const char *const devices[] = {"virtio-balloon-device", NULL};

static struct vm *up(void **state, const char *machine, const char *cmdline)
{
	return vm_up(state, .kernel = "patched", .microvm = true, .machine = machine,
		     .cmdline = cmdline, .devices = devices);
}

/* "ID DRIVER AUTHORIZED BY" of the virtio devices, in the order of their ids. */
#define VIRTIO                                                                                     \
	"cd /sys/bus/virtio/devices && for d in *; do "                                            \
	"echo $(cat $d/device) $(basename \"$(readlink $d/driver)\") "                             \
	"$(cat $d/authorized $d/authorized_by); done | sort"

static void expect_virtio(struct vm *vm)
{
	vm_expect_output(vm,
			 "0x0002 virtio_blk 1 builtin\n"
			 "0x0003 virtio_console 1 builtin\n"
			 "0x0005 0 default",
			 VIRTIO);
	vm_expect(vm, 0,
		  "dmesg | grep -q 'driver virtio_balloon refused.*dev_auth.allow=virtio:5'");
	vm_expect(vm, 0, "grep -q '^/dev/root / \\|^/dev/vda / ' /proc/mounts");
	vm_expect(vm, 0, "grep -q '^hvc0 ' /proc/consoles");
}

/* No parameter is needed, but the mode. */
static void test_root_and_console_of_the_command_line_are_there_by_default(void **state)
{
	struct vm *vm = up(state, NULL, "dev_auth=enforce");

	vm_expect_output(vm, "3", "grep -o 'virtio_mmio.device=' /proc/cmdline | wc -l");
	expect_virtio(vm);
	vm_expect_output(vm, "3",
			 "grep -c '^platform/virtio-mmio[.][0-2] driver=virtio-mmio authorized=1 "
			 "by=builtin only=virtio-mmio ' " AGENT_FIRST_SIGHT);
	vm_expect(vm, 0, "! [ -e /sys/bus/acpi ]");
}

/* This board has no timer that a kernel could calibrate others by, unless the hypervisor is KVM:
 * with QEMU's own emulation any kernel waits for ever where it wants to know the speed of its
 * clock. */
#define NO_TIMER "tsc_early_khz=1000000"

static void test_root_and_console_of_acpi_are_there_by_default(void **state)
{
	struct vm *vm = up(state, "acpi=on", "dev_auth=enforce " NO_TIMER);

	vm_expect(vm, 1, "grep -q virtio_mmio /proc/cmdline");
	expect_virtio(vm);
	vm_expect_output(vm, "3",
			 "grep -c '^platform/LNRO0005:0[0-2] driver=virtio-mmio authorized=1 "
			 "by=builtin only=virtio-mmio ' " AGENT_FIRST_SIGHT);
	/* The board's other devices: its event device is listed, the firmware's interface not. */
	vm_expect(vm, 0, "grep -q '^platform/ACPI0013:00 driver=acpi-ged ' " AGENT_FIRST_SIGHT);
	vm_expect(vm, 1,
		  "grep -E '^(acpi|pnp|platform)/' " AGENT_FIRST_SIGHT
		  " | grep ' authorized=0 ' | grep -v ' driver=- '");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_root_and_console_of_the_command_line_are_there_by_default),
		vm_test(test_root_and_console_of_acpi_are_there_by_default),
	};

	return RUN_TESTS("microvm", tests);
}
