/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "log.h"
#include "order.h"

#define MAX_WORKERS 64	    /* at once, those that were given up included */
#define PATIENCE_USEC 20000 /* that all workers are busy before one more is started */

struct Job {
	struct Job *next;
	struct Order order;
	int dirfd;		  /* the submitter's; of a reading: */
	struct Reading *readings; /* the submitter's */
	size_t n_readings, n_read;
	worker_done_t done;
	void *userdata;
};

struct Queue {
	struct Job *first, *last;
};

struct Worker {
	struct WorkerPool *pool;
	struct Worker *next;
	pid_t pid;
	int socket;
	bool given_up;
	bool is_authorizing; /* its job, or the one it was given up over, is no refusal */
	struct Job *job;     /* NULL: idle */
	sd_event_source *io, *deadline, *child;
};

struct WorkerPool {
	sd_event *event;
	sd_event_source *patience;
	uint64_t deadline_usec;
	worker_execute_t execute;
	struct Worker *workers;
	unsigned n_warm; /* kept when idle */
	unsigned n_workers;
	unsigned n_given_up;
	struct Queue refusals; /* served first */
	struct Queue authorizations;
};

static void serve(struct WorkerPool *pool);

/* --- in the worker --- */

static int carry_out_reading(int socket, const int *fds, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_free_ char *text = NULL;
		int error;

		/* opened so, that the opener did not wait; a worker may */
		(void)fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) & ~O_NONBLOCK);
		error = sysfs_read_fd(fds[i], &text);
		r = text_send(socket, error, text);
	}
	return r;
}

static int carry_out(int socket, const struct Order *order, const int *fds, size_t n,
		     worker_execute_t execute)
{
	struct EnforceReply reply;

	if (order->is_reading)
		return carry_out_reading(socket, fds, n);
	execute(fds[0], &order->request, &reply);
	return send(socket, &reply, sizeof(reply), MSG_NOSIGNAL) == (ssize_t)sizeof(reply) ? 0
											   : -EIO;
}

/* Serves requests until the parent closes its end. Signals of the parent's terminal and service
 * manager end the worker as they would any program, so their handling is reset. */
_Noreturn static void worker_main(int socket, pid_t starter, worker_execute_t execute)
{
	int fds[ORDER_FDS_MAX], r = 0;
	struct Order order;
	sigset_t none;
	size_t n;

	(void)prctl(PR_SET_NAME, "tdx-auth-worker");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != starter) /* it died before it could be told */
		_exit(EXIT_FAILURE);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(socket, 3) == 3) /* nothing of the parent's stays open but this and stdio */
		(void)close_range(4, ~0U, 0);
	socket = 3;
	while (r == 0 && order_receive(socket, &order, fds, &n) == 0) {
		r = carry_out(socket, &order, fds, n, execute);
		for (size_t i = 0; i < n; i++)
			(void)close(fds[i]);
	}
	_exit(EXIT_SUCCESS);
}

/* --- in the parent --- */

static void queue_push(struct Queue *queue, struct Job *job)
{
	job->next = NULL;
	if (queue->last)
		queue->last->next = job;
	else
		queue->first = job;
	queue->last = job;
}

static struct Job *queue_pop(struct Queue *queue)
{
	struct Job *job = queue->first;

	if (!job)
		return NULL;
	queue->first = job->next;
	if (!queue->first)
		queue->last = NULL;
	return job;
}

/* Takes the job of this submitter out. NULL: there is none. */
static struct Job *queue_remove(struct Queue *queue, const void *userdata)
{
	struct Job *previous = NULL, *job = queue->first;

	while (job && job->userdata != userdata) {
		previous = job;
		job = job->next;
	}
	if (!job)
		return NULL;
	*(previous ? &previous->next : &queue->first) = job->next;
	if (queue->last == job)
		queue->last = previous;
	return job;
}

static void queue_done(struct Queue *queue)
{
	struct Job *job;

	while ((job = queue_pop(queue)))
		free(job);
}

/* Workers that authorize, or that were given up when they did. */
static unsigned count_authorizing(const struct WorkerPool *pool, bool given_up)
{
	unsigned n = 0;

	for (const struct Worker *w = pool->workers; w; w = w->next)
		n += w->is_authorizing && (w->given_up || (!given_up && w->job));
	return n;
}

/* What is to be served next, or NULL: as many authorize as may. */
static struct Queue *next_queue(struct WorkerPool *pool)
{
	if (pool->refusals.first)
		return &pool->refusals;
	return pool->authorizations.first &&
			       count_authorizing(pool, false) < WORKERS_AUTHORIZING_MAX
		       ? &pool->authorizations
		       : NULL;
}

