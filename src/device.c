/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

#include <errno.h>

/* Attribute names: drivers/pci/pci-sysfs.c, drivers/virtio/virtio.c, drivers/usb/core/sysfs.c,
 * drivers/thunderbolt/switch.c, drivers/acpi/device_sysfs.c, drivers/pnp/interface.c. */
const struct BusInfo bus_info[_BUS_MAX] = {
	[BUS_PCI] = {.ids = {{"vendor", ID_VENDOR, 4},
			     {"device", ID_DEVICE, 4},
			     {"subsystem_vendor", ID_SUBSYSTEM_VENDOR, 4},
			     {"subsystem_device", ID_SUBSYSTEM_DEVICE, 4},
			     {"class", ID_CLASS, 6},
			     {"revision", ID_REVISION, 2}},
		     .removable = true,
		     .driver_settable = true,
		     .gate = GATE_OVERRIDE},
	[BUS_VIRTIO] = {.ids = {{"vendor", ID_VENDOR, 8}, {"device", ID_DEVICE, 8, true}},
			.driver_settable = true,
			.gate = GATE_AUTOPROBE},
	[BUS_USB] = {.devtype = "usb_device",
		     .ids = {{"idVendor", ID_VENDOR, 4}, {"idProduct", ID_DEVICE, 4}},
		     .names = {"manufacturer", "product"},
		     .texts = {"serial", "manufacturer", "product"},
		     .interfaces = true,
		     .removable = true,
		     .native = true,
		     .waits = true},
	[BUS_THUNDERBOLT] = {.devtype = "thunderbolt_device",
			     .names = {"vendor_name", "device_name"},
			     .texts = {"unique_id", "vendor_name", "device_name"},
			     .native = true},
	[BUS_ACPI] = {.text_ids = {"hid"}, .listed_key = "hid", .driver_settable = true},
	[BUS_PNP] = {.text_ids = {"id"},
		     .listed_key = "id",
		     .driver_settable = true,
		     .gate = GATE_AUTOPROBE},
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
	free(device->override);
	for (size_t i = 0; i < device->n_attributes; i++) {
		free(device->attributes[i].name);
		free(device->attributes[i].value);
	}
	free(device->attributes);
	free(device->interfaces);
	device_free(device->parent);
	free(device);
}

bool needs_has(const struct Needs *needs, const char *name)
{
	for (size_t i = 0; i < needs->attributes.n; i++)
		if (streq(string_at(&needs->attributes, i), name))
			return true;
	return false;
}

int needs_add(struct Needs *needs, const char *name)
{
	char *copy;

	if (needs_has(needs, name))
		return 0;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	if (vector_add(&needs->attributes, &copy, sizeof(copy)) < 0) {
		free(copy);
		return -ENOMEM;
	}
	return 0;
}

void needs_done(struct Needs *needs)
{
	for (size_t i = 0; i < needs->attributes.n; i++)
		free((char *)string_at(&needs->attributes, i));
	vector_done(&needs->attributes);
}

const char *device_attribute(const struct Device *device, const char *name)
{
	for (size_t i = 0; i < device->n_attributes; i++)
		if (streq(device->attributes[i].name, name))
			return device->attributes[i].value;
	return NULL;
}

/* acpi: the modalias has the compatible ids, which the attribute `hid` leaves out, and is "of:..."
 * where the device goes by PRP0001. drivers/acpi/device_sysfs.c. */
static const char *listed_ids(const struct Device *device)
{
	switch (device->bus) {
	case BUS_ACPI:
		return device->modalias ? startswith(device->modalias, "acpi:") : NULL;
	case BUS_PNP:
		return device->text_ids;
	default:
		return NULL;
	}
}

const char *device_next_listed_id(const struct Device *device, const char **pos, size_t *ret_len)
{
	static const char separators[] = ": \n\t";
	const char *id = *pos ? *pos : listed_ids(device);

	if (!id)
		return NULL;
	id += strspn(id, separators);
	*ret_len = strcspn(id, separators);
	*pos = id + *ret_len;
	return *ret_len > 0 ? id : NULL;
}

