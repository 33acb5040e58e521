/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* Calls @warn for what is allowed in @policy and hardly meant, as tdx-authctl(1) lists it under
 * `policy check`, as far as the policy itself tells. @rule is NULL for what is of no rule; @message
 * is a phrase, not escaped, valid during the call. Returns how many there were, or -ENOMEM. */
int policy_lint(const struct Policy *policy,
		void (*warn)(const struct Rule *rule, const char *message, void *userdata),
		void *userdata);

/* Whether the two names of drivers differ in "-" and "_" alone, but do differ. */
bool driver_is_misspelled(const char *name, const char *right);

/* The driver on the list of hardened devices that @rule hardly can mean but misspells, or NULL. */
const char *rule_hardened_driver(const struct Rule *rule);
