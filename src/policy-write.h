/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "policy.h"

/* Writes @policy in its own language, one rule after the other, each under a comment with the place
 * that it stands at; what is read from it decides as @policy does. Rules keep their names; one that
 * another file has, too, becomes FILE:NAME. */
void policy_write(FILE *file, const struct Policy *policy);

/* The same as a string of *ret_size bytes that the caller frees; NULL when out of memory. */
char *policy_text(const struct Policy *policy, size_t *ret_size);

/* Writes one rule as an item of a list of rules, under its own name. */
void policy_write_rule(FILE *file, const struct Rule *rule);

/* Writes @s as a scalar, in quotes, with escapes where it needs them. */
void yaml_write_text(FILE *file, const char *s);
