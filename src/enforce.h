/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <limits.h>

#include "decide.h"
#include "policy-parse.h"

/* From a decision to the state of a device in the kernel. enforce_plan() only thinks,
 * enforce_execute() only acts: it is what runs in a worker, since it may block. */

struct EnforceRequest {
	bool authorize;
	bool to_default; /* back to the kernel's own decision, whatever it is */
	bool by_hand;	 /* a decision to be on record even where it changes nothing */
	bool insist;	 /* refuse it also where it reads as refused: a write may be waiting */
	bool forget;	 /* first undo what user space decided before */
	bool set_driver; /* hold the device to `driver`, "" for any */
	bool remove;	 /* refuse it and take it out of the machine */
	char driver[POLICY_DRIVER_MAX + 1]; /* with `authorize` alone */
	/* Where the device is held by the driver core alone, for enforce_aim() to fill in: */
	enum Gate gate;
	enum Bus bus;
	char name[NAME_MAX + 1]; /* by which the bus knows it */
};

/* Which write failed, for the error that a person reads. */
enum EnforceStep {
	STEP_NONE,
	STEP_READ,
	STEP_DEAUTHORIZE,
	STEP_DRIVER,
	STEP_AUTHORIZE,
	STEP_DEFAULT,
	STEP_REMOVE,
	STEP_READ_BACK,
};

struct EnforceReply {
	int error; /* 0, or the negative errno of `step`; -ETIME: the worker was given up; -ESTALE:
		    * another device took its place meanwhile, which is to be decided over anew */
	enum EnforceStep step; /* STEP_NONE where error is 0 */
	bool is_untaken; /* no driver has taken it yet, and nobody will offer it to one again but us
			  */
	int authorized;	 /* as read back afterwards; -1 unknown */
	enum Origin authorized_by;
	char authorized_driver[POLICY_DRIVER_MAX + 1];
	char driver[POLICY_DRIVER_MAX + 1]; /* that is bound afterwards, "" for none */
};

enum EnforcePlan {
	PLAN_NOTHING,	  /* the device already is as wanted, or nothing is wanted of it */
	PLAN_WRITE,	  /* execute the request */
	PLAN_UNSUPPORTED, /* the kernel has no means; *ret refuses the device where that can be */
};

/* What it takes to bring @device from the state it was read in to what @decision wants.
 * PLAN_UNSUPPORTED: *ret_why is a static phrase; where a driver cannot be held to, refusing the
 * device still can, and *ret is that request: an `allow` is never executed wider than it says. */
enum EnforcePlan enforce_plan(const struct Device *device, const struct Decision *decision,
			      struct EnforceRequest *ret, const char **ret_why);

/* Says in @request which device it is about and what holds that: before it is executed. */
void enforce_aim(struct EnforceRequest *request, const struct Device *device);

/* Carries out @request on the device whose directory is @dirfd and reads the state back through
 * fresh opens. The device is deauthorized before it changes its driver. Blocks for as long as the
 * kernel does. Returns nothing but *ret, which is always filled in. */
void enforce_execute(int dirfd, const struct EnforceRequest *request, struct EnforceReply *ret);

/* Whether it is not too late for the request, as an order may have waited for long, and a mark may
 * have been set since: 0 or -EKEYREJECTED. @authorized: as the device reads. */
int enforce_check_phase(int dirfd, const struct EnforceRequest *request, int authorized);

/* What a failed step means, as a phrase for people. @error as in the reply. */
const char *enforce_explain(enum EnforceStep step, int error);
