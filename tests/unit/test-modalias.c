/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modalias.h"

#include <errno.h>

#include "test.h"

#define NIC "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00"

static void expect_refused(const char *const *modaliases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct Modalias modalias = {0};

		if (modalias_parse(modaliases[i], &modalias) != -EINVAL)
			fail_msg("%s is taken", modaliases[i]);
		assert_null(modalias.device);
	}
}

static void expect_known(const char *s, bool is_whole, const char *known)
{
	_cleanup_(modalias_done) struct Modalias modalias = {0};

	if (modalias_parse(s, &modalias) < 0)
		fail_msg("%s is refused", s);
	assert_int_equal(modalias.is_whole, is_whole);
	assert_int_equal(modalias.known, strlen(known));
	assert_memory_equal(modalias.device->modalias, known, strlen(known));
}

static void test_ids_are_read_as_the_kernel_writes_them(void **state)
{
	_cleanup_(modalias_done) struct Modalias modalias = {0};
	const uint32_t *ids;

	assert_int_equal(modalias_parse(NIC, &modalias), 0);
	ids = modalias.device->ids;
	assert_int_equal(ids[ID_VENDOR], 0x8086);
	assert_int_equal(ids[ID_DEVICE], 0x10d3);
	assert_int_equal(ids[ID_SUBSYSTEM_DEVICE], 0xa01f);
	assert_int_equal(ids[ID_CLASS], 0x020000);
	assert_false(device_has_id(modalias.device, ID_REVISION));
	assert_null(modalias.device->syspath);
}

static void test_a_class_of_which_a_part_is_missing_is_not_known(void **state)
{
	_cleanup_(modalias_done) struct Modalias modalias = {0};

	assert_int_equal(modalias_parse("pci:v00008086d*sv*sd*bc02sc*i00", &modalias), 0);
	assert_true(device_has_id(modalias.device, ID_VENDOR));
	assert_false(device_has_id(modalias.device, ID_DEVICE));
	assert_false(device_has_id(modalias.device, ID_CLASS));
}

static void test_what_is_cut_off_or_malformed_is_refused(void **state)
{
	static const char *const modaliases[] = {"",
						 "pci",
						 "pci:",
						 "pci:v",
						 "pci:v00001AF4",
						 "pci:v00001AF4d",
						 "pci:v1AF4d1041*",
						 "pci:v00001af4d00001041*",
						 "pci:v000001AF4d*",
						 "pci:**",
						 "pci:d00001041v00001AF4*",
						 "pci:v00001AF4d00001041sv*sd*bc02sc00",
						 (NIC "x"),
						 (NIC "**"),
						 "virtio:d00000002",
						 "virtio:d2v00001AF4",
						 "virtio:d00000002v00001AF4 ",
						 "usb:v1D6Bp0104",
						 "usb:v1D6Bp0104d010dc00dsc00dp00",
						 "usb:v1D6Bp0104d0100dc00dsc00dp00ic03",
						 "usb:v1D6Bp0104d0100dc00dsc00dp00ic03isc00ip00",
						 "acpi:",
						 "acpi:PNP0501",
						 "acpi::PNP0501:",
						 "acpi:PNP0501:*:",
						 "acpi:PNP 0501:",
						 "pnp:",
						 "pnp:d",
						 "pnp:PNP0501",
						 "pnp:dPNP0501:",
						 "pnp:d*",
						 "pnp:dPNP0501dPNP0500",
						 "platform:",
						 "platform:*",
						 "platform:a*b",
						 "thunderbolt:x",
						 "of:NuartT<NULL>",
						 "nothing:here"};

	expect_refused(modaliases, ELEMENTSOF(modaliases));
}

static void test_the_first_wildcard_ends_what_is_known(void **state)
{
	expect_known(NIC, true, NIC);
	expect_known(NIC "*", true, NIC);
	expect_known("pci:v00008086d*", false, "pci:v00008086d");
	expect_known("pci:*", false, "pci:");
	expect_known("pci:v00008086d000010D3*", false, "pci:v00008086d000010D3");
	expect_known("pci:v*d000010D3sv*sd*bc*sc*i*", false, "pci:v");
	expect_known("virtio:d00000002v*", false, "virtio:d00000002v");
	expect_known("acpi:PNP0501:PNP0500:", true, "acpi:PNP0501:PNP0500:");
	expect_known("acpi:PNP0501:*", false, "acpi:PNP0501:");
	expect_known("platform:serial8250", true, "platform:serial8250");
	expect_known("platform:serial*", false, "platform:serial");
}

#define HUB "usb:v1D6Bp0104d0100dc00dsc00dp00"

/* Its interfaces have the modalias in sysfs, it has the part that is its own. */
static void test_interfaces_are_no_part_of_a_usb_device(void **state)
{
	expect_known(HUB, true, HUB);
	expect_known(HUB "ic03isc01ip01in00", true, HUB);
	expect_known(HUB "ic03isc*ip*in*", true, HUB);
	expect_known(HUB "ic*", true, HUB);
	expect_known("usb:v1D6Bp0104d01[0-4]*dc*dsc*dp*ic*isc*ip*in*", false, "usb:v1D6Bp0104d");
}

static void test_names_of_devices_are_not_meant_as_modaliases(void **state)
{
	static const char *const names[] = {
		"pci:0000:00:01.0", "virtio:virtio0", "usb:1-1",    "usb:usb1",
		"acpi:PNP0501:00",  "pnp:00:04",      "platform:x", "x"};
	static const char *const modaliases[] = {"pci:v", "virtio:d", "usb:v1", "acpi:PNP0501",
						 "pnp:d"};

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		assert_false(modalias_is_meant(names[i]));
	for (size_t i = 0; i < ELEMENTSOF(modaliases); i++) {
		assert_true(modalias_is_meant(modaliases[i]));
		assert_non_null(modalias_form(modaliases[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_are_read_as_the_kernel_writes_them),
		cmocka_unit_test(test_a_class_of_which_a_part_is_missing_is_not_known),
		cmocka_unit_test(test_what_is_cut_off_or_malformed_is_refused),
		cmocka_unit_test(test_the_first_wildcard_ends_what_is_known),
		cmocka_unit_test(test_interfaces_are_no_part_of_a_usb_device),
		cmocka_unit_test(test_names_of_devices_are_not_meant_as_modaliases),
	};

	return RUN_TESTS("modalias", tests);
}
