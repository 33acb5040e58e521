/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "task.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define SHORT_USEC 100000
#define LONG_USEC (600 * UINT64_C(1000000))

static char news[] = "a disk";

static int find(FILE *out, void *userdata)
{
	(void)fputs(userdata, out);
	return 7;
}

static int find_much(FILE *out, void *userdata)
{
	for (int i = 0; i < 1000000; i++)
		(void)fputc('x', out);
	return 0;
}

static int stall(FILE *out, void *userdata)
{
	(void)fputs("never seen", out);
	(void)pause();
	return 0;
}

static int die(FILE *out, void *userdata)
{
	(void)raise(SIGKILL);
	return 0;
}

static void expect(const char *found, const char *expected)
{
	assert_non_null(found);
	assert_string_equal(found, expected);
}

static void test_what_was_found_comes_back(void **state)
{
	_cleanup_free_ char *text = NULL, *much = NULL;

	assert_int_equal(task_run(find, news, LONG_USEC, &text), 7);
	expect(text, news);
	assert_int_equal(task_run(find_much, NULL, LONG_USEC, &much), 0);
	assert_int_equal(strlen(much), 64 * 1024);
}

static void test_who_stalls_is_given_up(void **state)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(task_run(stall, NULL, SHORT_USEC, &text), -ETIME);
	expect(text, "");
}

static void test_who_dies_is_reported(void **state)
{
	assert_int_equal(task_run(die, NULL, LONG_USEC, NULL), -EIO);
}

struct Outcome {
	sd_event *event;
	struct Task *task;
	int result, n;
	char *text;
};

static void on_done(int result, const char *text, void *userdata)
{
	struct Outcome *outcome = userdata;

	outcome->result = result;
	outcome->text = strdup(text);
	outcome->n++;
	task_free(outcome->task); /* as its owner may */
	outcome->task = NULL;
}

static void start(struct Outcome *outcome, task_work_t work, uint64_t deadline_usec)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	assert_int_equal(sd_event_new(&outcome->event), 0);
	assert_int_equal(task_start(outcome->event, work, news, deadline_usec, on_done, outcome,
				    &outcome->task),
			 0);
}

/* Until the process is reaped, too. */
static void end(struct Outcome *outcome)
{
	siginfo_t info;

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		assert_true(sd_event_run(outcome->event, 100000) >= 0);
	assert_int_equal(errno, ECHILD);
	sd_event_unref(outcome->event);
}

static void expect_outcome(task_work_t work, uint64_t deadline_usec, int result, const char *text)
{
	struct Outcome outcome = {0};

	start(&outcome, work, deadline_usec);
	while (outcome.n == 0)
		assert_true(sd_event_run(outcome.event, UINT64_MAX) >= 0);
	end(&outcome);
	assert_int_equal(outcome.n, 1);
	assert_int_equal(outcome.result, result);
	expect(outcome.text, text);
	free(outcome.text);
}

static void test_the_loop_goes_on_and_is_told_once(void **state)
{
	expect_outcome(find, LONG_USEC, 7, news);
	expect_outcome(stall, SHORT_USEC, -ETIME, "");
	expect_outcome(die, LONG_USEC, -EIO, "");
}

static void test_a_task_that_is_freed_ends_and_tells_nobody(void **state)
{
	struct Outcome outcome = {0};

	start(&outcome, stall, LONG_USEC);
	task_free(outcome.task);
	end(&outcome);
	assert_int_equal(outcome.n, 0);
}

static unsigned count_descriptors(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

static void test_many_tasks_leave_no_descriptor(void **state)
{
	struct Outcome outcome = {0};
	unsigned before = 0;

	start(&outcome, find, LONG_USEC);
	for (int i = 1; i <= 20; i++) {
		while (outcome.n < i ||
		       waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0)
			assert_true(sd_event_run(outcome.event, 100000) >= 0);
		free(TAKE_PTR(outcome.text));
		if (i == 1)
			before = count_descriptors();
		else
			assert_int_equal(count_descriptors(), before);
		assert_int_equal(task_start(outcome.event, find, news, LONG_USEC, on_done, &outcome,
					    &outcome.task),
				 0);
	}
	while (outcome.n < 21)
		assert_true(sd_event_run(outcome.event, UINT64_MAX) >= 0);
	end(&outcome);
	free(outcome.text);
}

static int count_stream_sockets(FILE *out, void *userdata)
{
	int n = 0, type;
	socklen_t size = sizeof(type);

	(void)out;
	(void)userdata;
	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
		n += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
	return n;
}

/* One that is stuck when the daemon is killed would keep the daemon's bus open: the next daemon
 * would find it served. */
static void test_a_task_keeps_nothing_open_that_the_starter_listens_to(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX}; /* any */
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(task_run(count_stream_sockets, NULL, LONG_USEC, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_found_comes_back),
		cmocka_unit_test(test_who_stalls_is_given_up),
		cmocka_unit_test(test_who_dies_is_reported),
		cmocka_unit_test(test_the_loop_goes_on_and_is_told_once),
		cmocka_unit_test(test_a_task_that_is_freed_ends_and_tells_nobody),
		cmocka_unit_test(test_many_tasks_leave_no_descriptor),
		cmocka_unit_test(test_a_task_keeps_nothing_open_that_the_starter_listens_to),
	};

	return RUN_TESTS("task", tests);
}
