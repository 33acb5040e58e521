/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "udev-property.h"

#include <errno.h>
#include <fcntl.h>

#include "module-tree.h"

#define DEVICE "/devices/d"

/* What udev_check_event() says of an event with @wanted, NULL for none, and a device that shows
 * @shown, NULL for nothing. */
static int check(const char *wanted, const char *shown)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int dirfd = -1;
	int r;

	tree_put(DEVICE "/uevent", "");
	if (shown)
		tree_put(DEVICE "/modalias", shown);
	assert_true(asprintf(&path, "%s" DEVICE, tree_root) > 0);
	dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(dirfd >= 0);
	if (wanted)
		(void)setenv("MODALIAS", wanted, 1);
	else
		(void)unsetenv("MODALIAS");
	r = udev_check_event(dirfd);
	(void)unlinkat(dirfd, "modalias", 0);
	return r;
}

static void test_an_event_is_of_the_device_with_its_modalias(void **state)
{
	(void)state;
	assert_int_equal(check("virtio:d00000002v00001AF4", "virtio:d00000002v00001AF4\n"), 0);
	assert_int_equal(check("of:NxTyCz", "acpi:PRP0001:\nof:NxTyCz\n"), 0);
}

static void test_an_event_of_the_device_that_was_there_before_is_refused(void **state)
{
	(void)state;
	assert_int_equal(check("virtio:d00000001v00001AF4", "virtio:d00000002v00001AF4\n"),
			 -ESTALE);
	assert_int_equal(check("acpi:PNP0A", "acpi:PNP0A03:\n"), -ESTALE);
	assert_int_equal(check("acpi:PNP0A03:", "\n"), -ESTALE);
	assert_int_equal(check("acpi:PNP0A03:", NULL), -ENOENT);
}

static void test_an_event_that_loads_nothing_is_of_any_device(void **state)
{
	(void)state;
	assert_int_equal(check(NULL, NULL), 0);
	assert_int_equal(check("", "acpi:PNP0A03:\n"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_event_is_of_the_device_with_its_modalias),
		cmocka_unit_test(test_an_event_of_the_device_that_was_there_before_is_refused),
		cmocka_unit_test(test_an_event_that_loads_nothing_is_of_any_device),
	};

	return RUN_TESTS_WITH("udev-property", tests, tree_make, tree_remove);
}
