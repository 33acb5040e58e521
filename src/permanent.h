/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"
#include "task.h"

/* Decisions by hand that are to last: one file of the owner's policy, PERMANENT_FILE, is made for
 * them and written by nobody else. A decision over a device is a rule in it that names the device
 * by what it shows, before the other rules there; it takes the place of former ones that fit it.
 *
 * It is written only where it decides over this device as it should, over every other one that is
 * there as before, and keeps what the machine runs on. The file is replaced as a whole and is on
 * the disk when the call returns. */

struct PermanentWish {
	const struct Device *device; /* its path and identity are what counts */
	enum Action action;	     /* allow, deny, remove */
	const char *driver; /* with allow: the only driver that may bind; "": any; NULL: the one
			     * that has the device now, where the kernel can hold it to one */
	const char *root;   /* the directory of the system; NULL: that which runs */
};

/* Looks and writes in a process of its own, which is given TASK_DEADLINE_USEC. Returns 0, or a
 * negative errno with a phrase for people in *ret_problem, not escaped, which the caller frees;
 * NULL when out of memory. -EPERM: after the freeze the policy does not change. */
int permanent_set(const struct PermanentWish *wish, char **ret_problem);

/* The same for an event loop: as task_start(), with what permanent_set() returns and tells. */
int permanent_start(sd_event *event, const struct PermanentWish *wish, task_done_t done,
		    void *userdata, struct Task **ret);
