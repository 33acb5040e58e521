/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "enforce.h"

/* What a decision by hand is, for the daemon and for tools without it. */

/* Why something was not done: what kind of reason it is, and a phrase for people. */
struct Obstacle {
	enum Problem problem;
	const char *text; /* static */
};

/* Why @device cannot be decided over by hand as @request says. Returns false where it can. */
bool by_hand_obstacle(const struct Device *device, const struct EnforceRequest *request,
		      struct Obstacle *ret);

/* What a worker is to be asked for, so that the last word counts, also over a write that nobody
 * sees yet. */
struct EnforceRequest by_hand_insisting(const struct Device *device,
					const struct EnforceRequest *request);

/* Why nobody may authorize by hand, change the policy, or apply one any more, as the marks of
 * phase.h say. Returns false where they may. */
bool by_hand_is_over(struct Obstacle *ret);

/* From now on until the machine starts again, see phase.h. A seal freezes, too. Return 0 or a
 * negative errno. */
int by_hand_freeze(void);
int by_hand_seal(void);

/* Closes the kernel's lock, which binds root as well and which nobody opens again: so it is the
 * last. Returns 0; -ENODEV where the kernel has none; another negative errno. */
int by_hand_lock_kernel(void);
