/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sysfs-brief.h"

#include <errno.h>
#include <sys/wait.h>

#include "sysfs-io.h"
#include "test.h"
#include "util.h"

/* Stand for two attributes: a reader of an empty pipe waits, until a signal ends that. */
struct Attributes {
	int waits[2], ready[2];
};

static int set_up(void **state)
{
	static struct Attributes attributes;

	*state = &attributes;
	if (pipe(attributes.waits) < 0 || pipe(attributes.ready) < 0)
		return -1;
	return write(attributes.ready[1], "SN1\n", 4) == 4 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct Attributes *attributes = *state;

	for (int i = 0; i < 2; i++) {
		(void)close(attributes->waits[i]);
		(void)close(attributes->ready[i]);
	}
	return 0;
}

/* What waited before has the reader rest for a while. */
static int read_after_rest(int fd, char **ret)
{
	int r;

	while ((r = sysfs_read_briefly(fd, ret)) == -ETIME)
		(void)usleep(1000);
	return r;
}

static void test_what_is_there_is_read(void **state)
{
	struct Attributes *attributes = *state;
	_cleanup_free_ char *text = NULL;

	assert_int_equal(read_after_rest(attributes->ready[0], &text), 0);
	assert_string_equal(text, "SN1");
}

static void test_a_read_that_waits_is_given_up(void **state)
{
	struct Attributes *attributes = *state;
	char *text = NULL;

	assert_int_equal(sysfs_read_briefly(attributes->waits[0], &text), -ETIME);
	assert_null(text);
}

static void test_after_one_that_waits_no_other_is_tried_for_a_while(void **state)
{
	struct Attributes *attributes = *state;
	_cleanup_free_ char *text = NULL;

	assert_int_equal(sysfs_read_briefly(attributes->waits[0], &text), -ETIME);
	assert_int_equal(sysfs_read_briefly(attributes->ready[0], &text), -ETIME);
	assert_null(text);
	assert_int_equal(read_after_rest(attributes->ready[0], &text), 0);
}

static void test_a_fork_leaves_it_to_others(void **state)
{
	struct Attributes *attributes = *state;
	_cleanup_free_ char *text = NULL;
	pid_t pid;
	int status;

	assert_int_equal(read_after_rest(attributes->ready[0], &text), 0);
	pid = fork();
	if (pid == 0) /* its parent's timer would not end a wait of this process */
		_exit(sysfs_read_briefly(attributes->waits[0], &text) != -ETIME);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_there_is_read),
		TEST(test_a_read_that_waits_is_given_up),
		TEST(test_after_one_that_waits_no_other_is_tried_for_a_while),
		TEST(test_a_fork_leaves_it_to_others),
	};

	return RUN_TESTS("sysfs-brief", tests);
}
