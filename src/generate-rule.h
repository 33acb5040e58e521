/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* The rule by which a policy keeps one device in use, from what the device shows. */

/* Why no rule could name the device, and no other kind with it, as a static phrase over several, or
 * NULL where one can. */
const char *rule_obstacle(const struct Device *device);

/* All of the rule but its name and count, as lines of a list of rules: the same for devices that
 * no rule can tell apart. A new string, NULL when out of memory. */
char *rule_text(const struct Device *device);
