/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "path-queue.h"

#include <errno.h>

#include "util.h"

struct PathItem {
	struct PathItem *next;
	char *path;
};

int path_queue_add(struct PathQueue *queue, const char *path)
{
	struct PathItem *item = calloc(1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->path = strdup(path);
	if (!item->path) {
		free(item);
		return -ENOMEM;
	}
	*(queue->last ? &queue->last->next : &queue->first) = item;
	queue->last = item;
	return 0;
}

char *path_queue_take(struct PathQueue *queue)
{
	struct PathItem *item = queue->first;
	char *path;

	if (!item)
		return NULL;
	queue->first = item->next;
	if (!queue->first)
		queue->last = NULL;
	path = item->path;
	free(item);
	return path;
}

void path_queue_done(struct PathQueue *queue)
{
	char *path;

	while ((path = path_queue_take(queue)))
		free(path);
}
