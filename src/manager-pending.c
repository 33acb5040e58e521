/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-pending.h"

#include "device-read.h"

struct Pending *pending_new(struct Manager *m)
{
	struct Pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pending->manager = m;
	pending->policy = policy_ref(m->policy);
	pending->dirfd = -1;
	pending->next = m->first_pending;
	pending->link = &m->first_pending;
	if (pending->next)
		pending->next->link = &pending->next;
	m->first_pending = pending;
	m->pending++;
	return pending;
}

void pending_free(struct Pending *pending)
{
	if (!pending)
		return;
	*pending->link = pending->next;
	if (pending->next)
		pending->next->link = pending->link;
	pending->manager->pending--;
	readings_done(&pending->readings);
	device_free(pending->device);
	policy_unref(pending->policy);
	free(pending->hand);
	if (pending->dirfd >= 0)
		(void)close(pending->dirfd);
	free(pending);
}

void pending_take(struct Pending *pending, struct Device **device, int *dirfd)
{
	pending->device = TAKE_PTR(*device);
	pending->dirfd = take_fd(dirfd);
}

static struct Pending *find_from(struct Pending *pending, dev_t dev, ino_t ino)
{
	while (pending &&
	       (!pending->device || pending->device->dev != dev || pending->device->ino != ino))
		pending = pending->next;
	return pending;
}

struct Pending *pending_find(const struct Manager *m, dev_t dev, ino_t ino)
{
	return find_from(m->first_pending, dev, ino);
}

struct Pending *pending_before(const struct Pending *pending)
{
	return find_from(pending->next, pending->device->dev, pending->device->ino);
}

void manager_drop_pending(struct Manager *m)
{
	while (m->first_pending)
		pending_free(m->first_pending);
}
