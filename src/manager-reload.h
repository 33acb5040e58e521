/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager.h"

/* The policy is read again. Whether it takes away what the machine runs on is looked at meanwhile,
 * in a process of its own, as the host can make that last: devices that come are decided over by
 * the former policy until then. */

/* @error: 0; -EPERM after the freeze; -EOPNOTSUPP where nothing loads one; another negative errno
 * after the log told why the former policy stays. */
typedef void (*reload_done_t)(int error, void *userdata);

/* Puts the policy in force as its files are now, or a little later, and decides over every device
 * anew. @done is called once, now or later; not any more once the manager is freed. */
void manager_reload(struct Manager *m, reload_done_t done, void *userdata);

/* Takes over @policy, also on failure. Returns 0 or -ENOMEM. */
int manager_set_policy(struct Manager *m, struct Policy *policy);

/* Notes that one was loaded. */
void manager_note_load(struct Manager *m);

/* Looks whether the policy is to be told or to be done, and leaves a mark of that for tools: a boot
 * in which one was done goes on so until its end, for what was refused is without driver, and what
 * would have given it one was told otherwise. */
void manager_note_mode(struct Manager *m);

void manager_drop_reload(struct Manager *m);
