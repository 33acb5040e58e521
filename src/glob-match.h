/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* glob(7) on strings of bytes, as fnmatch(3) does with no flags in the C locale: * ? [a-z] [!a-z]
 * and \ before a character that is meant literally; no character is special in the string. Unlike
 * fnmatch(3), its time is bounded by the product of the two lengths: the string is the host's. */
bool glob_match(const char *glob, const char *s);

/* The same on the @len bytes at @s; with @any_case, ASCII letters fit in upper and lower case,
 * those in brackets excepted. */
bool glob_match_n(const char *glob, const char *s, size_t len, bool any_case);

/* Why @glob is none, as a phrase, or NULL: a bracket that is not closed, a backslash at the end, a
 * range that runs backwards. fnmatch(3) takes those for something nobody meant. */
const char *glob_problem(const char *glob);

/* What follows the element at @glob, which is not at its end; and whether the element, which is no
 * star, fits @c. */
const char *glob_next(const char *glob);
bool glob_fits_character(const char *glob, char c, bool any_case);

/* Characters of @glob before the first special one: every string that fits begins with them. */
size_t glob_prefix(const char *glob);

/* Whether @glob fits exactly one string, itself. */
bool glob_is_literal(const char *glob);
