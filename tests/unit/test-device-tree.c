/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device-tree.h"

#include "test.h"
#include "util.h"

static struct Inventory inventory;

static int teardown(void **state)
{
	inventory_done(&inventory);
	inventory = (struct Inventory){0};
	return 0;
}

static void add(const char *syspath)
{
	struct Device *device = calloc(1, sizeof(*device));

	assert_non_null(device);
	device->bus = BUS_PCI;
	device->syspath = strdup(syspath);
	device->sysname = strdup(strrchr(device->syspath, '/') + 1);
	assert_int_equal(inventory_add(&inventory, device), 0);
}

struct Text {
	char lines[1000];
	int stop_at, result; /* the number of a device, from 1, and what is returned there */
};

static int visit(size_t number, const char *lines, void *userdata)
{
	struct Text *text = userdata;
	size_t n = strlen(text->lines);

	(void)snprintf(text->lines + n, sizeof(text->lines) - n, "%s%s\n", lines,
		       inventory.devices[number]->sysname);
	return text->stop_at > 0 && --text->stop_at == 0 ? text->result : 0;
}

static void fill(void)
{
	add("/sys/devices/a");
	add("/sys/devices/a/b");
	add("/sys/devices/a/b/c");
	/* between a device and what hangs on it by the order of bytes */
	add("/sys/devices/a/b-2");
	add("/sys/devices/a/b/x/d");
	add("/sys/devices/e");
	inventory_link(&inventory);
}

static void test_devices_are_behind_what_they_hang_on(void **state)
{
	struct Text text = {0};

	fill();
	assert_int_equal(device_tree_walk(&inventory, true, visit, &text), 0);
	assert_string_equal(text.lines, "a\n"
					"├─b\n"
					"│ ├─c\n"
					"│ └─d\n"
					"└─b-2\n"
					"e\n");
}

static void test_a_terminal_without_unicode_has_other_lines(void **state)
{
	struct Text text = {0};

	fill();
	assert_int_equal(device_tree_walk(&inventory, false, visit, &text), 0);
	assert_string_equal(text.lines, "a\n|-b\n| |-c\n| `-d\n`-b-2\ne\n");
}

static void test_who_is_visited_may_end_the_walk(void **state)
{
	struct Text text = {.stop_at = 3, .result = -5};

	fill();
	assert_int_equal(device_tree_walk(&inventory, true, visit, &text), -5);
	assert_string_equal(text.lines, "a\n├─b\n│ ├─c\n");
}

static void test_no_device_is_no_line(void **state)
{
	struct Text text = {0};

	assert_int_equal(device_tree_walk(&inventory, true, visit, &text), 0);
	assert_string_equal(text.lines, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_devices_are_behind_what_they_hang_on, teardown),
		cmocka_unit_test_teardown(test_a_terminal_without_unicode_has_other_lines,
					  teardown),
		cmocka_unit_test_teardown(test_who_is_visited_may_end_the_walk, teardown),
		cmocka_unit_test_teardown(test_no_device_is_no_line, teardown),
	};

	return RUN_TESTS("device-tree", tests);
}
