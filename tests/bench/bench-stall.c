/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long a decision waits while probes of other devices hang: bench-stall [RUNS]
 *
 * A pool of as many workers as tdx-authd has by default is given jobs that never end, as a host
 * that stalls probes gives it, and then one job after the other that ends at once. What is measured
 * is the time from the submission of such a job until its outcome is told, beside the same with
 * nothing that hangs. The first job after a stall finds no idle worker if all of them hang; one is
 * started for it, and stays. */

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "manager.h"
#include "util.h"
#include "worker.h"

#define JOBS 200
#define RUNS 3
#define RUNS_MAX 99
#define LIMIT_MS 50.0
#define NEVER_USEC (3600 * UINT64_C(1000000))

static const unsigned hanging[] = {0, 1, 4, 16, 48}; /* probes; 4 is all of the warm workers */

static atomic_uint *n_stalled; /* shared with the workers */

static void execute(int dirfd, const struct EnforceRequest *request, struct EnforceReply *ret)
{
	*ret = (struct EnforceReply){.authorized = request->authorize};
	if (!streq(request->driver, "stall"))
		return;
	(void)atomic_fetch_add(n_stalled, 1);
	(void)pause();
}

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void on_done(const struct EnforceReply *reply, void *userdata)
{
	*(bool *)userdata = true;
}

static void on_never(const struct EnforceReply *reply, void *userdata)
{
}

static int run_until(sd_event *event, const bool *done)
{
	int r = 0;

	while (r >= 0 && !*done)
		r = sd_event_run(event, UINT64_MAX);
	return r;
}

/* Until that many hang in a worker of their own. */
static int stall(sd_event *event, struct WorkerPool *pool, unsigned n)
{
	static const struct EnforceRequest request = {.authorize = true, .driver = "stall"};
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < n; i++)
		r = worker_pool_submit(pool, STDIN_FILENO, &request, on_never, NULL);
	while (r >= 0 && atomic_load(n_stalled) < n)
		r = sd_event_run(event, 10000);
	return r;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The times of JOBS jobs, sorted. */
static int measure(unsigned n, uint64_t times[static JOBS])
{
	static const struct EnforceRequest request = {.authorize = true};
	_cleanup_worker_pool_ struct WorkerPool *pool = NULL;
	sd_event *event = NULL;
	int r = sd_event_new(&event);

	atomic_store(n_stalled, 0);
	if (r >= 0)
		r = worker_pool_new(event, manager_defaults.n_workers, NEVER_USEC, execute, &pool);
	if (r >= 0)
		r = stall(event, pool, n);
	for (unsigned i = 0; r >= 0 && i < JOBS; i++) {
		uint64_t start = now_ns();
		bool done = false;

		r = worker_pool_submit(pool, STDIN_FILENO, &request, on_done, &done);
		if (r >= 0)
			r = run_until(event, &done);
		times[i] = now_ns() - start;
	}
	worker_pool_free(TAKE_PTR(pool));
	sd_event_unref(event);
	qsort(times, JOBS, sizeof(*times), compare);
	return r;
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static int run(void)
{
	double median = 0;

	for (size_t i = 0; i < ELEMENTSOF(hanging); i++) {
		uint64_t times[JOBS];

		if (measure(hanging[i], times) < 0) {
			(void)fprintf(stderr, "bench-stall: the workers cannot be used\n");
			return EXIT_FAILURE;
		}
		if (hanging[i] == 0)
			median = ms(times[JOBS / 2]);
		(void)printf("%8u  %9.3f  %9.3f  %9.3f  %8.2f  %9.1f\n", hanging[i],
			     ms(times[JOBS / 2]), ms(times[JOBS * 99 / 100]), ms(times[JOBS - 1]),
			     ms(times[JOBS / 2]) / median, LIMIT_MS);
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	int runs = argc > 1 ? atoi(argv[1]) : RUNS;
	sigset_t set;

	if (argc > 2 || runs < 1 || runs > RUNS_MAX) {
		(void)fprintf(stderr, "usage: bench-stall [RUNS]\n");
		return 2;
	}
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	n_stalled = mmap(NULL, sizeof(*n_stalled), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n_stalled == MAP_FAILED)
		return EXIT_FAILURE;
	(void)printf(" hanging  p50 in ms  p99 in ms  max in ms  p50 to 0  limit, ms\n");
	for (int i = 0; i < runs; i++)
		if (run() != EXIT_SUCCESS)
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
