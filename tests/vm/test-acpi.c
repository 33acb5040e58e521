/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A hostile host's ACPI tables: hostile.asl. Without the gate the devices get their
 * drivers. The tests of the gate share one guest, each finding it as the one before
 * has left it: what they change are different devices. */

#include <errno.h>

#include "agent-protocol.h"
#include "vmtest.h"

#define WRITE AGENT_PATH " write"

/* All faces of the devices of the table, one a line and in the order of their names: the device's
 * name in the table, the bus, the driver, and what "authorized" and "authorized_by" say. */
#define FACES                                                                                      \
	"cd /sys/bus && {"                                                                         \
	"  grep -H . acpi/devices/*/path acpi/devices/*/auth* pnp/devices/*/auth* "                \
	"    platform/devices/*/auth*;"                                                            \
	"  find acpi/devices/*/ pnp/devices/*/ platform/devices/*/ -maxdepth 1 "                   \
	"    '(' -name firmware_node -o -name driver ')' -printf '%p %l\\n';"                      \
	"} 2>/dev/null | awk -F/ '{"                                                               \
	"  face = $1 \"/\" $3; name = $4; sub(/[: ].*/, \"\", name);"                              \
	"  value = $NF; if (NF == 4) sub(/^[^:]*:/, \"\", value);"                                 \
	"  faces[face] = 1; has[face, name] = value"                                               \
	"} END {"                                                                                  \
	"  for (face in faces) {"                                                                  \
	"    split(face, part, \"/\");"                                                            \
	"    of = part[1] == \"acpi\" ? face : \"acpi/\" has[face, \"firmware_node\"];"            \
	"    name = has[of, \"path\"];"                                                            \
	"    if (!sub(/^\\\\_SB_\\.HOST\\./, \"\", name)) continue;"                               \
	"    driver = has[face, \"driver\"]; if (driver == \"\") driver = \"-\";"                  \
	"    print name, part[1], driver, has[face, \"authorized\"], has[face, \"authorized_by\"]" \
	"  }"                                                                                      \
	"}' | LC_ALL=C sort"

/* Those that have a driver or may have one. */
#define OPEN_FACES FACES " | grep -v ' - 0 default$'"
#define CLOSED_FACES FACES " | grep -c ' - 0 default$'"

/* To read _SUN of the devices TRIG and TRI2 is to run their methods, which announce more devices.
 */
#define TRIGGER "cat /sys/bus/acpi/devices/TDXA0002:00/sun"
#define TRIGGER_LOCKED "cat /sys/bus/acpi/devices/TDXA0003:00/sun"

/* With drivers of the base kernel. BTN2, CON1, GED3, PC80, VIO1 and what shows up as LATE are
 * listed, VIO1 with a driver that finds nothing at its address. */
static const char bound_without_the_gate[] = "ADP1 platform ac\n"
					     "BTN1 acpi button\n"
					     "BTN2 acpi button\n"
					     "BTN3 acpi button\n"
					     "CON1.FAN2 platform acpi-fan\n"
					     "CON1.LAT2 platform acpi-ged\n"
					     "CON1.LAT3 platform ac\n"
					     "CON1.LATE platform acpi-ged\n"
					     "CON2.ADP2 platform ac\n"
					     "CON2.GED4 platform acpi-ged\n"
					     "EVIL platform acpi-ged\n"
					     "FAN1 platform acpi-fan\n"
					     "GED1 platform acpi-ged\n"
					     "GED2 platform acpi-ged\n"
					     "GED3 platform acpi-ged\n"
					     "SYS1 pnp system\n"
					     "TZ01 acpi thermal\n"
					     "UAR2 pnp serial\n"
					     "UART pnp serial";

static const char open_at_boot[] = "BTN2 acpi button 1 builtin\n"
				   "BTN2 platform - 1 builtin\n"
				   "CON1 acpi - 1 builtin\n"
				   "CON1.LATE acpi - 1 builtin\n"
				   "CON2.GED4 acpi - 1 builtin\n"
				   "CON3 acpi - 1 builtin\n"
				   "CON3.LAT4 acpi - 1 builtin\n"
				   "CON3.PCA0 acpi - 1 builtin\n"
				   "GED3 acpi - 1 builtin\n"
				   "GED3 platform acpi-ged 1 builtin\n"
				   "PC80 acpi - 1 builtin\n"
				   "VIO1 acpi - 1 builtin\n"
				   "VIO1 platform - 1 builtin";

/* Two faces each of 17 devices; what nothing enumerates, or is on no other bus, has one. */
#define CLOSED_AT_BOOT "41"

