/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uevent.h"

#include <errno.h>

#include "test.h"

/* With the NUL that ends the literal. */
#define parse(text, ret) uevent_parse(text, sizeof(text), ret)

#define NIC "/devices/pci0000:00/0000:00:02.0"

static void test_a_message_of_the_kernel_is_read(void **state)
{
	struct Uevent event;

	(void)state;
	assert_int_equal(parse("add@" NIC "\0ACTION=add\0DEVPATH=" NIC "\0SUBSYSTEM=pci\0"
			       "MODALIAS=pci:v1\0SEQNUM=17",
			       &event),
			 0);
	assert_string_equal(event.action, "add");
	assert_string_equal(event.devpath, NIC);
	assert_string_equal(event.subsystem, "pci");
	assert_null(event.devtype);
	assert_int_equal(parse("remove@/devices/a\0ACTION=remove\0DEVPATH=/devices/a\0"
			       "SUBSYSTEM=usb\0DEVTYPE=usb_device\0SEQNUM=18",
			       &event),
			 0);
	assert_string_equal(event.devtype, "usb_device");
}

/* What a device calls itself says nothing of what it is. */
static void test_values_are_no_variables_of_their_own(void **state)
{
	struct Uevent event;

	(void)state;
	assert_int_equal(parse("add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=hid\0"
			       "HID_NAME=x\nSUBSYSTEM=pci\xff\x1b[2J=",
			       &event),
			 0);
	assert_string_equal(event.subsystem, "hid");
}

static void test_what_the_kernel_does_not_send_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t size;
	} bad[] = {
#define BAD(text) {text, sizeof(text)}
		BAD(""),
		BAD("add@/devices/a"),
		BAD("add@/devices/a\0ACTION=add\0DEVPATH=/devices/a"),
		BAD("add@/devices/a\0ACTION=add\0SUBSYSTEM=pci"),
		BAD("add@/devices/a\0DEVPATH=/devices/a\0SUBSYSTEM=pci"),
		/* the head of another, none, and one that only begins so */
		BAD("add@/devices/b\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci"),
		BAD("remove@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci"),
		BAD("ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci"),
		BAD("add@/devices/ab\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci"),
		BAD("libudev\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci"),
		/* twice, empty, no variable */
		BAD("add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci\0SUBSYSTEM=usb"),
		BAD("add@/devices/a\0ACTION=add\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci"),
		BAD("add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM="),
		BAD("add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci\0"),
		BAD("add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci\0junk"),
		BAD("add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci\0=junk"),
		/* out of /sys */
		BAD("add@devices/a\0ACTION=add\0DEVPATH=devices/a\0SUBSYSTEM=pci"),
		BAD("add@/a/../../a\0ACTION=add\0DEVPATH=/a/../../a\0SUBSYSTEM=pci"),
		BAD("add@/a/..\0ACTION=add\0DEVPATH=/a/..\0SUBSYSTEM=pci"),
		BAD("add@/a/./b\0ACTION=add\0DEVPATH=/a/./b\0SUBSYSTEM=pci"),
		BAD("add@/a//b\0ACTION=add\0DEVPATH=/a//b\0SUBSYSTEM=pci"),
		BAD("add@/a/\0ACTION=add\0DEVPATH=/a/\0SUBSYSTEM=pci"),
#undef BAD
	};
	struct Uevent event;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (uevent_parse(bad[i].text, bad[i].size, &event) != -EBADMSG)
			fail_msg("number %zu is read, \"%s\"", i, bad[i].text);
}

static void test_a_message_that_is_cut_off_is_refused(void **state)
{
	static const char message[] =
		"add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci";
	struct Uevent event;

	(void)state;
	assert_int_equal(uevent_parse(message, sizeof(message), &event), 0);
	for (size_t size = 0; size < sizeof(message); size++)
		assert_int_equal(uevent_parse(message, size, &event), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_of_the_kernel_is_read),
		cmocka_unit_test(test_values_are_no_variables_of_their_own),
		cmocka_unit_test(test_what_the_kernel_does_not_send_is_refused),
		cmocka_unit_test(test_a_message_that_is_cut_off_is_refused),
	};

	return RUN_TESTS("uevent", tests);
}
