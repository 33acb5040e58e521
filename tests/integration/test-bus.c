/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "authd.h"
#include "bus-client.h"
#include "names.h"
#include "test.h"

static const char allow_nic[] = "version: 1\n"
				"rules:\n"
				"- name: nic\n"
				"  action: allow\n"
				"  driver: e1000e\n"
				"  match: { pci: { vendor: 0x8086, device: 0x10d3 } }\n";

#define NIC "pci:0000:00:01.0"
#define DISK "pci:0000:00:02.0"
#define MOUSE "usb:1-1"

static void expect_attr(struct Testbed *bed, const char *syspath, const char *attr,
			const char *value)
{
	_cleanup_free_ char *found = testbed_attr(bed, syspath, attr);

	if (!streq(found, value))
		fail_msg("%s/%s is \"%s\" and not \"%s\", the daemon logged:\n%s", syspath, attr,
			 found, value, testbed_log(bed));
}

static void expect_device(sd_bus *bus, const char *object, const char *property, const char *value)
{
	expect_property(bus, object, BUS_DEVICE_INTERFACE, property, value);
}

static void expect_manager(sd_bus *bus, const char *property, const char *value)
{
	expect_property(bus, BUS_PATH, BUS_MANAGER_INTERFACE, property, value);
}

static void stop(pid_t pid)
{
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

/* A nic that the policy allows, a disk that it does not, and a mouse. */
struct Machine {
	struct Testbed *bed;
	char *nic, *disk, *mouse;
	pid_t pid;
};

static struct Machine start(void **state)
{
	struct Testbed *bed = *state;
	struct Machine machine = {
		.bed = bed,
		.nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3),
		.disk = testbed_add_pci(bed, "0000:00:02.0", 0x1b36, 0x0010),
		.mouse = testbed_add_usb(bed, "1-1", "Mouse\n"),
	};

	testbed_policy(bed, allow_nic);
	machine.pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, machine.nic, "authorized", "1");
	return machine;
}

static void end(struct Machine *machine)
{
	stop(machine->pid);
	free(machine->nic);
	free(machine->disk);
	free(machine->mouse);
}

static void test_devices_are_objects_that_say_how_they_are(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *disk = bus_object(bus, machine.disk);

	expect_device(bus, nic, "Name", NIC);
	expect_device(bus, nic, "Bus", "pci");
	expect_device(bus, nic, "SysfsPath", machine.nic);
	expect_device(bus, nic, "Authorized", "yes");
	expect_device(bus, nic, "AuthorizedDriver", "e1000e");
	expect_device(bus, nic, "OnlyDriver", "e1000e");
	expect_device(bus, nic, "Verdict", "allow");
	expect_device(bus, nic, "ByHand", "no");
	expect_device(bus, nic, "Hot", "no");
	expect_device(bus, nic, "Backend", "kernel");
	expect_device(bus, disk, "Authorized", "no");
	expect_device(bus, disk, "Verdict", "kernel");
	expect_device(bus, disk, "Rule", "default for pci");
	expect_manager(bus, "KernelMode", "none");
	expect_manager(bus, "PolicyState", "ok");
	expect_manager(bus, "PolicyRules", "1");
	expect_manager(bus, "Frozen", "no");
	end(&machine);
}

static void test_a_decision_by_hand_is_carried_out_and_stays(void **state)
{
	struct Machine machine = start(state);
	sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *disk = bus_object(bus, "0000:00:02.0");

	bus_do(bus, disk, BUS_DEVICE_INTERFACE, "Authorize", "a{sv}", 1, "driver", "s", "nvme");
	expect_attr(machine.bed, machine.disk, "authorized", "1");
	expect_attr(machine.bed, machine.disk, "authorized_driver", "nvme");
	expect_device(bus, disk, "ByHand", "yes");
	bus_do(bus, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 0);
	expect_attr(machine.bed, machine.nic, "authorized", "0");
	umockdev_testbed_set_attribute(machine.bed->umockdev, machine.nic, "authorized_by",
				       "user\n");
	umockdev_testbed_set_attribute(machine.bed->umockdev, machine.disk, "authorized_by",
				       "user\n");
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", NULL);
	expect_device(bus, nic, "Authorized", "no");
	(void)sd_bus_flush_close_unref(bus);
	assert_int_equal(testbed_stop(machine.pid, SIGKILL), -SIGKILL);
	machine.pid = testbed_start(machine.bed, authd_main);
	bus = connect_peer(machine.bed);
	expect_attr(machine.bed, machine.nic, "authorized", "0");
	expect_attr(machine.bed, machine.disk, "authorized", "1");
	free(nic);
	nic = bus_object(bus, NIC);
	expect_device(bus, nic, "ByHand", "yes");
	(void)sd_bus_flush_close_unref(bus);
	end(&machine);
}

#define BUS_TEST(name) cmocka_unit_test_setup_teardown(name, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUS_TEST(test_devices_are_objects_that_say_how_they_are),
		BUS_TEST(test_a_decision_by_hand_is_carried_out_and_stays),
	};

	return RUN_TESTS("bus", tests);
}