static bool is_authorization(const struct Job *job)
{
	return job->order.is_reading || job->order.request.authorize ||
	       job->order.request.to_default;
}

static void finish_job(struct Job *job, const struct EnforceReply *reply)
{
	job->done(reply, job->userdata);
	free(job);
}

static void fail_job(struct Job *job, int error, enum EnforceStep step)
{
	finish_job(job, &(struct EnforceReply){.error = error,
					       .step = step,
					       .authorized = -1,
					       .authorized_by = _ORIGIN_INVALID});
}

static void worker_free(struct Worker *worker)
{
	if (!worker)
		return;
	sd_event_source_disable_unref(worker->io);
	sd_event_source_disable_unref(worker->deadline);
	sd_event_source_disable_unref(worker->child);
	if (worker->socket >= 0)
		(void)close(worker->socket);
	free(worker->job);
	free(worker);
}

static void unlink_worker(struct Worker *worker)
{
	struct WorkerPool *pool = worker->pool;
	struct Worker **p = &pool->workers;

	while (*p != worker)
		p = &(*p)->next;
	*p = worker->next;
	pool->n_workers--;
	if (worker->given_up)
		pool->n_given_up--;
}

/* A worker that is gone: dismissed, given up, or killed by somebody. Its job, if it still has one,
 * is reported; a new worker is started when there is work for it. */
static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	struct Worker *worker = userdata;
	struct WorkerPool *pool = worker->pool;
	struct Job *job = TAKE_PTR(worker->job);

	unlink_worker(worker);
	worker_free(worker);
	if (job) {
		log_warning("worker %d ended unexpectedly", (int)info->si_pid);
		fail_job(job, -ESHUTDOWN, STEP_READ);
	}
	serve(pool);
	return 0;
}

static enum EnforceStep step_of(const struct Job *job)
{
	if (job->order.is_reading)
		return STEP_READ;
	return job->order.request.authorize ? STEP_AUTHORIZE : STEP_DEAUTHORIZE;
}

/* SIGKILL ends a worker that can still end, and keeps one that cannot from doing anything after
 * the call it is stuck in. */
static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct Worker *worker = userdata;
	struct Job *job = TAKE_PTR(worker->job);

	(void)kill(worker->pid, SIGKILL);
	worker->io = sd_event_source_disable_unref(worker->io);
	worker->given_up = true;
	worker->pool->n_given_up++;
	if (job)
		fail_job(job, -ETIME, step_of(job));
	serve(worker->pool);
	return 0;
}

/* One that takes no orders, or answers with nothing, is dying, or of no use: on_child() clears up.
 */
static void discard(struct Worker *worker)
{
	(void)sd_event_source_set_enabled(worker->io, SD_EVENT_OFF);
	(void)kill(worker->pid, SIGKILL);
}

/* Returns 1 with the outcome of the job, 0 where more is to come, or a negative errno where nothing
 * will. */
