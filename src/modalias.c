/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modalias.h"

#include <errno.h>

/* A field of a modalias: what stands before it, how many hexadecimal digits it has, and which id it
 * is; class codes come in parts. */
struct Field {
	const char *tag;
	unsigned digits;
	int id; /* enum IdField; -1: none that a device is matched by */
	unsigned shift;
	bool of_interface; /* usb: not of the device; all of these may be left out */
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
	{"d", 4, -1},
	{"dc", 2, -1},
	{"dsc", 2, -1},
	{"dp", 2, -1},
	{"ic", 2, -1, .shift = 16, .of_interface = true},
	{"isc", 2, -1, .shift = 8, .of_interface = true},
	{"ip", 2, -1, .shift = 0, .of_interface = true},
	{"in", 2, -1, .shift = 24, .of_interface = true}, /* its number: no class */
	{NULL},
};

#define FIELDS                                                                                     \
	", each X an upper-case hexadecimal digit, or * for the digits of a field that is not "    \
	"known and, at the end, for all that follows"

static const struct {
	const struct Field *fields;
	const char *form;
} forms[_BUS_MAX] = {
	[BUS_PCI] = {pci_fields, "pci:vXXXXXXXXdXXXXXXXXsvXXXXXXXXsdXXXXXXXXbcXXscXXiXX" FIELDS},
	[BUS_VIRTIO] = {virtio_fields, "virtio:dXXXXXXXXvXXXXXXXX" FIELDS},
	[BUS_USB] = {usb_fields, "usb:vXXXXpXXXXdXXXXdcXXdscXXdpXX" FIELDS},
	[BUS_THUNDERBOLT] = {NULL, "nothing, as devices of this bus have none"},
	[BUS_ACPI] = {NULL, "acpi: and ids, a colon behind each, and * where there may be more"},
	[BUS_PNP] = {NULL, "pnp:d and an id"},
	[BUS_PLATFORM] = {NULL, "platform: and a name, and * where it may go on"},
};

/* --- ids in fields --- */

struct Reader {
	const char *s; /* what is left */
	unsigned wild; /* bits of ids of which not all is told */
	bool ends_wild;
	bool in_interface;
	uint32_t interface, interface_mask; /* what is told of it, and where */
};

/* usb: a range of revisions is a pattern, "d01[0-4]*". */
static bool skip_pattern(struct Reader *reader)
{
	size_t n = strspn(reader->s, "0123456789ABCDEF[-]*");

	if (strcspn(reader->s, "[*") >= n)
		return false;
	reader->s += n;
	return true;
}

/* Returns whether there is a value; the reader is behind it then, and *ret_is_known tells whether
 * it is one that is told. */
static bool read_value(struct Reader *reader, const struct Field *field, uint32_t *ret,
		       bool *ret_is_known)
{
	char digits[9] = "";

	*ret_is_known = strspn(reader->s, "0123456789ABCDEF") == field->digits;
	if (*ret_is_known) {
		memcpy(digits, reader->s, field->digits);
		reader->s += field->digits;
		return parse_sysfs_hex(digits, ret) == 0;
	}
	if (field->id < 0 && !field->of_interface && field->digits == 4)
		return skip_pattern(reader);
	if (*reader->s != '*')
		return false;
	reader->s++;
	return true;
}

/* Of a class that comes in parts. */
static void note_part(const struct Field *field, uint32_t number, bool is_known, uint32_t *bits,
		      uint32_t *mask)
{
	if (!is_known)
		return;
	*bits |= number << field->shift;
	*mask |= 0xffU << field->shift;
}

static int read_field(struct Reader *reader, const struct Field *field, struct Modalias *modalias)
{
	struct Device *device = modalias->device;
	const char *value = startswith(reader->s, field->tag);
	size_t before;
	uint32_t number = 0;
	bool is_known;

	if (!value)
		return -EINVAL;
	before = modalias->known + (size_t)(value - reader->s);
	reader->s = value;
	if (!read_value(reader, field, &number, &is_known))
		return -EINVAL;
	reader->ends_wild = reader->s[-1] == '*';
	reader->in_interface = field->of_interface;
	if (field->of_interface) {
		note_part(field, number, is_known, &reader->interface, &reader->interface_mask);
		return 0;
	}
	if (modalias->is_whole)
		modalias->known = before + (is_known ? field->digits : 0);
	modalias->is_whole = modalias->is_whole && is_known;
	if (field->id < 0)
		return 0;
	if (field->id == ID_CLASS)
		note_part(field, number, is_known, &modalias->class_bits, &modalias->class_mask);
	device->ids[field->id] |= number << field->shift;
	device->have_ids |= 1U << field->id;
	if (!is_known)
		reader->wild |= 1U << field->id;
	return 0;
}

/* What a wildcard at the end stands for is not told; without one nothing may be missing. */
static int leave_out(struct Reader *reader, const struct Field *field, struct Modalias *modalias)
{
	bool may_end = field->of_interface && !reader->in_interface;

	if (!reader->ends_wild && !may_end)
		return -EINVAL;
	if (field->id >= 0)
		reader->wild |= 1U << field->id;
	if (!field->of_interface)
		modalias->is_whole = false;
	return 0;
}

/* One that is told in part may be any. */
static int note_interface(const struct Reader *reader, struct Device *device)
{
	if ((reader->interface_mask & 0xffffff) != 0xffffff)
		return 0;
	device->interfaces = malloc(sizeof(*device->interfaces));
	if (!device->interfaces)
		return -ENOMEM;
	device->interfaces[0] = reader->interface & 0xffffff;
	device->n_interfaces = 1;
	return 0;
}

