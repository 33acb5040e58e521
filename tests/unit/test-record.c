/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record.h"

#include <errno.h>

#include "capture.h"

struct Outcome {
	const char *sysname;
	struct EnforceRequest request;
	struct EnforceReply reply;
};

static void write_record(void *argument)
{
	const struct Outcome *outcome = argument;
	struct Device device = {.bus = BUS_PCI,
				.syspath = (char *)"/sys/devices/x",
				.sysname = (char *)outcome->sysname};
	struct Decision decision = {.action = outcome->request.authorize ? ACTION_ALLOW
									 : ACTION_DENY};

	record_outcome(&device, &decision, &outcome->request, &outcome->reply);
}

static void expect_record(struct Outcome outcome, const char *text)
{
	_cleanup_free_ char *line = capture(STDERR_FILENO, write_record, &outcome);

	assert_string_equal(line, text);
}

static void test_a_record_says_what_was_done_for_which_driver_and_why(void **state)
{
	expect_record((struct Outcome){"0000:01:00.0",
				       {.authorize = true, .set_driver = true, .driver = "e1000e"},
				       {.authorized = 1, .driver = "e1000e"}},
		      "tdx-auth: pci:0000:01:00.0 authorized only for e1000e, driver: e1000e "
		      "(default for pci)\n");
	expect_record((struct Outcome){"0000:01:00.0",
				       {.authorize = true, .set_driver = true},
				       {.authorized = 1, .driver = "e1000e"}},
		      "tdx-auth: pci:0000:01:00.0 authorized, driver: e1000e (default for pci)\n");
	expect_record((struct Outcome){"0000:01:00.0", {.authorize = false}, {.authorized = 0}},
		      "tdx-auth: pci:0000:01:00.0 refused (default for pci)\n");
}

static void test_a_vanished_device_is_no_error(void **state)
{
	expect_record((struct Outcome){"a", {.authorize = true}, {.error = -ENODEV}},
		      "tdx-auth: pci:a vanished before it could be authorized (default for pci)\n");
}

static void test_a_failed_refusal_says_what_to_do(void **state)
{
	expect_record(
		(struct Outcome){
			"a", {.authorize = false}, {.error = -EBUSY, .step = STEP_DEAUTHORIZE}},
		"tdx-auth: pci:a could not be refused: a device behind it is in use by a driver "
		"and would stop working; deny that one first; or the kernel's ACPI code uses it, "
		"which cannot let go (default for pci)\n");
}

static void test_a_hostile_name_stays_in_its_record(void **state)
{
	expect_record((struct Outcome){"a\ntdx-auth: forged\x1b[m", {0}, {.authorized = 0}},
		      "tdx-auth: pci:a\\ntdx-auth: forged\\x1b[m refused (default for pci)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_says_what_was_done_for_which_driver_and_why),
		cmocka_unit_test(test_a_vanished_device_is_no_error),
		cmocka_unit_test(test_a_failed_refusal_says_what_to_do),
		cmocka_unit_test(test_a_hostile_name_stays_in_its_record),
	};

	return RUN_TESTS("record", tests);
}
