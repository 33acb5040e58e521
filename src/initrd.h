/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* What an initrd decided by, for the system that comes after it: a file in /run/tdx-auth, which
 * outlives the initrd. */

/* Whether this runs in an initrd: one with systemd says so (os-release(5)), into others our hooks
 * put a file. */
bool initrd_is_here(void);

/* What was in force. */
enum InitrdPolicy {
	INITRD_NONE,	/* nothing was applied in an initrd */
	INITRD_SAME,	/* the policy that is installed here */
	INITRD_DIFFERS, /* another one */
	INITRD_REFUSED, /* the built-in one, as the initrd's own was refused */
	INITRD_UNKNOWN, /* what was noted, or the policy here, cannot be read */
	_INITRD_MAX,
};

/* "none", "same", "differs", "refused-built-in", "unknown"; and a phrase for people. Static. */
const char *initrd_policy_to_string(enum InitrdPolicy policy);
const char *initrd_policy_explain(enum InitrdPolicy policy);

/* Notes that @policy is to be applied. Returns 0 or a negative errno. */
int initrd_note(bool is_built_in, const struct Policy *policy);

/* Compares what was noted with the drop-ins of this system, those of this boot left out: policies
 * are the same that policy_write() writes so. */
enum InitrdPolicy initrd_compare(void);
