/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* For whom a policy is checked. */
enum VitalCheck {
	VITAL_ALL,	/* who may refuse it, or overrides what user space decided earlier */
	VITAL_AT_START, /* tdx-authd, which keeps what was decided by hand when it starts */
};

/* Whether @policy lets the machine that it is for keep what it runs on: the devices behind its root
 * file system, consoles and default route. Logs each device that the policy would take away, with
 * the rule that does; what could not be read, too. Returns how many there are, or a negative errno
 * after the log told why: -ETIME where that takes more than ten seconds. What the kernel alone
 * would refuse does not count. */
int policy_check_vital(const struct Policy *policy, enum VitalCheck how);

/* The same in this process, which may have to wait for ever. */
int policy_check_vital_here(const struct Policy *policy, enum VitalCheck how);
