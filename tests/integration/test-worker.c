/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "order.h"
#include "test.h"
#include "util.h"
#include "worker.h"

#define DEADLINE_USEC 300000 /* for stalls alone: no other job may come near it */
#define NO_DEADLINE_USEC (600 * UINT64_C(1000000))
#define N_WORKERS 2
#define N_JOBS 200
#define N_REFUSALS 12 /* more than there are workers for them alone */

static atomic_int *n_stalled; /* shared with the workers */

/* A kernel that does as the request's driver name says. */
static void execute(int dirfd, const struct EnforceRequest *request, struct EnforceReply *ret)
{
	*ret = (struct EnforceReply){.authorized = request->authorize};
	if (streq(request->driver, "stall")) {
		(void)atomic_fetch_add(n_stalled, 1);
		(void)pause();
	} else if (streq(request->driver, "die"))
		(void)raise(SIGKILL);
	else if (streq(request->driver, "busy"))
		*ret = (struct EnforceReply){.error = -EBUSY, .step = STEP_DEAUTHORIZE};
	else if (streq(request->driver, "fd"))
		ret->error = fcntl(dirfd, F_GETFD) >= 0 ? 0 : -errno;
}

struct Fixture {
	sd_event *event;
	struct WorkerPool *pool;
	int dirfd;
	struct EnforceReply replies[N_JOBS];
	int n_replies;
};

