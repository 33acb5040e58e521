/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager.h"

/* Decisions by hand that are to last: permanent.h writes them, in a process of its own. */

/* @problem: why it is not written down, for people, or NULL. It lives as long as the call. */
typedef void (*saving_done_t)(const char *problem, void *userdata);

/* Writes the decision that was made by hand over @device, and has the policy be read again then.
 * One is written after the other. @done is called once, now or later, at the latest by
 * manager_drop_saving(). */
void manager_save(struct Manager *m, const struct Device *device, enum Action action,
		  const char *driver, saving_done_t done, void *userdata);

void manager_drop_saving(struct Manager *m);
