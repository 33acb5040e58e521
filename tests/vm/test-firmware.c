/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Devices that the host describes in ACPI tables: one decision, whatever bus they appear on. */

#include <errno.h>

#include "agent-protocol.h"
#include "vmtest.h"

#define WRITE AGENT_PATH " write"
#define UART "PNP0501"

static struct vm *up(void **state, const char *cmdline)
{
	return vm_up(state, .kernel = "patched", .cmdline = cmdline);
}

/* The acpi device with this _HID, and its face on another bus, from sysfs. */
static char *acpi_device(struct vm *vm, const char *hid)
{
	return vm_output(vm, "readlink -f /sys/bus/acpi/devices/%s:00", hid);
}

static char *face(struct vm *vm, const char *acpi)
{
	return vm_output(vm, "readlink -f %s/physical_node", acpi);
}

static void expect_state(struct vm *vm, const char *device, const char *state, const char *driver)
{
	vm_expect_output(vm, state, "echo $(cat %s/authorized %s/authorized_by)", device, device);
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\"", device);
}

static void test_what_a_guest_needs_is_authorized(void **state)
{
	static const char *const ids[] = {"PNP0A08", "PNP0C0F", "ACPI0010", "LNXSYSTM"};
	struct vm *vm = up(state, "dev_auth=enforce");

	for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
		_cleanup_free_ char *device = acpi_device(vm, ids[i]);

		vm_expect_output(vm, "1 builtin", "echo $(cat %s/authorized %s/authorized_by)",
				 device, device);
	}
}

static void test_what_no_list_names_gets_no_driver(void **state)
{
	static const char *const ids[] = {UART, "QEMU0002"};
	struct vm *vm = up(state, "dev_auth=enforce");

	for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
		_cleanup_free_ char *device = acpi_device(vm, ids[i]), *other = face(vm, device);

		expect_state(vm, device, "0 default", "");
		expect_state(vm, other, "0 default", "");
	}
	/* nor does what stands for ports that somebody might answer at */
	vm_expect_output(vm, "", "ls /sys/bus/platform/devices | grep i8042 || :");
	vm_expect_output(vm, "",
			 "basename \"$(readlink /sys/bus/platform/devices/serial8250/driver)\"");
}

static void test_one_decision_is_had_by_all_faces(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");
	_cleanup_free_ char *acpi = acpi_device(vm, UART), *pnp = face(vm, acpi);

	vm_expect(vm, 0, WRITE " %s/authorized 1", pnp);
	expect_state(vm, pnp, "1 user", "serial");
	expect_state(vm, acpi, "1 user", "");
	vm_expect(vm, 0, WRITE " %s/authorized default", acpi);
	expect_state(vm, pnp, "0 default", "");
	expect_state(vm, acpi, "0 default", "");
}

static void test_the_command_line_allows_and_denies_by_id(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.allow=acpi:" UART
				  " dev_auth.deny=acpi:pnp0c0f");
	_cleanup_free_ char *uart = acpi_device(vm, UART), *pnp = face(vm, uart),
			    *link = acpi_device(vm, "PNP0C0F");

	expect_state(vm, pnp, "1 cmdline", "serial");
	expect_state(vm, link, "0 cmdline", "");
}

static void test_a_host_bridge_in_use_cannot_be_revoked(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");
	_cleanup_free_ char *root = acpi_device(vm, "PNP0A08");

	vm_expect(vm, EBUSY, WRITE " %s/authorized 0", root);
	vm_expect_output(vm, "1 builtin", "echo $(cat %s/authorized %s/authorized_by)", root, root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_what_a_guest_needs_is_authorized),
		vm_test(test_what_no_list_names_gets_no_driver),
		vm_test(test_one_decision_is_had_by_all_faces),
		vm_test(test_the_command_line_allows_and_denies_by_id),
		vm_test(test_a_host_bridge_in_use_cannot_be_revoked),
	};

	return RUN_TESTS("firmware", tests);
}
