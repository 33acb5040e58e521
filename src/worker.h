/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "enforce.h"
#include "sysfs-io.h"

/* Processes that write to sysfs in the place of their parent. A write may run a driver's probe,
 * and a hostile host can make that last for ever: uninterruptible, so that no signal and no thread
 * trick gets out of it. Such a worker is given up, reaped if it ever comes back, and replaced. */

#define WORKER_DEADLINE_USEC (10 * UINT64_C(1000000))

#define WORKERS_WARM_MAX 8
/* Workers that authorize at once: fewer than there may be, so that stalled probes always leave some
 * to refuse. */
#define WORKERS_AUTHORIZING_MAX 56

struct WorkerPool;

typedef void (*worker_execute_t)(int dirfd, const struct EnforceRequest *request,
				 struct EnforceReply *ret);
typedef void (*worker_done_t)(const struct EnforceReply *reply, void *userdata);

/* Starts @n workers, 1 to WORKERS_WARM_MAX, that carry out requests with @execute and are given
 * @deadline_usec microseconds for each; more are started while those are busy and jobs wait.
 * SIGCHLD must be blocked and not ignored (sd_event_add_child(3)); the workers end when the pool
 * is freed or its process dies. Returns 0 or a negative errno. */
int worker_pool_new(sd_event *event, unsigned n, uint64_t deadline_usec, worker_execute_t execute,
		    struct WorkerPool **ret);
void worker_pool_free(struct WorkerPool *pool);
DEFINE_TRIVIAL_CLEANUP(struct WorkerPool *, worker_pool_free)
#define _cleanup_worker_pool_ _cleanup_(worker_pool_freep)

/* Has a worker carry out @request on @dirfd, which must stay open until @done, as soon as one is
 * free; requests that refuse go before those that authorize. @done is called once, from the event
 * loop, with the outcome. reply->error is -ETIME where the deadline passed, -ESHUTDOWN where the
 * worker died, -EAGAIN where all workers are stuck. Not called any more once the pool is freed.
 * Returns 0 or -ENOMEM; then @done is not called. */
int worker_pool_submit(struct WorkerPool *pool, int dirfd, const struct EnforceRequest *request,
		       worker_done_t done, void *userdata);

/* Takes back what was submitted with @userdata and no worker has begun yet: its @done is not called
 * then. Returns whether there was such a thing. */
bool worker_pool_cancel(struct WorkerPool *pool, const void *userdata);

/* Has a worker read each of @readings, one or more, which must stay where they are with their
 * descriptors open until @done; a text that one of them cannot tell is its own error. @done, its
 * errors and the return value as above, where -E2BIG says that they are too many. */
int worker_pool_read(struct WorkerPool *pool, struct Reading *readings, size_t n,
		     worker_done_t done, void *userdata);

/* For tools: one request, one worker, no event loop of the caller's. Returns 0 with *ret filled
 * in, or a negative errno where no worker could be started. */
int worker_run_once(int dirfd, const struct EnforceRequest *request, uint64_t deadline_usec,
		    struct EnforceReply *ret);
