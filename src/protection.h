/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "enums.h"

/* The mode of the running kernel's device authorization: _PROTECTION_INVALID for a kernel without
 * it; PROTECTION_NONE for off, and for a mode that cannot be read or is unknown; PROTECTION_AUDIT;
 * PROTECTION_KERNEL for enforce. */
enum Protection kernel_mode(void);

/* What a level on a bus means for the owner, as a static phrase. */
const char *protection_explain(enum Protection protection, enum Bus bus);
