/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* The word of @words (n of them, none NULL) that takes the fewest single-character insertions,
 * deletions, replacements and swaps of neighbours to become @typed; the first of equals; NULL where
 * that takes more than half as many as characters were typed, and nothing can be said to be near.
 */
const char *nearest_word(const char *typed, const char *const *words, size_t n);

/* "a, b, c": a new string that the caller frees, NULL when out of memory. */
char *join_words(const char *const *words, size_t n);
