/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints conf/hardened.yaml as C: `kernel` as drivers/base/authorize_hardened.h of the kernel
 * series, `table` as hardened_table of hardened.h. Runs when the project is built. */

#include <errno.h>

#include "hardened-parse.h"

static const char kernel_head[] =
	"/* SPDX-License-Identifier: GPL-2.0-only */\n"
	"/*\n"
	" * The built-in list of hardened devices.\n"
	" *\n"
	" * A driver is hardened when its I/O paths had a security review that looked for\n"
	" * memory safety, as the interface to an unprivileged caller would get, and were\n"
	" * fuzzed.  Ids are what a device says about itself, so every entry names the one\n"
	" * driver that it admits.\n"
	" */\n"
	"\n"
	"static const struct device_auth_id device_auth_hardened[] = {\n";
static const char kernel_tail[] = "\t{ }\n"
				  "};\n";

static const char table_head[] = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
				 "/* Made from conf/hardened.yaml by hardened-gen. */\n"
				 "#include \"hardened.h\"\n"
				 "\n"
				 "const struct HardenedEntry hardened_table[] = {\n";
static const char table_tail[] = "};\n"
				 "const size_t hardened_table_size = ELEMENTSOF(hardened_table);\n";

/* Without its ".*": the kernel goes by the name that a device had before it got a number. */
static int glob_length(const char *glob)
{
	size_t len = strlen(glob), suffix = strlen(".*");

	return (int)(len > suffix && streq(glob + len - suffix, ".*") ? len - suffix : len);
}

static void print_kernel_row(const struct HardenedEntry *row)
{
	(void)printf("\t{ .bus = \"%s\"", bus_to_string(row->bus));
	if (row->driver)
		(void)printf(", .driver = \"%s\"", row->driver);
	else
		(void)printf(", .driver = DEVICE_AUTH_NO_DRIVER");
	if (row->class_mask)
		(void)printf(", .class = 0x%06x, .class_mask = 0x%06x", row->class_code,
			     row->class_mask);
	else if (row->bus == BUS_PCI)
		(void)printf(", .vendor = 0x%04x, .device = 0x%04x", row->vendor, row->device);
	else if (row->bus == BUS_VIRTIO)
		(void)printf(", .device = %u", row->device);
	else
		(void)printf(", .name = \"%.*s\"", glob_length(row->text), row->text);
	(void)printf(" },\n");
}

static const char *bus_enumerator(enum Bus bus)
{
	static const char *const names[_BUS_MAX] = {
		[BUS_PCI] = "BUS_PCI", [BUS_VIRTIO] = "BUS_VIRTIO",	[BUS_ACPI] = "BUS_ACPI",
		[BUS_PNP] = "BUS_PNP", [BUS_PLATFORM] = "BUS_PLATFORM",
	};

	return names[bus];
}

static void print_table_row(const struct HardenedEntry *row)
{
	(void)printf("\t{.bus = %s", bus_enumerator(row->bus));
	if (row->class_mask)
		(void)printf(", .class_code = 0x%06x, .class_mask = 0x%06x", row->class_code,
			     row->class_mask);
	else if (row->text)
		(void)printf(", .text = \"%s\"", row->text);
	else
		(void)printf(", .vendor = 0x%x, .device = 0x%x", row->vendor, row->device);
	if (row->driver)
		(void)printf(", .driver = \"%s\"", row->driver);
	(void)printf("},\n");
}

static const struct Format {
	const char *name;
	const char *head, *tail;
	void (*print_row)(const struct HardenedEntry *row);
} formats[] = {
	{"kernel", kernel_head, kernel_tail, print_kernel_row},
	{"table", table_head, table_tail, print_table_row},
};

static int compare_numbers(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

/* One order, whatever the order of the file: by bus, classes before ids. Of entries that fit the
 * same device the first decides. */
static int compare_rows(const void *a, const void *b)
{
	const struct HardenedEntry *x = a, *y = b;
	int r = compare_numbers(x->bus, y->bus);

	if (r == 0 && x->text)
		return strcmp(x->text, y->text);
	if (r == 0)
		r = compare_numbers(y->class_mask, x->class_mask);
	if (r == 0)
		r = compare_numbers(x->class_code, y->class_code);
	if (r == 0)
		r = compare_numbers(x->vendor, y->vendor);
	return r ? r : compare_numbers(x->device, y->device);
}

static void print_list(const struct Format *format, struct HardenedList *list)
{
	qsort(list->rows, list->n_rows, sizeof(*list->rows), compare_rows);
	(void)fputs(format->head, stdout);
	for (size_t i = 0; i < list->n_rows; i++)
		format->print_row(&list->rows[i]);
	(void)fputs(format->tail, stdout);
}

/* Reads all of @name, up to one byte more than is parsed, so that the parser sees it. */
static int read_file(const char *name, char **ret, size_t *ret_size)
{
	_cleanup_fclose_ FILE *file = fopen(name, "re");
	_cleanup_free_ char *text = malloc(PARSE_SIZE_MAX + 1);

	if (!file || !text)
		return -errno;
	*ret_size = fread(text, 1, PARSE_SIZE_MAX + 1, file);
	if (ferror(file))
		return -EIO;
	*ret = TAKE_PTR(text);
	return 0;
}

static int generate(const struct Format *format, const char *name)
{
	_cleanup_(hardened_list_done) struct HardenedList list = {0};
	_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = read_file(name, &text, &size);

	if (r == 0)
		r = hardened_parse(&list, text, size, &errors);
	if (r == 0) {
		print_list(format, &list);
		r = fflush(stdout) == 0 ? 0 : -errno;
	}
	for (size_t i = 0; i < errors.n && i < PARSE_ERRORS_MAX; i++)
		(void)fprintf(stderr, "%s:%u:%u: %s\n", name, errors.items[i].line,
			      errors.items[i].column, errors.items[i].message);
	if (r < 0 && r != -EBADMSG)
		(void)fprintf(stderr, "%s: %s\n", name, strerror(-r));
	return r;
}

int main(int argc, char *argv[])
{
	for (size_t i = 0; argc == 3 && i < ELEMENTSOF(formats); i++)
		if (streq(argv[1], formats[i].name))
			return generate(&formats[i], argv[2]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	(void)fputs("usage: hardened-gen kernel|table FILE\n", stderr);
	return 2;
}
