/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glob.h>

#include "hardened.h"
#include "test.h"

/* The kernel's table is C that the patches add, an entry a line; entries of ours are printed in
 * that form and compared as text. */
#define ENTRY_START "+\t{ .bus = "

static bool is_in_kernel(const struct HardenedEntry *entry)
{
	return entry->bus == BUS_PCI || entry->bus == BUS_VIRTIO;
}

static void print_entry(FILE *out, const struct HardenedEntry *entry)
{
	(void)fprintf(out, ENTRY_START "\"%s\", .driver = \"%s\"", bus_to_string(entry->bus),
		      entry->driver);
	if (entry->class_mask)
		(void)fprintf(out, ", .class = 0x%06x, .class_mask = 0x%06x", entry->class_code,
			      entry->class_mask);
	else if (entry->bus == BUS_PCI)
		(void)fprintf(out, ", .vendor = 0x%04x, .device = 0x%04x", entry->vendor,
			      entry->device);
	else
		(void)fprintf(out, ", .device = %u", entry->device);
	(void)fprintf(out, " },\n");
}

static char *our_entries(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < hardened_table_size; i++)
		if (is_in_kernel(&hardened_table[i]))
			print_entry(out, &hardened_table[i]);
	(void)fclose(out);
	return text;
}

static void copy_entries(FILE *out, const char *patch)
{
	_cleanup_fclose_ FILE *file = fopen(patch, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	assert_non_null(file);
	while (getline(&line, &size, file) > 0)
		if (startswith(line, ENTRY_START))
			(void)fputs(line, out);
}

static char *kernel_entries(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	glob_t patches;

	assert_int_equal(glob(getenv("KERNEL_PATCHES"), 0, NULL, &patches), 0);
	for (size_t i = 0; i < patches.gl_pathc; i++)
		copy_entries(out, patches.gl_pathv[i]);
	globfree(&patches);
	(void)fclose(out);
	return text;
}

static void test_user_space_has_the_kernels_list(void **state)
{
	_cleanup_free_ char *ours = our_entries(), *kernels = kernel_entries();

	assert_non_null(strstr(kernels, "virtio-pci"));
	assert_string_equal(ours, kernels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_space_has_the_kernels_list),
	};

	return RUN_TESTS("hardened", tests);
}
