/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "known.h"
#include "test.h"

/* A usb device as it reads, and what is known of one that was left so. */
static struct Device usb(int authorized)
{
	return (struct Device){
		.bus = BUS_USB, .authorized = authorized, .authorized_by = _ORIGIN_INVALID};
}

static struct Known left(int authorized)
{
	struct Known known = {.before = 1};

	known_note_state(&known, authorized, NULL, true);
	return known;
}

static void test_who_left_it_otherwise_was_somebody_else(void **state)
{
	const struct Device on = usb(1), off = usb(0);
	struct Known known = left(0);

	(void)state;
	assert_true(known_is_by_hand(&known, &on));
	assert_false(known_is_by_hand(&known, &off));
	known_note_state(&known, -1, NULL, true); /* nobody knows how it was left */
	assert_false(known_is_by_hand(&known, &on));
}

static void test_what_was_there_before_is_given_back_by_who_took_it(void **state)
{
	const struct Decision kernel = {.action = ACTION_KERNEL};
	const struct Device off = usb(0);
	struct Known known = left(0);

	(void)state;
	assert_true(known_is_to_be_given_back(&known, &off, &kernel));
	known.is_ours = false;
	assert_false(known_is_to_be_given_back(&known, &off, &kernel));
	known = left(0);
	known.before = 0;
	assert_false(known_is_to_be_given_back(&known, &off, &kernel));
}

static void test_a_write_that_never_came_back_may_give_the_device_yet(void **state)
{
	const struct Decision deny = {.action = ACTION_DENY}, allow = {.action = ACTION_ALLOW};
	const struct Device off = usb(0);
	struct Device pci = usb(0);
	struct Known known = left(-1);

	(void)state;
	pci.bus = BUS_PCI; /* there the flag goes first, and shows */
	assert_true(known_may_be_given_yet(&known, &off, &deny));
	assert_false(known_may_be_given_yet(&known, &off, &allow));
	assert_false(known_may_be_given_yet(&known, &pci, &deny));
	known = left(0);
	assert_false(known_may_be_given_yet(&known, &off, &deny));
}

static void test_a_device_that_shows_other_ids_is_noticed(void **state)
{
	static const struct Decision none = {.action = ACTION_KERNEL};
	_cleanup_policy_ struct Policy *policy = policy_new();
	struct Registry registry = {0};
	struct Device port = {.bus = BUS_ACPI,
			      .syspath = (char *)"/sys/devices/a",
			      .sysname = (char *)"a",
			      .ino = 1};
	struct Known *known;

	(void)state;
	assert_int_equal(registry_set_policy(&registry, policy), 0);
	known = registry_add(&registry, &port, false);
	registry_note(&registry, known, &port, &none);
	assert_true(known_shows(known, &port));
	port.modalias = (char *)"acpi:PNP0501:";
	assert_false(known_shows(known, &port));
	registry_note(&registry, known, &port, &none);
	assert_true(known_shows(known, &port));
	/* another device at its path has shown nothing yet */
	port.ino = 2;
	assert_false(known_shows(registry_add(&registry, &port, false), &port));
	registry_done(&registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_left_it_otherwise_was_somebody_else),
		cmocka_unit_test(test_what_was_there_before_is_given_back_by_who_took_it),
		cmocka_unit_test(test_a_write_that_never_came_back_may_give_the_device_yet),
		cmocka_unit_test(test_a_device_that_shows_other_ids_is_noticed),
	};

	return RUN_TESTS("known", tests);
}
