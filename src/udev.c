/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "udev.h"

#include <errno.h>
#include <sys/stat.h>

#include "names.h"

struct Node {
	const char *syspath; /* the enumeration's */
	ino_t ino;	     /* see phase.h; 0: gone meanwhile */
};

static int compare_nodes(const void *a, const void *b)
{
	const struct Node *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino > y->ino ? 1 : -1;
	return strcmp(x->syspath, y->syspath);
}

static int visit_in_order(struct udev_enumerate *enumerate,
			  int (*visit)(const char *syspath, void *userdata), void *userdata)
{
	_cleanup_vector_ struct Vector vector = {0};
	struct udev_list_entry *entry;
	struct Node *nodes;
	int r = 0;

	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(enumerate))
	{
		struct Node node = {.syspath = udev_list_entry_get_name(entry)};
		struct stat st;

		if (stat(node.syspath, &st) == 0)
			node.ino = st.st_ino;
		if (vector_add(&vector, &node, sizeof(node)) < 0)
			return -ENOMEM;
	}
	nodes = vector.data;
	if (vector.n > 0)
		qsort(nodes, vector.n, sizeof(*nodes), compare_nodes);
	for (size_t i = 0; r >= 0 && i < vector.n; i++)
		r = visit(nodes[i].syspath, userdata);
	return r < 0 ? r : 0;
}

int udev_for_each_node(struct udev *udev, int (*visit)(const char *syspath, void *userdata),
		       void *userdata)
{
	_cleanup_(udev_enumerate_unrefp) struct udev_enumerate *enumerate =
		udev_enumerate_new(udev);
	int r;

	if (!enumerate || access(SYSFS_DEVICES, F_OK) < 0)
		return errno ? -errno : -ENOMEM;
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		r = udev_enumerate_add_match_subsystem(enumerate, bus_to_string(bus));
		if (r < 0)
			return r;
	}
	r = udev_enumerate_scan_devices(enumerate);
	return r < 0 ? r : visit_in_order(enumerate, visit, userdata);
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
