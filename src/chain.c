/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "chain.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "mount.h"

#define DEPTH_MAX 16 /* of devices that consist of others */

struct Walk {
	chain_visit_t visit;
	void *userdata;
	unsigned depth;
	int found;
};

/* Where a device has links to those that it consists of. */
struct Parts {
	const char *directory; /* "": its own */
	const char *prefix;    /* of the links' names */
};

static const struct Parts block_parts = {"slaves", ""}, interface_parts = {"", "lower_"};

static int visit_links(struct Walk *walk, const char *path, const struct Parts *links,
		       const struct Parts *parts);

/* A partition has no parts of its own, the disk it is on may. */
static void cut_partition(char *real)
{
	char partition[PATH_MAX + 16], *slash;

	(void)snprintf(partition, sizeof(partition), "%s/partition", real);
	if (access(partition, F_OK) == 0 && (slash = strrchr(real, '/')))
		*slash = '\0';
}

/* A disk of NVMe that can be reached by several ways hangs on none: its subsystem, the directory it
 * is in, has links to the controllers, beside the directories of its disks (nvme_init_subsystem(),
 * drivers/nvme/host/core.c). */
static int visit_controllers(struct Walk *walk, const char *real)
{
	static const struct Parts controllers = {"..", "nvme"};

	if (!startswith(real, "/sys/devices/virtual/nvme-subsystem/"))
		return 0;
	return visit_links(walk, real, &controllers, &block_parts);
}

/* A device of the kernel's own making, that consists of others, or one that hangs on a bus. */
static int visit_node(struct Walk *walk, const char *path, const struct Parts *parts)
{
	char real[PATH_MAX];
	int r;

	if (!realpath(path, real))
		return errno == ENOENT ? -ENODEV : -errno;
	if (walk->depth >= DEPTH_MAX)
		return -ELOOP;
	cut_partition(real);
	walk->depth++;
	r = visit_links(walk, real, parts, parts);
	if (r == 0)
		r = visit_controllers(walk, real);
	walk->depth--;
	if (r != 0)
		return r < 0 ? r : 0;
	walk->found++;
	return walk->visit(real, walk->userdata);
}

/* Visits what @links of @path lead to, each of which has @parts. Returns how many there were. */
static int visit_links(struct Walk *walk, const char *path, const struct Parts *links,
		       const struct Parts *parts)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char name[PATH_MAX];
	struct dirent *entry;
	int n = 0, r = 0;

	(void)snprintf(name, sizeof(name), "%s/%s", path, links->directory);
	dir = opendir(name);
	while (dir && r >= 0 && (entry = readdir(dir))) {
		_cleanup_free_ char *child = NULL;

		if (entry->d_type != DT_LNK || !startswith(entry->d_name, links->prefix))
			continue;
		if (asprintf(&child, "%s/%s", name, entry->d_name) < 0)
			return -ENOMEM;
		r = visit_node(walk, child, parts);
		n++;
	}
	return r < 0 ? r : n;
}

static int visit_block(struct Walk *walk, dev_t dev)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	return visit_node(walk, path, &block_parts);
}

static int visit_interface(struct Walk *walk, const char *name)
{
	char path[PATH_MAX];

	if (strchr(name, '/') || name[0] == '.')
		return -ENODEV;
	(void)snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	return visit_node(walk, path, &interface_parts);
}

/* --- file systems --- */

static int visit_file_system(struct Walk *walk, const char *path);

/* A directory that is a layer of the overlay @dev. One that cannot be seen from here, as it was
 * mounted elsewhere, tells nothing; what stands at its path now may be the overlay itself. */
static int visit_layer(struct Walk *walk, const char *path, dev_t dev)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0 || st.st_dev == dev)
		return 0;
	r = visit_file_system(walk, path);
	return r == -ENODEV ? 0 : r;
}

/* "lowerdir=A:B,upperdir=C,...": Documentation/filesystems/overlayfs.rst. */
static int visit_layers(struct Walk *walk, const struct Mount *mount)
{
	char *saved = NULL;
	int r = 0, before = walk->found;

	for (char *option = strtok_r(mount->options, ",", &saved); r >= 0 && option;
	     option = strtok_r(NULL, ",", &saved)) {
		const char *value = startswith(option, "lowerdir=");
		char *saved_layer = NULL;

		value = value ? value : startswith(option, "upperdir=");
		if (!value)
			continue;
		unescape_octal((char *)value);
		for (char *layer = strtok_r((char *)value, ":", &saved_layer); r >= 0 && layer;
		     layer = strtok_r(NULL, ":", &saved_layer))
			r = visit_layer(walk, layer, mount->dev);
	}
	return r < 0 ? r : walk->found > before ? 0 : -ENODEV;
}

/* Whether the directory @devices, of a btrfs, has a link to the device at @real. */
static bool has_member(const char *devices, const char *real)
{
	_cleanup_closedir_ DIR *dir = opendir(devices);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char member[PATH_MAX + 512], target[PATH_MAX];

		(void)snprintf(member, sizeof(member), "%s/%s", devices, entry->d_name);
		if (entry->d_type == DT_LNK && realpath(member, target) && streq(target, real))
			return true;
	}
	return false;
}

/* All devices of the btrfs that @dev, the one that it is mounted by, is one of: fs/btrfs/sysfs.c.
 */
