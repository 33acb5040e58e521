/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A daemon that is none: it listens on the daemon's own socket and misbehaves as the variable
 * MOCK_DAEMON tells, which the real one cannot be made to:
 *
 * "mute": it answers no call. "deaf": it does not even say who it is. "hangup": it closes each
 * connection. "error NAME TEXT": all methods fail so. Else each call is logged to standard error, a
 * line each, and answered with success; the manager's properties are in a good state, or, with
 * "degraded" and "refused", in such.
 *
 * SIGUSR1 has it emit one signal of each kind, with what no device should be able to have it say.
 * For testbed_start(), whose READY=1 it says. */
int mock_daemon_main(int argc, char **argv);

/* What a device calls itself there, as the daemon escapes it. */
#define MOCK_ESCAPED "evil\\n\\x1b[2J\"\\xff"