static struct vm *up_with(void **state, const char *variable, const char *cmdline)
{
	const char *table = getenv(variable);

	assert_non_null(table);
	return vm_up(state, .kernel = "patched", .cmdline = cmdline, .acpi_table = table);
}

static struct vm *up(void **state, const char *cmdline)
{
	return up_with(state, "TDX_AUTH_ACPI_TABLE", cmdline);
}

static void *shared;

static struct vm *enforced(void)
{
	return shared ? shared : up(&shared, "dev_auth=enforce");
}

static int down(void **state)
{
	(void)state;
	return vm_down(&shared);
}

/* The faces of the devices whose names match @pattern. */
static void expect_faces(struct vm *vm, const char *pattern, const char *expected)
{
	vm_expect_output(vm, expected, "{ %s; } | grep -E '^(%s) '", FACES, pattern);
}

static void test_without_the_gate_they_get_drivers(void **state)
{
	struct vm *vm = up(state, "dev_auth=off");

	vm_expect(vm, 0, TRIGGER);
	vm_expect_soon(vm, "[ -e /sys/bus/platform/devices/ACPI0003:01/driver ]");
	vm_expect_output(vm, bound_without_the_gate, "%s",
			 FACES " | grep -v ' - ' | sed 's/ *$//'");
	/* These have a driver that looks at what it was given and finds that it is no device. */
	vm_expect_output(vm, "3", "dmesg | grep -c 'virtio-mmio .*: Wrong magic value'");
	vm_expect_output(vm, "0000:00 0000:80 0000:90",
			 "echo $(ls /sys/devices | sed -n 's/^pci//p')");
}

static void test_what_no_list_names_gets_no_driver_on_any_face(void **state)
{
	struct vm *vm = enforced();

	(void)state;
	vm_expect_output(vm, open_at_boot, "%s", OPEN_FACES);
	vm_expect_output(vm, CLOSED_AT_BOOT, "%s", CLOSED_FACES);
	vm_expect_output(vm, "0000:00 0000:80", "echo $(ls /sys/devices | sed -n 's/^pci//p')");
	vm_expect(vm, 1, "ls /sys/bus/container/devices | grep -q PNP0A05");
}

static void test_compatible_strings_open_nothing(void **state)
{
	struct vm *vm = enforced();

	(void)state;
	/* PRP0001 as _HID, and as the _CID of what is listed: VIO1 without it has its driver. */
	vm_expect(vm, 0, "dmesg | grep -q 'platform PRP0001:00: driver virtio-mmio refused'");
	vm_expect(vm, 0, "dmesg | grep -q 'platform LNRO0005:00: driver virtio-mmio refused'");
	vm_expect_output(vm, "virtio-mmio LNRO0005:01: Wrong magic value 0x00000000!",
			 "dmesg | grep 'Wrong magic value' | sed 's/^[^]]*] *//'");
}

static void test_ids_put_nothing_into_the_parameter_that_is_proposed(void **state)
{
	struct vm *vm = enforced();

	(void)state;
	vm_expect_output(vm, "dev_auth.allow=acpi:QEMU0002",
			 "dmesg | sed -n 's/.*ACPI0013:01: driver acpi-ged refused.* "
			 "boot with //p'");
	/* EVIL has an id "A,pci:8086:10d3", PRP1 one that no parameter may name. */
	vm_expect(vm, 0, "dmesg | grep -q 'ACPI0013:02: driver acpi-ged refused'");
	vm_expect(vm, 1, "dmesg | grep -q 'ACPI0013:02: driver acpi-ged refused.* boot with '");
	vm_expect(vm, 1, "dmesg | grep -q 'PRP0001:00: driver virtio-mmio refused.* boot with '");
	vm_expect(vm, 1, "dmesg | grep -q 8086:10d3");
}

static void test_what_appears_later_is_judged_alike(void **state)
{
	struct vm *vm = enforced();

	(void)state;
	vm_expect(vm, 0, TRIGGER);
	vm_expect_soon(vm, "[ -e /sys/bus/platform/devices/ACPI0003:01 ] && "
			   "[ -e /sys/bus/platform/devices/ACPI0013:04/driver ]");
	expect_faces(vm, "CON1.LAT.",
		     "CON1.LAT2 acpi - 0 default\n"
		     "CON1.LAT2 platform - 0 default\n"
		     "CON1.LAT3 acpi - 0 default\n"
		     "CON1.LAT3 platform - 0 default\n"
		     "CON1.LATE acpi - 1 builtin\n"
		     "CON1.LATE platform acpi-ged 1 builtin");
}

