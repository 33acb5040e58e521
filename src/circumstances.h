/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "module-refusal.h"
#include "phase.h"

/* What decisions of a process that is no daemon depend on beside policy and devices. The zero value
 * is a machine at its start. */
struct Circumstances {
	struct Phase phase;
	struct ModuleRefusals *refusals; /* NULL: modprobe.d is not asked */
};

/* Reads both, the second of the system at @root, NULL for this one; where that fails, the log tells
 * why, and nothing counts as refused. */
void circumstances_read(const char *root, struct Circumstances *ret);
void circumstances_done(struct Circumstances *circumstances);

/* For policy_decide_all(); needs the interfaces of usb devices where
 * module_refusals_need_interfaces(). */
void circumstances_moment(const struct Device *device, struct Moment *ret, void *circumstances);
