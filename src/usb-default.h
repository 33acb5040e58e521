/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* What usbcore does with devices that nobody decided over: unless it is told otherwise, it gives
 * them to drivers before any event tells of them. Each root hub has an attribute for the devices
 * behind it, `authorized_default`, and a parameter of usbcore is what the hubs of controllers begin
 * with. Documentation/ABI/testing/sysfs-bus-usb, drivers/usb/core/hcd.c. */

/* What it was before it was told to have them wait. */
struct UsbDefault {
	bool is_taken;
	bool gave;    /* the parameter */
	ino_t latest; /* the largest inode number of a device then: later ones waited */
};

bool is_root_hub(const struct Device *device);

/* Whether usbcore gives devices to drivers, 1 or 0, which also is "those that firmware says are
 * built in"; or a negative errno, -ENODEV where there is no usbcore. */
int usb_default_read(void);
/* The same of the root hub whose directory is @dirfd. */
int usb_default_read_hub(int dirfd);

/* Have devices wait for a decision. Return 0 or a negative errno. */
int usb_default_deny(void);
int usb_default_deny_hub(int dirfd);

/* The sysfs path of the root hub that the usb device at @syspath is behind: a new string, NULL
 * where it is behind none, or when out of memory. */
char *usb_root_hub_of(const char *syspath);
