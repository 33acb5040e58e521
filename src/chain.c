/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "chain.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEPTH_MAX 16 /* of devices that consist of others */

struct Walk {
	chain_visit_t visit;
	void *userdata;
	unsigned depth;
	int found;
};

static int visit_below(struct Walk *walk, const char *path, const char *directory,
		       const char *prefix);

/* A device of the kernel's own making, that consists of others, or one that hangs on a bus. */
static int visit_node(struct Walk *walk, const char *path, const char *directory,
		      const char *prefix)
{
	char real[PATH_MAX];
	int r;

	if (!realpath(path, real))
		return errno == ENOENT ? -ENODEV : -errno;
	if (walk->depth >= DEPTH_MAX)
		return -ELOOP;
	walk->depth++;
	r = visit_below(walk, real, directory, prefix);
	walk->depth--;
	if (r != 0)
		return r < 0 ? r : 0;
	walk->found++;
	return walk->visit(real, walk->userdata);
}

/* Visits the entries of a subdirectory, or of the directory itself where @directory is "", which
 * begin with @prefix. Returns how many there were. */
static int visit_below(struct Walk *walk, const char *path, const char *directory,
		       const char *prefix)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char name[PATH_MAX];
	struct dirent *entry;
	int n = 0, r = 0;

	(void)snprintf(name, sizeof(name), "%s/%s", path, directory);
	dir = opendir(name);
	while (dir && r >= 0 && (entry = readdir(dir))) {
		_cleanup_free_ char *child = NULL;

		if (entry->d_name[0] == '.' || !startswith(entry->d_name, prefix))
			continue;
		if (asprintf(&child, "%s/%s", name, entry->d_name) < 0) {
			r = -ENOMEM;
			break;
		}
		r = visit_node(walk, child, directory, prefix);
		n++;
	}
	return r < 0 ? r : n;
}

/* A partition has no slaves of its own, the disk it is on may. */
static int visit_block(struct Walk *walk, dev_t dev)
{
	char path[64], real[PATH_MAX], partition[PATH_MAX + 16];
	char *slash;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if (!realpath(path, real))
		return -ENODEV;
	(void)snprintf(partition, sizeof(partition), "%s/partition", real);
	if (access(partition, F_OK) == 0 && (slash = strrchr(real, '/')))
		*slash = '\0';
	return visit_node(walk, real, "slaves", "");
}

static int visit_interface(struct Walk *walk, const char *name)
{
	char path[PATH_MAX];

	if (strchr(name, '/') || name[0] == '.')
		return -ENODEV;
	(void)snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	return visit_node(walk, path, "", "lower_");
}

/* --- mounts --- */

/* Undoes proc(5)'s \040 and the like, in place. */
static void unescape_octal(char *s)
{
	char *out = s;

	for (; *s; out++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out = *s++;
		}
	}
	*out = '\0';
}

/* A file system as proc(5)'s mountinfo tells of it. */
struct Mount {
	char type[64];
	char source[PATH_MAX];
	char *options; /* the file system's own; owned */
};

static int find_mount(dev_t dev, struct Mount *ret)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		unsigned major_number, minor_number;
		char *rest = strstr(line, " - ");
		int end = 0;

		if (!rest || sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) != 2 ||
		    makedev(major_number, minor_number) != dev ||
		    sscanf(rest, " - %63s %4095s %n", ret->type, ret->source, &end) != 2)
			continue;
		unescape_octal(ret->source);
		rest[strcspn(rest, "\n")] = '\0';
		ret->options = strdup(end > 0 ? rest + end : "");
		return ret->options ? 0 : -ENOMEM;
	}
	return -ENODEV;
}

static int visit_file_system(struct Walk *walk, dev_t dev);

/* A directory that the file system @dev lies on. One that cannot be seen from here, as it was
 * mounted elsewhere, tells nothing; what stands at its path now may be @dev itself. */
static int visit_layer(struct Walk *walk, const char *path, dev_t dev)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0 || st.st_dev == dev)
		return 0;
	r = visit_file_system(walk, st.st_dev);
	return r == -ENODEV ? 0 : r;
}

/* "lowerdir=A:B,upperdir=C,...": Documentation/filesystems/overlayfs.rst. */
static int visit_layers(struct Walk *walk, char *options, dev_t dev)
{
	char *saved = NULL;
	int r = 0;

	for (char *option = strtok_r(options, ",", &saved); r >= 0 && option;
	     option = strtok_r(NULL, ",", &saved)) {
		const char *value = startswith(option, "lowerdir=");
		char *saved_layer = NULL;

		value = value ? value : startswith(option, "upperdir=");
		if (!value)
			continue;
		unescape_octal((char *)value);
		for (char *layer = strtok_r((char *)value, ":", &saved_layer); r >= 0 && layer;
		     layer = strtok_r(NULL, ":", &saved_layer))
			r = visit_layer(walk, layer, dev);
	}
	return r;
}

