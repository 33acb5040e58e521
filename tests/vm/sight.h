/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "util.h"

/* What the agent sees in a guest (agent sight): the devices and their drivers, and whether the
 * built-in list of hardened devices would have it so. */
struct node {
	char bus[16], name[64], driver[64], authorized[8], by[16], only[64];
	char modalias[256], ids[256], path[256];
};

struct sight {
	struct node *nodes;
	size_t n;
};

int sight_parse(const char *text, struct sight *ret);
void sight_done(struct sight *sight);
bool sight_has(const struct sight *sight, const struct node *node);
size_t sight_count(const struct sight *sight, const char *bus);

/* Whether the node has a driver; "usb" of a whole USB device is none, it only picks a
 * configuration. */
bool node_is_bound(const struct node *node);

/* Whether the list has the device, whatever its driver is. */
bool node_is_listed(const struct node *node);

/* Whether it is on a bus that models are plugged into, and no part of the machine. */
bool node_is_plugged(const struct node *node);

/* Whether it is a USB root hub or what belongs to it: the controller itself. */
bool node_is_root_hub(const struct node *node);

/* Whether it is a PCI device with these ids, "8086:10d3". */
bool node_has_pci_ids(const struct node *node, const char *ids);

/* What is wrong with the node under dev_auth=enforce: a driver that no list gives it. NULL if
 * nothing is. */
const char *node_complaint(const struct sight *sight, const struct node *node);

/* Whether any driver may be tried on the device of this name, on whichever bus of those that the
 * gate holds: NULL, or why not. Names of other buses are of no interest. @by_user: whether what a
 * user authorized counts. */
const char *sight_probe_complaint(const struct sight *sight, const char *name, bool by_user);
