/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hardened.h"

#include <fnmatch.h>
#include <strings.h>

/* By these classes goes code of the kernel that is no driver: bridges, displays, USB controllers.
 * Source: the series' pci_auth_class_acts(), drivers/pci/pci-driver.c. */
static bool class_acts(uint32_t class)
{
	return class >> 16 == 0x06 || class >> 16 == 0x03 || class >> 8 == 0x0001 ||
	       class >> 8 == 0x0c03;
}

static bool ids_match(const struct HardenedEntry *entry, const struct Device *device)
{
	if (entry->class_mask)
		return device_has_id(device, ID_CLASS) &&
		       (device->ids[ID_CLASS] & entry->class_mask) == entry->class_code;
	if (entry->bus == BUS_PCI && device_has_id(device, ID_CLASS) &&
	    class_acts(device->ids[ID_CLASS]))
		return false;
	/* virtio: the device id alone, as a virtio vendor is any transport's */
	return device_has_id(device, ID_DEVICE) && device->ids[ID_DEVICE] == entry->device &&
	       (entry->bus == BUS_VIRTIO ||
		(device_has_id(device, ID_VENDOR) && device->ids[ID_VENDOR] == entry->vendor));
}

/* The length of the firmware's id that an entry lists, from the start of its text; 0 for none. A
 * device of the firmware shows on acpi and, as pnp or platform (ID:INSTANCE), where its driver is;
 * an entry of either lists its id for both. */
static size_t firmware_id_length(const struct HardenedEntry *entry)
{
	static const char instance[] = ":*";
	size_t len = entry->text ? strlen(entry->text) : 0, suffix = strlen(instance);

	if (entry->bus != BUS_PLATFORM)
		return len;
	return len > suffix && streq(entry->text + len - suffix, instance) ? len - suffix : 0;
}

/* @any_case: pnp shows ids with their hexadecimal digits in lower case, and tells none from another
 * by that. */
static bool text_id_listed(const char *id, size_t len, bool any_case)
{
	for (size_t i = 0; i < hardened_table_size; i++)
		if (firmware_id_length(&hardened_table[i]) == len &&
		    (any_case ? strncasecmp(hardened_table[i].text, id, len)
			      : strncmp(hardened_table[i].text, id, len)) == 0)
			return true;
	return false;
}

/* A driver may match by any id the device shows, so all must be listed. */
static bool all_text_ids_listed(const struct Device *device, bool any_case)
{
	const char *pos = NULL, *id;
	size_t len, n = 0;

	while ((id = device_next_listed_id(device, &pos, &len))) {
		if (!text_id_listed(id, len, any_case))
			return false;
		n++;
	}
	return n > 0;
}

bool hardened_find(const struct Device *device, const char **ret_driver)
{
	*ret_driver = NULL;
	switch (device->bus) {
	case BUS_ACPI:
		return all_text_ids_listed(device, false);
	case BUS_PNP:
		return all_text_ids_listed(device, true);
	default:
		break;
	}
	for (size_t i = 0; i < hardened_table_size; i++) {
		const struct HardenedEntry *entry = &hardened_table[i];

		if (entry->bus != device->bus)
			continue;
		if (entry->text ? fnmatch(entry->text, device->sysname, 0) == 0
				: ids_match(entry, device)) {
			*ret_driver = entry->driver;
			return true;
		}
	}
	return false;
}
