/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "match.h"
#include "modalias.h"

/* Matching of a device of which a modalias tells a part. The rest may be anything. */

enum Answer { ANSWER_NO, ANSWER_MAYBE, ANSWER_YES };

/* Whether @rule fits what @modalias is of. With ANSWER_NO, *ret_mismatch says what rules it out, as
 * rule_matches() does; with ANSWER_MAYBE, the keys on which it depends are added to @unknown, a
 * vector of strings that belong to the policy, each once. -ENOMEM is the only error. */
int supposed_matches(const struct Rule *rule, const struct Modalias *modalias, enum Answer *ret,
		     struct Mismatch *ret_mismatch, struct Vector *unknown);

/* Whether what the list of hardened devices says of it is certain. */
bool supposed_hardened_is_known(const struct Modalias *modalias);
