/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager-device.h"

/* The machine's own modprobe.d as input of the policy. */

/* Reads it, at the start. Where it cannot be read the log tells, and nothing counts as refused. */
void manager_read_modules(struct Manager *m);

/* Has every device be decided over anew when it changes, unless the machine is frozen. */
void manager_watch_modules(struct Manager *m);

/* What a policy that comes into force has to ask for, for its sake. */
void manager_need_for_modules(const struct Manager *m, struct Policy *policy);

void manager_drop_modules(struct Manager *m);
