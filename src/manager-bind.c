/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-bind.h"

#include <errno.h>

#include "bind.h"
#include "driver-gate.h"
#include "escape.h"
#include "hardened.h"
#include "log.h"
#include "manager-hand.h"
#include "names.h"

/* --- buses --- */

static void report(enum Bus bus, int error)
{
	if (error < 0 && error != -ENODEV)
		log_error("cannot have devices of %s wait for a decision, so each may have a "
			  "driver until it is refused: %s",
			  bus_to_string(bus), strerror(-error));
}

static void take(struct Manager *m, enum Bus bus)
{
	struct GateDefault *former = &m->state.gates[bus];
	int gives = gate_read_autoprobe(bus);

	if (gives < 0) {
		report(bus, gives);
		return;
	}
	if (!former->is_taken) {
		*former = (struct GateDefault){.is_taken = true, .gave = gives};
		state_note_gate(&m->state, bus);
		state_flush(&m->state, &m->registry);
	}
	if (gives)
		report(bus, gate_close_autoprobe(bus));
}

void manager_take_buses(struct Manager *m)
{
	if (!m->is_enforcing)
		return;
	for (enum Bus bus = 0; m->uevent_fd >= 0 && bus < _BUS_MAX; bus++)
		if (bus_info[bus].gate == GATE_AUTOPROBE)
			take(m, bus);
}

/* --- drivers --- */

/* Whether a driver that comes may be what the device waits for. */
static bool may_want(const struct Known *known, enum Bus bus, const char *driver)
{
	if (known->bus != bus || !known->is_decided)
		return false;
	if (known->is_by_hand
		    ? !known->given_to || (*known->given_to && !streq(known->given_to, driver))
		    : !action_gives(known->action))
		return false;
	if (known->gate == GATE_OVERRIDE) /* one without an override the kernel offers itself */
		return streq(known->driver, driver);
	return known->gate == GATE_AUTOPROBE && known->authorized != 1;
}

static void on_given(const struct HandResult *result, void *userdata)
{
	(void)result; /* the log has it */
	(void)userdata;
}

/* What was given by hand is so still: that the driver comes later is all that is new. */
static void give_by_hand(struct Manager *m, const struct Known *known)
{
	_cleanup_free_ char *driver = strdup(known->given_to);

	if (driver)
		manager_decide_by_hand(m, known->ino,
				       &(struct HandRequest){.authorize = true, .driver = driver},
				       on_given, NULL);
}

static void offer(struct Manager *m, enum Bus bus, const char *driver)
{
	struct PathQueue queue = {0};
	char *path;

	/* looking at one may take others out of the list */
	for (struct Known *known = m->registry.first; known; known = known->next)
		if (may_want(known, bus, driver) && path_queue_add(&queue, known->syspath) == 0) {
			known->is_stale = !known->given_to;
			known->n_offers = 0;
		}
	while ((path = path_queue_take(&queue))) {
		const struct Known *known = registry_find(&m->registry, path);

		if (known && known->given_to)
			give_by_hand(m, known);
		else
			(void)manager_look(path, m);
		free(path);
	}
	path_queue_done(&queue);
}

#define OFFERS_MAX 8		   /* that nothing comes of, one after the other */
#define PAUSE_USEC UINT64_C(50000) /* before the second; then twice as long, and so on */

static int on_offer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct Manager *m = userdata;

	for (struct Known *known = m->registry.first; known; known = known->next) {
		if (!known->is_untaken || path_queue_add(&m->waiting, known->syspath) < 0)
			continue;
		known->is_untaken = false;
		known->is_stale = true;
	}
	manager_look_at_waiting(m);
	return 0;
}

/* One timer for all: each is offered at least as soon as it is to be. */
static int schedule_offer(struct Manager *m, uint64_t pause)
{
	uint64_t now, due = UINT64_MAX;
	int enabled = SD_EVENT_OFF, r = sd_event_now(m->event, CLOCK_MONOTONIC, &now);

	if (r >= 0 && !m->offer_timer)
		return sd_event_add_time(m->event, &m->offer_timer, CLOCK_MONOTONIC, now + pause, 0,
					 on_offer, m);
	if (r >= 0)
		r = sd_event_source_get_enabled(m->offer_timer, &enabled);
	if (r >= 0 && enabled != SD_EVENT_OFF)
		r = sd_event_source_get_time(m->offer_timer, &due);
	if (r < 0 || due <= now + pause)
		return r;
	r = sd_event_source_set_time(m->offer_timer, now + pause);
	return r < 0 ? r : sd_event_source_set_enabled(m->offer_timer, SD_EVENT_ONESHOT);
}

bool manager_offers_again(struct Manager *m, struct Known *known, const struct EnforceReply *reply)
{
	if (!known)
		return false;
	if (reply->error < 0 || !reply->is_untaken) {
		known->n_offers = 0;
		return false;
	}
	if (known->n_offers < OFFERS_MAX && schedule_offer(m, PAUSE_USEC << known->n_offers) >= 0)
		known->is_untaken = true;
	return known->n_offers++ > 0;
}

/* Devices that it had are not without a driver by anybody's decision. */
static void note_loss(struct Manager *m, enum Bus bus, const char *driver)
{
	for (struct Known *known = m->registry.first; known; known = known->next) {
		if (known->bus != bus || known->gate != GATE_AUTOPROBE || known->authorized != 1 ||
		    !streq(known->driver, driver))
			continue;
		known_note_state(known, -1, NULL, known->is_ours);
		state_note(&m->state, known);
	}
}

