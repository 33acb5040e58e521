/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "random-policy.h"

#include "policy-parse.h"
#include "test.h"

unsigned draw(unsigned n)
{
	return (unsigned)rand() % n;
}

static const char *one_of(const char *const *words, size_t n)
{
	return words[draw((unsigned)n)];
}

#define ONE_OF(words) one_of(words, ELEMENTSOF(words))

static const char *const hex_values[] = {"0x1", "0x2", "[0x1, 0x2]", "0x3", "0xx", "[0x2, 0x1x]"};
static const char *const texts[] = {"a", "b", "'a*'", "[a, b]", "'*'", "[c, '[ab]?']"};
static const char *const listed[] = {"PNP1", "PNP2", "[PNP1, PNP2]", "'PNP*'", "[PNP3, 'PNP[12]']"};
static const char *const modaliases[] = {"'pci:v1*'",	    "'pci:v1d2'", "'*'",    "'virtio:*'",
					 "['usb:*', 'a*']", "'pci:v?d1'", "acpi:*", "'[p]*'"};
static const char *const interfaces[] = {"one-of: \"03:*:*\"", "all-of: [\"08:06:50\"]",
					 "none-of: \"03:00:*\"",
					 "equals: [\"03:*:*\", \"08:*:*\"]"};

static void write_match(FILE *f, unsigned depth);

static void write_bus(FILE *f)
{
	switch (draw(7)) {
	case 0:
		fprintf(f, "pci: { vendor: %s, device: %s }", ONE_OF(hex_values),
			ONE_OF(hex_values));
		break;
	case 1:
		fprintf(f, "pci: { vendor: %s, class: %s }", ONE_OF(hex_values),
			ONE_OF(hex_values));
		break;
	case 2:
		fprintf(f, "virtio: { device: %s }", ONE_OF(hex_values));
		break;
	case 3:
		fprintf(f, "usb: { idVendor: %s, serial: %s, interfaces: { %s } }",
			ONE_OF(hex_values), ONE_OF(texts), ONE_OF(interfaces));
		break;
	case 4:
		fprintf(f, "acpi: { hid: %s }", ONE_OF(listed));
		break;
	case 5:
		fprintf(f, "pnp: { id: %s }", ONE_OF(listed));
		break;
	default:
		fprintf(f, "platform: { name: %s }", ONE_OF(texts));
	}
}

static void write_any_key(FILE *f, unsigned depth)
{
	switch (draw(depth > 0 ? 6 : 3)) {
	case 0:
		fprintf(f, "modalias: %s", ONE_OF(modaliases));
		break;
	case 1:
		fprintf(f, "attrs: { label: %s }", ONE_OF(texts));
		break;
	case 2:
		fprintf(f, "address: %s", ONE_OF(texts));
		break;
	case 3:
		fputs("not: ", f);
		write_match(f, depth - 1);
		break;
	case 4:
		fputs("parent: ", f);
		write_match(f, depth - 1);
		break;
	default:
		fputs("ancestor: ", f);
		write_match(f, depth - 1);
	}
}

static void write_match(FILE *f, unsigned depth)
{
	unsigned keys = draw(3);

	fputs("{ ", f);
	if (keys != 1)
		write_bus(f);
	if (keys == 2)
		fputs(", ", f);
	if (keys != 0)
		write_any_key(f, depth);
	fputs(" }", f);
}

static char *random_text(unsigned n_rules)
{
	static const char *const actions[] = {"allow", "deny", "kernel"};
	static const char *const moments[] = {"cold", "hot", "[cold, hot]"};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("version: 1\nrules:\n", f);
	for (unsigned i = 0; i < n_rules; i++) {
		fprintf(f, "- action: %s\n  when: %s\n  match: ", ONE_OF(actions), ONE_OF(moments));
		write_match(f, 2);
		fputs("\n", f);
	}
	if (n_rules == 0)
		fputs("  []\n", f);
	fclose(f);
	return text;
}

/* Tries again where the parser refuses what is no policy: a modalias of another bus than the one
 * that is named. */
struct Policy *random_policy(unsigned n_rules)
{
	for (;;) {
		_cleanup_(parse_errors_done) struct ParseErrors errors;
		_cleanup_free_ char *text = random_text(draw(n_rules));
		struct Policy *policy = policy_new();

		if (policy_parse(policy, "p", text, strlen(text), &errors) == 0)
			return policy;
		if (!strstr(errors.items[0].message, "never both match"))
			fail_msg("%u:%u: %s\n%s", errors.items[0].line, errors.items[0].column,
				 errors.items[0].message, text);
		policy_unref(policy);
	}
}

static char *maybe(const char *const *words, size_t n)
{
	return draw(4) == 0 ? NULL : strdup(one_of(words, n));
}

#define MAYBE(words) maybe(words, ELEMENTSOF(words))

struct Device *random_device(unsigned depth)
{
	static const char *const names[] = {"a", "b", "ab", "ca", "d"};
	static const char *const aliases[] = {"pci:v1d2",	 "pci:v1d1",   "virtio:1", "usb:x",
					      "acpi:PNP1:PNP2:", "acpi:PNP3:", "acpi:",	   ""};
	static const char *const ids[] = {"PNP1", "pnp2\nPNP1", "PNP3", "", "PNP4\nPNP1"};
	static const uint32_t shown[] = {0x030000, 0x080650, 0x0b0000, 0x030102};
	struct Device *device = calloc(1, sizeof(*device));

	device->bus = (enum Bus)draw(_BUS_MAX);
	device->sysname = strdup(ONE_OF(names));
	device->modalias = MAYBE(aliases);
	device->text_ids = MAYBE(ids);
	device->have_ids = (unsigned)rand();
	for (int i = 0; i < _ID_FIELD_MAX; i++)
		device->ids[i] = draw(4);
	device->attributes = calloc(2, sizeof(*device->attributes));
	device->attributes[0] = (struct Attribute){strdup("serial"), MAYBE(names)};
	device->attributes[1] = (struct Attribute){strdup("label"), MAYBE(names)};
	device->n_attributes = 2;
	device->n_interfaces = draw(3);
	device->interfaces = calloc(3, sizeof(*device->interfaces));
	for (size_t i = 0; i < device->n_interfaces; i++)
		device->interfaces[i] = shown[draw(ELEMENTSOF(shown))];
	if (depth > 0 && draw(2))
		device->parent = random_device(depth - 1);
	return device;
}
