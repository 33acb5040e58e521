/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* What decisions depend on beside the device. The zero value: at start, nothing admitted yet. */
struct Moment {
	bool is_hot;	/* the device was plugged after the start */
	bool is_frozen; /* only rules that say so admit devices any more */
	bool is_sealed; /* the device is not to be given to drivers any more */
	/* For each rule of the policy, how many other devices it admits now; NULL: none. */
	const uint32_t *admitted;
	/* "FILE:LINE" of the machine's own modprobe.d, where that refuses all modules that know the
	 * device: module-refusal.h; NULL: it does not. Lives as long as decisions do. */
	const char *refused_by;
};

/* Why a rule does not match. */
struct Mismatch {
	const char *key; /* the key that failed, as the policy spells it; NULL: the rule matches */
	const struct Condition *condition; /* of the key; NULL for a bus and for "when" */
};

/* Tries one rule, and says which of its keys is the first to fail. */
bool rule_matches(const struct Rule *rule, const struct Device *device, const struct Moment *moment,
		  struct Mismatch *ret);

/* Whether one of the globs of a condition fits the id of @len bytes at @id that @device lists. */
bool condition_fits_id(const struct Condition *condition, const struct Device *device,
		       const char *id, size_t len);

/* Tries a match that a rule holds, on its own. @gives: whether what fits is given to drivers that
 * it might be kept from otherwise, as action_gives() says it of the rule, and turned round by each
 * `not` around the match. */
bool match_holds(const struct Match *match, const struct Device *device, bool gives,
		 struct Mismatch *ret);
