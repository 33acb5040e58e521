/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver-gate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "names.h"
#include "sysfs-io.h"

/* A kernel that could refuse devices and was told not to is left alone. */
static bool has_authorization(void)
{
	return access(SYSFS_AUTHORIZATION, F_OK) == 0;
}

static int open_bus(enum Bus bus)
{
	char path[64];

	(void)snprintf(path, sizeof(path), SYSFS_BUSES "/%s", bus_to_string(bus));
	return sysfs_open(path);
}

/* Whether the first device of @bus has an attribute. */
static bool first_has(enum Bus bus, const char *attr)
{
	_cleanup_close_ int busfd = open_bus(bus);
	int fd = busfd < 0 ? -1 : openat(busfd, "devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while ((entry = readdir(dir))) {
		char path[NAME_MAX + 32];

		if (*entry->d_name == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", entry->d_name, attr);
		return faccessat(fd, path, F_OK, 0) == 0;
	}
	return false;
}

/* The older vendor attribute is one of any device, also of those that come to a bus without any. */
static bool has_vendor_attribute(void)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		if (!bus_info[bus].native && first_has(bus, ATTR_AUTHORIZED))
			return true;
	return false;
}

int gate_read_autoprobe(enum Bus bus)
{
	_cleanup_close_ int dirfd = -1;
	_cleanup_free_ char *text = NULL;
	int r;

	if (bus_info[bus].gate != GATE_AUTOPROBE || has_authorization() || has_vendor_attribute())
		return -ENODEV;
	dirfd = open_bus(bus);
	if (dirfd < 0)
		return dirfd;
	r = sysfs_read(dirfd, ATTR_AUTOPROBE, &text);
	return r < 0 ? r : !streq(text, "0");
}

int gate_close_autoprobe(enum Bus bus)
{
	_cleanup_close_ int dirfd = open_bus(bus);

	return dirfd < 0 ? dirfd : sysfs_write(dirfd, ATTR_AUTOPROBE, "0");
}

static int set_driver(struct GateState *state, const char *driver)
{
	state->authorized_driver = strdup(driver);
	return state->authorized_driver ? 0 : -ENOMEM;
}

int gate_interpret(const char *override, const char *driver, struct GateState *ret)
{
	const char *only = override ? startswith(override, OVERRIDE_ONLY) : NULL;

	*ret = (struct GateState){.gate = GATE_OVERRIDE, .authorized = 1};
	if (only)
		return set_driver(ret, only);
	/* how the kernel prints none, driver_override_show() */
	if (isempty(override) || streq(override, "(null)"))
		return set_driver(ret, "");
	if (streq(override, OVERRIDE_REFUSED)) {
		ret->authorized = driver != NULL;
		return set_driver(ret, "");
	}
	ret->authorized = -1;
	ret->override = strdup(override);
	return ret->override ? 0 : -ENOMEM;
}

int gate_open(int dirfd, enum Bus bus)
{
	if (bus_info[bus].gate != GATE_OVERRIDE || has_authorization())
		return -ENOENT;
	return sysfs_open_attr(dirfd, ATTR_DRIVER_OVERRIDE);
}

static int read_override(int dirfd, const char *driver, struct GateState *ret)
{
	_cleanup_free_ char *override = NULL;
	int r = sysfs_read(dirfd, ATTR_DRIVER_OVERRIDE, &override);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return gate_interpret(override, driver, ret);
}

static int read_autoprobe(enum Bus bus, const char *driver, struct GateState *ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), SYSFS_BUSES "/%s/" ATTR_AUTOPROBE, bus_to_string(bus));
	if (access(path, F_OK) < 0)
		return 0;
	ret->gate = GATE_AUTOPROBE;
	ret->authorized = driver != NULL;
	return set_driver(ret, driver ? driver : "");
}

int gate_read(int dirfd, enum Bus bus, const char *driver, struct GateState *ret)
{
	*ret = (struct GateState){.authorized = -1};
	if (bus_info[bus].gate == GATE_NONE || has_authorization())
		return 0;
	return bus_info[bus].gate == GATE_OVERRIDE ? read_override(dirfd, driver, ret)
						   : read_autoprobe(bus, driver, ret);
}
