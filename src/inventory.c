/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inventory.h"

#include <errno.h>

#include "device-read.h"
#include "escape.h"
#include "log.h"
#include "udev.h"

void inventory_done(struct Inventory *inventory)
{
	for (size_t i = 0; i < inventory->n; i++) {
		inventory->devices[i]->parent = NULL;
		device_free(inventory->devices[i]);
	}
	free(inventory->devices);
	needs_done(&inventory->held);
	for (size_t i = 0; i < inventory->unreadable.n; i++)
		free((char *)string_at(&inventory->unreadable, i));
	vector_done(&inventory->unreadable);
	*inventory = (struct Inventory){0};
}

int inventory_add(struct Inventory *inventory, struct Device *device)
{
	struct Device **devices = inventory->devices;

	if ((inventory->n & (inventory->n - 1)) == 0)
		devices = reallocarray(devices, inventory->n ? inventory->n * 2 : 1,
				       sizeof(struct Device *));
	if (!devices) {
		device_free(device);
		return -ENOMEM;
	}
	inventory->devices = devices;
	devices[inventory->n++] = device;
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp((*(struct Device *const *)a)->syspath, (*(struct Device *const *)b)->syspath);
}

static struct Device *find(const struct Inventory *inventory, const char *path, size_t len)
{
	size_t low = 0, high = inventory->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *other = inventory->devices[middle]->syspath;
		int order = strncmp(path, other, len);

		if (order == 0 && !other[len])
			return inventory->devices[middle];
		if (order <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

struct Device *inventory_find(const struct Inventory *inventory, const char *syspath)
{
	return find(inventory, syspath, strlen(syspath));
}

size_t inventory_number(const struct Inventory *inventory, const struct Device *device)
{
	size_t number = 0;

	while (inventory->devices[number] != device)
		number++;
	return number;
}

/* In the order of paths a device comes before those below it. */
void inventory_link(struct Inventory *inventory)
{
	if (inventory->n > 0)
		qsort(inventory->devices, inventory->n, sizeof(struct Device *), compare_paths);
	for (size_t i = 0; i < inventory->n; i++) {
		struct Device *device = inventory->devices[i];

		device->parent = NULL;
		for (size_t len = strlen(device->syspath); len > 0 && !device->parent; len--)
			if (device->syspath[len] == '/')
				device->parent = find(inventory, device->syspath, len);
	}
}

struct Reading {
	const struct Needs *needs;
	struct Inventory *inventory;
};

/* What is gone meanwhile, or is no device, is no error; one that cannot be read is no reason not to
 * read the others. */
static int on_node(const char *syspath, void *userdata)
{
	struct Reading *reading = userdata;
	struct Device *device = NULL;
	int r = device_open(syspath, reading->needs, NULL, &device);

	if (r == -ENODEV || r == -ENOTSUP)
		return 0;
	if (r < 0) {
		_cleanup_free_ char *safe = escape_text(syspath), *path = strdup(syspath);

		log_error("%s: cannot be read: %s", safe ? safe : "?", strerror(-r));
		if (!path || vector_add(&reading->inventory->unreadable, &path, sizeof(path)) < 0)
			return -ENOMEM;
		path = NULL;
		return 0;
	}
	return inventory_add(reading->inventory, device);
}

int inventory_read(const struct Needs *needs, struct Inventory *ret)
{
	struct Needs own = *needs;
	struct Reading reading = {&own, ret};
	int r;

	*ret = (struct Inventory){0};
	own.parents = false; /* they are all here */
	for (size_t i = 0; i < needs->attributes.n; i++)
		if (needs_add(&ret->held, string_at(&needs->attributes, i)) < 0)
			return -ENOMEM;
	r = udev_for_each_node(on_node, &reading);
	inventory_link(ret);
	return r;
}
