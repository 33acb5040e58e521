/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "random-policy.h"
#include "snapshot.h"
#include "test.h"

static char *to_text(const struct Inventory *inventory)
{
	struct json_object *root = snapshot_to_json(inventory);
	char *text = strdup(json_object_to_json_string(root));

	json_object_put(root);
	return text;
}

static void expect_same_text(const char *a, const char *b)
{
	assert_true((a == NULL) == (b == NULL));
	if (a)
		assert_string_equal(a, b);
}

static void expect_same_device(const struct Device *a, const struct Device *b)
{
	assert_int_equal(a->bus, b->bus);
	assert_string_equal(a->syspath, b->syspath);
	assert_string_equal(a->sysname, b->sysname);
	expect_same_text(a->modalias, b->modalias);
	expect_same_text(a->text_ids, b->text_ids);
	expect_same_text(a->driver, b->driver);
	for (const struct BusId *id = bus_info[a->bus].ids; id->attr; id++) {
		assert_int_equal(device_has_id(a, id->field), device_has_id(b, id->field));
		if (device_has_id(a, id->field))
			assert_int_equal(a->ids[id->field], b->ids[id->field]);
	}
	for (size_t i = 0; i < a->n_attributes; i++)
		expect_same_text(a->attributes[i].value,
				 device_attribute(b, a->attributes[i].name));
	if (bus_info[a->bus].interfaces) {
		assert_int_equal(a->n_interfaces, b->n_interfaces);
		assert_memory_equal(a->interfaces, b->interfaces,
				    a->n_interfaces * sizeof(*a->interfaces));
	}
	assert_int_equal(a->authorized, b->authorized);
	assert_int_equal(a->authorized_by, b->authorized_by);
	expect_same_text(a->authorized_driver, b->authorized_driver);
}

static void add(struct Inventory *inventory, struct Device *device, const char *path)
{
	free(device->syspath);
	free(device->sysname);
	device->syspath = strdup(path);
	device->sysname = strdup(strrchr(path, '/') + 1);
	assert_int_equal(inventory_add(inventory, device), 0);
}

static struct Device *hostile_device(void)
{
	struct Device *device = random_device(0);

	free(device->modalias);
	device->modalias = strdup("a\\b\n\x1b\xff\"\xe2\x80\xae\x7f\\x41\\u{41}");
	device->authorized = 1;
	device->authorized_by = ORIGIN_USER;
	device->authorized_driver = strdup("");
	return device;
}

static void test_what_is_written_is_read_back(void **state)
{
	srand(4);
	for (int i = 0; i < 200; i++) {
		_cleanup_inventory_ struct Inventory before = {0}, after = {0};
		_cleanup_free_ char *text = NULL, *problem = NULL;

		add(&before, random_device(0), "/sys/devices/a");
		add(&before, random_device(0), "/sys/devices/a/x/b");
		add(&before, hostile_device(), "/sys/devices/a\nb");
		before.devices[0]->authorized = 0;
		inventory_link(&before);
		text = to_text(&before);
		assert_int_equal(snapshot_parse(text, strlen(text), &after, &problem), 0);
		assert_int_equal(after.n, before.n);
		for (size_t j = 0; j < before.n; j++)
			expect_same_device(before.devices[j], after.devices[j]);
		assert_ptr_equal(inventory_find(&after, "/sys/devices/a/x/b")->parent,
				 inventory_find(&after, "/sys/devices/a"));
		assert_null(inventory_find(&after, "/sys/devices/a")->parent);
	}
}

static void test_order_of_reading_does_not_show(void **state)
{
	_cleanup_inventory_ struct Inventory one = {0}, other = {0};
	_cleanup_free_ char *a = NULL, *b = NULL;

	srand(5);
	add(&one, random_device(0), "/sys/devices/a");
	add(&one, random_device(0), "/sys/devices/b");
	srand(5);
	other.n = 0;
	{
		struct Device *first = random_device(0), *second = random_device(0);

		add(&other, second, "/sys/devices/b");
		add(&other, first, "/sys/devices/a");
	}
	inventory_link(&one);
	inventory_link(&other);
	a = to_text(&one);
	b = to_text(&other);
	assert_string_equal(a, b);
}

#define DEVICE(more)                                                                               \
	"{\"version\":1,\"attributes\":[],\"devices\":[{\"bus\":\"pci\",\"syspath\":\"/sys/"       \
	"a\"" more "}]}"

static void test_what_is_no_snapshot_is_refused(void **state)
{
	static const struct {
		const char *text, *problem;
	} bad[] = {
		{"", "ends at byte 0"},
		{"{", "ends at byte 1"},
		{"[]", "no snapshot"},
		{"{\"version\":2,\"devices\":[]}", "of version 1 only"},
		{"{\"version\":\"1\",\"devices\":[]}", "no snapshot"},
		{"{\"version\":1}", "no list \"attributes\""},
		{"{\"version\":1,\"attributes\":[1]}", "lists what is no name"},
		{"{\"version\":1,\"attributes\":[]}", "no list \"devices\""},
		{"{\"version\":1,\"attributes\":[],\"devices\":[]} x", "byte"},
		{"{\"version\":1,\"attributes\":[],\"devices\":[1]}", "device 0: is no object"},
		{"{\"version\":1,\"attributes\":[],\"devices\":[{}]}", "device 0: \"\" is no bus"},
		{"{\"version\":1,\"attributes\":[],\"devices\":[{\"bus\":\"pci\"}]}",
		 "no path of a device"},
		{DEVICE(",\"modalias\":1"), "\"modalias\" is not of type string"},
		{DEVICE(",\"modalias\":\"a\\\\q\""), "escapes nothing"},
		{DEVICE(",\"modalias\":\"a\\u0000b\""), "contains a NUL"},
		{DEVICE(",\"modalias\":\"\xff\""), "byte"},
		{DEVICE(",\"ids\":{\"vendor\":\"8086\"}"), "no value for \"vendor\""},
		{DEVICE(",\"attributes\":{\"a\":{}}"), "\"a\" is not of type string"},
		{DEVICE(",\"interfaces\":[\"3:00:00\"]"), "is no interface"},
		{DEVICE(",\"interfaces\":[\"03:00:000\"]"), "is no interface"},
		{DEVICE(",\"authorized\":1"), "not of type boolean"},
		{"{\"version\":1,\"attributes\":[],\"devices\":[{\"bus\":\"pci\",\"syspath\":\"/"
		 "a\"},"
		 "{\"bus\":\"pci\",\"syspath\":\"/a\"}]}",
		 "/a is there twice"},
		{"{\"version\":1,\"attributes\":[],\"devices\":[[[[[[[[[[[[]]]]]]]]]]]]}", "byte"},
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		_cleanup_inventory_ struct Inventory inventory = {0};
		_cleanup_free_ char *problem = NULL;

		if (snapshot_parse(bad[i].text, strlen(bad[i].text), &inventory, &problem) !=
		    -EBADMSG)
			fail_msg("accepted: %s", bad[i].text);
		if (!strstr(problem, bad[i].problem))
			fail_msg("\"%s\" does not say \"%s\"", problem, bad[i].problem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read_back),
		cmocka_unit_test(test_order_of_reading_does_not_show),
		cmocka_unit_test(test_what_is_no_snapshot_is_refused),
	};

	return RUN_TESTS("snapshot", tests);
}
