/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver-core.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test.h"

#define FITS "mock_fits" /* an attribute of a device: the driver that knows its ids */

void (*core_on_write)(void);

ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);

/* --- the world --- */

_printf_(1, 2) static char *format(const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		abort();
	va_end(ap);
	return text;
}

void core_add_bus(struct Testbed *bed, const char *bus)
{
	_cleanup_free_ char *autoprobe = format("/sys/bus/%s/drivers_autoprobe", bus),
			    *probe = format("/sys/bus/%s/drivers_probe", bus),
			    *uevent = format("/sys/bus/%s/uevent", bus);

	testbed_add_file(bed, autoprobe, "1\n");
	testbed_add_file(bed, probe, "");
	testbed_add_file(bed, uevent, "");
}

void core_add_driver(struct Testbed *bed, const char *bus, const char *driver)
{
	static const char *const files[] = {"bind", "unbind", "uevent"};
	_cleanup_free_ char *link = format("/sys/bus/%s/drivers/%s/subsystem", bus, driver);

	for (size_t i = 0; i < ELEMENTSOF(files); i++) {
		_cleanup_free_ char *path =
			format("/sys/bus/%s/drivers/%s/%s", bus, driver, files[i]);

		testbed_add_file(bed, path, "");
	}
	/* what an event has as its SUBSYSTEM, for umockdev to find */
	testbed_add_link(bed, link, "/sys/bus/drivers");
}

void core_remove_driver(struct Testbed *bed, const char *bus, const char *driver)
{
	_cleanup_free_ char *root = umockdev_testbed_get_root_dir(bed->umockdev),
			    *from = format("%s/sys/bus/%s/drivers/%s", root, bus, driver),
			    *to = format("%s/removed-%s", root, driver);

	assert_int_equal(rename(from, to), 0);
}

char *core_add_pci(struct Testbed *bed, const char *name, unsigned vendor, unsigned device,
		   const char *fits)
{
	_cleanup_free_ char *v = format("0x%04x\n", vendor), *d = format("0x%04x\n", device),
			    *f = format("%s\n", fits);

	return umockdev_testbed_add_device(bed->umockdev, "pci", name, NULL, "vendor", v, "device",
					   d, "class", "0x020000\n", "modalias", "pci:x\n",
					   "driver_override", "(null)\n", "remove", "", FITS, f,
					   NULL, NULL);
}

char *core_add_virtio(struct Testbed *bed, const char *name, unsigned type, const char *fits)
{
	_cleanup_free_ char *d = format("0x%04x\n", type), *f = format("%s\n", fits);

	return umockdev_testbed_add_device(bed->umockdev, "virtio", name, NULL, "vendor",
					   "0x1af4\n", "device", d, FITS, f, NULL, NULL);
}

void core_set_fits(struct Testbed *bed, const char *syspath, const char *fits)
{
	umockdev_testbed_set_attribute(bed->umockdev, syspath, FITS, fits);
}

char *core_driver(const char *syspath)
{
	_cleanup_free_ char *link = format("%s/driver", syspath);
	char target[PATH_MAX];
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n < 0)
		return strdup("");
	target[n] = '\0';
	return strdup(strrchr(target, '/') + 1);
}

/* --- what the kernel does; paths are real ones, which umockdev has no hand in --- */

static void link_driver(const char *device, const char *bus, const char *driver, const char *root)
{
	_cleanup_free_ char *target = format("%s/sys/bus/%s/drivers/%s", root, bus, driver),
			    *link = format("%s/driver", device);

	if (access(target, F_OK) == 0 && symlink(target, link) < 0 && errno != EEXIST)
		abort();
}

static void unlink_driver(const char *device)
{
	_cleanup_free_ char *link = format("%s/driver", device);

	(void)unlink(link);
}

void core_bind(struct Testbed *bed, const char *syspath, const char *bus, const char *driver)
{
	_cleanup_free_ char *root = umockdev_testbed_get_root_dir(bed->umockdev),
			    *device = format("%s%s", root, syspath);

	link_driver(device, bus, driver, root);
}

void core_unbind(struct Testbed *bed, const char *syspath)
{
	_cleanup_free_ char *root = umockdev_testbed_get_root_dir(bed->umockdev),
			    *device = format("%s%s", root, syspath);

	unlink_driver(device);
}

static bool read_line(const char *device, const char *attr, char *line, size_t size)
{
	_cleanup_free_ char *path = format("%s/%s", device, attr);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);

	if (n < 0)
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
}

/* pci_match_device(): an override is all that counts where there is one. */
static bool matches(const char *device, const char *driver)
{
	char line[256];

	if (read_line(device, "driver_override", line, sizeof(line)) && *line &&
	    !streq(line, "(null)"))
		return streq(line, driver);
	return read_line(device, FITS, line, sizeof(line)) && streq(line, driver);
}

/* What was written to a file of this path below @root, "/sys/bus/BUS/...": 0, or an errno. */
static int act(const char *root, char *file, const char *name)
{
	char *bus = file + strlen("/sys/bus/"), *rest = strchr(bus, '/');
	_cleanup_free_ char *device = NULL;
	char fits[256];
	char *verb;

	*rest++ = '\0';
	device = format("%s/sys/bus/%s/devices/%s", root, bus, name);
	if (streq(rest, "drivers_probe")) {
		_cleanup_free_ char *driver = format("%s/driver", device);

		if (access(driver, F_OK) < 0 && read_line(device, FITS, fits, sizeof(fits)) &&
		    matches(device, fits))
			link_driver(device, bus, fits, root);
		return 0;
	}
	rest += strlen("drivers/");
	verb = strrchr(rest, '/');
	*verb++ = '\0';
	if (streq(verb, "unbind")) {
		unlink_driver(device);
		return 0;
	}
	if (!matches(device, rest))
		return ENODEV;
	link_driver(device, bus, rest, root);
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && streq(text + n - m, end);
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	_cleanup_free_ char *link = format("/proc/self/fd/%d", fd), *root = NULL, *name = NULL;
	char path[PATH_MAX], *file;
	long size = syscall(SYS_readlink, link, path, sizeof(path) - 1);
	void (*on_write)(void) = core_on_write;

	path[size < 0 ? 0 : size] = '\0';
	file = strstr(path, "/sys/bus/");
	if (!file || (!ends_with(path, "/bind") && !ends_with(path, "/unbind") &&
		      !ends_with(path, "/drivers_probe")))
		return __real_write(fd, buf, n);
	core_on_write = NULL;
	if (on_write)
		on_write();
	root = strndup(path, (size_t)(file - path));
	name = strndup(buf, n);
	errno = act(root, file, name);
	return errno ? -1 : (ssize_t)n;
}
