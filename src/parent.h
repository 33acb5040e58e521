/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "enums.h"

/* The sysfs path of the device above the one at @syspath, which is of @bus, that this one cannot
 * work without, where that one is refused: a new string; NULL where there is none, or when out of
 * memory. What firmware describes works without what it is listed under. Waits for nothing. */
char *refused_parent(const char *syspath, enum Bus bus);
