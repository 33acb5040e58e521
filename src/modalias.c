/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modalias.h"

#include <errno.h>

/* A field of a modalias: what stands before it, how many hexadecimal digits it has at least, and
 * which id it is; class codes come in parts. */
struct Field {
	const char *tag;
	unsigned digits;
	int id; /* enum IdField; -1: of no interest */
	unsigned shift;
};

static const struct Field pci_fields[] = {
	{"v", 8, ID_VENDOR},
	{"d", 8, ID_DEVICE},
	{"sv", 8, ID_SUBSYSTEM_VENDOR},
	{"sd", 8, ID_SUBSYSTEM_DEVICE},
	{"bc", 2, ID_CLASS, 16},
	{"sc", 2, ID_CLASS, 8},
	{"i", 2, ID_CLASS, 0},
	{NULL},
};

static const struct Field virtio_fields[] = {
	{"d", 8, ID_DEVICE},
	{"v", 8, ID_VENDOR},
	{NULL},
};

static const struct Field usb_fields[] = {
	{"v", 4, ID_VENDOR},
	{"p", 4, ID_DEVICE},
	{NULL},
};

static const struct Field *const fields_of[_BUS_MAX] = {
	[BUS_PCI] = pci_fields,
	[BUS_VIRTIO] = virtio_fields,
	[BUS_USB] = usb_fields,
};

/* Reads the fields as far as they are well formed: a person may have left out the rest. */
static void read_fields(const char *s, const struct Field *fields, struct Device *device)
{
	for (const struct Field *field = fields; field->tag; field++) {
		char digits[9] = "";
		uint32_t value;

		s = startswith(s, field->tag);
		if (!s)
			return;
		memcpy(digits, s, strnlen(s, field->digits));
		if (strspn(digits, "0123456789ABCDEFabcdef") != field->digits ||
		    parse_sysfs_hex(digits, &value) < 0)
			return;
		device->ids[field->id] |= value << field->shift;
		if (field->shift == 0)
			device->have_ids |= 1U << field->id;
		s += field->digits;
	}
}

static enum Bus bus_of(const char *modalias)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		const char *rest = startswith(modalias, bus_to_string(bus));

		if (rest && *rest == ':')
			return bus;
	}
	return _BUS_INVALID;
}

/* pnp: one id, as "pnp:dPNP0501". */
static int name_it(struct Device *device, const char *rest)
{
	const char *id = device->bus == BUS_PNP ? startswith(rest, "d") : NULL;

	if (id) {
		device->text_ids = strdup(id);
		if (!device->text_ids)
			return -ENOMEM;
	}
	device->sysname = strdup(rest);
	return device->sysname ? 0 : -ENOMEM;
}

int device_from_modalias(const char *modalias, struct Device **ret)
{
	_cleanup_device_ struct Device *device = calloc(1, sizeof(*device));
	const char *rest;
	int r;

	if (!device)
		return -ENOMEM;
	device->bus = bus_of(modalias);
	if (device->bus == _BUS_INVALID)
		return -EINVAL;
	device->authorized = -1;
	device->authorized_by = _ORIGIN_INVALID;
	rest = modalias + strlen(bus_to_string(device->bus)) + 1;
	device->modalias = strdup(modalias);
	if (!device->modalias)
		return -ENOMEM;
	r = name_it(device, rest);
	if (r < 0)
		return r;
	if (fields_of[device->bus])
		read_fields(rest, fields_of[device->bus], device);
	*ret = TAKE_PTR(device);
	return 0;
}
