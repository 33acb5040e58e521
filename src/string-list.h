/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "util.h"
#include "vector.h"

/* A vector of strings that it owns. */

/* Adds what @format makes. Returns 0 or -ENOMEM. */
_printf_(2, 3) int strings_add(struct Vector *strings, const char *format, ...);

/* Adds @text, which it owns from then on and frees where it fails. NULL is a string for which
 * memory was too short. Returns 0 or -ENOMEM. */
int strings_take(struct Vector *strings, char *text);

bool strings_have(const struct Vector *strings, const char *text);

/* In the order of their bytes. */
void strings_sort(struct Vector *strings);

void strings_done(struct Vector *strings);
#define _cleanup_strings_ _cleanup_(strings_done)
