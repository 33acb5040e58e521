/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-state.h"

#include <errno.h>

#include "log.h"
#include "names.h"

#define PATIENCE_USEC UINT64_C(5000000)
#define PAUSE_USEC 10000
#define RETRY_USEC UINT64_C(250000) /* who asks for a verdict waits for the file, too */

static void recall_phase(struct Manager *m)
{
	phase_read(&m->phase);
	for (struct Known *known = m->registry.first; known; known = known->next)
		known->is_hot = phase_is_hot(&m->phase, known->ino);
}

int manager_remember(struct Manager *m)
{
	int r = state_open(&m->state, &m->registry, m->options.keeps_verdicts);

	recall_phase(m);
	return r;
}

/* --- after others --- */

/* Whether the device is still as this run left it. Who had the file may have been the last. */
static bool is_as_left(const struct Known *known)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = -1;

	if (manager_open(known, &dirfd, &device) < 0)
		return true;
	return known->authorized == device->authorized &&
	       streq(known->driver, device->authorized_driver ? device->authorized_driver : "");
}

/* Whether what is known of the device is later than what others noted of it. */
static bool is_later(const struct Known *known)
{
	if (known->is_written || (known->is_by_hand && !known->is_presumed))
		return true;
	return known->is_ours && is_as_left(known);
}

/* One that is new here is on its way, or gone by now: the scan finds out. */
static void take_over_new(struct Manager *m, const struct Known *former)
{
	struct Known *known =
		registry_restore(&m->registry, former->syspath, former->dev, former->ino);

	if (!known)
		return;
	known->is_hot = m->is_started || phase_is_hot(&m->phase, former->ino);
	known->before = former->before;
	known_note_state(known, former->authorized, former->driver, former->is_ours);
	known_note_by_hand(known, former->is_by_hand);
	known->is_cut_short = former->is_cut_short;
}

static void take_over(struct Manager *m, const struct Known *former)
{
	struct Known *known = registry_find(&m->registry, former->syspath);

	if (!known) {
		take_over_new(m, former);
		return;
	}
	if (known->dev != former->dev || known->ino != former->ino)
		return; /* another one is at its path */
	known->before = former->before;
	if (is_later(known))
		return;
	known_note_state(known, former->authorized, former->driver, former->is_ours);
	known_note_by_hand(known, former->is_by_hand);
	known->is_cut_short = former->is_cut_short;
}

static void take_over_all(struct Manager *m, const struct Registry *former)
{
	for (const struct Known *known = former->first; known; known = known->next)
		take_over(m, known);
	state_rewrite(&m->state, &m->registry);
	log_info("decisions are noted in " RUNTIME_DIR
		 " from now on; every device is decided over anew");
	for (struct Known *known = m->registry.first; known; known = known->next)
		known->is_stale = true;
	(void)manager_scan(m);
	manager_status_changed(m);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	_cleanup_(registry_done) struct Registry former = {0};
	struct Manager *m = userdata;
	int r = state_take(&m->state, &former);

	if (r < 0) {
		r = sd_event_source_set_time_relative(source, RETRY_USEC);
		return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	m->state_timer = sd_event_source_unref(m->state_timer);
	take_over_all(m, &former);
	return 0;
}

static void go_on_without(struct Manager *m)
{
	int r;

	log_error("another tdx-auth keeps " RUNTIME_DIR "/" STATE_FILE
		  ", so decisions are not noted until it is done: a start before that would take "
		  "them for by hand");
	state_read(&m->state, &m->registry);
	recall_phase(m);
	r = sd_event_add_time_relative(m->event, &m->state_timer, CLOCK_MONOTONIC, RETRY_USEC, 0,
				       on_retry, m);
	if (r < 0)
		log_error("cannot wait for it, so none will be: %s", strerror(-r));
}

/* Somebody who only decides over what came before the start will be done in a moment. */
void manager_remember_after_others(struct Manager *m)
{
	uint64_t until = now_usec() + PATIENCE_USEC;
	int r;

	while ((r = manager_remember(m)) == -EAGAIN && now_usec() < until)
		(void)usleep(PAUSE_USEC);
	if (r == -EAGAIN)
		go_on_without(m);
}
