/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "enforce.h"

/* enforce_execute() for devices that the driver core alone keeps from drivers: driver-gate.h.
 *
 * A device that is given to one driver gets it by that driver's `bind`, for which the kernel wants
 * the ids to fit. For that moment it has no driver_override, as with one naming the driver the
 * kernel would not look at the ids. */
void enforce_by_gate(int dirfd, const struct EnforceRequest *request, struct EnforceReply *ret);
