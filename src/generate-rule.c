/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate-rule.h"

#include <ctype.h>

#include "policy-parse.h"
#include "policy-write.h"

/* A revision changes with QEMU's, a virtio vendor says nothing. */
static bool is_named_by(enum Bus bus, enum IdField field)
{
	return field != ID_REVISION && (bus != BUS_VIRTIO || field != ID_VENDOR);
}

/* Whether it has what a rule for its bus goes by: what shows less is fit by what shows more. */
static bool has_ids(const struct Device *device)
{
	for (const struct BusId *id = bus_info[device->bus].ids; id->attr; id++)
		if (is_named_by(device->bus, id->field) && !device_has_id(device, id->field))
			return false;
	return true;
}

/* Whether it has ids, all of which may be named. On pnp a rule cannot name a list of several as
 * such: it would fit devices of each of them alone. */
static bool has_listed_ids(const struct Device *device)
{
	const char *pos = NULL, *id, *first = NULL;
	size_t len, first_len = 0;

	/* by "compatible" strings, of which any driver has one: lint.c */
	if (device->bus == BUS_ACPI && device->modalias && strstr(device->modalias, "of:"))
		return false;
	while ((id = device_next_listed_id(device, &pos, &len))) {
		if (is_id_of_any_driver(id, len))
			return false;
		if (!first) {
			first = id;
			first_len = len;
		}
		if (device->bus == BUS_PNP &&
		    (len != first_len || strncasecmp(id, first, len) != 0))
			return false;
	}
	return first;
}

/* Whether a rule could name the device, and no other kind with it. A usb device without interfaces
 * may have any the next time. */
static bool is_identified(const struct Device *device)
{
	if (!driver_name_valid(device->driver))
		return false;
	if (bus_info[device->bus].listed_key)
		return has_listed_ids(device);
	if (device->bus == BUS_THUNDERBOLT)
		return !isempty(device_attribute(device, "unique_id"));
	if (bus_info[device->bus].interfaces && device->n_interfaces == 0)
		return false;
	return has_ids(device);
}

static bool is_ascii(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] >= 0x7f)
			return false;
	return true;
}

/* Whether all that a rule would name the device by is printable ASCII: what the host says need be
 * no UTF-8, as a policy is, and a glob in its place would fit more. */
static bool is_writable(const struct Device *device)
{
	const char *pos = NULL, *id;
	size_t len;

	for (const char *const *key = bus_info[device->bus].texts; *key; key++) {
		const char *text = device_attribute(device, *key);

		if (text && !is_ascii(text, strlen(text)))
			return false;
	}
	while ((id = device_next_listed_id(device, &pos, &len)))
		if (!is_ascii(id, len))
			return false;
	return is_ascii(device->sysname, strlen(device->sysname));
}

const char *rule_obstacle(const struct Device *device)
{
	if (!is_identified(device))
		return "they show nothing that identifies them";
	return is_writable(device) ? NULL : "what they call themselves is more than ASCII";
}

/* A glob that fits @value alone, which is printable ASCII, as a scalar. */
static void write_literal(FILE *file, const char *value)
{
	_cleanup_free_ char *glob = malloc(2 * strlen(value) + 1);
	char *out = glob;

	for (; glob && *value; value++) {
		if (strchr("*?[\\", *value))
			*out++ = '\\';
		*out++ = *value;
	}
	if (glob)
		*out = '\0';
	yaml_write_text(file, glob ? glob : "");
}

static void write_ids(FILE *file, const struct Device *device)
{
	const char *separator = "";

	for (const struct BusId *id = bus_info[device->bus].ids; id->attr; id++) {
		if (!is_named_by(device->bus, id->field))
			continue;
		(void)fprintf(file, "%s%s: \"0x%0*x\"", separator, id->attr, (int)id->digits,
			      device->ids[id->field]);
		separator = ", ";
	}
	for (int i = 0; bus_info[device->bus].texts[i]; i++) {
		const char *key = bus_info[device->bus].texts[i];
		const char *value = device_attribute(device, key);

		if (isempty(value))
			continue;
		(void)fprintf(file, "%s%s: ", separator, key);
		write_literal(file, value);
		separator = ", ";
	}
}

