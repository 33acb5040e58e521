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
	field(line, " ids=", node->ids, sizeof(node->ids));
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

bool node_has_pci_ids(const struct node *node, const char *ids)
{
	unsigned int vendor, device, wanted_vendor, wanted_device;

	return sscanf(ids, "%4x:%4x", &wanted_vendor, &wanted_device) == 2 &&
	       sscanf(node->modalias, "pci:v%8xd%8x", &vendor, &device) == 2 &&
	       vendor == wanted_vendor && device == wanted_device;
}

/* The list's verdict, from the ids in the modalias; a pnp device has none and lists its ids. */
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
	} else if (streq(node->bus, "pnp")) {
		device.bus = BUS_PNP;
		device.text_ids = (char *)node->ids;
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

/* The nearest device above @node, or NULL. */
static const struct node *parent_of(const struct sight *sight, const struct node *node)
{
	const struct node *parent = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < sight->n; i++) {
		const char *path = sight->nodes[i].path, *rest = startswith(node->path, path);
		size_t n = strlen(path);

		if (rest && *rest == '/' && n > longest) {
			longest = n;
			parent = &sight->nodes[i];
		}
	}
	return parent;
}

/* Devices of the machine that no list names: what the kernel made by itself, for want of a list of
 * its own, and what belongs to a device that is in order. */
static bool is_exempt(const struct sight *sight, const struct node *node)
{
	const struct node *parent;

	if (!streq(node->bus, "platform"))
		return false;
	if (streq(node->by, "kernel"))
		return true;
	parent = streq(node->by, "parent") ? parent_of(sight, node) : NULL;
	return parent && streq(parent->authorized, "1") && !node_complaint(sight, parent);
}

static bool is_gated(const struct node *node)
{
	static const char *const buses[] = {"pci", "virtio", "acpi", "pnp", "platform"};

	for (size_t i = 0; i < ELEMENTSOF(buses); i++)
		if (streq(node->bus, buses[i]))
			return true;
	return false;
}

const char *node_complaint(const struct sight *sight, const struct node *node)
{
	const char *driver;
	bool listed = find(node, &driver);

	if (!is_gated(node))
		return node_is_root_hub(node) || !node_is_bound(node) ? NULL
								      : "usb is denied by default";
	if (streq(node->authorized, ""))
		return "the kernel does not say whether it is authorized";
	if (!node_is_bound(node))
		return NULL;
	if (!streq(node->authorized, "1"))
		return "it is not authorized";
	if (!listed && !is_exempt(sight, node))
		return "no list names it";
	if (driver && !streq(driver, node->driver))
		return "the list admits another driver";
	return NULL;
}

const char *sight_probe_complaint(const struct sight *sight, const char *name, bool by_user)
{
	bool there = false;
	unsigned int number;
	char end;

	for (size_t i = 0; i < sight->n; i++) {
		const struct node *node = &sight->nodes[i];

		if (!streq(node->name, name))
			continue;
		if (!is_gated(node) || node_is_listed(node) || is_exempt(sight, node) ||
		    (by_user && streq(node->by, "user")))
			return NULL;
		there = true;
	}
	if (there)
		return "no list names it";
	return sscanf(name, "%*4x:%*2x:%*2x.%u%c", &number, &end) == 1 ||
			       sscanf(name, "virtio%u%c", &number, &end) == 1
		       ? "it is gone"
		       : NULL;
}