void manager_excuse_loss(struct Known *known, const struct Device *device)
{
	if (device->gate == GATE_AUTOPROBE && !device->driver && known->authorized == 1 &&
	    *known->driver && !bind_has_driver(device->bus, known->driver))
		known_note_state(known, -1, NULL, known->is_ours);
}

/* "/bus/BUS/drivers/DRIVER" */
static const char *parse_driver(const char *devpath, enum Bus *ret)
{
	const char *name = startswith(devpath, "/bus/"), *slash, *driver;
	char word[16];

	slash = name ? strchr(name, '/') : NULL;
	driver = slash ? startswith(slash, "/drivers/") : NULL;
	if (!driver || (size_t)(slash - name) >= sizeof(word))
		return NULL;
	(void)snprintf(word, sizeof(word), "%.*s", (int)(slash - name), name);
	*ret = bus_from_string(word);
	return *ret == _BUS_INVALID ? NULL : driver;
}

bool manager_hear_of_driver(struct Manager *m, const struct Uevent *event)
{
	const char *driver;
	enum Bus bus;

	if (!streq(event->subsystem, "drivers") && !streq(event->subsystem, "bus"))
		return false;
	/* of a bus that comes the event is sent before it can be told anything (bus_register());
	 * its first driver is a second chance, and its first device a third */
	manager_take_buses(m);
	driver = parse_driver(event->devpath, &bus);
	if (driver && streq(event->action, "add"))
		offer(m, bus, driver);
	else if (driver && streq(event->action, "remove"))
		note_loss(m, bus, driver);
	return true;
}

void manager_look_at_newcomer(struct Manager *m, const char *syspath)
{
	struct Known *known = registry_find(&m->registry, syspath);

	if (known)
		known->is_stale = true;
	(void)manager_look(syspath, m);
}

void manager_recall(const struct Known *known, struct Device *device)
{
	char *driver;

	if (device->gate != GATE_OVERRIDE || known->authorized < 0)
		return;
	driver = strdup(known->driver);
	if (!driver)
		return;
	free(device->authorized_driver);
	device->authorized_driver = driver;
	device->authorized = known->authorized;
}

/* --- decisions --- */

/* Whether the device had a driver before tdx-auth could say anything to it. */
static bool is_of_before(const struct Known *known)
{
	return !known->is_hot && known->before == 1;
}

/* Whether nothing of ours is between it and drivers, so that what else is, is not ours to undo. */
static bool is_untouched(const struct Device *device)
{
	return device->authorized == 1 &&
	       (device->gate == GATE_AUTOPROBE || isempty(device->authorized_driver));
}

void manager_stand_in(struct Manager *m, struct Known *known, const struct Device *device,
		      struct Decision *decision)
{
	const struct GateDefault *former = &m->state.gates[device->bus];
	const char *driver = NULL;
	bool is_listed;

	if (device->gate == GATE_AUTOPROBE && !former->is_taken)
		manager_take_buses(m);
	known->keeps_driver = false;
	if (device->gate == GATE_NONE || device->override || decision->action != ACTION_KERNEL)
		return;
	is_listed = hardened_find(device, &driver);
	if (is_of_before(known)) {
		known->keeps_driver = !is_listed;
		decision->action = is_untouched(device) ? ACTION_KERNEL : ACTION_ALLOW;
	} else if (!former->is_taken || former->gave) {
		decision->action = is_listed ? ACTION_ALLOW : ACTION_DENY;
		decision->driver = driver;
	}
}

/* --- what is left open --- */

static void tell_kept(const struct Manager *m)
{
	_cleanup_free_ char *names = NULL;
	size_t size, n = 0;
	FILE *file = open_memstream(&names, &size);

	if (!file)
		return;
	for (const struct Known *known = m->registry.first; known; known = known->next) {
		_cleanup_free_ char *safe = NULL;

		if (!known->keeps_driver)
			continue;
		safe = escape_text(strrchr(known->syspath, '/') + 1);
		(void)fprintf(file, "%s%s:%s", n++ ? ", " : "", bus_to_string(known->bus),
			      safe ? safe : "?");
	}
	if (fclose(file) == 0 && n > 0)
		log_warning("%zu device%s of before the start, which no rule and no list of "
			    "hardened devices admits, keep%s the driver that they had: %s",
			    n, n == 1 ? "" : "s", n == 1 ? "s" : "", names);
}

/* Whether there are devices on the bus, and nothing keeps drivers from any of them. */
static bool is_open(const struct Manager *m, enum Bus bus)
{
	bool is_there = false;

	for (const struct Known *known = m->registry.first; known; known = known->next) {
		if (!known->is_decided || known->bus != bus)
			continue;
		if (known->authorized >= 0 || known->gate != GATE_NONE)
			return false;
		is_there = true;
	}
	return is_there;
}

static void tell_open(const struct Manager *m)
{
	char text[128] = "";

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		if (is_open(m, bus)) {
			size_t n = strlen(text);

			(void)snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
				       bus_to_string(bus));
		}
	if (*text)
		log_warning("UNPROTECTED: this kernel cannot refuse a driver to devices of %s; "
			    "nothing but modules that are not loaded keeps them from drivers",
			    text);
}

void manager_tell_unprotected(const struct Manager *m)
{
	tell_kept(m);
	tell_open(m);
}
