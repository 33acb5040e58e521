/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether this process can do a daemon's work: write to sysfs, and keep files in /run/tdx-auth. A
 * sandbox that does not let it is easily made, by a drop-in of the unit or by a container, and
 * shows else only when a device comes. Nothing of sysfs is changed. What is wrong is logged, with
 * what can be done about it. Returns NULL, or a phrase, never to be freed, that says the worst.
 * That decisions cannot be made permanent, for which a read-only /etc is reason enough, is only
 * logged. */
const char *self_test(void);
