/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-event.h>

#include "util.h"

/* Work that the host can make wait for ever (a probe that it stalls, a file system that does not
 * answer), in a process of its own that is given up at a deadline. It sees everything as its
 * starter had it then; what it changes of that is lost. */

#define TASK_DEADLINE_USEC (10 * UINT64_C(1000000))

/* Runs in the process of its own. What it writes to @out, 64 KiB at most, and what it returns is
 * handed on. */
typedef int (*task_work_t)(FILE *out, void *userdata);

/* @result: what the work returned; -ETIME where the deadline passed; -EIO where the process died
 * over it. @text: what it wrote, "" where there is nothing. */
typedef void (*task_done_t)(int result, const char *text, void *userdata);

/* Waits for it, no longer than @deadline_usec microseconds. *ret_text is a new string that the
 * caller frees, and may be NULL itself. Returns @result of the above, or a negative errno where no
 * process could be started. */
int task_run(task_work_t work, void *userdata, uint64_t deadline_usec, char **ret_text);

/* The same without waiting: @done is called once, from the event loop, unless task_free() comes
 * first. It may free the task. SIGCHLD must be blocked and not ignored (sd_event_add_child(3)).
 * @work_data is for the work alone. Returns 0 or a negative errno. */
struct Task;

int task_start(sd_event *event, task_work_t work, void *work_data, uint64_t deadline_usec,
	       task_done_t done, void *done_data, struct Task **ret);
void task_free(struct Task *task);
DEFINE_TRIVIAL_CLEANUP(struct Task *, task_free)