static int visit_btrfs(struct Walk *walk, dev_t dev)
{
	static const struct Parts members = {"devices", ""};
	_cleanup_closedir_ DIR *dir = opendir("/sys/fs/btrfs");
	char path[PATH_MAX], real[PATH_MAX];
	struct dirent *entry;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if (!realpath(path, real))
		return -ENODEV;
	while (dir && (entry = readdir(dir))) {
		char devices[PATH_MAX + 16];

		(void)snprintf(path, sizeof(path), "/sys/fs/btrfs/%s", entry->d_name);
		(void)snprintf(devices, sizeof(devices), "%s/devices", path);
		if (entry->d_name[0] != '.' && has_member(devices, real)) {
			int r = visit_links(walk, path, &members, &block_parts);

			return r < 0 ? r : 0;
		}
	}
	return visit_node(walk, real, &block_parts);
}

static int visit_mount_unguarded(struct Walk *walk, const struct Mount *mount)
{
	struct stat st;
	int r;

	if (streq(mount->type, "overlay"))
		return visit_layers(walk, mount);
	r = visit_block(walk, mount->dev);
	if (r != -ENODEV)
		return r;
	/* its number is no block device's */
	if (stat(mount->source, &st) < 0 || !S_ISBLK(st.st_mode))
		return -ENODEV;
	return streq(mount->type, "btrfs") ? visit_btrfs(walk, st.st_rdev)
					   : visit_block(walk, st.st_rdev);
}

static int visit_mount(struct Walk *walk, const struct Mount *mount)
{
	int r;

	if (walk->depth >= DEPTH_MAX)
		return -ELOOP;
	walk->depth++;
	r = visit_mount_unguarded(walk, mount);
	walk->depth--;
	return r;
}

static int visit_file_system(struct Walk *walk, const char *path)
{
	_cleanup_mount_ struct Mount mount = {0};
	struct stat st;
	int r = stat(path, &st) < 0 ? -errno : visit_block(walk, st.st_dev);

	if (r != -ENODEV)
		return r;
	r = mount_of_path(path, &mount);
	return r < 0 ? r : visit_mount(walk, &mount);
}

static int visit_path(struct Walk *walk, const char *path)
{
	struct stat st;

	if (startswith(path, "/sys/"))
		return visit_node(walk, path, &block_parts);
	if (stat(path, &st) < 0)
		return strchr(path, '/') ? -ENODEV : visit_interface(walk, path);
	return S_ISBLK(st.st_mode) ? visit_block(walk, st.st_rdev) : visit_file_system(walk, path);
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
	static const struct Parts virtio = {"", "virtio"};
	struct Walk walk = {on_vital, vital, 0, 0};
	_cleanup_fclose_ FILE *f = fopen("/sys/class/tty/console/active", "re");
	char name[64];
	int r = 0;

	vital->what = "a console";
	while (f && r >= 0 && fscanf(f, "%63s", name) == 1) {
		char path[PATH_MAX];

		/* hvc is its own kind of device, with no link to whose it is */
		if (startswith(name, "hvc")) {
			r = visit_links(&walk, "/sys/bus/virtio/drivers/virtio_console", &virtio,
					&block_parts);
			continue;
		}
		(void)snprintf(path, sizeof(path), "/sys/class/tty/%s/device", name);
		if (!strchr(name, '/'))
			r = ignore_absence(visit_node(&walk, path, &block_parts));
	}
	return r < 0 ? r : 0;
}

/* A table of the machine's network, which the daemon itself has no part in. Who may not see the
 * first process sees his own. */
static FILE *open_routes(const char *name)
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/1/net/%s", name);
	f = fopen(path, "re");
	if (f)
		return f;
	(void)snprintf(path, sizeof(path), "/proc/net/%s", name);
	return fopen(path, "re");
}

/* proc(5): interface, destination, gateway, flags, ... */
static int find_ipv4_route(struct Walk *walk)
{
	_cleanup_fclose_ FILE *f = open_routes("route");
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
	_cleanup_fclose_ FILE *f = open_routes("ipv6_route");
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

static int find_root(struct Vital *vital)
{
	struct Walk walk = {on_vital, vital, 0, 0};
	int r;

	vital->what = "the root file system";
	r = visit_file_system(&walk, "/");
	return r == -ENODEV ? vital->visit(NULL, vital->what, vital->userdata) : r;
}

/* What is mounted there, one on top of the other: each is needed. */
static int find_usr(struct Vital *vital)
{
	struct Walk walk = {on_vital, vital, 0, 0};
	_cleanup_fclose_ FILE *mounts = mounts_open();
	_cleanup_mount_ struct Mount mount = {0};
	bool is_mounted = false;
	int r = 0;

	vital->what = "the file system of /usr";
	while (mounts && r >= 0 && (r = mounts_next(mounts, &mount)) > 0) {
		if (!streq(mount.point, "/usr"))
			continue;
		is_mounted = true;
		r = ignore_absence(visit_mount(&walk, &mount));
	}
	if (r >= 0 && is_mounted && walk.found == 0)
		r = vital->visit(NULL, vital->what, vital->userdata);
	return r;
}

static int find_default_route(struct Vital *vital)
{
	struct Walk walk = {on_vital, vital, 0, 0};
	int r;

	vital->what = "the default route";
	r = find_ipv4_route(&walk);
	return r < 0 ? r : find_ipv6_route(&walk);
}

int chain_find_vital(int (*visit)(const char *syspath, const char *what, void *userdata),
		     void *userdata)
{
	static int (*const finders[])(struct Vital *) = {find_root, find_usr, find_consoles,
							 find_default_route};
	struct Vital vital = {visit, userdata, NULL};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ELEMENTSOF(finders); i++)
		r = finders[i](&vital);
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
