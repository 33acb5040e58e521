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

#define MAX_WORKERS 8
#define MAX_STUCK 64 /* given up but not gone; beyond it no replacement is started */

struct Job {
	struct Job *next;
	int dirfd;
	struct EnforceRequest request;
	worker_done_t done;
	void *userdata;
};

struct Worker {
	struct WorkerPool *pool;
	struct Worker *next; /* among the stuck */
	pid_t pid;
	int socket;
	struct Job *job; /* NULL: idle */
	sd_event_source *io, *deadline, *child;
};

struct WorkerPool {
	sd_event *event;
	uint64_t deadline_usec;
	worker_execute_t execute;
	struct Worker *workers[MAX_WORKERS];
	unsigned n_workers;
	struct Worker *stuck;
	unsigned n_stuck;
	struct Job *first, *last; /* waiting */
};

static int start_worker(struct WorkerPool *pool, unsigned slot);
static void dispatch(struct WorkerPool *pool);

/* --- in the worker --- */

static int receive_request(int socket, struct EnforceRequest *ret, int *ret_dirfd)
{
	union {
		struct cmsghdr align;
		char buffer[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {ret, sizeof(*ret)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;
	ssize_t n;

	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*ret))
		return -EIO;
	cmsg = CMSG_FIRSTHDR(&message);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS || cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EIO;
	memcpy(ret_dirfd, CMSG_DATA(cmsg), sizeof(int));
	return 0;
}

/* Serves requests until the parent closes its end. Signals of the parent's terminal and service
 * manager end the worker as they would any program, so their handling is reset. */
_Noreturn static void worker_main(int socket, worker_execute_t execute)
{
	struct EnforceRequest request;
	sigset_t none;
	int dirfd;

	(void)prctl(PR_SET_NAME, "tdx-auth-worker");
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(socket, 3) == 3) /* nothing of the parent's stays open but this and stdio */
		(void)close_range(4, ~0U, 0);
	socket = 3;
	while (receive_request(socket, &request, &dirfd) == 0) {
		struct EnforceReply reply;

		execute(dirfd, &request, &reply);
		(void)close(dirfd);
		if (send(socket, &reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply))
			break;
	}
	_exit(EXIT_SUCCESS);
}

/* --- in the parent --- */

static void job_free(struct Job *job)
{
	if (!job)
		return;
	if (job->dirfd >= 0)
		(void)close(job->dirfd);
	free(job);
}

static void worker_free(struct Worker *worker)
{
	if (!worker)
		return;
	sd_event_source_unref(worker->io);
	sd_event_source_unref(worker->deadline);
	sd_event_source_unref(worker->child);
	if (worker->socket >= 0)
		(void)close(worker->socket);
	job_free(worker->job);
	free(worker);
}

static void finish_job(struct Worker *worker, const struct EnforceReply *reply)
{
	struct Job *job = TAKE_PTR(worker->job);

	if (worker->deadline)
		(void)sd_event_source_set_enabled(worker->deadline, SD_EVENT_OFF);
	if (!job)
		return;
	job->done(reply, job->userdata);
	job_free(job);
}

static int slot_of(const struct Worker *worker)
{
	for (unsigned i = 0; i < worker->pool->n_workers; i++)
		if (worker->pool->workers[i] == worker)
			return (int)i;
	return -1;
}

static void replace(struct WorkerPool *pool, unsigned slot)
{
	int r;

	pool->workers[slot] = NULL;
	if (pool->n_stuck >= MAX_STUCK) {
		log_error("%u workers are stuck in the kernel; no more are started", pool->n_stuck);
		return;
	}
	r = start_worker(pool, slot);
	if (r < 0)
		log_error("cannot start a worker: %s", strerror(-r));
}

/* A worker that is gone: after it was given up, or because somebody killed it. */
static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	struct Worker *worker = userdata;
	struct WorkerPool *pool = worker->pool;
	int slot = slot_of(worker);

	if (slot < 0) {
		struct Worker **p = &pool->stuck;

		while (*p != worker)
			p = &(*p)->next;
		*p = worker->next;
		pool->n_stuck--;
		worker_free(worker);
		for (unsigned i = 0; i < pool->n_workers; i++)
			if (!pool->workers[i])
				replace(pool, i);
	} else {
		log_warning("worker %d ended unexpectedly", (int)info->si_pid);
		replace(pool, (unsigned)slot);
		finish_job(worker, &(struct EnforceReply){.error = -ESHUTDOWN,
							  .step = STEP_READ,
							  .authorized = -1});
		worker_free(worker);
	}
	dispatch(pool);
	return 0;
}

/* SIGKILL ends a worker that can still end, and keeps one that cannot from doing anything after
 * the call it is stuck in. */
