/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* What a policy asks for of modules, apart from the devices that it is about. Pure. */

/* The modalias of a device with the ids that @rule asks for, of no subsystem, and, @by_class, of
 * the class that it does: a new string, NULL where the rule does not name those, or out of memory.
 */
char *rule_modalias(const struct Rule *rule, bool by_class);

/* Whether anything leaves devices of @bus to the kernel, which admits hardened ones. */
bool policy_leaves_to_kernel(const struct Policy *policy, enum Bus bus);

/* The same in lines of comments, for what is rendered to tell later what of: policies that ask for
 * the same have the same, in whatever order. It has nothing of a device in it that a rule goes by
 * but numbers of pci and virtio. A new string, NULL when out of memory. */
#define MODULE_ASKS "# Asks: " /* begins each */
char *module_asks(const struct Policy *policy);
