/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "parse.h"
#include "policy.h"

#define POLICY_DRIVER_MAX 63 /* characters of a driver's name */

/* Parses the @size bytes at @text, the contents of @file, and adds what they say to @policy: rules
 * are appended, a default that is said replaces an earlier one. tdx-auth.policy(5) is the
 * language. Strict: whatever the language does not know is an error.
 *
 * Returns 0; -EBADMSG with *ret_errors set, which the caller frees by parse_errors_done();
 * -ENOMEM. On failure @policy holds some part of the file and must be thrown away. */
int policy_parse(struct Policy *policy, const char *file, const char *text, size_t size,
		 struct ParseErrors *ret_errors);

/* Whether @s can be the name of a driver: 1 to POLICY_DRIVER_MAX printable ASCII characters, no
 * slash, no blank but within. */
bool driver_name_valid(const char *s);