static void test_a_write_to_one_face_opens_all(void **state)
{
	struct vm *vm = enforced();

	(void)state;
	/* UART on the acpi bus, BTN1 and GED1 on the platform bus */
	vm_expect(vm, 0, WRITE " /sys/bus/acpi/devices/ACPI0013:00/authorized 1");
	vm_expect(vm, 0, WRITE " /sys/bus/platform/devices/PNP0C0C:00/authorized 1");
	vm_expect(vm, 0, WRITE " /sys/bus/platform/devices/ACPI0013:01/authorized 1");
	expect_faces(vm, "BTN1|GED1|UART",
		     "BTN1 acpi button 1 user\n"
		     "BTN1 platform - 1 user\n"
		     "GED1 acpi - 1 user\n"
		     "GED1 platform acpi-ged 1 user\n"
		     "UART acpi - 1 user\n"
		     "UART pnp serial 1 user");
	/* and back, on the other */
	vm_expect(vm, 0, WRITE " /sys/bus/acpi/devices/PNP0C0C:00/authorized 0");
	vm_expect(vm, 0, WRITE " /sys/bus/acpi/devices/ACPI0013:01/authorized default");
	expect_faces(vm, "BTN1|GED1",
		     "BTN1 acpi - 0 user\n"
		     "BTN1 platform - 0 user\n"
		     "GED1 acpi - 0 default\n"
		     "GED1 platform - 0 default");
}

static void test_what_is_in_a_refused_container_waits_for_it(void **state)
{
	struct vm *vm = enforced();

	(void)state;
	expect_faces(vm, "CON2.*",
		     "CON2 acpi - 0 default\n"
		     "CON2.ADP2 acpi - 0 default\n"
		     "CON2.GED4 acpi - 1 builtin");
	vm_expect(vm, 0, WRITE " /sys/bus/acpi/devices/PNP0A05:00/authorized 1");
	vm_expect_soon(vm, "[ -e /sys/bus/platform/devices/ACPI0003:02 ] && "
			   "[ -e /sys/bus/platform/devices/ACPI0013:06/driver ]");
	expect_faces(vm, "CON2.*",
		     "CON2 acpi - 1 user\n"
		     "CON2.ADP2 acpi - 0 default\n"
		     "CON2.ADP2 platform - 0 default\n"
		     "CON2.GED4 acpi - 1 builtin\n"
		     "CON2.GED4 platform acpi-ged 1 builtin");
	vm_expect(vm, EBUSY, WRITE " /sys/bus/acpi/devices/PNP0A05:00/authorized 0");
}

static void test_a_refused_host_bridge_has_its_bus_when_it_is_authorized(void **state)
{
	struct vm *vm = enforced();

	(void)state;
	vm_expect(vm, 0, "dmesg | grep -q 'PNP0A08:03: driver pci_root refused'");
	expect_faces(vm, "PC90", "PC90 acpi - 0 default");
	vm_expect(vm, 0, WRITE " /sys/bus/acpi/devices/PNP0A08:03/authorized 1");
	vm_expect_soon(vm, "[ -e /sys/devices/pci0000:90 ]");
	vm_expect(vm, EBUSY, WRITE " /sys/bus/acpi/devices/PNP0A08:03/authorized 0");
}

/* The last one on the guest that the tests share. */
static void test_locked_a_face_that_appears_gets_no_driver(void **state)
{
	struct vm *vm = enforced();

	(void)state;
	vm_expect(vm, 0, WRITE " /sys/kernel/device_authorization/lock 1");
	vm_expect(vm, 0, TRIGGER_LOCKED);
	vm_expect_soon(vm, "[ -e /sys/bus/platform/devices/ACPI0013:07 ]");
	vm_expect_soon(vm, "dmesg | grep -q 'ACPI0013:07: driver acpi-ged refused'");
	expect_faces(vm, "CON3.LAT4",
		     "CON3.LAT4 acpi - 1 builtin\n"
		     "CON3.LAT4 platform - 1 builtin");
	/* A host bridge that was described all the time gets no bus. */
	vm_expect_soon(vm, "dmesg | grep -q 'PNP0A08:0.: driver pci_root refused: device "
			   "authorized, but came too late (builtin, locked)'");
	vm_expect(vm, 0, "[ ! -e /sys/devices/pci0000:a0 ]");
}

/* The list has host bridges, but not so that PCI may be used: the kernel finds root buses by their
 * devices, too, a second one as well. What is refused with a host bridge is what its node in the
 * namespace contains, like the serial port of this machine. */
