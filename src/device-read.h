/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* Reads what identifies the device whose directory is @dirfd and which was found at @syspath, and
 * what @needs names, which may be NULL. Returns 0 and a device that the caller frees; -ENOTSUP for
 * a node that is no device of a governed bus (a usb interface, say); -ENODEV for a device that is
 * gone; another negative errno where sysfs answered so. */
int device_read(const char *syspath, int dirfd, const struct Needs *needs, struct Device **ret);

/* The same for the one moment that tools have: opens, reads, and hands the descriptor on to the
 * caller where @ret_dirfd is not NULL. */
int device_open(const char *syspath, const struct Needs *needs, int *ret_dirfd,
		struct Device **ret);

/* What the device calls itself (usb: manufacturer and product), for people: no part of any
 * decision, and read by tools alone, as usbcore lets readers of its strings wait for as long as a
 * probe of the device takes. A string that the caller frees, or NULL. */
char *device_read_label(int dirfd, enum Bus bus);
