/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver-wait.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "driver-gate.h"
#include "escape.h"
#include "names.h"
#include "state-find.h"
#include "sysfs-io.h"
#include "util.h"

struct Driver {
	const char *name;
	bool is_offered_nothing; /* its bus gives devices no drivers by itself */
};

static bool may_be_given_to(const struct Finding *finding, const struct Driver *driver)
{
	_cleanup_free_ char *held_to = unescape_text(finding->driver);

	if (streq(finding->verdict, action_to_string(ACTION_DENY)) ||
	    streq(finding->verdict, action_to_string(ACTION_REMOVE)))
		return false;
	if (finding->is_unsettled || !held_to || streq(held_to, driver->name))
		return true;
	return !*held_to && driver->is_offered_nothing;
}

static bool waits_for(const char *syspath, const struct Driver *driver)
{
	_cleanup_(finding_done) struct Finding finding = {0};
	_cleanup_close_ int dirfd = sysfs_open(syspath);
	_cleanup_free_ char *bound = NULL;
	dev_t dev;
	ino_t ino;

	if (dirfd < 0 || sysfs_read_link(dirfd, "driver", &bound) == 0)
		return false;
	if (sysfs_identity(dirfd, &dev, &ino) < 0 || state_find(syspath, dev, ino, &finding) < 0)
		return true;
	return may_be_given_to(&finding, driver);
}

static bool any_waits_for(const char *devices, const struct Driver *driver)
{
	DIR *dir = opendir(devices);
	const struct dirent *entry;
	bool found = !dir;

	while (!found && (entry = readdir(dir))) {
		_cleanup_free_ char *link = NULL, *syspath = NULL;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&link, "%s/%s", devices, entry->d_name) < 0)
			link = NULL;
		syspath = link ? realpath(link, NULL) : NULL;
		found = !link || (syspath && waits_for(syspath, driver));
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

bool driver_is_waited_for(const char *path)
{
	const char *bus_end = strstr(path, "/drivers/");
	struct Driver driver = {0};
	_cleanup_free_ char *devices = NULL, *name = NULL;
	enum Bus bus;

	if (!startswith(path, SYSFS_BUSES "/") || !bus_end)
		return true;
	name = strndup(path + strlen(SYSFS_BUSES "/"),
		       (size_t)(bus_end - path) - strlen(SYSFS_BUSES "/"));
	bus = bus_from_string(name);
	if (!name || bus == _BUS_INVALID ||
	    asprintf(&devices, SYSFS_BUSES "/%s/devices", name) < 0) {
		devices = NULL;
		return true;
	}
	driver.name = bus_end + strlen("/drivers/");
	driver.is_offered_nothing = gate_read_autoprobe(bus) == 0;
	return any_waits_for(devices, &driver);
}
