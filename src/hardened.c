/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hardened.h"

#include <fnmatch.h>

#define PCI_DEVICE(v, d, drv)                                                                      \
	{                                                                                          \
		.bus = BUS_PCI, .vendor = (v), .device = (d), .driver = (drv)                      \
	}
#define PCI_CLASS(c, m, drv)                                                                       \
	{                                                                                          \
		.bus = BUS_PCI, .class_code = (c), .class_mask = (m), .driver = (drv)              \
	}
#define VIRTIO(id, drv)                                                                            \
	{                                                                                          \
		.bus = BUS_VIRTIO, .device = (id), .driver = (drv)                                 \
	}
#define ACPI(id)                                                                                   \
	{                                                                                          \
		.bus = BUS_ACPI, .text = (id)                                                      \
	}
#define PLATFORM(glob)                                                                             \
	{                                                                                          \
		.bus = BUS_PLATFORM, .text = (glob)                                                \
	}

/* The same entries as drivers/base/authorize_hardened.h of kernel-patches/6.12; a test compares
 * them. The acpi and platform entries precede the kernel's. */
const struct HardenedEntry hardened_table[] = {
	PCI_CLASS(0x060400, 0xffff00, "pcieport"),
	PCI_DEVICE(0x1af4, 0x1000, "virtio-pci"), /* transitional net */
	PCI_DEVICE(0x1af4, 0x1001, "virtio-pci"), /* transitional block */
	PCI_DEVICE(0x1af4, 0x1003, "virtio-pci"), /* transitional console */
	PCI_DEVICE(0x1af4, 0x1009, "virtio-pci"), /* transitional 9p */
	PCI_DEVICE(0x1af4, 0x1041, "virtio-pci"), /* net */
	PCI_DEVICE(0x1af4, 0x1042, "virtio-pci"), /* block */
	PCI_DEVICE(0x1af4, 0x1043, "virtio-pci"), /* console */
	PCI_DEVICE(0x1af4, 0x1049, "virtio-pci"), /* 9p */
	PCI_DEVICE(0x1af4, 0x1053, "virtio-pci"), /* vsock */
	VIRTIO(1, "virtio_net"),
	VIRTIO(2, "virtio_blk"),
	VIRTIO(3, "virtio_console"),
	VIRTIO(9, "9pnet_virtio"),
	VIRTIO(19, "vmw_vsock_virtio_transport"),
	ACPI("LNXSYSTM"),
	ACPI("LNXSYBUS"),
	ACPI("PNP0A03"),
	ACPI("PNP0A08"),
	ACPI("PNP0C0F"),
	ACPI("PNP0C01"),
	ACPI("PNP0C02"),
	ACPI("PNP0A05"),
	ACPI("PNP0A06"),
	ACPI("ACPI0010"),
	ACPI("ACPI0007"),
	ACPI("LNXCPU"),
	ACPI("ACPI0013"),
	ACPI("PNP0C0C"),
	ACPI("LNXPWRBN"),
	ACPI("PNP0B00"),
	ACPI("LNRO0005"),
	PLATFORM("ACPI0013:*"),
	PLATFORM("LNRO0005:*"),
	PLATFORM("virtio-mmio.*"),
};
const size_t hardened_table_size = ELEMENTSOF(hardened_table);

static bool ids_match(const struct HardenedEntry *entry, const struct Device *device)
{
	if (entry->class_mask)
		return device_has_id(device, ID_CLASS) &&
		       (device->ids[ID_CLASS] & entry->class_mask) == entry->class_code;
	/* virtio: the device id alone, as a virtio vendor is any transport's */
	return device_has_id(device, ID_DEVICE) && device->ids[ID_DEVICE] == entry->device &&
	       (entry->bus == BUS_VIRTIO ||
		(device_has_id(device, ID_VENDOR) && device->ids[ID_VENDOR] == entry->vendor));
}

static bool text_id_listed(const char *id, size_t len)
{
	for (size_t i = 0; i < hardened_table_size; i++)
		if (hardened_table[i].bus == BUS_ACPI && strlen(hardened_table[i].text) == len &&
		    strncmp(hardened_table[i].text, id, len) == 0)
			return true;
	return false;
}

/* A driver may match by any id the device shows, so all must be listed. @ids: separated by colons
 * or white space. */
static bool all_text_ids_listed(const char *ids)
{
	static const char separators[] = ": \n\t";
	size_t n = 0;

	while (*(ids += strspn(ids, separators))) {
		size_t len = strcspn(ids, separators);

		if (!text_id_listed(ids, len))
			return false;
		ids += len;
		n++;
	}
	return n > 0;
}

bool hardened_find(const struct Device *device, const char **ret_driver)
{
	const char *acpi_ids;

	*ret_driver = NULL;
	switch (device->bus) {
	case BUS_ACPI:
		acpi_ids = device->modalias ? startswith(device->modalias, "acpi:") : NULL;
		return acpi_ids && all_text_ids_listed(acpi_ids);
	case BUS_PNP:
		return device->text_ids && all_text_ids_listed(device->text_ids);
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
