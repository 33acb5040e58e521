/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libudev.h>

#include "device.h"

DEFINE_TRIVIAL_CLEANUP(struct udev *, udev_unref)
DEFINE_TRIVIAL_CLEANUP(struct udev_enumerate *, udev_enumerate_unref)
DEFINE_TRIVIAL_CLEANUP(struct udev_monitor *, udev_monitor_unref)
DEFINE_TRIVIAL_CLEANUP(struct udev_device *, udev_device_unref)
#define _cleanup_udev_device_ _cleanup_(udev_device_unrefp)

/* Calls @visit with the sysfs path of every node of the governed buses, in the order in which they
 * came: parents before children, and the same after a restart. Stops at the first negative result
 * and returns it; else 0 or a negative errno. That there is no sysfs is an error: to find no device
 * is not to know that there is none. */
int udev_for_each_node(struct udev *udev, int (*visit)(const char *syspath, void *userdata),
		       void *userdata);

/* A monitor of the kernel's own events for the governed buses: udevd need not run, nor ever have
 * run. Receiving, with a receive buffer of 128 MiB where the process may ask for one. Returns 0 or
 * a negative errno. */
int udev_kernel_monitor_new(struct udev *udev, struct udev_monitor **ret);

/* What the device is, for people: vendor and model from hwdb(7), or from the virtio specification.
 * @hwdb may be NULL. A new string that the caller frees, not escaped, "" if nothing is known; NULL
 * when out of memory. */
char *udev_describe(struct udev_hwdb *hwdb, const struct Device *device);
