/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "match.h"

/* Why @rule does not fit @device, for people: the key that failed, and what the device has there,
 * as "vendor: is 0x1af4". Of `parent`, `ancestor` and `not` it says the same of what stands within,
 * for the first of several. @mismatch and @moment are what rule_matches() gave and took. Not
 * escaped; a new string that the caller frees, NULL when out of memory. */
char *mismatch_text(const struct Rule *rule, const struct Mismatch *mismatch,
		    const struct Device *device, const struct Moment *moment);
