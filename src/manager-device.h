/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "first-drivers.h"
#include "known.h"
#include "manager.h"
#include "module-refusal.h"
#include "path-queue.h"
#include "phase.h"
#include "state.h"

/* Which policy is in force. */
enum PolicyState {
	POLICY_OK,
	POLICY_BUILT_IN, /* the installed one was refused at start */
	POLICY_FORMER,	 /* it was refused at a reload */
};

/* What becomes of one device. manager.c says when it is looked at. */

struct Manager {
	struct ManagerOptions options;
	struct Policy *policy;
	struct WorkerPool *pool;
	sd_event *event;
	int uevent_fd; /* -1: none yet */
	struct Registry registry;
	struct State state;
	sd_event_source *state_timer; /* manager-state.h; NULL: `state` is open, or never will be */
	int clock_fd;		      /* timerfd_create(2); -1: none */
	struct Pending *first_pending;
	unsigned pending;
	struct PathQueue waiting; /* devices that wait for their turn to be looked at */
	bool kernel_audits;	  /* refuses nothing, but on the native buses */
	bool is_enforcing;	  /* or nothing is done on any bus: manager_note_mode() */
	bool is_noting_first; /* the first scan in this boot: who has a driver had it before us */
	struct FirstDrivers first_drivers;
	bool is_started;    /* every device that was there was decided over once */
	bool is_sweep_due;  /* what the last scan did not see is still to be forgotten */
	bool has_unrefused; /* a device could not be refused, and may be once another one is */
	bool has_waiting;   /* a device waits for the one above it */
	struct Phase phase;
	struct BusServer *bus;		 /* NULL: not served */
	struct Question *first_question; /* of who asks about devices */
	unsigned n_questions;
	struct Reload *reload;	     /* of the policy; NULL: none is on its way */
	struct Saving *first_saving; /* of decisions by hand that are to last; it is under way */
	enum PolicyState policy_state;
	struct ManagerCounts counts;
	unsigned loads;	     /* of a policy */
	int64_t loaded_usec; /* CLOCK_REALTIME */
	sd_event_source *metrics_timer;
	uint64_t metrics_due;		     /* CLOCK_MONOTONIC, in microseconds */
	struct ManagerCounts counts_written; /* what the metrics say */
	bool is_metrics_broken;		     /* they could not be written, which was said */
	sd_event_source *offer_timer;	     /* manager-bind.h */
	struct ModuleRefusals *refusals;     /* NULL: they could not be read */
	sd_event_source *modules_watches[6]; /* one a directory */
	sd_event_source *modules_timer;	     /* NULL: nothing changed */
	struct Task *modules_check;	     /* of what changed */
};

/* The one handler, for a device found by a scan and for one that an event told of: reads it,
 * decides, has a worker write, and leaves a record. Where too much is on its way already, its turn
 * comes later. Returns 0; @userdata is the manager. */
int manager_look(const char *syspath, void *userdata);

/* Looks at devices whose turn has come. */
void manager_look_at_waiting(struct Manager *m);

/* Forgets a device that is gone, and all that waits to be forgotten, if nothing waits to be looked
 * at before. One that a rule had no room for may come in the place of each. */
void manager_forget(struct Manager *m, struct Known *known);
void manager_sweep(struct Manager *m);

/* Whether exactly this device is at its path, and is not on its way out: its attributes go before
 * the event is sent, and its directory after (drivers/base/core.c, device_del()). */
bool manager_is_there(const struct Known *known);

/* Opens and reads exactly this device, without waiting: what identifies it, where that can be read,
 * and how it is. Returns 0 with a descriptor of its directory and a device, both the caller's;
 * -ENODEV where it is gone; another negative errno. */
int manager_open(const struct Known *known, int *ret_dirfd, struct Device **ret);

/* Takes back what a former policy gives and no worker has begun: the device is to be decided over
 * by the one that is in force. */
void manager_take_back(struct Manager *m);

/* Looks at every device that is there. Returns 0 or a negative errno after the log told why. */
int manager_scan(struct Manager *m);

/* Reads the marks anew, into m->phase. */
void manager_read_phase(struct Manager *m);

/* Whether what is decided over devices of @bus is told alone. */
bool manager_audits(const struct Manager *m, enum Bus bus);

/* Has the metrics written before long, and the service manager be told. */
void manager_schedule_metrics(struct Manager *m);
/* What the caller has to say of itself; never NULL. */
const struct ManagerNotes *manager_notes(const struct Manager *m);
void manager_status_changed(struct Manager *m);

/* Frees what is on its way. */
void manager_drop_pending(struct Manager *m);
