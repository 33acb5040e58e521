/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-saving.h"

#include <errno.h>

#include "manager-device.h"
#include "manager-reload.h"
#include "permanent.h"

struct Saving {
	struct Saving *next;
	struct Manager *manager;
	struct Task *task; /* NULL: it waits for its turn */
	struct Device *device;
	enum Action action;
	char *driver; /* NULL: not said */
	saving_done_t done;
	void *userdata;
};

static void start_first(struct Manager *m);

static void saving_free(struct Saving *saving)
{
	task_free(saving->task);
	device_free(saving->device);
	free(saving->driver);
	free(saving);
}

/* What only tells which device it is: all else is read anew where it is written down. */
static struct Device *copy_identity(const struct Device *device)
{
	struct Device *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	copy->bus = device->bus;
	copy->dev = device->dev;
	copy->ino = device->ino;
	copy->syspath = strdup(device->syspath);
	if (copy->syspath)
		return copy;
	device_free(copy);
	return NULL;
}

static void on_saved(int result, const char *text, void *userdata)
{
	struct Saving *saving = userdata;
	struct Manager *m = saving->manager;
	const char *problem = NULL;

	if (result == -ETIME)
		problem = "a device keeps who looks waiting";
	else if (result < 0)
		problem = isempty(text) ? strerror(-result) : text;
	m->first_saving = saving->next;
	saving->done(problem, saving->userdata);
	saving_free(saving); /* the text is the task's */
	if (result >= 0)
		manager_reload(m, NULL, NULL);
	start_first(m);
}

static void start_first(struct Manager *m)
{
	struct Saving *saving = m->first_saving;
	struct PermanentWish wish;
	int r;

	if (!saving || saving->task)
		return;
	wish = (struct PermanentWish){.device = saving->device,
				      .action = saving->action,
				      .driver = saving->driver,
				      .root = m->options.root};
	r = permanent_start(m->event, &wish, on_saved, saving, &saving->task);
	if (r < 0)
		on_saved(r, "", saving);
}

void manager_save(struct Manager *m, const struct Device *device, enum Action action,
		  const char *driver, saving_done_t done, void *userdata)
{
	struct Saving *saving = calloc(1, sizeof(*saving)), **last = &m->first_saving;

	if (saving) {
		saving->device = copy_identity(device);
		saving->driver = driver ? strdup(driver) : NULL;
	}
	if (!saving || !saving->device || (driver && !saving->driver)) {
		if (saving)
			saving_free(saving);
		done("out of memory", userdata);
		return;
	}
	saving->manager = m;
	saving->action = action;
	saving->done = done;
	saving->userdata = userdata;
	while (*last)
		last = &(*last)->next;
	*last = saving;
	start_first(m);
}

void manager_drop_saving(struct Manager *m)
{
	struct Saving *saving;

	while ((saving = m->first_saving)) {
		m->first_saving = saving->next;
		saving->done("tdx-authd ends before it is written down", saving->userdata);
		saving_free(saving);
	}
}
