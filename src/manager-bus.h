/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager-device.h"

/* What the manager tells the bus, bus.h. Nothing is done where nobody hears it. */

/* From now on the daemon is served; where it cannot be, the log tells why. */
void manager_bus_start(struct Manager *m);
void manager_bus_stop(struct Manager *m);

/* A device was decided over, for the first time or again; is about to be forgotten; is otherwise
 * than before. An event told of it. */
void manager_bus_decided(struct Manager *m, const struct Known *known, bool is_new);
void manager_bus_removed(struct Manager *m, const struct Known *known);
void manager_bus_changed(struct Manager *m, const struct Known *known);
void manager_bus_event(struct Manager *m, const char *syspath, const char *action);

void manager_bus_phase_changed(struct Manager *m);
void manager_bus_policy_changed(struct Manager *m);
void manager_bus_missing_changed(struct Manager *m);
