/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* Calls @warn for what is allowed in @policy and hardly meant: rules that are never reached, since
 * one before them fits all that they fit; matches on addresses, which the host chooses; an `allow`
 * for any driver. @message is a phrase, not escaped, valid during the call. Returns how many there
 * were, or -ENOMEM. */
int policy_lint(const struct Policy *policy,
		void (*warn)(const struct Rule *rule, const char *message, void *userdata),
		void *userdata);

/* Whether @wide fits every device that @narrow fits, as far as can be told from the two. */
bool rule_covers(const struct Rule *wide, const struct Rule *narrow);
