/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inventory.h"

/* From what a person knows of a machine to the governed devices behind it. */

/* Called with the sysfs path of a device that something sits on. */
typedef int (*chain_visit_t)(const char *syspath, void *userdata);

/* Finds what @path sits on: a block device or a link to one, a mount point (the file system that a
 * path is on, else), the name of a network interface or a path below /sys. Device-mapper, md,
 * btrfs, NVMe of several paths, bonds, bridges and VLANs lead to all that they consist of. Returns
 * how many devices were visited, -ENODEV where there is no such thing, or what @visit returned
 * below 0. */
int chain_find(const char *path, chain_visit_t visit, void *userdata);

/* What a running machine cannot do without: its root file system, that of /usr where it is another,
 * its consoles and its default route. @what says which, in English: the same pointer for the same.
 * @syspath is NULL for a file system of which cannot be told what it is on, as a tmpfs; one device
 * may be visited more than once. Returns 0 or what @visit returned below 0. */
int chain_find_vital(int (*visit)(const char *syspath, const char *what, void *userdata),
		     void *userdata);

/* The device of @inventory that @syspath is, or the nearest above it; NULL: none. */
struct Device *chain_device(const struct Inventory *inventory, const char *syspath);
