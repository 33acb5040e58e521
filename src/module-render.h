/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vector.h"

/* Globs, of fnmatch(3), that together fit every string but the names allowed: what libkmod can be
 * told to refuse, as its first `install` line that fits decides and none can be made to let a
 * module through. No glob is a mere name, which libkmod would take for the module that an alias of
 * this name means (kmod_lookup_alias_from_commands()).
 *
 * @allowed are names (@n of them, in the order of strcmp(), none twice), of letters, digits and "_"
 * as module_name_is_plain() has it. Adds strings to *ret, which the caller frees by
 * complement_done(), also on failure: they are the same for the same names. Returns 0 or -ENOMEM.
 */
int complement_make(const char *const *allowed, size_t n, struct Vector *ret);
void complement_done(struct Vector *globs);

/* Whether @name needs no quoting in a glob. Others are never allowed. */
bool module_name_is_plain(const char *name);
