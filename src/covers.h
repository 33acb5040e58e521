/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* Whether @wide fits every device that @narrow fits, as far as can be told from the two. */
bool rule_covers(const struct Rule *wide, const struct Rule *narrow);
