/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usb-default.h"

#include "test.h"

static void expect_hub(const char *syspath, const char *hub)
{
	_cleanup_free_ char *found = usb_root_hub_of(syspath);

	if (hub)
		assert_string_equal(found, hub);
	else
		assert_null(found);
}

static void test_a_device_is_behind_the_root_hub_on_its_path(void **state)
{
	(void)state;
	expect_hub("/sys/devices/pci0000:00/0000:00:14.0/usb12/12-1/12-1.4",
		   "/sys/devices/pci0000:00/0000:00:14.0/usb12");
	expect_hub("/sys/devices/platform/dummy_hcd.0/usb1/1-1",
		   "/sys/devices/platform/dummy_hcd.0/usb1");
	/* what is called otherwise, or is one itself */
	expect_hub("/sys/devices/usbx/usb/usb1x/1-1", NULL);
	expect_hub("/sys/devices/usb1", NULL);
	expect_hub("1-1", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_device_is_behind_the_root_hub_on_its_path),
	};

	return RUN_TESTS("usb-default", tests);
}