/* An id as its bus compares it: pnp's in one case, as that tells none from another. */
static void write_listed_id(FILE *file, enum Bus bus, const char *id, size_t len)
{
	_cleanup_free_ char *copy = strndup(id, len);

	for (char *p = copy; p && bus == BUS_PNP && *p; p++)
		*p = (char)toupper((unsigned char)*p);
	write_literal(file, copy ? copy : "");
}

static void write_listed(FILE *file, const struct Device *device)
{
	const char *pos = NULL, *id, *separator = "";
	size_t len;

	(void)fprintf(file, "%s: [", bus_info[device->bus].listed_key);
	while ((id = device_next_listed_id(device, &pos, &len))) {
		(void)fputs(separator, file);
		write_listed_id(file, device->bus, id, len);
		separator = ", ";
		if (device->bus == BUS_PNP) /* more would be the same again */
			break;
	}
	(void)fputc(']', file);
}

/* The lowest interface that is not below @from, 0xCCSSPP; false at the end. */
static bool next_interface(const struct Device *device, uint32_t from, uint32_t *ret)
{
	bool found = false;

	for (size_t i = 0; i < device->n_interfaces; i++) {
		uint32_t one = device->interfaces[i];

		if (one < from || (found && one >= *ret))
			continue;
		*ret = one;
		found = true;
	}
	return found;
}

/* In one order and each once, as rules know no other: what they do not tell apart has one text. */
static void write_interfaces(FILE *file, const struct Device *device)
{
	const char *separator = "";

	(void)fputs(", interfaces: { equals: [", file);
	for (uint32_t from = 0, one = 0; next_interface(device, from, &one); from = one + 1) {
		(void)fprintf(file, "%s\"%02x:%02x:%02x\"", separator, one >> 16 & 0xff,
			      one >> 8 & 0xff, one & 0xff);
		separator = ", ";
	}
	(void)fputs("] }", file);
}

/* That the device has none of the texts that it does not show: else one that does would fit, too.
 */
static void write_absent(FILE *file, const struct Device *device)
{
	bool is_first = true;

	for (const char *const *key = bus_info[device->bus].texts; *key; key++) {
		if (!isempty(device_attribute(device, *key)))
			continue;
		(void)fprintf(file, "%s{ %s: { %s: \"?*\" } }", is_first ? ", not: [" : ", ",
			      bus_to_string(device->bus), *key);
		is_first = false;
	}
	if (!is_first)
		(void)fputc(']', file);
}

/* Whether the rule names the driver: a device that can be refused drivers, but not held to one, is
 * refused what only one may bind. Without the kernel's help the daemon holds it to one. */
static bool is_held(const struct Device *device)
{
	return bus_info[device->bus].driver_settable &&
	       (device->authorized < 0 || device_can_hold_driver(device));
}

static void write_rule(FILE *file, const struct Device *device)
{
	(void)fputs("    action: allow\n", file);
	if (is_held(device)) {
		(void)fputs("    driver: ", file);
		yaml_write_text(file, device->driver);
		(void)fputc('\n', file);
	}
	(void)fprintf(file, "    match: { %s: { ", bus_to_string(device->bus));
	if (bus_info[device->bus].listed_key) {
		write_listed(file, device);
	} else if (device->bus == BUS_PLATFORM) {
		(void)fputs("name: ", file);
		write_literal(file, device->sysname);
	} else {
		write_ids(file, device);
	}
	if (device->n_interfaces > 0)
		write_interfaces(file, device);
	(void)fputs(" }", file);
	if (device->bus == BUS_ACPI) { /* all of its ids, not some of them */
		(void)fputs(", modalias: ", file);
		write_literal(file, device->modalias);
	}
	write_absent(file, device);
	(void)fputs(" }\n", file);
}

char *rule_text(const struct Device *device)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	write_rule(file, device);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}