static void test_pci_is_found_without_its_host_bridges_and_judged_as_ever(void **state)
{
	static const char *const devices[] = {
		"pxb-pcie,bus_nr=64,id=pxb,bus=pcie.0",
		"pcie-root-port,id=far,chassis=64,slot=64,bus=pxb",
		"e1000e,bus=far,romfile=",
		NULL,
	};
	struct vm *vm = vm_up(state, .kernel = "patched", .devices = devices,
			      .cmdline = "dev_auth=enforce dev_auth.deny=acpi:PNP0A08");

	vm_expect_output(vm, "0 0 cmdline cmdline",
			 "cd /sys/bus/acpi/devices && echo $(cat PNP0A08:0[01]/authorized "
			 "PNP0A08:0[01]/authorized_by)");
	vm_expect_output(vm, "0000:00 0000:40", "echo $(ls /sys/devices | sed -n 's/^pci//p')");
	vm_expect(vm, 0, "modprobe e1000e");
	vm_expect(vm, 0, AGENT_PATH " sight > /run/sight");
	vm_expect(vm, 0,
		  "grep -q '^pci/0000:41:00.0 driver=- authorized=0 by=default ' /run/sight");
	vm_expect(vm, 1, "grep '^pci/' /run/sight | grep ' authorized=0 ' | grep -v ' driver=- '");
	vm_expect_output(vm, "3",
			 "grep -c '^pci/.* driver=virtio-pci authorized=1 by=builtin ' /run/sight");
	vm_expect(vm, 0, "grep -q '^acpi/PNP0501:00 ' /run/sight");
	vm_expect(vm, 1, "grep -l PNP0501 /sys/bus/pnp/devices/*/id");
}

/* The kernel would use it before there is a device for it, let alone a driver. */
#define EC_IN_USE "dmesg | grep -q 'ACPI: EC: EC started'"

static void test_embedded_controller_is_used_without_the_gate(void **state)
{
	vm_expect(up_with(state, "TDX_AUTH_ACPI_ALONE", "dev_auth=off"), 0, EC_IN_USE);
}

static void test_embedded_controller_waits_for_its_authorization(void **state)
{
	struct vm *vm = up_with(state, "TDX_AUTH_ACPI_ALONE", "dev_auth=enforce");

	vm_expect(vm, 0, "dmesg | grep -q 'acpi PNP0C09:00: driver ec refused'");
	vm_expect(vm, 1, EC_IN_USE);
	vm_expect(vm, 0, WRITE " /sys/bus/acpi/devices/PNP0C09:00/authorized 1");
	vm_expect(vm, 0, EC_IN_USE);
	vm_expect(vm, 0, "[ -e /sys/bus/acpi/drivers/ec/PNP0C09:00 ]");
}

/* ACPI writes names in upper case. */
#define FORGED "Z.nACPI X: DRIVER Y REFUSED, OR BOOT WITH "

static void test_name_of_a_refused_device_forges_no_line_of_the_log(void **state)
{
	struct vm *vm = up_with(state, "TDX_AUTH_ACPI_ALONE", "dev_auth=enforce");

	vm_expect(vm, 0,
		  "dmesg | grep \"dev_auth: platform device '" FORGED
		  ".*': driver acpi-ged refused\"");
	vm_expect(vm, 1, "dmesg | grep -i ': driver acpi-ged refused: device'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_pci_is_found_without_its_host_bridges_and_judged_as_ever),
		vm_test(test_embedded_controller_is_used_without_the_gate),
		vm_test(test_embedded_controller_waits_for_its_authorization),
		vm_test(test_name_of_a_refused_device_forges_no_line_of_the_log),
		vm_test(test_without_the_gate_they_get_drivers),
		cmocka_unit_test(test_what_no_list_names_gets_no_driver_on_any_face),
		cmocka_unit_test(test_compatible_strings_open_nothing),
		cmocka_unit_test(test_ids_put_nothing_into_the_parameter_that_is_proposed),
		cmocka_unit_test(test_what_appears_later_is_judged_alike),
		cmocka_unit_test(test_a_write_to_one_face_opens_all),
		cmocka_unit_test(test_what_is_in_a_refused_container_waits_for_it),
		cmocka_unit_test(test_a_refused_host_bridge_has_its_bus_when_it_is_authorized),
		cmocka_unit_test(test_locked_a_face_that_appears_gets_no_driver),
	};

	return RUN_TESTS_WITH("acpi", tests, NULL, down);
}
