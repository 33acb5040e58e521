/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sample.h"

#include "policy-parse.h"

enum Kind {
	KIND_PCI,
	KIND_USB,
	KIND_MODALIAS,
	KIND_ACPI,
	KIND_VIRTIO,
	KIND_CLASS, /* the last two name no device */
	KIND_LABEL,
};

#define HEAD "version: 1\nrules:\n"

/* Of twenty rules in the middle. */
static const enum Kind middle[] = {KIND_PCI, KIND_PCI,	    KIND_PCI, KIND_USB,	     KIND_PCI,
				   KIND_PCI, KIND_ACPI,	    KIND_PCI, KIND_VIRTIO,   KIND_PCI,
				   KIND_PCI, KIND_MODALIAS, KIND_PCI, KIND_USB,	     KIND_PCI,
				   KIND_PCI, KIND_PCI,	    KIND_PCI, KIND_MODALIAS, KIND_ACPI};

static enum Kind kind_of(size_t n, size_t i)
{
	static const enum Kind ends[SAMPLE_ENDS] = {KIND_PCI, KIND_USB, KIND_MODALIAS, KIND_ACPI};

	if (i < SAMPLE_ENDS)
		return ends[i];
	if (n - 1 - i < SAMPLE_ENDS)
		return ends[n - 1 - i];
	if (i == n / 2 - 1)
		return KIND_CLASS;
	if (i == n / 2)
		return KIND_LABEL;
	return middle[i % ELEMENTSOF(middle)];
}

size_t sample_like(size_t n, size_t i, size_t k)
{
	while (kind_of(n, i) != kind_of(n, k % SAMPLE_ENDS))
		i = (i + 1) % n;
	return i;
}

/* Few makers have very many devices, many have few. */
static unsigned vendor_of(size_t i)
{
	return i % 3 == 0 ? 0x8086 : 0x1000 + (unsigned)(i % 199);
}

/* Even numbers are listed, odd ones are near to a listed one. */
static unsigned product_of(size_t i)
{
	return (unsigned)(2 * i) & 0xffff;
}

/* --- rules --- */

static void write_match(FILE *f, enum Kind kind, size_t i)
{
	unsigned vendor = vendor_of(i), product = product_of(i);

	switch (kind) {
	case KIND_PCI:
		fprintf(f, "{ pci: { vendor: \"0x%04x\", device: \"0x%04x\" } }", vendor, product);
		break;
	case KIND_USB:
		fprintf(f,
			"{ usb: { idVendor: \"0x%04x\", idProduct: \"0x%04x\", serial: "
			"\"SN%06zu\" } }",
			vendor, product, i);
		break;
	case KIND_MODALIAS:
		fprintf(f, "{ modalias: \"pci:v0000%04Xd0000%04Xsv*sd*bc02sc00i*\" }", vendor,
			product);
		break;
	case KIND_ACPI:
		fprintf(f, "{ acpi: { hid: [ACME%04X, PNP%04X] } }", product, product);
		break;
	case KIND_VIRTIO:
		fprintf(f, "{ virtio: { vendor: \"0x%04x\", device: \"0x%04x\" } }", vendor,
			product);
		break;
	case KIND_CLASS:
		fputs("{ pci: { class: \"0x0106xx\" }, not: { attrs: { label: \"boot-*\" } }, "
		      "ancestor: { pci: { vendor: \"0x1b36\" } } }",
		      f);
		break;
	case KIND_LABEL:
		fputs("{ attrs: { label: \"golden-*\" } }", f);
		break;
	}
}

static void write_rule(FILE *f, size_t n, size_t i)
{
	static const char *const drivers[] = {"e1000e", "nvme", "ixgbevf", "i40e", "ahci"};
	enum Kind kind = kind_of(n, i);

	fprintf(f, "  - name: device-%zu\n    action: %s\n", i,
		kind == KIND_CLASS ? "deny" : "allow");
	if (kind == KIND_PCI || kind == KIND_MODALIAS)
		fprintf(f, "    driver: %s\n", drivers[i % ELEMENTSOF(drivers)]);
	else if (kind == KIND_VIRTIO)
		fputs("    driver: virtio_blk\n", f);
	fputs("    match: ", f);
	write_match(f, kind, i);
	fputc('\n', f);
}

char *sample_text(size_t n, size_t first, size_t end, size_t size_max, size_t *ret_size,
		  size_t *ret_next)
{
	enum { LONGEST = 512 }; /* bytes of a rule, at most */
	char *text = malloc(size_max);
	FILE *f = text ? fmemopen(text, size_max, "w") : NULL;

	if (!f) {
		free(text);
		return NULL;
	}
	fputs(HEAD, f);
	while (first < end && (size_t)ftell(f) + LONGEST < size_max)
		write_rule(f, n, first++);
	*ret_size = (size_t)ftell(f);
	*ret_next = first;
	(void)fclose(f);
	return text;
}

