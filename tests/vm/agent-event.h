/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What makes events in a guest; part of the agent.
 *
 *   agent flood N BUS...  has the kernel tell of a change N times, of one device of these buses
 *                         after the other
 *   agent forge N         sends N messages that look like the kernel's to who listens to it
 *
 * Both return the exit status; @buses ends with NULL. */
int agent_flood(const char *n, char *const *buses);
int agent_forge(const char *n);
