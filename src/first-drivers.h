/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* The devices that had a driver before user space could decide over them: what no policy can undo,
 * as the host has talked to those drivers. Where the kernel decides over each device itself there
 * are none. They are noted once in a boot, by what looks first, apply in an initrd or the daemon,
 * in a file in /run/tdx-auth: a line "BUS NAME DRIVER" for each, escaped as words. */

struct FirstDriver {
	enum Bus bus;
	char *device, *driver; /* owned */
};

struct FirstDrivers {
	struct Vector list; /* of struct FirstDriver */
	bool is_incomplete; /* out of memory */
};

/* Whether nobody has noted them in this boot, and the kernel does not decide itself. */
bool first_drivers_are_due(void);

/* Adds @device if it has a driver. */
void first_drivers_add(struct FirstDrivers *drivers, const struct Device *device);

/* Writes them down, and a record of them. What cannot be written is logged. */
void first_drivers_note(const struct FirstDrivers *drivers);

/* Reads what was noted. Returns 0; -ENOENT where nothing was; -EBADMSG; or another negative errno.
 * The caller calls first_drivers_done() in each case. */
int first_drivers_read(struct FirstDrivers *ret);

/* "serial (pnp), e1000 (pci, 2 devices)", not escaped: a new string, NULL when out of memory. */
char *first_drivers_text(const struct FirstDrivers *drivers);

void first_drivers_done(struct FirstDrivers *drivers);
