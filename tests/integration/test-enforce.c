/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device-read.h"
#include "enforce.h"
#include "phase.h"
#include "sysfs-io.h"
#include "test.h"
#include "testbed.h"

#define NIC "0000:00:01.0"

static const struct EnforceRequest authorize_e1000e = {
	.authorize = true, .set_driver = true, .driver = "e1000e"};
static const struct EnforceRequest deny = {.authorize = false};

static void test_the_driver_is_set_before_the_device_is_authorized(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_close_ int dirfd = sysfs_open(nic);
	struct EnforceReply reply;

	enforce_execute(dirfd, &authorize_e1000e, &reply);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.authorized, 1);
	assert_string_equal(reply.authorized_driver, "e1000e");
	enforce_execute(dirfd, &deny, &reply);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.authorized, 0);
}

/* A device that has gone, with another at its path: the newcomer must not be written to. */
static void test_a_write_never_reaches_another_device_at_the_path(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_close_ int dirfd = sysfs_open(nic);
	_cleanup_free_ char *newcomer = NULL, *authorized = NULL;
	struct EnforceReply reply;

	umockdev_testbed_remove_device(bed->umockdev, nic);
	newcomer = testbed_add_pci(bed, NIC, 0x1234, 0x5678);
	assert_string_equal(nic, newcomer);
	enforce_execute(dirfd, &authorize_e1000e, &reply);
	assert_int_equal(reply.error, -ENODEV);
	assert_int_equal(reply.authorized, -1);
	authorized = testbed_attr(bed, newcomer, "authorized");
	assert_string_equal(authorized, "0");
}

static void test_without_the_driver_attribute_nothing_is_authorized(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic =
		umockdev_testbed_add_device(bed->umockdev, "pci", NIC, NULL, "vendor", "0x8086\n",
					    "authorized", "0\n", NULL, NULL);
	_cleanup_free_ char *authorized = NULL;
	_cleanup_close_ int dirfd = sysfs_open(nic);
	struct EnforceReply reply;

	enforce_execute(dirfd, &authorize_e1000e, &reply);
	assert_int_equal(reply.error, -ENOENT);
	assert_int_equal(reply.step, STEP_DRIVER);
	authorized = testbed_attr(bed, nic, "authorized");
	assert_string_equal(authorized, "0");
}

static void expect_too_late(struct Testbed *bed, const char *nic,
			    const struct EnforceRequest *request)
{
	_cleanup_close_ int dirfd = sysfs_open(nic);
	_cleanup_free_ char *authorized = NULL;
	struct EnforceReply reply;

	enforce_execute(dirfd, request, &reply);
	assert_int_equal(reply.error, -EKEYREJECTED);
	assert_int_equal(reply.authorized, 0);
	authorized = testbed_attr(bed, nic, "authorized");
	assert_string_equal(authorized, "0");
}

/* An order may have waited for workers that a host kept busy. */
static void test_what_was_ordered_before_the_seal_is_not_authorized_after_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	struct EnforceRequest by_hand = authorize_e1000e;
	_cleanup_close_ int dirfd = sysfs_open(nic);
	struct EnforceReply reply;

	by_hand.by_hand = true;
	assert_int_equal(phase_freeze(0), 0);
	expect_too_late(bed, nic, &by_hand);
	enforce_execute(dirfd, &authorize_e1000e, &reply); /* the policy's */
	assert_int_equal(reply.error, 0);
	enforce_execute(dirfd, &deny, &reply);
	assert_int_equal(phase_seal(0), 0);
	expect_too_late(bed, nic, &authorize_e1000e);
	expect_too_late(bed, nic, &(struct EnforceRequest){.to_default = true});
	enforce_execute(dirfd, &deny, &reply);
	assert_int_equal(reply.error, 0);
}

static void test_an_interface_of_usb_is_no_device(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *interface =
		umockdev_testbed_add_device(bed->umockdev, "usb", "1-1:1.0", NULL, "authorized",
					    "1\n", NULL, "DEVTYPE", "usb_interface", NULL);
	struct Device *device;

	assert_int_equal(device_open(interface, NULL, NULL, &device), -ENOTSUP);
}

static void test_an_id_that_does_not_parse_is_unknown(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *path =
		umockdev_testbed_add_device(bed->umockdev, "pci", NIC, NULL, "vendor",
					    "0x8086; rm\n", "device", "0x10d3\n", NULL, NULL);
	_cleanup_device_ struct Device *device = NULL;

	assert_int_equal(device_open(path, NULL, NULL, &device), 0);
	assert_false(device_has_id(device, ID_VENDOR));
	assert_true(device_has_id(device, ID_DEVICE));
}

#define ENFORCE_TEST(f) cmocka_unit_test_setup_teardown(f, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENFORCE_TEST(test_the_driver_is_set_before_the_device_is_authorized),
		ENFORCE_TEST(test_a_write_never_reaches_another_device_at_the_path),
		ENFORCE_TEST(test_without_the_driver_attribute_nothing_is_authorized),
		ENFORCE_TEST(test_what_was_ordered_before_the_seal_is_not_authorized_after_it),
		ENFORCE_TEST(test_an_interface_of_usb_is_no_device),
		ENFORCE_TEST(test_an_id_that_does_not_parse_is_unknown),
	};

	return RUN_TESTS("enforce", tests);
}
