/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "udev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "names.h"

struct Node {
	char *syspath;
	ino_t ino; /* see phase.h; 0: gone meanwhile */
};

static int compare_nodes(const void *a, const void *b)
{
	const struct Node *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino > y->ino ? 1 : -1;
	return strcmp(x->syspath, y->syspath);
}

static void nodes_done(struct Vector *nodes)
{
	struct Node *node = nodes->data;

	for (size_t i = 0; i < nodes->n; i++)
		free(node[i].syspath);
	vector_done(nodes);
}

/* Adds what a link in a bus's directory leads to: "../../../devices/" and so on. What is gone
 * meanwhile is none. */
static int add_node(int dirfd, const char *name, struct Vector *nodes)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	const char *path = target, *rest;
	struct Node node = {0};
	struct stat st;

	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	target[n] = '\0';
	while ((rest = startswith(path, "../")))
		path = rest;
	if (!startswith(path, "devices/"))
		return 0;
	if (asprintf(&node.syspath, "/sys/%s", path) < 0)
		return -ENOMEM;
	if (fstatat(dirfd, name, &st, 0) == 0)
		node.ino = st.st_ino;
	if (vector_add(nodes, &node, sizeof(node)) < 0) {
		free(node.syspath);
		return -ENOMEM;
	}
	return 0;
}

/* Not by libudev, which reads more of each device to list it than is read to decide over it. A bus
 * that is not there has no devices. */
static int list_bus(enum Bus bus, struct Vector *nodes)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	char path[64];
	int r = 0;

	(void)snprintf(path, sizeof(path), SYSFS_BUSES "/%s/devices", bus_to_string(bus));
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	errno = 0;
	while (r >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			r = add_node(dirfd(dir), entry->d_name, nodes);
		errno = 0;
	}
	return r < 0 ? r : -errno;
}

static int visit_in_order(struct Vector *nodes, int (*visit)(const char *syspath, void *userdata),
			  void *userdata)
{
	const struct Node *node = nodes->data;
	int r = 0;

	if (nodes->n > 0)
		qsort(nodes->data, nodes->n, sizeof(*node), compare_nodes);
	for (size_t i = 0; r >= 0 && i < nodes->n; i++)
		r = visit(node[i].syspath, userdata);
	return r < 0 ? r : 0;
}

int udev_for_each_node_of(enum Bus bus, int (*visit)(const char *syspath, void *userdata),
			  void *userdata)
{
	_cleanup_(nodes_done) struct Vector nodes = {0};
	int r = list_bus(bus, &nodes);

	return r < 0 ? r : visit_in_order(&nodes, visit, userdata);
}

int udev_for_each_node(int (*visit)(const char *syspath, void *userdata), void *userdata)
{
	_cleanup_(nodes_done) struct Vector nodes = {0};
	int r = access(SYSFS_DEVICES, F_OK) < 0 ? -errno : 0;

	for (enum Bus bus = 0; r >= 0 && bus < _BUS_MAX; bus++)
		r = list_bus(bus, &nodes);
	return r < 0 ? r : visit_in_order(&nodes, visit, userdata);
}

/* Virtual I/O Device (VIRTIO) Version 1.2, section 5, and include/uapi/linux/virtio_ids.h. */
static const char *virtio_type(uint32_t id)
{
	static const char *const types[] = {
		[1] = "network",
		[2] = "block",
		[3] = "console",
		[4] = "entropy",
		[5] = "balloon",
		[6] = "I/O memory",
		[7] = "rpmsg",
		[8] = "SCSI host",
		[9] = "9P transport",
		[10] = "mac80211",
		[11] = "rproc serial",
		[12] = "CAIF",
		[13] = "old balloon",
		[16] = "GPU",
		[17] = "clock",
		[18] = "input",
		[19] = "vsock",
		[20] = "crypto",
		[21] = "signal",
		[22] = "pstore",
		[23] = "IOMMU",
		[24] = "memory",
		[25] = "sound",
		[26] = "file system",
		[27] = "pmem",
		[28] = "RPMB",
		[29] = "mac80211 hwsim",
		[30] = "video encoder",
		[31] = "video decoder",
		[32] = "SCMI",
		[33] = "Nitro secure module",
		[34] = "I2C adapter",
		[35] = "watchdog",
		[36] = "CAN",
		[38] = "parameter server",
		[39] = "audio policy",
		[40] = "Bluetooth",
		[41] = "GPIO",
	};

	return id < ELEMENTSOF(types) ? types[id] : NULL;
}

static char *describe_from_hwdb(struct udev_hwdb *hwdb, const char *modalias)
{
	struct udev_list_entry *list, *vendor, *model;
	const char *v = NULL, *m = NULL;
	char *text;

	list = udev_hwdb_get_properties_list_entry(hwdb, modalias, 0);
	vendor = udev_list_entry_get_by_name(list, "ID_VENDOR_FROM_DATABASE");
	model = udev_list_entry_get_by_name(list, "ID_MODEL_FROM_DATABASE");
	if (vendor)
		v = udev_list_entry_get_value(vendor);
	if (model)
		m = udev_list_entry_get_value(model);
	if (asprintf(&text, "%s%s%s", v ? v : "", v && m ? " " : "", m ? m : "") < 0)
		return NULL;
	return text;
}

char *udev_describe(struct udev_hwdb *hwdb, const struct Device *device)
{
	char *text;

	if (device->bus == BUS_VIRTIO && device_has_id(device, ID_DEVICE)) {
		const char *type = virtio_type(device->ids[ID_DEVICE]);

		if (type)
			return asprintf(&text, "virtio %s device", type) < 0 ? NULL : text;
		return asprintf(&text, "virtio device of type %u", device->ids[ID_DEVICE]) < 0
			       ? NULL
			       : text;
	}
	if (hwdb && device->modalias) {
		text = describe_from_hwdb(hwdb, device->modalias);
		if (!isempty(text))
			return text;
		free(text);
	}
	return strdup("");
}
