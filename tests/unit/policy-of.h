/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy-parse.h"
#include "test.h"

/* The policy that @text is, not indexed, as the file /etc/p.yaml. Fails the test where it is none.
 */
static inline struct Policy *policy_of(const char *text)
{
	_cleanup_(parse_errors_done) struct ParseErrors errors;
	struct Policy *policy = policy_new();

	if (policy_parse(policy, "/etc/p.yaml", text, strlen(text), &errors) < 0)
		fail_msg("%u:%u: %s\n%s", errors.items[0].line, errors.items[0].column,
			 errors.items[0].message, text);
	return policy;
}