static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct Worker *worker = userdata;
	struct WorkerPool *pool = worker->pool;
	int slot = slot_of(worker);

	(void)kill(worker->pid, SIGKILL);
	worker->io = sd_event_source_disable_unref(worker->io);
	worker->next = pool->stuck;
	pool->stuck = worker;
	pool->n_stuck++;
	replace(pool, (unsigned)slot);
	finish_job(worker,
		   &(struct EnforceReply){.error = -ETIME,
					  .step = worker->job->request.authorize ? STEP_AUTHORIZE
										 : STEP_DEAUTHORIZE,
					  .authorized = -1});
	dispatch(pool);
	return 0;
}

static int on_reply(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct Worker *worker = userdata;
	struct EnforceReply reply;
	ssize_t n = recv(fd, &reply, sizeof(reply), MSG_DONTWAIT);

	if (n == (ssize_t)sizeof(reply)) {
		finish_job(worker, &reply);
		dispatch(worker->pool);
	} else if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
		/* it died; on_child() clears up */
		(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	}
	return 0;
}

static int start_worker(struct WorkerPool *pool, unsigned slot)
{
	struct Worker *worker = calloc(1, sizeof(*worker));
	int sockets[2], r;

	if (!worker)
		return -ENOMEM;
	worker->pool = pool;
	worker->socket = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
		r = -errno;
		worker_free(worker);
		return r;
	}
	worker->socket = sockets[0];
	worker->pid = fork();
	if (worker->pid == 0)
		worker_main(sockets[1], pool->execute);
	r = worker->pid < 0 ? -errno : 0;
	(void)close(sockets[1]);
	if (r == 0)
		r = sd_event_add_child(pool->event, &worker->child, worker->pid, WEXITED, on_child,
				       worker);
	if (r >= 0)
		r = sd_event_add_io(pool->event, &worker->io, worker->socket, POLLIN, on_reply,
				    worker);
	if (r >= 0)
		r = sd_event_add_time(pool->event, &worker->deadline, CLOCK_MONOTONIC, UINT64_MAX,
				      0, on_deadline, worker);
	if (r >= 0)
		r = sd_event_source_set_enabled(worker->deadline, SD_EVENT_OFF);
	if (r < 0) {
		worker_free(worker);
		return r;
	}
	pool->workers[slot] = worker;
	return 0;
}

static int send_request(struct Worker *worker, const struct Job *job)
{
	union {
		struct cmsghdr align;
		char buffer[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)&job->request, sizeof(job->request)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &job->dirfd, sizeof(int));
	return sendmsg(worker->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Arms the deadline first: a request that is out is never without one. */
static int assign(struct Worker *worker, struct Job *job)
{
	int r = sd_event_source_set_time_relative(worker->deadline, worker->pool->deadline_usec);

	if (r >= 0)
		r = sd_event_source_set_enabled(worker->deadline, SD_EVENT_ONESHOT);
	if (r >= 0)
		r = send_request(worker, job);
	if (r < 0) {
		(void)sd_event_source_set_enabled(worker->deadline, SD_EVENT_OFF);
		return r;
	}
	worker->job = job;
	return 0;
}

/* Gives waiting jobs to idle workers. A worker that cannot be sent to is about to be reaped; its
 * job waits for the next. */
static void dispatch(struct WorkerPool *pool)
{
	for (unsigned i = 0; pool->first && i < pool->n_workers; i++) {
		struct Worker *worker = pool->workers[i];
		struct Job *job = pool->first;

		if (!worker || worker->job || assign(worker, job) < 0)
			continue;
		pool->first = job->next;
		if (!pool->first)
			pool->last = NULL;
		job->next = NULL;
	}
}

int worker_pool_new(sd_event *event, unsigned n, uint64_t deadline_usec, worker_execute_t execute,
		    struct WorkerPool **ret)
{
	_cleanup_worker_pool_ struct WorkerPool *pool = NULL;

	if (n < 1 || n > MAX_WORKERS)
		return -EINVAL;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->event = sd_event_ref(event);
	pool->n_workers = n;
	pool->deadline_usec = deadline_usec;
	pool->execute = execute;
	for (unsigned i = 0; i < n; i++) {
		int r = start_worker(pool, i);

		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(pool);
	return 0;
}

void worker_pool_free(struct WorkerPool *pool)
{
	if (!pool)
		return;
	for (unsigned i = 0; i < pool->n_workers; i++)
		worker_free(pool->workers[i]);
	while (pool->stuck) {
		struct Worker *next = pool->stuck->next;

		worker_free(pool->stuck);
		pool->stuck = next;
	}
	while (pool->first) {
		struct Job *next = pool->first->next;

		job_free(pool->first);
		pool->first = next;
	}
	sd_event_unref(pool->event);
	free(pool);
}

int worker_pool_submit(struct WorkerPool *pool, int dirfd, const struct EnforceRequest *request,
		       worker_done_t done, void *userdata)
{
	struct Job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	*job = (struct Job){.request = *request, .done = done, .userdata = userdata};
	job->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	if (job->dirfd < 0) {
		int r = -errno;

		job_free(job);
		return r;
	}
	if (pool->last)
		pool->last->next = job;
	else
		pool->first = job;
	pool->last = job;
	dispatch(pool);
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