static int read_fields(const char *s, const struct Field *fields, struct Modalias *modalias)
{
	struct Device *device = modalias->device;
	struct Reader reader = {.s = s};

	for (const struct Field *field = fields; field->tag; field++) {
		int r;

		if (streq(reader.s, "*")) {
			reader.ends_wild = true;
			reader.s++;
		}
		r = *reader.s ? read_field(&reader, field, modalias)
			      : leave_out(&reader, field, modalias);

		if (r < 0)
			return r;
	}
	/* modules' always end in one */
	if (*reader.s && !streq(reader.s, "*"))
		return -EINVAL;
	device->have_ids &= ~reader.wild;
	for (int id = 0; id < _ID_FIELD_MAX; id++)
		if (!device_has_id(device, (enum IdField)id))
			device->ids[id] = 0;
	return note_interface(&reader, device);
}

/* --- ids as text --- */

static bool is_id(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] >= 0x7f || strchr("*?[]\\:", s[i]))
			return false;
	return len > 0;
}

static int read_acpi(const char *s, struct Modalias *modalias)
{
	const char *start = s;

	for (const char *end; (end = strchr(s, ':')); s = end + 1)
		if (!is_id(s, (size_t)(end - s)))
			return -EINVAL;
	if (s == start || (*s && !streq(s, "*")))
		return -EINVAL;
	modalias->known += (size_t)(s - start);
	modalias->is_whole = !*s;
	modalias->device->modalias[modalias->known] = '\0'; /* a wildcard is no id */
	return 0;
}

#define PNP_ID_LENGTH 7

/* It may list more. */
static int read_pnp(const char *s, struct Modalias *modalias)
{
	struct Device *device = modalias->device;
	const char *id = startswith(s, "d");
	size_t len = id ? strcspn(id, "*") : 0;

	/* one: drivers/pnp/pnpacpi/core.c, ispnpidacpi() */
	if (!id || !is_id(id, len) || len > PNP_ID_LENGTH || (id[len] && !streq(id + len, "*")))
		return -EINVAL;
	device->text_ids = strdup(id);
	if (!device->text_ids)
		return -ENOMEM;
	device->text_ids[len] = '\0';
	modalias->is_whole = false;
	return 0;
}

/* The device is called by it, or by it and a number: drivers/base/platform.c. */
static int read_platform(const char *s, struct Modalias *modalias)
{
	size_t len = strcspn(s, "*");

	if (len == 0 || (s[len] && !streq(s + len, "*")))
		return -EINVAL;
	modalias->device->sysname[len] = '\0';
	modalias->known += len;
	modalias->is_whole = !s[len];
	return 0;
}

/* --- all buses --- */

static enum Bus bus_of(const char *s, const char **ret_rest)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		const char *rest = startswith(s, bus_to_string(bus));

		if (rest && *rest == ':') {
			*ret_rest = rest + 1;
			return bus;
		}
	}
	return _BUS_INVALID;
}

static int new_device(enum Bus bus, const char *s, const char *rest, struct Device **ret)
{
	_cleanup_device_ struct Device *device = calloc(1, sizeof(*device));

	if (!device)
		return -ENOMEM;
	device->bus = bus;
	device->authorized = -1;
	device->authorized_by = _ORIGIN_INVALID;
	device->modalias = strdup(s);
	/* what the host calls it is not told, but for a platform device */
	device->sysname = strdup(bus == BUS_PLATFORM ? rest : "");
	if (!device->modalias || !device->sysname)
		return -ENOMEM;
	*ret = TAKE_PTR(device);
	return 0;
}

int modalias_parse(const char *s, struct Modalias *ret)
{
	_cleanup_(modalias_done) struct Modalias modalias = {.is_whole = true};
	const char *rest;
	enum Bus bus = bus_of(s, &rest);
	int r;

	if (bus == _BUS_INVALID)
		return -EINVAL;
	r = new_device(bus, s, rest, &modalias.device);
	if (r < 0)
		return r;
	modalias.known = (size_t)(rest - s);
	if (forms[bus].fields)
		r = read_fields(rest, forms[bus].fields, &modalias);
	else if (bus == BUS_ACPI)
		r = read_acpi(rest, &modalias);
	else if (bus == BUS_PNP)
		r = read_pnp(rest, &modalias);
	else if (bus == BUS_PLATFORM)
		r = read_platform(rest, &modalias);
	else
		r = -EINVAL;
	if (r < 0)
		return r;
	*ret = modalias;
	modalias.device = NULL;
	return 0;
}

void modalias_done(struct Modalias *modalias)
{
	device_free(modalias->device);
	modalias->device = NULL;
}

const char *modalias_form(const char *s)
{
	const char *rest;
	enum Bus bus = bus_of(s, &rest);

	return bus == _BUS_INVALID ? NULL : forms[bus].form;
}

bool modalias_is_meant(const char *s)
{
	const char *rest;
	enum Bus bus = bus_of(s, &rest);

	if (bus == BUS_PNP)
		return *rest == 'd';
	if (bus == BUS_ACPI) /* a name ends in a colon and a number */
		return *rest && !strchr(rest, ':');
	return bus != _BUS_INVALID && forms[bus].fields && startswith(rest, forms[bus].fields->tag);
}
