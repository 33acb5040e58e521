/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* In a guest of bench-daemon.c: what a cold plug is measured against. A bare libudev enumeration of
 * the buses that tdx-authd governs, which reads of each device what tdx-authd reads. */

#include <errno.h>
#include <libudev.h>

#include "util.h"

static const char *const buses[] = {"pci",  "virtio", "usb",	 "thunderbolt",
				    "acpi", "pnp",    "platform"};

/* "serial" is what the policy asks for; the rest identifies devices of these buses, or is how they
 * are left. */
static const char *const attributes[] = {"modalias", "authorized", "authorized_by",
					 "authorized_driver", "serial"};

static void read_device(struct udev *udev, const char *syspath)
{
	struct udev_device *device = udev_device_new_from_syspath(udev, syspath);

	if (!device)
		return;
	(void)udev_device_get_subsystem(device);
	(void)udev_device_get_driver(device);
	for (size_t i = 0; i < ELEMENTSOF(attributes); i++)
		(void)udev_device_get_sysattr_value(device, attributes[i]);
	if (streq(udev_device_get_subsystem(device), "acpi"))
		(void)udev_device_get_sysattr_value(device, "hid");
	udev_device_unref(device);
}

int main(int argc, char **argv)
{
	struct udev *udev = udev_new();
	struct udev_enumerate *enumerate = udev ? udev_enumerate_new(udev) : NULL;
	struct udev_list_entry *entry;
	size_t n = 0;

	if (argc > 1) /* --version: it only had to be loaded */
		return EXIT_SUCCESS;
	if (!enumerate)
		return EXIT_FAILURE;
	for (size_t i = 0; i < ELEMENTSOF(buses); i++)
		(void)udev_enumerate_add_match_subsystem(enumerate, buses[i]);
	if (udev_enumerate_scan_devices(enumerate) < 0)
		return EXIT_FAILURE;
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(enumerate))
	{
		read_device(udev, udev_list_entry_get_name(entry));
		n++;
	}
	printf("%zu\n", n);
	udev_enumerate_unref(enumerate);
	udev_unref(udev);
	return EXIT_SUCCESS;
}
