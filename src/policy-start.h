/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* What is in force from a start on, of the daemon or of who decides in its place. */
struct PolicyStart {
	struct Policy *policy; /* the caller's */
	bool is_frozen;	       /* it is the one that was in force at the freeze */
	int error; /* negative: why the built-in policy is in force in the place of the owner's */
};

/* Loads the policy of @file, or of the drop-ins where that is NULL; after the freeze, what was in
 * force then, as files may have changed. One that is installed and cannot be read must not leave
 * the machine without a guard: the built-in policy is in force then, with which usb and
 * thunderbolt, which are open by default, are denied, and the kernel decides over the rest. A @file
 * is what its caller is there to mend. Returns 0, or a negative errno after the log told why. */
int policy_start(const char *file, struct PolicyStart *ret);