static int setup_none(void **state)
{
	struct Fixture *f = calloc(1, sizeof(*f));
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	*state = f;
	n_stalled = mmap(NULL, sizeof(*n_stalled), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n_stalled == MAP_FAILED)
		return -1;
	f->dirfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int setup_pool(void **state, uint64_t deadline_usec)
{
	struct Fixture *f;

	if (setup_none(state) < 0)
		return -1;
	f = *state;
	if (sd_event_new(&f->event) < 0)
		return -1;
	return worker_pool_new(f->event, N_WORKERS, deadline_usec, execute, &f->pool);
}

static int setup(void **state)
{
	return setup_pool(state, NO_DEADLINE_USEC);
}

static int setup_short(void **state)
{
	return setup_pool(state, DEADLINE_USEC);
}

static int teardown(void **state)
{
	struct Fixture *f = *state;

	worker_pool_free(f->pool);
	(void)munmap(n_stalled, sizeof(*n_stalled));
	(void)close(f->dirfd);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static void on_done(const struct EnforceReply *reply, void *userdata)
{
	struct Fixture *f = userdata;

	f->replies[f->n_replies++] = *reply;
}

static void submit_request(struct Fixture *f, const char *what, bool authorize)
{
	struct EnforceRequest request = {.authorize = authorize};

	(void)snprintf(request.driver, sizeof(request.driver), "%s", what);
	assert_int_equal(worker_pool_submit(f->pool, f->dirfd, &request, on_done, f), 0);
}

static void submit(struct Fixture *f, const char *what)
{
	submit_request(f, what, true);
}

static void run(struct Fixture *f, int expected)
{
	while (f->n_replies < expected)
		assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

static void test_more_jobs_than_workers_are_all_done(void **state)
{
	struct Fixture *f = *state;

	for (int i = 0; i < N_JOBS; i++)
		submit(f, i % 2 ? "fd" : "");
	run(f, N_JOBS);
	for (int i = 0; i < N_JOBS; i++) {
		assert_int_equal(f->replies[i].error, 0);
		assert_int_equal(f->replies[i].authorized, 1);
	}
}

static void test_the_kernels_error_comes_back(void **state)
{
	submit(*state, "busy");
	run(*state, 1);
	assert_int_equal(((struct Fixture *)*state)->replies[0].error, -EBUSY);
	assert_int_equal(((struct Fixture *)*state)->replies[0].step, STEP_DEAUTHORIZE);
}

static int count_replies(const struct Fixture *f, int error)
{
	int n = 0;

	for (int i = 0; i < f->n_replies; i++)
		n += f->replies[i].error == error;
	return n;
}

static void test_stalled_workers_are_given_up_and_replaced(void **state)
{
	struct Fixture *f = *state;

	for (int i = 0; i < 3 * N_WORKERS; i++)
		submit(f, "stall");
	run(f, 3 * N_WORKERS);
	assert_int_equal(count_replies(f, -ETIME), 3 * N_WORKERS);
	submit(f, "");
	run(f, 3 * N_WORKERS + 1);
	assert_int_equal(count_replies(f, 0), 1);
}

/* Every worker is stuck, and no deadline near: another device must be served all the same, and one
 * that is to be refused before one that is to be authorized. */
static void test_stalls_delay_no_other_device(void **state)
{
	struct Fixture *f = *state;

	for (int i = 0; i < N_WORKERS; i++)
		submit(f, "stall");
	submit(f, "");
	submit_request(f, "", false);
	run(f, 2);
	assert_int_equal(count_replies(f, 0), 2);
	assert_int_equal(f->replies[0].authorized, 0);
	assert_int_equal(f->replies[1].authorized, 1);
}

/* What waits must not wait longer for more that comes. */
static void test_jobs_that_keep_coming_do_not_put_off_a_new_worker(void **state)
{
	struct Fixture *f = *state;

	for (int i = 0; i < N_WORKERS; i++)
		submit(f, "stall");
	for (int i = 0; f->n_replies == 0 && i < N_JOBS / 2; i++) {
		submit(f, "");
		assert_true(sd_event_run(f->event, 5000) >= 0);
	}
	assert_true(f->n_replies > 0);
}

static void test_a_worker_that_dies_is_reported_and_replaced(void **state)
{
	struct Fixture *f = *state;
	submit(f, "die");
	submit(f, "die");
	submit(f, "");
	run(f, 3);
	assert_int_equal(count_replies(f, -ESHUTDOWN), 2);
	assert_int_equal(count_replies(f, 0), 1);
}

/* As many stalls as there may be authorizations at once, and more that wait. */
static void test_stalled_authorizations_leave_workers_to_refuse(void **state)
{
	struct Fixture *f = *state;

	for (int i = 0; i < WORKERS_AUTHORIZING_MAX + N_REFUSALS; i++)
		submit(f, "stall");
	while (atomic_load(n_stalled) < WORKERS_AUTHORIZING_MAX)
		assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
	/* nor does one that has refused go on with what waits */
	for (int i = 0; i < N_REFUSALS; i++) {
		submit_request(f, "", false);
		run(f, i + 1);
		assert_int_equal(f->replies[i].error, 0);
		assert_int_equal(f->replies[i].authorized, 0);
	}
	assert_int_equal(atomic_load(n_stalled), WORKERS_AUTHORIZING_MAX);
}

/* A file that reads as @text. */
static int file_of(const char *text)
{
	int fd = memfd_create("attribute", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void read_all(struct Fixture *f, struct Reading *readings, size_t n)
{
	assert_int_equal(worker_pool_read(f->pool, readings, n, on_done, f), 0);
}

static void test_attributes_are_read_each_with_its_own_error(void **state)
{
	struct Fixture *f = *state;
	char page[SYSFS_TEXT_MAX + 2];
	char *texts[4] = {NULL};
	struct Reading readings[4];

	memset(page, 'x', sizeof(page) - 1);
	page[sizeof(page) - 1] = '\0';
	readings[0] = (struct Reading){file_of("first\n"), 0, &texts[0]};
	readings[1] = (struct Reading){f->dirfd, 0, &texts[1]};
	readings[2] = (struct Reading){file_of(page), 0, &texts[2]};
	readings[3] = (struct Reading){file_of(page + 1), 0, &texts[3]};
	read_all(f, readings, 4);
	run(f, 1);
	assert_int_equal(f->replies[0].error, 0);
	assert_string_equal(texts[0], "first");
	assert_int_equal(readings[1].error, -EBADF);
	/* as long as what the kernel cuts off */
	assert_int_equal(readings[2].error, -EMSGSIZE);
	assert_string_equal(texts[3], page + 1);
	for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
		if (readings[i].fd != f->dirfd)
			(void)close(readings[i].fd);
		free(texts[i]);
	}
}

/* Opened so that the opener does not wait, the attribute makes the reader wait. */
static void test_an_attribute_that_is_never_told_is_given_up(void **state)
{
	struct Fixture *f = *state;
	char *text = NULL;
	int ends[2];
	struct Reading reading = {.text = &text};

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	reading.fd = ends[0];
	read_all(f, &reading, 1);
	run(f, 1);
	assert_int_equal(f->replies[0].error, -ETIME);
	assert_int_equal(f->replies[0].step, STEP_READ);
	assert_null(text);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void test_attributes_that_are_never_told_leave_workers_to_refuse(void **state)
{
	struct Fixture *f = *state;
	struct Reading readings[2 * WORKERS_AUTHORIZING_MAX];
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	for (size_t i = 0; i < ELEMENTSOF(readings); i++) {
		readings[i] = (struct Reading){.fd = ends[0]};
		read_all(f, &readings[i], 1);
	}
	submit_request(f, "", false);
	run(f, 1);
	assert_int_equal(f->replies[0].error, 0);
	assert_int_equal(f->replies[0].authorized, 0);
	worker_pool_free(f->pool);
	f->pool = NULL;
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void test_more_attributes_than_a_message_takes_are_refused(void **state)
{
	struct Fixture *f = *state;
	struct Reading readings[ORDER_FDS_MAX + 1] = {0};

	assert_int_equal(worker_pool_read(f->pool, readings, ORDER_FDS_MAX + 1, on_done, f),
			 -E2BIG);
}

/* A request of a program that is gone must not be fulfilled later. Worker and starter hold the one
 * end of the pipe: the other reads the end of the file when both are dead. */
static void test_a_worker_dies_with_its_starter(void **state)
{
	struct Fixture *f = *state;
	struct pollfd end = {.events = POLLIN};
	int ends[2], ended;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)dup2(ends[1], STDOUT_FILENO);
		if (sd_event_new(&f->event) < 0 || /* a loop is of no use across fork() */
		    worker_pool_new(f->event, 1, NO_DEADLINE_USEC, execute, &f->pool) < 0)
			_exit(EXIT_FAILURE);
		submit(f, "stall");
		if (write(STDOUT_FILENO, "", 1) == 1)
			(void)pause();
		_exit(EXIT_FAILURE);
	}
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	end.fd = ends[0];
	ended = poll(&end, 1, 10000);
	(void)kill(-pid, SIGKILL); /* a worker that lives on */
	assert_int_equal(ended, 1);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	(void)close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_more_jobs_than_workers_are_all_done, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_kernels_error_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stalled_workers_are_given_up_and_replaced,
						setup_short, teardown),
		cmocka_unit_test_setup_teardown(test_stalls_delay_no_other_device, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_jobs_that_keep_coming_do_not_put_off_a_new_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_worker_that_dies_is_reported_and_replaced,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_stalled_authorizations_leave_workers_to_refuse,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_attributes_are_read_each_with_its_own_error,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_attribute_that_is_never_told_is_given_up,
						setup_short, teardown),
		cmocka_unit_test_setup_teardown(
			test_attributes_that_are_never_told_leave_workers_to_refuse, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_more_attributes_than_a_message_takes_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_worker_dies_with_its_starter, setup_none,
						teardown),
	};

	return RUN_TESTS("worker", tests);
}
