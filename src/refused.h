/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "view.h"

/* The devices that have no driver since they are refused, each with why that is and a rule that
 * would allow it: what somebody has to know whose machine does not come up. view_read() must have
 * read the devices with options->refused set. Return 0 or a negative errno. */
int refused_print(const struct View *view);
int refused_print_json(const struct View *view);

/* In an initrd nothing may keep the machine from going off, as a host can that stalls who reads
 * from a device: has the process end by SIGALRM. */
void refused_set_deadline(void);
