/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager-device.h"

/* What earlier runs noted of the devices, and where this one does: state.h. */

/* Adds what they knew. Returns as state_open() does: -EAGAIN where another process has the file. */
int manager_remember(struct Manager *m);

/* The same for a start, which waits some seconds for who has it. Where that does not end, it goes
 * on by what the file says then and notes nothing, of which the log tells; and as soon as the file
 * is to be had, it takes over what it says by then, and decides over every device anew. */
void manager_remember_after_others(struct Manager *m);
