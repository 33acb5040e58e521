/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "policy.h"

#define POLICY_SIZE_MAX ((size_t)1024 * 1024) /* bytes */
#define POLICY_DRIVER_MAX 63		      /* characters of a driver's name */

/* Where and why a policy was refused. The message is without the place, and not escaped. */
struct PolicyError {
	char *message;
	unsigned line, column; /* both from 1; column counts characters */
};

void policy_error_done(struct PolicyError *error);

/* Parses the @size bytes at @text, the contents of @file, and adds what they say to @policy: rules
 * are appended, a default that is said replaces an earlier one. tdx-auth.policy(5) is the
 * language. Strict: whatever the language does not know is an error.
 *
 * Returns 0; -EBADMSG with *ret_error set, whose message the caller frees by policy_error_done();
 * -ENOMEM. On failure @policy holds some part of the file and must be thrown away. */
int policy_parse(struct Policy *policy, const char *file, const char *text, size_t size,
		 struct PolicyError *ret_error);

/* Reads an id as policies and people write it: "0x" and at most @id->digits hexadecimal digits,
 * or decimal where @id allows it. Returns 0, -EINVAL, or -ERANGE for too many digits. */
int parse_policy_id(const char *s, const struct BusId *id, uint32_t *ret);

/* Whether @s can be the name of a driver: 1 to POLICY_DRIVER_MAX printable ASCII characters, no
 * blank, no slash. */
bool driver_name_valid(const char *s);
