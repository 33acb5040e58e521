/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "known.h"
#include "usb-default.h"

/* What a bus of GATE_AUTOPROBE (driver-gate.h) did before it was told to have its devices wait. */
struct GateDefault {
	bool is_taken;
	bool gave; /* drivers, by itself */
};

/* How devices were left, in a file in /run/tdx-auth, so that the next start tells what somebody
 * else decided meanwhile from what was decided here. A line says how one device was left and takes
 * the place of former ones about it; lines are only added, and now and then the file is written
 * anew. What is noted before a write is sent on its way outlives a kill at any moment.
 *
 * Nothing depends on the file but that: without it, or where it cannot be written, every decision
 * of user space counts as somebody else's. */
struct State {
	int fd;	      /* -1: nothing is noted; else it has the lock */
	char *buffer; /* lines that are not in the file yet */
	size_t n, room;
	off_t size;	       /* of the file */
	size_t lines;	       /* in the file */
	bool is_whole;	       /* lines can be added to what was read */
	bool is_broken;	       /* lines are missing in it, and that was said */
	struct UsbDefault usb; /* which is kept here, and in the file, as is: */
	struct GateDefault gates[_BUS_MAX];
};

#define STATE_CLOSED ((struct State){.fd = -1})

/* Opens the file, makes it this process's, and adds what it says to @registry, which is empty, in
 * the order in which the devices came. A file that does not parse, or that a later version wrote,
 * is set aside. With @keeps_verdicts what it says of decisions stays in it until each is made anew,
 * for who decides by the same policy while others ask. Returns 0, also where it cannot be written
 * yet, of which the log tells; -EAGAIN where another process has it; or another negative errno
 * after the log told why. On failure @state is closed: all calls do nothing. */
int state_open(struct State *state, struct Registry *registry, bool keeps_verdicts);

/* The same in two steps, for who went on without the file: makes it this process's, and adds what
 * it says to @former, which is empty; what it says of buses goes before what @state has. Returns 0
 * or a negative errno, of which the log does not tell and which changes nothing. */
int state_take(struct State *state, struct Registry *former);
/* Puts @registry in the place of all that the file says. */
void state_rewrite(struct State *state, const struct Registry *registry);

/* Only reads it, whoever has it: @state stays closed. What does not parse says nothing. */
void state_read(struct State *state, struct Registry *registry);

/* Has the next flush write how @known was left, what state->usb or that of state->gates is, or that
 * a device is gone. */
void state_note(struct State *state, struct Known *known);
void state_note_usb(struct State *state);
void state_note_gate(struct State *state, enum Bus bus);
void state_note_gone(struct State *state, const struct Known *known);

/* What the file says of the decision over a device, for who asks it and not the daemon: "allow",
 * "deny", "remove" or "kernel", NULL where there is none yet; and what made it, as
 * decision_source() has it, a new string or NULL. */
const char *state_verdict(const struct Known *known);
char *state_source(const struct Known *known);

/* Writes what was noted. A file that has grown too long, or that could not be written before, is
 * written anew from @registry. */
void state_flush(struct State *state, const struct Registry *registry);

void state_close(struct State *state);

/* Adds what the @size bytes at @text say to @registry, state->usb and state->gates. A last line
 * without its end is one that was not finished, and is left out. Returns 0 with the number of
 * lines; -EBADMSG; -EPROTONOSUPPORT for the file of a later version; -ENOMEM. On failure @registry
 * holds some part.
 */
int state_parse(const char *text, size_t size, struct Registry *registry, struct State *state,
		size_t *ret_lines);
