/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit.h"

#include "test.h"

static void expect_text(const struct Device *device, const struct EnforceRequest *request,
			const char *expected)
{
	const struct Decision decision = {.action =
						  request->authorize ? ACTION_ALLOW : ACTION_DENY};
	_cleanup_free_ char *text = audit_text(device, &decision, request);

	assert_string_equal(text, expected);
}

static void test_a_record_says_what_was_done_to_which_device_and_why(void **state)
{
	const struct Device nic = {.bus = BUS_PCI,
				   .syspath = (char *)"/sys/devices/pci0000:00/0000:00:02.0",
				   .modalias = (char *)"pci:v00008086"};

	(void)state;
	expect_text(
		&nic,
		&(struct EnforceRequest){.authorize = true, .set_driver = true, .driver = "e1000e"},
		"op=authorize bus=pci device=\"/sys/devices/pci0000:00/0000:00:02.0\" "
		"modalias=\"pci:v00008086\" rule=64656661756C7420666F7220706369 "
		"driver=\"e1000e\"");
	expect_text(&(struct Device){.bus = BUS_ACPI, .syspath = (char *)"/x"},
		    &(struct EnforceRequest){.remove = true},
		    "op=remove bus=acpi device=\"/x\" rule=64656661756C7420666F722061637069");
	expect_text(&(struct Device){.bus = BUS_PNP, .syspath = (char *)"/x"},
		    &(struct EnforceRequest){.to_default = true},
		    "op=return bus=pnp device=\"/x\" rule=64656661756C7420666F7220706E70");
}

/* A name with a quote, a newline or a blank could make up fields, or a record, of its own. */
static void test_what_a_device_says_stays_in_its_field(void **state)
{
	static const char *const hostile[] = {
		"x\" res=success", "x\ntype=USER_DEVICE msg=audit(1.0:1): op=authorize",
		"x res=success",   "\xe2\x80\xae",
		"\x1b[2J",
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTSOF(hostile); i++) {
		struct Attribute product = {(char *)"product", (char *)hostile[i]};
		const struct Device device = {.bus = BUS_USB,
					      .syspath = (char *)"/sys/devices/usb1/1-1",
					      .attributes = &product,
					      .n_attributes = 1};
		_cleanup_free_ char *text =
			audit_text(&device, &(struct Decision){.action = ACTION_DENY},
				   &(struct EnforceRequest){0});
		const char *value = strstr(text, " product="), *end;

		assert_non_null(value);
		value += strlen(" product=");
		end = strchr(value, ' ');
		assert_non_null(end);
		assert_int_equal(strspn(value, "0123456789ABCDEF"), end - value);
		assert_int_equal(end - value, 2 * strlen(hostile[i]));
		assert_non_null(startswith(end, " rule="));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_says_what_was_done_to_which_device_and_why),
		cmocka_unit_test(test_what_a_device_says_stays_in_its_field),
	};

	return RUN_TESTS("audit", tests);
}
