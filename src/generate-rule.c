/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate-rule.h"

#include <ctype.h>
#include <errno.h>

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

/* Whether it goes by a list of ids, or by a name, and not by "compatible" strings, of which any
 * driver has one: lint.c. drivers/base/platform.c, platform_match(); drivers/acpi/bus.c. */
static bool has_modalias(const struct Device *device)
{
	const char *modalias = device->modalias;

	if (!modalias || strstr(modalias, "\nof:"))
		return false;
	return startswith(modalias, "acpi:") ||
	       (device->bus == BUS_PLATFORM && startswith(modalias, "platform:"));
}

/* The end of a modalias that tells what the device says it is as a whole, of which its interfaces
 * need know nothing, and by which drivers match, too (drivers/usb/core/driver.c,
 * usb_match_device()). NULL where there is none. */
static const char *class_of_usb(const struct Device *device)
{
	static const char form[] = "XXXXdcXXdscXXdpXX"; /* the revision is the first */
	const char *rest;
	char ids[32];

	(void)snprintf(ids, sizeof(ids), "usb:v%04Xp%04Xd", device->ids[ID_VENDOR],
		       device->ids[ID_DEVICE]);
	rest = device->modalias ? startswith(device->modalias, ids) : NULL;
	if (!rest || strlen(rest) != strlen(form))
		return NULL;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'X' ? !isxdigit((unsigned char)rest[i]) || islower(rest[i])
				   : rest[i] != form[i])
			return NULL;
	return rest + strlen("XXXX");
}

/* Whether it has ids, all of which may be named. On pnp a rule cannot name a list of several as
 * such: it would fit devices of each of them alone. */
static bool has_listed_ids(const struct Device *device)
{
	const char *pos = NULL, *id, *first = NULL;
	size_t len, first_len = 0;

	if (device->bus == BUS_ACPI && !has_modalias(device))
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
	if (bus_info[device->bus].listed_key)
		return has_listed_ids(device);
	if (device->bus == BUS_PLATFORM)
		return has_modalias(device);
	if (device->bus == BUS_THUNDERBOLT)
		return !isempty(device_attribute(device, "unique_id"));
	if (bus_info[device->bus].interfaces &&
	    (device->n_interfaces == 0 || !class_of_usb(device)))
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

/* Whether the whole of it is part of the rule: all of the ids, not some of them. */
static bool names_modalias(enum Bus bus)
{
	return bus == BUS_ACPI || bus == BUS_PLATFORM;
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
	if (names_modalias(device->bus) && !is_ascii(device->modalias, strlen(device->modalias)))
		return false;
	return is_ascii(device->sysname, strlen(device->sysname));
}

const char *rule_obstacle(const struct Device *device)
{
	if (!is_identified(device))
		return bus_info[device->bus].listed_key
			       ? "a rule cannot name all that they go by, and nothing else"
			       : "they show nothing that identifies them";
	return is_writable(device) ? NULL
				   : "what they call themselves is more than printable ASCII";
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

/* Whether the list has the id at @id already before that. */
static bool is_repeated(const struct Device *device, const char *id, size_t len)
{
	const char *pos = NULL, *other;
	size_t other_len;

	while ((other = device_next_listed_id(device, &pos, &other_len)) && other != id)
		if (other_len == len && strncmp(other, id, len) == 0)
			return true;
	return false;
}

static void write_listed(FILE *file, const struct Device *device)
{
	const char *pos = NULL, *id, *separator = "";
	size_t len;

	(void)fprintf(file, "%s: [", bus_info[device->bus].listed_key);
	while ((id = device_next_listed_id(device, &pos, &len))) {
		if (is_repeated(device, id, len))
			continue;
		(void)fputs(separator, file);
		write_listed_id(file, device->bus, id, len);
		separator = ", ";
		if (device->bus == BUS_PNP) /* more would be the same again */
			break;
	}
	(void)fputc(']', file);
}

static int compare_interfaces(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* In one order and each once, as rules know no other: what they do not tell apart has one text.
 * Returns 0 or -ENOMEM. */
static int write_interfaces(FILE *file, const struct Device *device)
{
	size_t n = device->n_interfaces;
	_cleanup_free_ uint32_t *sorted = calloc(n + 1, sizeof(*sorted));
	const char *separator = "";

	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, device->interfaces, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_interfaces);
	(void)fputs(", interfaces: { equals: [", file);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && sorted[i] == sorted[i - 1])
			continue;
		(void)fprintf(file, "%s\"%02x:%02x:%02x\"", separator, sorted[i] >> 16 & 0xff,
			      sorted[i] >> 8 & 0xff, sorted[i] & 0xff);
		separator = ", ";
	}
	(void)fputs("] }", file);
	return 0;
}

/* Of usb its class alone: the revision is another one tomorrow. */
static void write_modalias(FILE *file, const struct Device *device)
{
	if (device->bus == BUS_USB) {
		(void)fprintf(file, ", modalias: \"usb:v%04Xp%04Xd*%s\"", device->ids[ID_VENDOR],
			      device->ids[ID_DEVICE], class_of_usb(device));
	} else if (names_modalias(device->bus)) {
		(void)fputs(", modalias: ", file);
		write_literal(file, device->modalias);
	}
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
const char *rule_driver(const struct Device *device)
{
	return bus_info[device->bus].driver_settable &&
			       (device->authorized < 0 || device_can_hold_driver(device)) &&
			       device->driver && driver_name_valid(device->driver)
		       ? device->driver
		       : NULL;
}

static int write_rule(FILE *file, const struct Device *device, enum Action action,
		      const char *driver)
{
	int r = 0;

	(void)fprintf(file, "    action: %s\n", action_to_string(action));
	if (driver) {
		(void)fputs("    driver: ", file);
		yaml_write_text(file, driver);
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
		r = write_interfaces(file, device);
	(void)fputs(" }", file);
	write_modalias(file, device);
	write_absent(file, device);
	(void)fputs(" }\n", file);
	return r;
}

char *rule_text(const struct Device *device, enum Action action, const char *driver)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r;

	if (!file)
		return NULL;
	r = write_rule(file, device, action, driver);
	if (fclose(file) == 0 && r == 0)
		return text;
	free(text);
	return NULL;
}
