/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "find-device.h"

#include <errno.h>
#include <limits.h>

#include "device-read.h"
#include "escape.h"
#include "log.h"

/* Resolves links, so that the path is the device's own. @path is in /sys. */
static int open_path(const char *path, const struct Needs *needs, int *ret_dirfd,
		     struct Device **ret)
{
	_cleanup_free_ char *real = realpath(path, NULL);

	if (!real)
		return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
	if (!startswith(real, "/sys/"))
		return -ENODEV;
	return device_open(real, needs, ret_dirfd, ret);
}

static int open_on_bus(enum Bus bus, const char *name, const struct Needs *needs, int *ret_dirfd,
		       struct Device **ret)
{
	char path[PATH_MAX];
	int n;

	if (!*name || strchr(name, '/'))
		return -ENODEV;
	n = snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s", bus_to_string(bus), name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENODEV;
	return open_path(path, needs, ret_dirfd, ret);
}

static int open_by_bus_name(const char *name, const struct Needs *needs, int *ret_dirfd,
			    struct Device **ret)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		const char *rest = startswith(name, bus_to_string(bus));

		if (rest && *rest == ':') {
			int r = open_on_bus(bus, rest + 1, needs, ret_dirfd, ret);

			/* "platform:x" could also be a NAME; names with a colon are tried as such
			 */
			if (r != -ENODEV)
				return r;
		}
	}
	return -ENODEV;
}

static int open_by_name(const char *name, const struct Needs *needs, int *ret_dirfd,
			struct Device **ret)
{
	_cleanup_device_ struct Device *found = NULL;
	_cleanup_close_ int found_fd = -1;

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		_cleanup_device_ struct Device *device = NULL;
		_cleanup_close_ int fd = -1;
		int r = open_on_bus(bus, name, needs, &fd, &device);

		if (r == -ENODEV || r == -ENOTSUP)
			continue;
		if (r < 0)
			return r;
		if (found)
			return -ENOTUNIQ;
		found = TAKE_PTR(device);
		found_fd = take_fd(&fd);
	}
	if (!found)
		return -ENODEV;
	*ret = TAKE_PTR(found);
	*ret_dirfd = take_fd(&found_fd);
	return 0;
}

static int find(const char *name, const struct Needs *needs, int *ret_dirfd, struct Device **ret)
{
	int r;

	if (startswith(name, "/"))
		return open_path(name, needs, ret_dirfd, ret);
	r = open_by_bus_name(name, needs, ret_dirfd, ret);
	return r == -ENODEV ? open_by_name(name, needs, ret_dirfd, ret) : r;
}

bool find_device_quietly(const char *name)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = -1;

	return find(name, NULL, &dirfd, &device) != -ENODEV;
}

int find_device(const char *name, const struct Needs *needs, int *ret_dirfd, struct Device **ret)
{
	_cleanup_free_ char *safe = escape_text(name);
	int r = find(name, needs, ret_dirfd, ret);

	if (r == -ENODEV)
		log_error("%s: no such device; \"tdx-authctl list\" shows them all",
			  safe ? safe : "?");
	else if (r == -ENOTUNIQ)
		log_error("%s: several buses have a device of that name; say BUS:NAME",
			  safe ? safe : "?");
	else if (r == -ENOTSUP)
		log_error("%s: not a device of a bus that policy governs", safe ? safe : "?");
	else if (r < 0)
		log_error("%s: %s", safe ? safe : "?", strerror(-r));
	return r;
}
