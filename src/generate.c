/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"

#include <errno.h>

#include "escape.h"
#include "glob-match.h"
#include "hardened.h"
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

/* Whether it has ids, all of which may be named. Where a rule cannot name a list of several as
 * such, it would fit devices of each of them alone. */
static bool has_listed_ids(const struct Device *device)
{
	const char *pos = NULL, *id;
	size_t len, n = 0;

	/* by "compatible" strings, of which any driver has one: lint.c */
	if (device->bus == BUS_ACPI && device->modalias && strstr(device->modalias, "of:"))
		return false;
	for (; (id = device_next_listed_id(device, &pos, &len)); n++)
		if (is_id_of_any_driver(id, len))
			return false;
	return n == 1 || (n > 1 && device->bus == BUS_ACPI);
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

/* Why the owner has to say nothing for the device to stay as it is, where the kernel decides. */
static const char *kernels_reason(const struct Device *device)
{
	const char *driver;

	switch (device->authorized_by) {
	case ORIGIN_KERNEL:
		return "the kernel made them itself";
	case ORIGIN_PARENT:
		return "the kernel decides over them as over the device above";
	case ORIGIN_BUILTIN:
		return "they are on the kernel's built-in list";
	default:
		break;
	}
	if (device->bus == BUS_PLATFORM && device->authorized_by == _ORIGIN_INVALID)
		return "without the kernel series they may be the kernel's own";
	return hardened_find(device, &driver) ? "they are on tdx-auth's list of hardened devices"
					      : NULL;
}

/* Why the device gets no rule, as a static phrase over several, or NULL where it gets one. */
static const char *reason_to_leave_out(const struct Device *device)
{
	const char *reason = device_exempt(device);

	if (reason)
		return reason;
	if (device->authorized == 0)
		return "they are refused now";
	if (!device->driver)
		return "no driver has them";
	reason = bus_info[device->bus].native ? NULL : kernels_reason(device);
	if (reason)
		return reason;
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

/* All of a rule but its name. */
static void write_rule(FILE *file, const struct Device *device)
{
	(void)fputs("    action: allow\n", file);
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
	(void)fputs(" }", file);
	if (device->bus == BUS_ACPI) { /* all of its ids, not some of them */
		(void)fputs(", modalias: ", file);
		write_literal(file, device->modalias);
	}
	write_absent(file, device);
	(void)fputs(" }\n", file);
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

/* What a rule for the device is called, if no other is: its driver has no "/" and no control
 * character. */
static char *name_for(const struct Device *device)
{
	char *name;

	if (device->bus != BUS_USB)
		return strdup(device->bus == BUS_THUNDERBOLT ? "thunderbolt" : device->driver);
	return asprintf(&name, "usb-%04x-%04x", device->ids[ID_VENDOR], device->ids[ID_DEVICE]) < 0
		       ? NULL
		       : name;
}

/* How many of @names are @base, or @base with a number. */
static unsigned count_like(const struct Vector *names, const char *base)
{
	unsigned n = 0;

	for (size_t i = 0; i < names->n; i++) {
		const char *rest = startswith(string_at(names, i), base);

		n += rest && (!*rest || *rest == '-');
	}
	return n;
}

static bool is_taken(const struct Vector *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (streq(string_at(names, i), name))
			return true;
	return false;
}

/* The same, with a number where @names have it, to which it is added. NULL when out of memory. */
static const char *unique_name(struct Vector *names, const struct Device *device)
{
	_cleanup_free_ char *base = name_for(device), *name = base ? strdup(base) : NULL;

	for (unsigned i = base ? count_like(names, base) : 0; name && is_taken(names, name); i++) {
		free(TAKE_PTR(name));
		if (asprintf(&name, "%s-%u", base, i + 1) < 0)
			name = NULL;
	}
	if (!name || vector_add(names, &name, sizeof(name)) < 0)
		return NULL;
	return TAKE_PTR(name);
}

/* Writes the rule of the device at @first, and @texts of all that have the same are freed. */
static int write_group(FILE *file, const struct View *view, char **texts, size_t first,
		       struct Vector *names)
{
	const char *name = unique_name(names, view->inventory.devices[first]);
	_cleanup_free_ char *text = TAKE_PTR(texts[first]);
	unsigned n = 1;

	if (!name)
		return -ENOMEM;
	write_comment(file, view, view->inventory.devices[first]);
	for (size_t i = first + 1; i < view->inventory.n; i++) {
		if (!texts[i] || !streq(texts[i], text))
			continue;
		write_comment(file, view, view->inventory.devices[i]);
		free(TAKE_PTR(texts[i]));
		n++;
	}
	(void)fputs("  - name: ", file);
	yaml_write_text(file, name);
	(void)fprintf(file, "\n%s    count: { max: %u }\n", text, n);
	return 0;
}

static int write_groups(FILE *file, const struct View *view, char **texts)
{
	struct Vector names = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < view->inventory.n; i++)
		if (texts[i])
			r = write_group(file, view, texts, i, &names);
	for (size_t i = 0; i < names.n; i++)
		free((char *)string_at(&names, i));
	vector_done(&names);
	return r;
}

static int write_rules(FILE *file, const struct View *view, char **texts)
{
	unsigned rules = 0;

	for (size_t i = 0; i < view->inventory.n; i++) {
		if (reason_to_leave_out(view->inventory.devices[i]))
			continue;
		texts[i] = rule_text(view->inventory.devices[i]);
		if (!texts[i])
			return -ENOMEM;
		rules++;
	}
	(void)fputs(rules > 0 ? "rules:\n" : "rules: []\n", file);
	return write_groups(file, view, texts);
}

/* --- what gets no rule --- */

#define COMMENT_WIDTH 96

/* Writes the names of the devices that are left out for @reason, as many in a line as there is room
 * for. */
static void write_names(FILE *file, const struct View *view, const char *reason)
{
	size_t column = 0;

	for (size_t i = 0; i < view->inventory.n; i++) {
		const struct Device *device = view->inventory.devices[i];
		const char *other = reason_to_leave_out(device);
		_cleanup_free_ char *name = NULL, *safe = NULL;
		size_t width;

		if (!other || !streq(other, reason))
			continue;
		name = device_name(device);
		safe = escape_text(name);
		width = escaped_width(safe ? safe : "?") + 1;
		if (column == 0 || column + width > COMMENT_WIDTH) {
			(void)fputs(column ? "\n#  " : "#  ", file);
			column = 3;
		}
		(void)fprintf(file, " %s", safe ? safe : "?");
		column += width;
	}
	(void)fputc('\n', file);
}

/* What gets no rule is told, by reasons, as silence could be taken for a rule. */
static void write_left_out(FILE *file, const struct View *view)
{
	for (size_t i = 0; i < view->inventory.n; i++) {
		const char *reason = reason_to_leave_out(view->inventory.devices[i]);
		bool is_first = reason;

		for (size_t j = 0; is_first && j < i; j++) {
			const char *other = reason_to_leave_out(view->inventory.devices[j]);

			is_first = !other || !streq(other, reason);
		}
		if (!is_first)
			continue;
		(void)fprintf(file, "# No rules for these: %s.\n", reason);
		write_names(file, view, reason);
	}
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
	write_left_out(file, view);
	for (size_t i = 0; i < view->inventory.n; i++)
		free(texts[i]);
	free(texts);
	if (r == 0 && (fflush(file) != 0 || ferror(file)))
		r = -EIO;
	return r;
}
