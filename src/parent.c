/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parent.h"

#include "names.h"
#include "sysfs-io.h"
#include "util.h"

/* Buses on which a device reaches the machine through the one above it. */
static bool is_through_parent(enum Bus bus)
{
	return bus == BUS_PCI || bus == BUS_VIRTIO || bus == BUS_USB || bus == BUS_THUNDERBOLT;
}

/* Whether the device whose directory is @dirfd is refused: 1 or 0; -1 where it is none, or where
 * nobody can refuse it. */
static int is_refused(int dirfd)
{
	_cleanup_free_ char *subsystem = NULL, *authorized = NULL;

	if (sysfs_read_link(dirfd, "subsystem", &subsystem) < 0 ||
	    !is_through_parent(bus_from_string(subsystem)) ||
	    sysfs_read(dirfd, ATTR_AUTHORIZED, &authorized) < 0)
		return -1;
	return streq(authorized, "0");
}

char *refused_parent(const char *syspath, enum Bus bus)
{
	_cleanup_free_ char *path = strdup(syspath);
	int refused = -1;
	char *slash;

	if (!is_through_parent(bus))
		return NULL;
	while (refused < 0 && path && (slash = strrchr(path, '/')) &&
	       slash > path + strlen(SYSFS_DEVICES)) {
		_cleanup_close_ int dirfd = -1;

		*slash = '\0';
		dirfd = sysfs_open(path);
		refused = dirfd < 0 ? -1 : is_refused(dirfd);
	}
	return refused == 1 ? TAKE_PTR(path) : NULL;
}
