/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus.h"
#include "manager-device.h"

/* What is told of a device beyond its properties. What its reader may have to wait for, a worker
 * reads, for few askers at a time. @known: NULL where there is no such device. Both end @call, now
 * or later. */

/* The decision over the device, the rules that were tried for it, and what each failed by. */
void manager_explain(struct Manager *m, const struct Known *known, struct BusCall *call);

/* What tells one device from every other of its kind. */
void manager_read_personal(struct Manager *m, const struct Known *known, struct BusCall *call);

/* Frees what is on its way, once no worker calls back any more. */
void manager_drop_questions(struct Manager *m);
