/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* The freeze: from then until the machine starts again the policy does not change, nobody
 * authorizes by hand, and only rules with `after-freeze` admit devices. It is a file in
 * /run/tdx-auth, so that it holds over restarts of the daemon, and for tools without it. */

/* Whether it is in force. */
bool frozen(void);

/* Puts it in force, on top of itself as well. Returns 0 or a negative errno. */
int freeze(void);
