/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "test.h"
#include "util.h"
#include "worker.h"

#define DEADLINE_USEC 300000
#define N_JOBS 200

/* A kernel that does as the request's driver name says. */
static void execute(int dirfd, const struct EnforceRequest *request, struct EnforceReply *ret)
{
	*ret = (struct EnforceReply){.authorized = request->authorize};
	if (streq(request->driver, "stall"))
		(void)pause();
	else if (streq(request->driver, "die"))
		(void)raise(SIGKILL);
	else if (streq(request->driver, "busy"))
		*ret = (struct EnforceReply){.error = -EBUSY, .step = STEP_DEAUTHORIZE};
	else if (streq(request->driver, "fd"))
		ret->error = fcntl(dirfd, F_GETFD) >= 0 ? 0 : -errno;
}

struct Fixture {
	sd_event *event;
	struct WorkerPool *pool;
	struct EnforceReply replies[N_JOBS];
	int n_replies, expected;
};

static int setup(void **state)
{
	struct Fixture *f = calloc(1, sizeof(*f));
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	*state = f;
	if (sd_event_new(&f->event) < 0)
		return -1;
	return worker_pool_new(f->event, 2, DEADLINE_USEC, execute, &f->pool);
}

static int teardown(void **state)
{
	struct Fixture *f = *state;

	worker_pool_free(f->pool);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static void on_done(const struct EnforceReply *reply, void *userdata)
{
	struct Fixture *f = userdata;

	f->replies[f->n_replies++] = *reply;
	if (f->n_replies == f->expected)
		(void)sd_event_exit(f->event, 0);
}

static void submit(struct Fixture *f, const char *what)
{
	struct EnforceRequest request = {.authorize = true};
	_cleanup_close_ int dirfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)snprintf(request.driver, sizeof(request.driver), "%s", what);
	assert_int_equal(worker_pool_submit(f->pool, dirfd, &request, on_done, f), 0);
}

static void run(struct Fixture *f, int expected)
{
	f->expected = expected;
	assert_int_equal(sd_event_loop(f->event), 0);
	assert_int_equal(f->n_replies, expected);
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

/* As many stalls as there are workers: what waits behind them must still be done. */
static void test_stalled_workers_are_given_up_and_replaced(void **state)
{
	struct Fixture *f = *state;
	int stalled = 0, done = 0;

	submit(f, "stall");
	submit(f, "stall");
	submit(f, "");
	submit(f, "");
	run(f, 4);
	for (int i = 0; i < 4; i++) {
		stalled += f->replies[i].error == -ETIME;
		done += f->replies[i].error == 0;
	}
	assert_int_equal(stalled, 2);
	assert_int_equal(done, 2);
}

static void test_a_stall_delays_no_other_device(void **state)
{
	struct Fixture *f = *state;

	submit(f, "stall");
	submit(f, "");
	run(f, 2);
	assert_int_equal(f->replies[0].error, 0);
	assert_int_equal(f->replies[1].error, -ETIME);
}

static void test_a_worker_that_dies_is_reported_and_replaced(void **state)
{
	struct Fixture *f = *state;
	int died = 0, done = 0;

	submit(f, "die");
	submit(f, "die");
	submit(f, "");
	run(f, 3);
	for (int i = 0; i < 3; i++) {
		died += f->replies[i].error == -ESHUTDOWN && f->replies[i].authorized == -1;
		done += f->replies[i].error == 0;
	}
	assert_int_equal(died, 2);
	assert_int_equal(done, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_more_jobs_than_workers_are_all_done, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_kernels_error_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stalled_workers_are_given_up_and_replaced,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_stall_delays_no_other_device, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_worker_that_dies_is_reported_and_replaced,
						setup, teardown),
	};

	return RUN_TESTS("worker", tests);
}
