/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device.h"
#include "escape.h"
#include "fuzz.h"
#include "modalias.h"

/* The input is what a host says of a device, taken for each kind of thing in turn: USB descriptors,
 * a number, a list of ids, a name. */

/* Whether a device descriptor is first, which has 18 bytes whatever it says, and each that follows
 * says a length that holds one, the last of them ending where the bytes end. */
static bool is_chain(const uint8_t *data, size_t size)
{
	size_t at = 18;

	if (size < at || data[1] != 1)
		return false;
	while (at < size && data[at] >= 2)
		at += data[at];
	return at == size;
}

static void try_descriptors(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint32_t *interfaces = NULL;
	size_t n = 0;
	int r = usb_interfaces_parse(data, size, &interfaces, &n);

	check(r == (is_chain(data, size) ? 0 : -EBADMSG));
	check(r == 0 || (!interfaces && n == 0));
	check(n <= size / 9); /* a descriptor has no fewer bytes */
	for (size_t i = 0; i < n; i++)
		check(interfaces[i] <= 0xffffff);
}

static void try_hex(const char *s)
{
	char again[16];
	uint32_t value, value_again;
	int r = parse_sysfs_hex(s, &value);

	check(r == 0 || r == -EINVAL);
	if (r < 0)
		return;
	check(strtoull(s, NULL, 16) == value);
	(void)snprintf(again, sizeof(again), "0x%x\n", value);
	check(parse_sysfs_hex(again, &value_again) == 0 && value_again == value);
}

static void try_id(const char *s, const struct BusId *id)
{
	uint32_t value, masked, mask;
	int plain = bus_id_parse(s, id, &value), any = bus_id_parse_masked(s, id, &masked, &mask);

	check(plain == 0 || plain == -EINVAL || plain == -ERANGE);
	check(any == 0 || any == -EINVAL || any == -ERANGE);
	if (any == 0) {
		check(!(masked & ~mask)); /* or it would fit no number */
		check(id->digits >= 8 || masked < UINT32_C(1) << (4 * id->digits));
	}
	/* without an x, the two read the same */
	check(plain < 0 || (any == 0 && masked == value && mask == UINT32_MAX));
	check(plain == 0 || any < 0 || mask != UINT32_MAX);
}

static void try_ids(const char *s)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		for (const struct BusId *id = bus_info[bus].ids; id->attr; id++)
			try_id(s, id);
}

static void try_listed_ids(const struct Device *device, const char *list)
{
	const char *pos = NULL, *end = list ? list + strlen(list) : NULL, *last = list, *id;
	size_t len;

	while ((id = device_next_listed_id(device, &pos, &len))) {
		check(id >= last && len > 0 && len <= (size_t)(end - id));
		check(strcspn(id, ": \n\t") == len);
		last = id + len;
	}
	check(!list || strspn(last, ": \n\t") == (size_t)(end - last));
}

static void try_lists(char *s)
{
	struct Device acpi = {.bus = BUS_ACPI, .modalias = s},
		      pnp = {.bus = BUS_PNP, .text_ids = s},
		      pci = {.bus = BUS_PCI, .modalias = s, .text_ids = s};

	try_listed_ids(&acpi, startswith(s, "acpi:"));
	try_listed_ids(&pnp, s);
	try_listed_ids(&pci, NULL);
}

static void try_name(char *s)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		struct Device device = {.bus = bus, .sysname = s};
		_cleanup_free_ char *name = device_name(&device);
		const char *exempt = device_exempt(&device);

		check(name && strlen(name) == strlen(bus_to_string(bus)) + 1 + strlen(s));
		check(!exempt || bus == BUS_USB || bus == BUS_THUNDERBOLT);
	}
}

/* Writes the code point as UTF-8 and returns what is behind it. */
static char *put_code_point(char *out, unsigned c)
{
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

/* Undoes one escape, at @s behind its backslash, and returns what is behind it. */
static const char *unescape_one(const char *s, char **out)
{
	unsigned c;
	int n = 0;

	switch (*s) {
	case 'n':
		*(*out)++ = '\n';
		return s + 1;
	case 'r':
		*(*out)++ = '\r';
		return s + 1;
	case 't':
		*(*out)++ = '\t';
		return s + 1;
	case '\\':
		*(*out)++ = '\\';
		return s + 1;
	case 'x':
		check(sscanf(s, "x%2x%n", &c, &n) == 1 && n == 3);
		*(*out)++ = (char)c;
		return s + n;
	default:
		check(sscanf(s, "u{%6x}%n", &c, &n) == 1 && n > 0);
		*out = put_code_point(*out, c);
		return s + n;
	}
}

static char *unescape(const char *s)
{
	char *text = malloc(strlen(s) + 1), *out = text;

	check(text);
	while (*s) {
		if (*s != '\\')
			*out++ = *s++;
		else
			s = unescape_one(s + 1, &out);
	}
	*out = '\0';
	return text;
}

static void try_escapes(const char *s)
{
	_cleanup_free_ char *escaped = escape_text(s), *valid = utf8_sanitize(s);

	check(escaped && valid);
	{
		_cleanup_free_ char *back = unescape(escaped), *same = utf8_sanitize(escaped),
				    *same_valid = utf8_sanitize(valid), *json = escape_json(valid);

		check(streq(back, s));
		check(streq(same, escaped)); /* valid UTF-8 */
		check(streq(same_valid, valid));
		check(json && strlen(json) >= strlen(valid));
	}
	check(escaped_width(escaped) <= strlen(escaped));
	for (const char *c = escaped; *c; c++)
		check((unsigned char)*c >= ' ' && *c != 0x7f);
}

/* A modalias is well formed to its end, or no device. */
static void try_modalias(const char *s)
{
	_cleanup_(modalias_done) struct Modalias modalias = {0};
	const char *form = modalias_form(s);
	int r = modalias_parse(s, &modalias);

	check(form || !modalias_is_meant(s));
	check(r == 0 || (r == -EINVAL && !modalias.device));
	if (r < 0)
		return;
	check(form && !modalias.device->syspath && modalias.known <= strlen(s));
	check(startswith(s, modalias.device->modalias));
	check(memcmp(s, modalias.device->modalias, modalias.known) == 0);
	check(!memchr(s, '*', modalias.known));
	check(!modalias.is_whole || !s[modalias.known] || s[modalias.known] == '*' ||
	      modalias.device->bus == BUS_USB);
	for (int i = 0; i < _ID_FIELD_MAX; i++)
		check(device_has_id(modalias.device, (enum IdField)i) || !modalias.device->ids[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_string(data, size);

	try_descriptors(data, size);
	try_hex(s);
	try_ids(s);
	try_lists(s);
	try_name(s);
	try_escapes(s);
	try_modalias(s);
	return 0;
}
