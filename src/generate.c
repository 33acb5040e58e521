/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"

#include <errno.h>

#include "escape.h"
#include "glob-match.h"
#include "hardened.h"
#include "policy-parse.h"
#include "policy-write.h"

/* Whether the owner has to say anything for the device to stay in use. */
static bool needs_rule(const struct Device *device)
{
	const char *driver;

	if (!device->driver || device->authorized == 0 || device_exempt(device))
		return false;
	if (bus_info[device->bus].native)
		return true;
	if (device->authorized_by == ORIGIN_KERNEL || device->authorized_by == ORIGIN_PARENT ||
	    device->authorized_by == ORIGIN_BUILTIN)
		return false;
	/* without the series nobody tells what the kernel makes itself from what firmware names */
	if (device->bus == BUS_PLATFORM && device->authorized_by == _ORIGIN_INVALID)
		return false;
	return !hardened_find(device, &driver);
}

/* Whether a rule could name the device, and no other kind with it. */
static bool is_identified(const struct Device *device)
{
	const char *pos = NULL;
	size_t len;

	if (!driver_name_valid(device->driver))
		return false;
	if (bus_info[device->bus].listed_key)
		return device_next_listed_id(device, &pos, &len);
	return device->bus == BUS_PLATFORM || device->bus == BUS_THUNDERBOLT ||
	       device_has_id(device, ID_DEVICE);
}

/* A glob that fits @value alone, as a scalar. What is no printable ASCII fits by any byte: a policy
 * is UTF-8, and the host's words need not be. */
static void write_literal(FILE *file, const char *value)
{
	_cleanup_free_ char *glob = malloc(2 * strlen(value) + 1);
	char *out = glob;

	for (; glob && *value; value++) {
		if (*value < ' ' || *value >= 0x7f) {
			*out++ = '?';
			continue;
		}
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
		/* a revision changes with QEMU's, a virtio vendor says nothing */
		if (id->field == ID_REVISION || !device_has_id(device, id->field) ||
		    (device->bus == BUS_VIRTIO && id->field == ID_VENDOR))
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

static void write_listed(FILE *file, const struct Device *device)
{
	const char *pos = NULL, *id, *separator = "";
	size_t len;

	(void)fprintf(file, "%s: [", bus_info[device->bus].listed_key);
	while ((id = device_next_listed_id(device, &pos, &len))) {
		_cleanup_free_ char *copy = strndup(id, len);

		(void)fputs(separator, file);
		write_literal(file, copy ? copy : "");
		separator = ", ";
	}
	(void)fputc(']', file);
}

static void write_interfaces(FILE *file, const struct Device *device)
{
	(void)fputs(", interfaces: { equals: [", file);
	for (size_t i = 0; i < device->n_interfaces; i++)
		(void)fprintf(file, "%s\"%02x:%02x:%02x\"", i ? ", " : "",
			      device->interfaces[i] >> 16 & 0xff, device->interfaces[i] >> 8 & 0xff,
			      device->interfaces[i] & 0xff);
	(void)fputs("] }", file);
}

static void write_rule(FILE *file, const struct Device *device)
{
	(void)fputs("  - action: allow\n", file);
	if (bus_info[device->bus].driver_settable) {
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
	(void)fputs(" } }\n", file);
}

/* The rule for one device, or NULL when out of memory. */
static char *rule_text(const struct Device *device)
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

static void write_comment(FILE *file, const struct View *view, const struct Device *device)
{
	_cleanup_free_ char *name = device_name(device), *safe = escape_text(name),
			    *description = view_describe(view, device),
			    *safe_description = escape_text(description);

	(void)fprintf(file, "  # %s%s%s\n", safe ? safe : "?",
		      isempty(safe_description) ? "" : ": ",
		      safe_description ? safe_description : "");
}

/* Writes the rule of the device at @first, and @texts of all that have the same are freed. */
static void write_group(FILE *file, const struct View *view, char **texts, size_t first)
{
	_cleanup_free_ char *text = TAKE_PTR(texts[first]);
	unsigned n = 1;

	write_comment(file, view, view->inventory.devices[first]);
	for (size_t i = first + 1; i < view->inventory.n; i++) {
		if (!texts[i] || !streq(texts[i], text))
			continue;
		write_comment(file, view, view->inventory.devices[i]);
		free(TAKE_PTR(texts[i]));
		n++;
	}
	(void)fprintf(file, "%s    count: { max: %u }\n", text, n);
}

static int write_rules(FILE *file, const struct View *view, char **texts)
{
	unsigned rules = 0;

	for (size_t i = 0; i < view->inventory.n; i++) {
		if (!needs_rule(view->inventory.devices[i]))
			continue;
		if (!is_identified(view->inventory.devices[i])) {
			(void)fputs("  # no rule, as nothing identifies it:\n", file);
			write_comment(file, view, view->inventory.devices[i]);
			continue;
		}
		texts[i] = rule_text(view->inventory.devices[i]);
		if (!texts[i])
			return -ENOMEM;
		rules++;
	}
	(void)fputs(rules > 0 ? "rules:\n" : "rules: []\n", file);
	for (size_t i = 0; i < view->inventory.n; i++)
		if (texts[i])
			write_group(file, view, texts, i);
	return 0;
}

int policy_generate(FILE *file, const struct View *view)
{
	char **texts = calloc(view->inventory.n + 1, sizeof(*texts));
	int r;

	if (!texts)
		return -ENOMEM;
	(void)fputs("# What has a driver and is not on the kernel's built-in list of hardened "
		    "devices.\n"
		    "# Keep what you need: each rule is a driver that nobody hardened.\n"
		    "version: 1\ndefaults: { \"*\": kernel, usb: deny, thunderbolt: deny }\n",
		    file);
	r = write_rules(file, view, texts);
	for (size_t i = 0; i < view->inventory.n; i++)
		free(texts[i]);
	free(texts);
	if (r == 0 && (fflush(file) != 0 || ferror(file)))
		r = -EIO;
	return r;
}