bool is_id_of_any_driver(const char *id, size_t len)
{
	static const char any[] = "PRP0001";

	return len == sizeof(any) - 1 && strncasecmp(id, any, len) == 0;
}

char *usb_interface_modalias(const struct Device *device, size_t number)
{
	uint32_t n = device->interfaces[number];
	char *modalias;

	return asprintf(&modalias, "%sic%02Xisc%02Xip%02Xin00", device->modalias, n >> 16 & 0xff,
			n >> 8 & 0xff, n & 0xff) < 0
		       ? NULL
		       : modalias;
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

/* @ret_mask: NULL where every digit must be given. */
static int parse_hex_digits(const char *s, unsigned max_digits, uint32_t *ret, uint32_t *ret_mask)
{
	size_t n = strlen(s);
	uint32_t value = 0, mask = 0;

	if (n == 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		bool any = ret_mask && (s[i] == 'x' || s[i] == 'X');
		int digit = any ? 0 : hex_value(s[i]);

		if (digit < 0)
			return -EINVAL;
		value = value << 4 | (uint32_t)digit;
		mask = mask << 4 | (any ? 0 : 0xf);
	}
	if (n > max_digits)
		return -ERANGE;
	*ret = value;
	if (ret_mask) /* the digits in front that were left out are zeros */
		*ret_mask = mask | (n < 8 ? UINT32_MAX << (4 * n) : 0);
	return 0;
}

static int parse_decimal(const char *s, uint32_t *ret)
{
	uint64_t value = 0;

	/* 010 is 10 to some readers and 8 to others, the kernel's command line among them */
	if (!*s || (s[0] == '0' && s[1]))
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		value = value * 10 + (uint64_t)(*s - '0');
		if (value > UINT32_MAX)
			return -ERANGE;
	}
	if (*s)
		return -EINVAL;
	*ret = (uint32_t)value;
	return 0;
}

static int parse_id(const char *s, const struct BusId *id, uint32_t *ret, uint32_t *ret_mask)
{
	const char *hex = startswith(s, "0x");

	if (hex)
		return parse_hex_digits(hex, id->digits, ret, ret_mask);
	if (!id->decimal_ok)
		return -EINVAL;
	if (ret_mask)
		*ret_mask = UINT32_MAX;
	return parse_decimal(s, ret);
}

int bus_id_parse(const char *s, const struct BusId *id, uint32_t *ret)
{
	return parse_id(s, id, ret, NULL);
}

int bus_id_parse_masked(const char *s, const struct BusId *id, uint32_t *ret, uint32_t *ret_mask)
{
	return parse_id(s, id, ret, ret_mask);
}

#define USB_DESCRIPTOR_DEVICE 1
#define USB_DESCRIPTOR_INTERFACE 4
#define USB_DEVICE_SIZE 18   /* bytes of the first descriptor, whatever it says itself */
#define USB_INTERFACE_SIZE 9 /* bytes of such a descriptor, at least */

int usb_interfaces_parse(const unsigned char *data, size_t size, uint32_t **ret, size_t *ret_n)
{
	_cleanup_free_ uint32_t *found = NULL;
	size_t n = 0;

	/* its length is the device's word, and the kernel does not go by it */
	if (size < USB_DEVICE_SIZE || data[1] != USB_DESCRIPTOR_DEVICE)
		return -EBADMSG;
	data += USB_DEVICE_SIZE;
	size -= USB_DEVICE_SIZE;
	while (size > 0) {
		size_t length = data[0];
		uint32_t *more;

		if (length < 2 || length > size)
			return -EBADMSG;
		/* shorter ones the kernel skips: drivers/usb/core/config.c */
		if (data[1] == USB_DESCRIPTOR_INTERFACE && length >= USB_INTERFACE_SIZE) {
			more = reallocarray(found, n + 1, sizeof(*found));
			if (!more)
				return -ENOMEM;
			found = more;
			found[n++] = (uint32_t)data[5] << 16 | (uint32_t)data[6] << 8 | data[7];
		}
		data += length;
		size -= length;
	}
	*ret = TAKE_PTR(found);
	*ret_n = n;
	return 0;
}
