/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libudev.h>

#include "device.h"

DEFINE_TRIVIAL_CLEANUP(struct udev *, udev_unref)

/* Calls @visit with the sysfs path of every node of the governed buses, in the order in which they
 * came: parents before children, and the same after a restart. Stops at the first negative result
 * and returns it; else 0 or a negative errno. That there is no sysfs is an error: to find no device
 * is not to know that there is none. */
int udev_for_each_node(int (*visit)(const char *syspath, void *userdata), void *userdata);

/* The same for one bus, which may not be there. */
int udev_for_each_node_of(enum Bus bus, int (*visit)(const char *syspath, void *userdata),
			  void *userdata);

/* What the device is, for people: vendor and model from hwdb(7), or from the virtio specification.
 * @hwdb may be NULL. A new string that the caller frees, not escaped, "" if nothing is known; NULL
 * when out of memory. */
char *udev_describe(struct udev_hwdb *hwdb, const struct Device *device);
