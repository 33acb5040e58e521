/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What users of USBGuard suffered, and nobody is to suffer here: those of its issues that no other
 * test is about. tests/peers.sh holds all of them to a test each. */

#include <signal.h>

#include "authd.h"
#include "test.h"
#include "testbed.h"

static const char allow_nic[] = "version: 1\n"
				"rules:\n"
				"- name: nic\n"
				"  action: allow\n"
				"  match: { pci: { vendor: 0x8086, device: 0x10d3 } }\n";

static unsigned count_entries(pid_t pid, const char *what)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[64];
	unsigned n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	dir = opendir(path);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	return n;
}

static void expect_entries(pid_t pid, const char *what, unsigned expected)
{
	unsigned n = 0;

	/* what is closed, is closed in its turn */
	for (int i = 0; i < 1000; i++, (void)usleep(10000)) {
		n = count_entries(pid, what);
		if (n == expected)
			return;
	}
	fail_msg("%u entries of %s and not %u", n, what, expected);
}

/* usbguard#687, usbguard#688: maps of devices were used by several threads at once. */
static void test_one_thread_owns_all_state(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *first = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *later = NULL;
	pid_t pid;

	testbed_policy(bed, allow_nic);
	pid = testbed_start(bed, authd_main);
	expect_entries(pid, "task", 1);
	later = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	testbed_wait_attr(bed, later, "authorized", "1");
	assert_int_equal(count_entries(pid, "task"), 1);
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

/* usbguard#219, usbguard#435: each plugging cost a descriptor, or a double free ended it. */
static void test_plugging_a_device_often_leaks_no_descriptor(void **state)
{
	struct Testbed *bed = *state;
	unsigned before = 0;
	pid_t pid;

	testbed_policy(bed, allow_nic);
	pid = testbed_start(bed, authd_main);
	for (int i = 0; i < 50; i++) {
		_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);

		testbed_wait_attr(bed, nic, "authorized", "1");
		testbed_unplug(bed, pid, nic);
		if (i == 9) /* what opens at its first use is open */
			before = count_entries(pid, "fd");
	}
	expect_entries(pid, "fd", before);
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

/* usbguard#350: an interrupted call ended it, with status 0, and nobody noticed for days. */
static void test_interrupted_calls_do_not_end_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL;
	pid_t pid;

	testbed_policy(bed, allow_nic);
	pid = testbed_start(bed, authd_main);
	for (int i = 0; i < 50; i++) {
		(void)kill(pid, SIGSTOP);
		(void)usleep(1000);
		(void)kill(pid, SIGCONT);
		(void)usleep(1000);
	}
	nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	testbed_wait_attr(bed, nic, "authorized", "1");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

static char *add(struct Testbed *bed, const char *bus, const char *name, const char *attr,
		 const char *value, const char *modalias)
{
	return umockdev_testbed_add_device(
		bed->umockdev, bus, name, NULL, attr, value, "vendor", "0x1af4\n", "modalias",
		modalias, "vendor_name", "x\n", "device_name", "x\n", "authorized", "1\n",
		"authorized_by", "builtin\n", NULL, "DEVTYPE", "thunderbolt_device", NULL);
}

/* usbguard#173, usbguard#420: there is more than usb. */
static void test_devices_of_every_bus_are_refused(void **state)
{
	struct Testbed *bed = *state;
	char *devices[] = {
		testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3),
		add(bed, "virtio", "virtio0", "device", "0x0001\n", "virtio:d00000001v00001AF4\n"),
		testbed_add_usb_in_use(bed, "1-1", "Keyboard\n", "1"),
		add(bed, "thunderbolt", "0-1", "unique_id", "8a\n", "\n"),
		add(bed, "acpi", "PNP0501:00", "hid", "PNP0501\n", "acpi:PNP0501:\n"),
		add(bed, "pnp", "00:01", "id", "PNP0501\n", "\n"),
		testbed_add_platform(bed, "i8042"),
	};
	pid_t pid;

	umockdev_testbed_set_attribute(bed->umockdev, devices[0], "authorized", "1\n");
	umockdev_testbed_set_attribute(bed->umockdev, devices[6], "authorized", "1\n");
	testbed_policy(bed, "version: 1\ndefaults: { \"*\": deny }\n");
	pid = testbed_start(bed, authd_main);
	for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
		testbed_wait_attr(bed, devices[i], "authorized", "0");
		free(devices[i]);
	}
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

#define PEERS_TEST(test) cmocka_unit_test_setup_teardown(test, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEERS_TEST(test_one_thread_owns_all_state),
		PEERS_TEST(test_interrupted_calls_do_not_end_it),
		PEERS_TEST(test_devices_of_every_bus_are_refused),
		/* the last: umockdev has room for so many events in one process */
		PEERS_TEST(test_plugging_a_device_often_leaks_no_descriptor),
	};

	return RUN_TESTS("peers", tests);
}
