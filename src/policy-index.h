/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "match.h"

/* Finds the first rule that matches without trying those that name other devices.
 *
 * Each rule is filed under what a device must show to match it: its vendor and device, an id that
 * it lists, its name, an attribute, the beginning of its modalias, its bus, or nothing, whichever
 * it shares with the fewest other rules. A device is looked up under all that it shows. */
struct PolicyIndex;

/* Builds the index of @policy, in its arena. All rules must be there. Returns 0 or -ENOMEM; without
 * an index a policy decides the same. */
int policy_index(struct Policy *policy);

/* The first rule that matches, or NULL. */
const struct Rule *policy_index_find(const struct Policy *policy, const struct Device *device,
				     const struct Moment *moment);
