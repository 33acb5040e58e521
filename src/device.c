/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

#include <errno.h>

/* Attribute names: drivers/pci/pci-sysfs.c, drivers/virtio/virtio.c, drivers/usb/core/sysfs.c,
 * drivers/thunderbolt/switch.c, drivers/acpi/device_sysfs.c, drivers/pnp/interface.c. */
const struct BusInfo bus_info[_BUS_MAX] = {
	[BUS_PCI] = {.ids = {{"vendor", ID_VENDOR, 4, false, true},
			     {"device", ID_DEVICE, 4, false, true},
			     {"class", ID_CLASS, 6, false, false}},
		     .driver_settable = true},
	[BUS_VIRTIO] = {.ids = {{"vendor", ID_VENDOR, 8, false, true},
				{"device", ID_DEVICE, 8, true, true}},
			.driver_settable = true},
	[BUS_USB] = {.devtype = "usb_device",
		     .ids = {{"idVendor", ID_VENDOR, 4, false, true},
			     {"idProduct", ID_DEVICE, 4, false, true}},
		     .names = {"manufacturer", "product"},
		     .native = true},
	[BUS_THUNDERBOLT] = {.devtype = "thunderbolt_device",
			     .names = {"vendor_name", "device_name"},
			     .native = true},
	[BUS_ACPI] = {.text_ids = {"hid"}, .driver_settable = true},
	[BUS_PNP] = {.text_ids = {"id"}, .driver_settable = true},
	[BUS_PLATFORM] = {.driver_settable = true},
};

void device_free(struct Device *device)
{
	if (!device)
		return;
	free(device->syspath);
	free(device->sysname);
	free(device->modalias);
	free(device->text_ids);
	free(device->driver);
	free(device->authorized_driver);
	free(device);
}

const char *device_exempt(const struct Device *device)
{
	const char *p;

	if (device->bus == BUS_USB && (p = startswith(device->sysname, "usb")) && *p >= '0' &&
	    *p <= '9')
		return "root hub: part of its controller";
	/* DOMAIN-ROUTE; route 0 is the host router, drivers/thunderbolt/switch.c */
	if (device->bus == BUS_THUNDERBOLT && (p = strchr(device->sysname, '-')) && streq(p, "-0"))
		return "host router: part of its controller";
	return NULL;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int parse_sysfs_hex(const char *s, uint32_t *ret)
{
	uint32_t value = 0;
	unsigned digits = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	for (; hex_value(*s) >= 0; s++) {
		if (value > UINT32_MAX >> 4)
			return -EINVAL;
		value = value << 4 | (uint32_t)hex_value(*s);
		digits++;
	}
	if (*s == '\n')
		s++;
	if (*s || digits == 0)
		return -EINVAL;
	*ret = value;
	return 0;
}

char *device_name(const struct Device *device)
{
	char *name;

	if (asprintf(&name, "%s:%s", bus_to_string(device->bus), device->sysname) < 0)
		return NULL;
	return name;
}

static int parse_digits(const char *s, unsigned base, unsigned max_digits, uint32_t *ret)
{
	uint64_t value = 0;
	unsigned n = 0;

	for (; *s; s++, n++) {
		char low = (char)(*s | 0x20);
		unsigned digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if (base == 16 && low >= 'a' && low <= 'f')
			digit = (unsigned)(low - 'a' + 10);
		else
			return -EINVAL;
		if (n < max_digits)
			value = value * base + digit;
	}
	if (n == 0)
		return -EINVAL;
	if (n > max_digits || value > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)value;
	return 0;
}

int bus_id_parse(const char *s, const struct BusId *id, uint32_t *ret)
{
	const char *hex = startswith(s, "0x");

	if (hex)
		return parse_digits(hex, 16, id->digits, ret);
	/* 010 is 10 to some readers and 8 to others, the kernel's command line among them */
	if (!id->decimal_ok || (s[0] == '0' && s[1]))
		return -EINVAL;
	return parse_digits(s, 10, 10, ret);
}
