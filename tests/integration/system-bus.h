/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus-client.h"

/* A system bus of the testbed's own: a dbus-daemon(1) with conf/org.tdxauth1.conf, of which the
 * environment has the path in TDX_AUTH_BUS_POLICY, and a polkit that says what it is told to. */

/* Starts it and waits until it listens. */
pid_t start_system_bus(struct Testbed *bed);

/* Waits until the daemon has its name on it. */
void wait_for_name(const char *name);

/* A client that is nobody. */
sd_bus *connect_as_nobody(void);

/* Starts a polkit. What it says to all questions:
 *   yes, no, challenge (somebody would have to authenticate), error, never (nothing at all),
 *   later (yes, once testbed_runtime "answer" is there),
 *   only ACTION (yes to that, no to all else).
 * It notes what it was asked, for polkit_was_asked(). */
pid_t start_polkit(struct Testbed *bed, const char *answer);
void let_polkit_answer(struct Testbed *bed);

/* The actions, each with a blank behind it, and an exclamation mark where it may ask the person. */
char *polkit_was_asked(struct Testbed *bed);
