/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* The rule by which a policy decides over one device, from what the device shows: its interfaces
 * and the texts of its bus must have been read. */

/* Why no rule could name the device, and no other kind with it, as a static phrase over several, or
 * NULL where one can. */
const char *rule_obstacle(const struct Device *device);

/* The driver that a rule which keeps the device in use holds it to: the one that has it, which can
 * be named. NULL: any, as the kernel could not hold it to one. */
const char *rule_driver(const struct Device *device);

/* All of the rule but its name and count, as lines of a list of rules: the same for devices that
 * no rule can tell apart. @driver: the only one that may bind, NULL for any. A new string, NULL
 * when out of memory. */
char *rule_text(const struct Device *device, enum Action action, const char *driver);
