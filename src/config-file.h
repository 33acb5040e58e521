/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "config.h"

/* Reads @file, or where that is NULL the owner's configuration in /etc, or where there is none the
 * shipped one in /usr/lib, whole: one does not add to the other. It has to be what nobody but root
 * can have written (trusted-open.h). Returns 0 with *ret, the defaults where there is no file; or a
 * negative errno after the log told why, as FILE:LINE:COLUMN: REASON where it has a place; *ret is
 * not touched then. */
int config_load(const char *file, struct Config *ret);
