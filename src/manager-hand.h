/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "by-hand.h"
#include "manager.h"

/* What an owner asks of the daemon beside the policy. */

struct HandRequest {
	bool authorize;	    /* else refuse it, */
	bool remove;	    /* and take it out of the machine */
	bool permanent;	    /* for the next boots, too */
	const char *driver; /* hold it to this one, "" for any; NULL: to what it is held to */
};

struct HandResult {
	enum Problem problem; /* PROBLEM_NONE: it was done */
	const char *text;     /* why not, for people, or NULL */
	const char *driver;   /* that is bound afterwards, "" for none */
};

typedef void (*hand_done_t)(const struct HandResult *result, void *userdata);

/* Decides by hand over the device whose sysfs directory has this inode number. It is the last word,
 * also over what is on its way to the device. @done is called once, now or later, after the outcome
 * is noted for the next start; not any more once the manager is freed. What is in *result lives as
 * long as the call. */
void manager_decide_by_hand(struct Manager *m, ino_t ino, const struct HandRequest *request,
			    hand_done_t done, void *userdata);

/* As by_hand_freeze(), by_hand_seal() and by_hand_lock_kernel(). Return false with *ret where it
 * was not done, or not all of it. */
bool manager_freeze(struct Manager *m, struct Obstacle *ret);
bool manager_seal(struct Manager *m, struct Obstacle *ret);

/* What an error of manager_reload() means. Returns false where it is none. */
bool manager_explain_reload(int error, struct Obstacle *ret);
