/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parent.h"

#include <fcntl.h>
#include <limits.h>

#include "names.h"
#include "sysfs-io.h"
#include "util.h"

/* Buses on which a device reaches the machine through the one above it. */
static bool is_through_parent(enum Bus bus)
{
	return bus == BUS_PCI || bus == BUS_VIRTIO || bus == BUS_USB || bus == BUS_THUNDERBOLT;
}

/* Whether the device at @syspath is refused: 1 or 0; -1 where it is none, or where nobody can
 * refuse it. By paths: nothing is written there, and what is above a device does not go before it
 * does. */
static int is_refused(const char *syspath)
{
	_cleanup_free_ char *subsystem = NULL, *authorized = NULL;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/subsystem", syspath);
	if (sysfs_read_link(AT_FDCWD, path, &subsystem) < 0 ||
	    !is_through_parent(bus_from_string(subsystem)))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/" ATTR_AUTHORIZED, syspath);
	if (sysfs_read(AT_FDCWD, path, &authorized) < 0)
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
		*slash = '\0';
		refused = is_refused(path);
	}
	return refused == 1 ? TAKE_PTR(path) : NULL;
}
