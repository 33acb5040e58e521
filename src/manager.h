/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "policy.h"
#include "worker.h"

/* The way of a device from its event to its authorization: read, decide, plan, have a worker
 * write, record the outcome. One thread, one event loop, one owner of all state. */
struct Manager;

/* Static phrases for the status, each NULL where there is nothing to say. They may change. */
struct ManagerNotes {
	const char *impairment;	   /* what self_test() found */
	const char *configuration; /* that it was refused */
};

struct ManagerOptions {
	/* A device over which user space has decided before it is first seen (authorized_by reads
	 * `user`) stays as it is: a restart, after a kill -9 say, must neither give back what was
	 * taken away by hand nor cut off what was given. */
	bool keep_user_decisions;
	bool alone;	     /* manager_apply(): not beside somebody else who notes decisions */
	bool keeps_verdicts; /* state_open(): they are of the same policy */
	const char *remark;  /* before the status shown by the service manager; NULL: nothing */
	const struct ManagerNotes *notes; /* the caller's; NULL: none */
	bool metrics;			  /* whether to write them */
	/* Reads the policy again, for a reload. Returns 0 with a policy that becomes the manager's,
	 * or a negative errno after the log told why. NULL: no reload. */
	int (*load)(struct Policy **ret, void *userdata);
	/* Looks at the policy that was read, in a process of its own, before it is in force. It
	 * returns 0; a positive number where it takes away what the machine runs on, of which the
	 * log tells; or a negative errno. NULL: nobody looks. */
	int (*check)(FILE *out, void *policy);
	/* That one is in force now. */
	void (*loaded)(const struct Policy *policy, void *userdata);
	void *userdata;
	unsigned n_peers_max; /* on the daemon's own bus at once */
	const char *root;     /* of the system that the drop-ins are of; NULL: what runs */
	bool has_files; /* the policy is that of the drop-ins, to which decisions can be added */
	unsigned n_workers;
	uint64_t deadline_usec;
	worker_execute_t execute; /* enforce_execute(), or what a test puts in its place */
};

extern const struct ManagerOptions manager_defaults;

/* What became of the devices seen so far. */
struct ManagerCounts {
	unsigned devices;
	unsigned authorized;  /* written so */
	unsigned refused;     /* written so */
	unsigned returned;    /* left to the kernel again after a decision of user space */
	unsigned unchanged;   /* already as wanted, or left to the kernel */
	unsigned failed;      /* not as wanted: an error was logged */
	unsigned unsupported; /* the kernel has no means: a warning was logged */
	unsigned missing;     /* rules that admit fewer devices than they need */
	unsigned overflows;   /* times that events were lost */
	unsigned forged;      /* messages that were not the kernel's */
	unsigned malformed;   /* messages of the kernel's that could not be read */
};

/* Blocks SIGCHLD, SIGTERM and SIGINT, ignores SIGPIPE, starts the workers, and takes over @policy,
 * also on failure. Returns 0 or a negative errno after the log told why. */
int manager_new(struct Policy *policy, const struct ManagerOptions *options, struct Manager **ret);
void manager_free(struct Manager *manager);
DEFINE_TRIVIAL_CLEANUP(struct Manager *, manager_free)
#define _cleanup_manager_ _cleanup_(manager_freep)

/* Opens the monitor, decides over every device that is there, waits for the outcomes, though no
 * longer than three deadlines of a worker, tells the service manager READY (sd_notify(3)), and
 * serves events until SIGTERM or SIGINT. Returns 0 then, or a negative errno after the log told
 * why. Stopping changes no device. */
int manager_run(struct Manager *manager);

/* Decides over every device that is there, and over those that appear because of it, and waits for
 * the outcomes. Returns 0, or a negative errno after the log told why: -EINTR for a signal, -ETIME
 * where that takes longer than three deadlines of a worker; or, of which the log does not tell,
 * -EAGAIN where it is to be alone and is not. */
int manager_apply(struct Manager *manager);

/* What was decided over the device at @syspath: state_verdict() and state_source() of it. Returns
 * 0; -ENOENT where nothing was; or -ENOMEM. */
int manager_read_verdict(const struct Manager *manager, const char *syspath,
			 const char **ret_verdict, char **ret_source);

const struct ManagerCounts *manager_counts(const struct Manager *manager);
