/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* All devices of the governed buses at one moment, parents before their children. `parent` of each
 * is another one of them. */
struct Inventory {
	struct Device **devices; /* owned */
	size_t n;
	struct Needs held;	  /* the attributes that were asked for */
	struct Vector unreadable; /* of strings: paths of devices; the log told why */
};

/* Reads the devices that are there, with the attributes and interfaces that @needs names. Returns 0
 * or a negative errno. The caller calls inventory_done(), also on failure. */
int inventory_read(const struct Needs *needs, struct Inventory *ret);

/* Takes over @device, also on failure. Returns 0 or -ENOMEM. */
int inventory_add(struct Inventory *inventory, struct Device *device);

/* Finds the parent of each by its path. Before, they have none. */
void inventory_link(struct Inventory *inventory);

/* The device at @syspath, or NULL. */
struct Device *inventory_find(const struct Inventory *inventory, const char *syspath);

/* The number of @device, which is one of them. */
size_t inventory_number(const struct Inventory *inventory, const struct Device *device);

void inventory_done(struct Inventory *inventory);
#define _cleanup_inventory_ _cleanup_(inventory_done)
