/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device.h"
#include "test.h"

static void test_sysfs_hex_reads_what_the_kernel_prints(void **state)
{
	uint32_t value;

	assert_int_equal(parse_sysfs_hex("0x1af4\n", &value), 0);
	assert_int_equal(value, 0x1af4);
	assert_int_equal(parse_sysfs_hex("046d", &value), 0);
	assert_int_equal(value, 0x046d);
	assert_int_equal(parse_sysfs_hex("0xffffffff", &value), 0);
	assert_int_equal(value, 0xffffffff);
}

static void test_sysfs_hex_refuses_anything_else(void **state)
{
	static const char *const bad[] = {"",	"0x",	 "\n",		"0x1af4 ", "1g",
					  "-1", "0x0x1", "0x100000000", "1\n2",	   " 1"};
	uint32_t value;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		assert_int_equal(parse_sysfs_hex(bad[i], &value), -EINVAL);
}

static const char *exempt(enum Bus bus, const char *sysname)
{
	return device_exempt(&(struct Device){.bus = bus, .sysname = (char *)sysname});
}

static void test_controllers_own_nodes_are_exempt(void **state)
{
	assert_non_null(exempt(BUS_USB, "usb1"));
	assert_non_null(exempt(BUS_THUNDERBOLT, "0-0"));
}

static void test_pluggable_devices_are_not_exempt(void **state)
{
	assert_null(exempt(BUS_USB, "1-1"));
	assert_null(exempt(BUS_USB, "usbx")); /* a name that only begins like a root hub's */
	assert_null(exempt(BUS_THUNDERBOLT, "0-1"));
	assert_null(exempt(BUS_THUNDERBOLT, "1-0a"));
	assert_null(exempt(BUS_PCI, "usb1"));
}

static void test_enum_strings_round_trip(void **state)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		assert_int_equal(bus_from_string(bus_to_string(bus)), bus);
	for (enum Action action = 0; action < _ACTION_MAX; action++)
		assert_int_equal(action_from_string(action_to_string(action)), action);
	for (enum Origin origin = 0; origin < _ORIGIN_MAX; origin++)
		assert_int_equal(origin_from_string(origin_to_string(origin)), origin);
	assert_int_equal(bus_from_string("pc"), _BUS_INVALID);
	assert_int_equal(origin_from_string(NULL), _ORIGIN_INVALID);
	assert_null(bus_to_string(_BUS_MAX));
	assert_null(origin_to_string(_ORIGIN_INVALID));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sysfs_hex_reads_what_the_kernel_prints),
		cmocka_unit_test(test_sysfs_hex_refuses_anything_else),
		cmocka_unit_test(test_controllers_own_nodes_are_exempt),
		cmocka_unit_test(test_pluggable_devices_are_not_exempt),
		cmocka_unit_test(test_enum_strings_round_trip),
	};

	return RUN_TESTS("device", tests);
}
