/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sight.h"

#include <errno.h>

#include "hardened.h"

/* Copies what stands behind @key up to the next space. */
static void field(const char *line, const char *key, char *value, size_t size)
{
	const char *found = strstr(line, key);
	size_t n = found ? strcspn(found + strlen(key), " \n") : 0;

	if (n >= size)
		n = size - 1;
	if (found)
		memcpy(value, found + strlen(key), n);
	value[n] = '\0';
}

static bool parse_node(const char *line, struct node *node)
{
	if (sscanf(line, "%15[^/]/%63s ", node->bus, node->name) != 2)
		return false;
	field(line, " driver=", node->driver, sizeof(node->driver));
	field(line, " authorized=", node->authorized, sizeof(node->authorized));
	field(line, " by=", node->by, sizeof(node->by));
	field(line, " only=", node->only, sizeof(node->only));
	field(line, " modalias=", node->modalias, sizeof(node->modalias));
	field(line, " path=", node->path, sizeof(node->path));
	return true;
}

int sight_parse(const char *text, struct sight *ret)
{
	struct node node, *bigger;

	*ret = (struct sight){0};
	while (*text) {
		if (parse_node(text, &node)) {
			bigger = reallocarray(ret->nodes, ret->n + 1, sizeof(*bigger));
			if (!bigger) {
				sight_done(ret);
				return -ENOMEM;
			}
			ret->nodes = bigger;
			bigger[ret->n++] = node;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return 0;
}

void sight_done(struct sight *sight)
{
	free(sight->nodes);
	*sight = (struct sight){0};
}

bool sight_has(const struct sight *sight, const struct node *node)
{
	for (size_t i = 0; i < sight->n; i++)
		if (streq(sight->nodes[i].bus, node->bus) &&
		    streq(sight->nodes[i].name, node->name))
			return true;
	return false;
}

size_t sight_count(const struct sight *sight, const char *bus)
{
	size_t n = 0;

	for (size_t i = 0; i < sight->n; i++)
		n += streq(sight->nodes[i].bus, bus);
	return n;
}

bool node_is_bound(const struct node *node)
{
	return !streq(node->driver, "-") && !(streq(node->bus, "usb") && !strchr(node->name, ':'));
}

bool node_is_plugged(const struct node *node)
{
	return streq(node->bus, "pci") || streq(node->bus, "virtio") || streq(node->bus, "usb");
}

bool node_is_root_hub(const struct node *node)
{
	return streq(node->bus, "usb") &&
	       (startswith(node->name, "usb") || strstr(node->name, "-0:"));
}

/* The list's verdict, from the ids in the modalias; sysfs shows no modalias of a pnp device. */
static bool find(const struct node *node, const char **ret_driver)
{
	struct Device device = {.sysname = (char *)node->name};
	unsigned int class, subclass, interface;
	uint32_t *ids = device.ids;

	*ret_driver = NULL;
	if (sscanf(node->modalias, "pci:v%8xd%8xsv%*8[^s]sd%*8[^b]bc%2xsc%2xi%2x", &ids[ID_VENDOR],
		   &ids[ID_DEVICE], &class, &subclass, &interface) == 5) {
		device.bus = BUS_PCI;
		ids[ID_CLASS] = class << 16 | subclass << 8 | interface;
		device.have_ids = 1U << ID_VENDOR | 1U << ID_DEVICE | 1U << ID_CLASS;
	} else if (sscanf(node->modalias, "virtio:d%8xv%8x", &ids[ID_DEVICE], &ids[ID_VENDOR]) ==
		   2) {
		device.bus = BUS_VIRTIO;
		device.have_ids = 1U << ID_VENDOR | 1U << ID_DEVICE;
	} else if (streq(node->bus, "acpi")) {
		device.bus = BUS_ACPI;
		device.modalias = (char *)node->modalias;
	} else if (streq(node->bus, "platform"))
		device.bus = BUS_PLATFORM;
	else
		return false;
	return hardened_find(&device, ret_driver);
}

bool node_is_listed(const struct node *node)
{
	const char *driver;

	return find(node, &driver);
}

/* Devices of the machine that no list names: what the kernel made by itself, what belongs to a
 * device that was authorized, and pnp, where the list can only be asked in the kernel. */
static bool is_exempt(const struct node *node)
{
	if (streq(node->bus, "pnp"))
		return streq(node->by, "builtin");
	return streq(node->bus, "platform") &&
	       (streq(node->by, "kernel") || streq(node->by, "parent"));
}

const char *node_complaint(const struct node *node)
{
	const char *driver;
	bool listed = find(node, &driver);

	if (streq(node->bus, "usb"))
		return node_is_root_hub(node) || !node_is_bound(node) ? NULL
								      : "usb is denied by default";
	if (streq(node->authorized, ""))
		return "the kernel does not say whether it is authorized";
	if (!node_is_bound(node))
		return NULL;
	if (!streq(node->authorized, "1"))
		return "it is not authorized";
	if (!listed && !is_exempt(node))
		return "no list names it";
	if (driver && !streq(driver, node->driver))
		return "the list admits another driver";
	return NULL;
}

bool driver_is_listed(const char *bus, const char *driver)
{
	static const enum Bus buses[] = {BUS_PCI, BUS_VIRTIO};

	for (size_t b = 0; b < ELEMENTSOF(buses); b++)
		for (size_t i = 0; i < hardened_table_size; i++)
			if (hardened_table[i].bus == buses[b] &&
			    streq(bus, b == 0 ? "pci" : "virtio") &&
			    streq_or_null(hardened_table[i].driver, driver))
				return true;
	return false;
}