struct Policy *sample_policy(size_t n)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	size_t next = 0;

	while (policy && next < n) {
		_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
		_cleanup_free_ char *text = NULL;
		size_t size;

		text = sample_text(n, next, n, PARSE_SIZE_MAX, &size, &next);
		if (!text)
			return NULL;
		if (policy_parse(policy, "/etc/tdx-auth/policy.d/sample.yaml", text, size,
				 &errors) < 0) {
			if (errors.n > 0)
				fprintf(stderr, "sample: %u:%u: %s\n", errors.items[0].line,
					errors.items[0].column, errors.items[0].message);
			return NULL;
		}
	}
	return TAKE_PTR(policy);
}

/* --- devices --- */

static void set_id(struct Device *device, enum IdField field, uint32_t value)
{
	device->ids[field] = value;
	device->have_ids |= 1U << field;
}

static void add_attribute(struct Device *device, const char *name, const char *value)
{
	struct Attribute *attribute = &device->attributes[device->n_attributes++];

	attribute->name = strdup(name);
	attribute->value = value ? strdup(value) : NULL;
}

static void make_pci(struct Device *device, unsigned vendor, unsigned product, unsigned class)
{
	device->bus = BUS_PCI;
	set_id(device, ID_VENDOR, vendor);
	set_id(device, ID_DEVICE, product);
	set_id(device, ID_SUBSYSTEM_VENDOR, 0x1af4);
	set_id(device, ID_SUBSYSTEM_DEVICE, 0x1100);
	set_id(device, ID_CLASS, class);
	set_id(device, ID_REVISION, 3);
	if (asprintf(&device->modalias,
		     "pci:v0000%04Xd0000%04Xsv00001AF4sd00001100bc%02Xsc%02Xi%02X", vendor, product,
		     class >> 16, class >> 8 & 0xff, class & 0xff) < 0)
		device->modalias = NULL;
}

static void make_usb(struct Device *device, unsigned vendor, unsigned product)
{
	device->bus = BUS_USB;
	set_id(device, ID_VENDOR, vendor);
	set_id(device, ID_DEVICE, product);
	if (asprintf(&device->modalias, "usb:v%04Xp%04Xd0100dc00dsc00dp00ic08isc06ip50in00", vendor,
		     product) < 0)
		device->modalias = NULL;
}

static void make_acpi(struct Device *device, unsigned number, unsigned other)
{
	device->bus = BUS_ACPI;
	if (asprintf(&device->modalias, "acpi:ACME%04X:PNP%04X:", number, other) < 0)
		device->modalias = NULL;
}

static void make_virtio(struct Device *device, unsigned vendor, unsigned product)
{
	device->bus = BUS_VIRTIO;
	set_id(device, ID_VENDOR, vendor);
	set_id(device, ID_DEVICE, product);
	if (asprintf(&device->modalias, "virtio:d%08Xv%08X", product, vendor) < 0)
		device->modalias = NULL;
}

/* Some of a guest's devices are disks, which the rule for a class has to look at twice. */
static unsigned class_of(size_t copy)
{
	return copy % 4 == 3 ? 0x010601 : 0x020000;
}

static void make(struct Device *device, enum Kind kind, size_t i, bool is_near, size_t copy)
{
	unsigned vendor = vendor_of(i), product = product_of(i), other = product + is_near;

	switch (kind) {
	case KIND_USB: /* near: another product, or the same with another serial number */
		make_usb(device, vendor, copy % 2 ? product : other);
		break;
	case KIND_ACPI: /* near: one of its two ids is listed */
		make_acpi(device, product, other);
		break;
	case KIND_VIRTIO:
		make_virtio(device, vendor, other);
		break;
	case KIND_MODALIAS:
		make_pci(device, vendor, other, 0x020000);
		break;
	default:
		make_pci(device, vendor, other, class_of(copy));
	}
}

struct Device *sample_device(size_t n, size_t i, bool is_near, size_t copy)
{
	_cleanup_device_ struct Device *device = calloc(1, sizeof(*device));
	enum Kind kind = kind_of(n, i);
	char serial[32];

	if (!device)
		return NULL;
	make(device, kind, i, is_near, copy);
	(void)snprintf(serial, sizeof(serial), "SN%06zu%s", i, is_near && copy % 2 ? "0" : "");
	device->attributes = calloc(2, sizeof(*device->attributes));
	device->parent = calloc(1, sizeof(*device->parent));
	if (asprintf(&device->sysname, "device%zu", copy) < 0)
		device->sysname = NULL;
	if (!device->modalias || !device->attributes || !device->parent || !device->sysname)
		return NULL;
	make_pci(device->parent, 0x8086, 0x2918, 0x060400);
	add_attribute(device, "serial", kind == KIND_USB ? serial : NULL);
	add_attribute(device, "label", NULL);
	return TAKE_PTR(device);
}