/* What a file system is on whose number is no block device's: btrfs, overlay. */
static int visit_mount(struct Walk *walk, dev_t dev)
{
	_cleanup_free_ char *options = NULL;
	struct Mount mount = {0};
	struct stat st;
	int r = find_mount(dev, &mount), before = walk->found;

	if (r < 0)
		return r;
	options = mount.options;
	if (streq(mount.type, "overlay")) {
		r = visit_layers(walk, options, dev);
		return r < 0 ? r : walk->found > before ? 0 : -ENODEV;
	}
	if (stat(mount.source, &st) < 0 || !S_ISBLK(st.st_mode))
		return -ENODEV;
	return visit_block(walk, st.st_rdev);
}

static int visit_file_system(struct Walk *walk, dev_t dev)
{
	int r;

	if (walk->depth >= DEPTH_MAX)
		return -ELOOP;
	walk->depth++;
	r = visit_block(walk, dev);
	if (r == -ENODEV)
		r = visit_mount(walk, dev);
	walk->depth--;
	return r;
}

static int visit_path(struct Walk *walk, const char *path)
{
	struct stat st;

	if (startswith(path, "/sys/"))
		return visit_node(walk, path, "slaves", "");
	if (stat(path, &st) < 0)
		return strchr(path, '/') ? -ENODEV : visit_interface(walk, path);
	return visit_file_system(walk, S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev);
}

int chain_find(const char *path, chain_visit_t visit, void *userdata)
{
	struct Walk walk = {visit, userdata, 0, 0};
	int r;

	/* the name of an interface goes before that of a file in the working directory */
	r = strchr(path, '/') ? -ENODEV : visit_interface(&walk, path);
	if (r == -ENODEV)
		r = visit_path(&walk, path);
	if (r < 0)
		return r;
	return walk.found > 0 ? walk.found : -ENODEV;
}

/* --- what a machine cannot do without --- */

struct Vital {
	int (*visit)(const char *syspath, const char *what, void *userdata);
	void *userdata;
	const char *what;
};

static int on_vital(const char *syspath, void *userdata)
{
	const struct Vital *vital = userdata;

	return vital->visit(syspath, vital->what, vital->userdata);
}

/* What is not there, or hangs on no device, is not lost. */
static int ignore_absence(int r)
{
	return r == -ENODEV || r == -ENOENT ? 0 : r;
}

/* The consoles that the kernel writes to: Documentation/ABI/testing/sysfs-tty. */
static int find_consoles(struct Vital *vital)
{
	struct Walk walk = {on_vital, vital, 0, 0};
	_cleanup_fclose_ FILE *f = fopen("/sys/class/tty/console/active", "re");
	char name[64];
	int r = 0;

	vital->what = "a console";
	while (f && r >= 0 && fscanf(f, "%63s", name) == 1) {
		char path[PATH_MAX];

		/* hvc is its own kind of device, with no link to whose it is */
		if (startswith(name, "hvc")) {
			r = visit_below(&walk, "/sys/bus/virtio/drivers/virtio_console", "",
					"virtio");
			continue;
		}
		(void)snprintf(path, sizeof(path), "/sys/class/tty/%s/device", name);
		if (!strchr(name, '/'))
			r = ignore_absence(visit_node(&walk, path, "slaves", ""));
	}
	return r < 0 ? r : 0;
}

/* proc(5): interface, destination, gateway, flags, ... */
static int find_ipv4_route(struct Walk *walk)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/net/route", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (f && r >= 0 && getline(&line, &size, f) > 0) {
		unsigned long destination, flags;
		char name[32];

		if (sscanf(line, "%31s %lx %*x %lx", name, &destination, &flags) == 3 &&
		    destination == 0 && (flags & 1))
			r = ignore_absence(visit_interface(walk, name));
	}
	return r;
}

/* Destination, its prefix, source, its prefix, next hop, metric, counters, flags, interface. */
static int find_ipv6_route(struct Walk *walk)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/net/ipv6_route", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (f && r >= 0 && getline(&line, &size, f) > 0) {
		char destination[33], name[32];
		unsigned prefix;

		if (sscanf(line, "%32s %x %*s %*s %*s %*s %*s %*s %*s %31s", destination, &prefix,
			   name) == 3 &&
		    prefix == 0 && strspn(destination, "0") == 32 && !streq(name, "lo"))
			r = ignore_absence(visit_interface(walk, name));
	}
	return r;
}

int chain_find_vital(int (*visit)(const char *syspath, const char *what, void *userdata),
		     void *userdata)
{
	struct Vital vital = {visit, userdata, "the root file system"};
	struct Walk walk = {on_vital, &vital, 0, 0};
	struct stat st;
	int r = stat("/", &st) < 0 ? -errno : visit_file_system(&walk, st.st_dev);

	if (r == -ENODEV)
		r = visit(NULL, vital.what, userdata);
	if (r >= 0)
		r = find_consoles(&vital);
	vital.what = "the default route";
	if (r >= 0)
		r = find_ipv4_route(&walk);
	if (r >= 0)
		r = find_ipv6_route(&walk);
	return r;
}

struct Device *chain_device(const struct Inventory *inventory, const char *syspath)
{
	_cleanup_free_ char *path = strdup(syspath);
	char *slash;

	while (path && *path) {
		struct Device *device = inventory_find(inventory, path);

		if (device)
			return device;
		slash = strrchr(path, '/');
		if (!slash)
			return NULL;
		*slash = '\0';
	}
	return NULL;
}