static int receive_reply(struct Job *job, int fd, struct EnforceReply *ret)
{
	ssize_t n;
	int r;

	if (job->readings) {
		*ret = (struct EnforceReply){.authorized = -1, .authorized_by = _ORIGIN_INVALID};
		r = text_receive(fd, &job->readings[job->n_read]);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		return ++job->n_read == job->n_readings;
	}
	n = recv(fd, ret, sizeof(*ret), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n == (ssize_t)sizeof(*ret) ? 1 : -EIO;
}

static int on_reply(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct Worker *worker = userdata;
	struct WorkerPool *pool = worker->pool;
	struct EnforceReply reply;
	int r = worker->job ? receive_reply(worker->job, fd, &reply) : -EIO;

	if (r > 0) {
		(void)sd_event_source_set_enabled(worker->deadline, SD_EVENT_OFF);
		finish_job(TAKE_PTR(worker->job), &reply);
		serve(pool);
	} else if (r < 0) {
		discard(worker);
	}
	return 0;
}

static int add_sources(struct Worker *worker)
{
	sd_event *event = worker->pool->event;
	int r = sd_event_add_child(event, &worker->child, worker->pid, WEXITED, on_child, worker);

	if (r >= 0)
		r = sd_event_add_io(event, &worker->io, worker->socket, POLLIN, on_reply, worker);
	if (r >= 0)
		r = sd_event_add_time(event, &worker->deadline, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_deadline, worker);
	if (r >= 0)
		r = sd_event_source_set_enabled(worker->deadline, SD_EVENT_OFF);
	return r;
}

static int fork_worker(struct Worker *worker)
{
	pid_t starter = getpid();
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	worker->socket = sockets[0];
	worker->pid = fork();
	if (worker->pid == 0)
		worker_main(sockets[1], starter, worker->pool->execute);
	(void)close(sockets[1]);
	return worker->pid < 0 ? -errno : 0;
}

static int start_worker(struct WorkerPool *pool)
{
	struct Worker *worker = calloc(1, sizeof(*worker));
	int r;

	if (!worker)
		return -ENOMEM;
	worker->pool = pool;
	worker->socket = -1;
	r = fork_worker(worker);
	if (r >= 0)
		r = add_sources(worker);
	if (r < 0) {
		if (worker->pid > 0) {
			(void)kill(worker->pid, SIGKILL);
			(void)waitpid(worker->pid, NULL, 0);
		}
		worker_free(worker);
		return r;
	}
	worker->next = pool->workers;
	pool->workers = worker;
	pool->n_workers++;
	return 0;
}

static int send_order(const struct Worker *worker, const struct Job *job)
{
	int fds[ORDER_FDS_MAX];

	if (!job->readings)
		return order_send(worker->socket, &job->order, &job->dirfd, 1);
	for (size_t i = 0; i < job->n_readings; i++)
		fds[i] = job->readings[i].fd;
	return order_send(worker->socket, &job->order, fds, job->n_readings);
}

/* Arms the deadline first: a request that is out is never without one. */
static int assign(struct Worker *worker, struct Job *job)
{
	int r = sd_event_source_set_time_relative(worker->deadline, worker->pool->deadline_usec);

	if (r >= 0)
		r = sd_event_source_set_enabled(worker->deadline, SD_EVENT_ONESHOT);
	if (r >= 0)
		r = send_order(worker, job);
	if (r < 0) {
		(void)sd_event_source_set_enabled(worker->deadline, SD_EVENT_OFF);
		return r;
	}
	worker->job = job;
	worker->is_authorizing = is_authorization(job);
	return 0;
}

/* A worker whose socket no longer takes anything is about to be reaped. */
static struct Worker *find_idle(struct WorkerPool *pool)
{
	int enabled;

	for (struct Worker *w = pool->workers; w; w = w->next)
		if (!w->given_up && !w->job && w->socket >= 0 &&
		    sd_event_source_get_enabled(w->io, &enabled) >= 0 && enabled != SD_EVENT_OFF)
			return w;
	return NULL;
}

static void fail_all(struct WorkerPool *pool, struct Queue *queue)
{
	struct Queue failed = *queue;
	struct Job *job;

	if (!failed.first)
		return;
	log_error("%u workers are stuck in the kernel, and there is none for what waits",
		  pool->n_given_up);
	*queue = (struct Queue){0};
	while ((job = queue_pop(&failed)))
		fail_job(job, -EAGAIN, STEP_READ);
}

/* No worker came free. As stalled probes must not delay another device, one more is started, also
 * where no job waits yet: the next one is not to wait for a process. Where none may be and all
 * there are are stuck, the jobs fail: to wait for ever would be to say nothing. */
static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct WorkerPool *pool = userdata;
	int r = 0;

	if (next_queue(pool) || !find_idle(pool))
		r = pool->n_workers < MAX_WORKERS ? start_worker(pool) : -EAGAIN;
	if (r < 0 && pool->n_workers == pool->n_given_up) {
		fail_all(pool, &pool->refusals);
		fail_all(pool, &pool->authorizations);
	} else if (count_authorizing(pool, true) >= WORKERS_AUTHORIZING_MAX) {
		fail_all(pool, &pool->authorizations);
	}
	serve(pool);
	return 0;
}

/* Ends idle workers beyond the warm ones. Those that are busy may be so for ever. */
static void dismiss_surplus(struct WorkerPool *pool)
{
	unsigned n = 0;

	for (struct Worker *w = pool->workers; w; w = w->next) {
		if (w->given_up || w->socket < 0 || w->job || ++n <= pool->n_warm)
			continue;
		w->io = sd_event_source_disable_unref(w->io);
		(void)close(w->socket);
		w->socket = -1;
		/* another process may have that end of the socket open */
		(void)kill(w->pid, SIGKILL);
	}
}

static bool has_jobs(const struct WorkerPool *pool)
{
	return pool->refusals.first || pool->authorizations.first;
}

