/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Paths that wait for their turn, first in, first out. The zero value is empty. */
struct PathQueue {
	struct PathItem *first, *last;
};

/* Appends a copy of @path. Returns 0 or -ENOMEM. */
int path_queue_add(struct PathQueue *queue, const char *path);

/* Takes the first one out: a string that the caller frees, or NULL where there is none. */
char *path_queue_take(struct PathQueue *queue);

static inline bool path_queue_is_empty(const struct PathQueue *queue)
{
	return !queue->first;
}

void path_queue_done(struct PathQueue *queue);
