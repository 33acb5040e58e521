/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* The word of @words (n of them, none NULL) that takes the fewest single-character insertions,
 * deletions, replacements and swaps of neighbours to become @typed; the first of equals; NULL
 * only where n is 0. */
const char *nearest_word(const char *typed, const char *const *words, size_t n);
