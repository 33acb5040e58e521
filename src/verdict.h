/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "decide.h"

/* What a device gets in the end, the kernel's own decision included, and why. */
struct Verdict {
	const char *word; /* static: "allow", "deny", "remove", "kernel" (not to be told
			   * from here), "-" */
	const char
		*driver; /* the only driver that may bind, of the policy's or the device's; NULL */
	char *why;	 /* escaped; owned */
};

/* Where @decision leaves a device to the kernel and the kernel does not say what it decided, the
 * built-in list tells what it would. @audit: the kernel is in audit mode, in which all devices read
 * as authorized; the verdict is what it would be in enforce mode. Returns 0 or -ENOMEM; the caller
 * calls verdict_done(). */
int verdict_of(const struct Device *device, const struct Decision *decision, bool audit,
	       struct Verdict *ret);
void verdict_done(struct Verdict *verdict);