/* One that runs goes on: jobs that keep coming do not put it off. */
static void set_patience(struct WorkerPool *pool, bool is_needed)
{
	int enabled = SD_EVENT_OFF;

	(void)sd_event_source_get_enabled(pool->patience, &enabled);
	if (is_needed && enabled == SD_EVENT_OFF) {
		(void)sd_event_source_set_time_relative(pool->patience, PATIENCE_USEC);
		(void)sd_event_source_set_enabled(pool->patience, SD_EVENT_ONESHOT);
	} else if (!is_needed) {
		(void)sd_event_source_set_enabled(pool->patience, SD_EVENT_OFF);
	}
}

/* Gives waiting jobs to idle workers, refusals first. Runs no callback. */
static void serve(struct WorkerPool *pool)
{
	struct Queue *queue;
	struct Worker *worker;

	while ((queue = next_queue(pool)) && (worker = find_idle(pool))) {
		if (assign(worker, queue->first) >= 0)
			(void)queue_pop(queue);
		else
			discard(worker);
	}
	set_patience(pool, has_jobs(pool) || (!find_idle(pool) && pool->n_workers < MAX_WORKERS));
	if (!has_jobs(pool))
		dismiss_surplus(pool);
}

int worker_pool_new(sd_event *event, unsigned n, uint64_t deadline_usec, worker_execute_t execute,
		    struct WorkerPool **ret)
{
	_cleanup_worker_pool_ struct WorkerPool *pool = NULL;
	int r;

	if (n < 1 || n > WORKERS_WARM_MAX)
		return -EINVAL;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->event = sd_event_ref(event);
	pool->n_warm = n;
	pool->deadline_usec = deadline_usec;
	pool->execute = execute;
	/* 0 would let it be late by a quarter of a second: sd_event_add_time(3) */
	r = sd_event_add_time(event, &pool->patience, CLOCK_MONOTONIC, UINT64_MAX, 1, on_patience,
			      pool);
	if (r >= 0)
		r = sd_event_source_set_enabled(pool->patience, SD_EVENT_OFF);
	for (unsigned i = 0; r >= 0 && i < n; i++)
		r = start_worker(pool);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(pool);
	return 0;
}

void worker_pool_free(struct WorkerPool *pool)
{
	if (!pool)
		return;
	while (pool->workers) {
		struct Worker *next = pool->workers->next;

		worker_free(pool->workers);
		pool->workers = next;
	}
	queue_done(&pool->refusals);
	queue_done(&pool->authorizations);
	sd_event_source_disable_unref(pool->patience);
	sd_event_unref(pool->event);
	free(pool);
}

int worker_pool_submit(struct WorkerPool *pool, int dirfd, const struct EnforceRequest *request,
		       worker_done_t done, void *userdata)
{
	struct Job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	*job = (struct Job){
		.order.request = *request, .dirfd = dirfd, .done = done, .userdata = userdata};
	queue_push(is_authorization(job) ? &pool->authorizations : &pool->refusals, job);
	serve(pool);
	return 0;
}

bool worker_pool_cancel(struct WorkerPool *pool, const void *userdata)
{
	struct Job *job = queue_remove(&pool->refusals, userdata);
	bool is_there;

	if (!job)
		job = queue_remove(&pool->authorizations, userdata);
	is_there = job;
	free(job);
	return is_there;
}

int worker_pool_read(struct WorkerPool *pool, struct Reading *readings, size_t n,
		     worker_done_t done, void *userdata)
{
	struct Job *job;

	if (n < 1 || n > ORDER_FDS_MAX)
		return -E2BIG;
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	*job = (struct Job){.order.is_reading = true,
			    .readings = readings,
			    .n_readings = n,
			    .done = done,
			    .userdata = userdata};
	/* behind refusals, and as few at once as authorizations: it may last as long */
	queue_push(&pool->authorizations, job);
	serve(pool);
	return 0;
}

/* --- one request --- */

struct Once {
	sd_event *event;
	struct EnforceReply *reply;
};

static void on_once_done(const struct EnforceReply *reply, void *userdata)
{
	struct Once *once = userdata;

	*once->reply = *reply;
	(void)sd_event_exit(once->event, 0);
}

int worker_run_once(int dirfd, const struct EnforceRequest *request, uint64_t deadline_usec,
		    struct EnforceReply *ret)
{
	struct WorkerPool *pool = NULL;
	struct Once once = {.reply = ret};
	int r = sd_event_new(&once.event);

	if (r < 0)
		return r;
	r = worker_pool_new(once.event, 1, deadline_usec, enforce_execute, &pool);
	if (r >= 0)
		r = worker_pool_submit(pool, dirfd, request, on_once_done, &once);
	if (r >= 0)
		r = sd_event_loop(once.event);
	worker_pool_free(pool);
	sd_event_unref(once.event);
	return r < 0 ? r : 0;
}
