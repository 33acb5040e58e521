/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "names.h"
#include "sysfs-io.h"
#include "util.h"

/* Driver names come from policies and from the kernel: neither has a slash. */
static bool is_name(const char *name)
{
	return *name && !strchr(name, '/') && !streq(name, ".") && !streq(name, "..");
}

/* The directory that the bus knows by the device's name. Returns a descriptor, or -ENODEV. */
static int open_by_name(const struct BindTarget *target)
{
	char path[PATH_MAX];
	int n = is_name(target->name) ? snprintf(path, sizeof(path), SYSFS_BUSES "/%s/devices/%s",
						 bus_to_string(target->bus), target->name)
				      : -1;
	int fd = n < 0 || (size_t)n >= sizeof(path) ? -1
						    : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -ENODEV : fd;
}

static bool is_same(int a, int b)
{
	dev_t dev_a, dev_b;
	ino_t ino_a, ino_b;

	return sysfs_identity(a, &dev_a, &ino_a) == 0 && sysfs_identity(b, &dev_b, &ino_b) == 0 &&
	       dev_a == dev_b && ino_a == ino_b;
}

/* Writes the device's name. Returns as the header says, with the newcomer in *ret_other where it
 * is -ESTALE: -1 where nobody has the name any more. */
static int write_name(const struct BindTarget *target, int fd, int *ret_other)
{
	_cleanup_close_ int before = open_by_name(target), after = -1;
	int r;

	if (before < 0 || !is_same(before, target->dirfd))
		return -ENODEV;
	/* whether it has a driver now shows in the device; EINVAL: drivers_probe_store() */
	r = sysfs_write_fd(fd, target->name);
	if (r == -ENODEV || r == -EINVAL)
		r = -EAGAIN;
	else if (r != -EAGAIN && r != -EACCES)
		r = 0;
	after = open_by_name(target);
	if (after < 0) /* gone, and maybe before the write */
		return 0;
	if (is_same(after, target->dirfd))
		return r;
	if (ret_other)
		*ret_other = take_fd(&after);
	return -ESTALE;
}

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

/* Gives the device a driver by what is at @path. What another device gets by it is not its own. */
static int give(const struct BindTarget *target, const char *path)
{
	_cleanup_close_ int fd = open_file(path), other = -1;
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = write_name(target, fd, &other);
	if (r == -ESTALE)
		(void)bind_none(&(struct BindTarget){.dirfd = other, target->bus, target->name});
	return r;
}

int bind_any(const struct BindTarget *target)
{
	char path[64];

	(void)snprintf(path, sizeof(path), SYSFS_BUSES "/%s/" ATTR_PROBE,
		       bus_to_string(target->bus));
	return give(target, path);
}

/* The path of a driver, or of a file of it. Returns false for what is none. */
static bool driver_path(enum Bus bus, const char *driver, const char *file, char *path, size_t size)
{
	int n = snprintf(path, size, SYSFS_BUSES "/%s/drivers/%s%s", bus_to_string(bus), driver,
			 file);

	return is_name(driver) && n >= 0 && (size_t)n < size;
}

bool bind_has_driver(enum Bus bus, const char *driver)
{
	char path[PATH_MAX];

	return driver_path(bus, driver, "", path, sizeof(path)) && access(path, F_OK) == 0;
}

int bind_to(const struct BindTarget *target, const char *driver)
{
	char path[PATH_MAX];

	return driver_path(target->bus, driver, "/bind", path, sizeof(path)) ? give(target, path)
									     : 0;
}

int bind_none(const struct BindTarget *target)
{
	/* by the device's own link: the driver that it has, whatever that is called */
	_cleanup_close_ int fd =
		openat(target->dirfd, "driver/unbind", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	int r = 0;

	if (fd >= 0)
		r = write_name(target, fd, NULL);
	if (fd >= 0) /* it was taken from it already */
		return r == -EAGAIN ? 0 : r;
	if (errno != ENOENT)
		return -errno;
	return faccessat(target->dirfd, "driver", F_OK, 0) == 0 ? -EOPNOTSUPP : 0;
}
