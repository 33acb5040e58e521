/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "fuzz.h"
#include "glob-match.h"
#include "policy-index.h"
#include "policy-parse.h"

/* The input is a policy. What is refused is refused with a place and a reason; what is accepted
 * holds what the rest of the code takes for granted. */

static void check_errors(const struct ParseErrors *errors, size_t size)
{
	check(errors->n > 0);
	for (size_t i = 0; i < errors->n && i < PARSE_ERRORS_MAX; i++) {
		const struct ParseError *error = &errors->items[i];

		check(!isempty(error->message));
		check(i == 0 || error[-1].line <= error->line); /* in the order of the text */
		check(error->line >= 1 && error->line <= size + 1);
		check(error->column >= 1 && error->column <= size + 1);
	}
}

static void check_match(const struct Match *match, unsigned depth);

static void check_globs(const struct Condition *condition)
{
	for (uint32_t i = 0; i < condition->n; i++)
		check(!isempty(condition->globs[i]) && !glob_problem(condition->globs[i]));
}

static void check_condition(const struct Condition *condition, unsigned depth)
{
	check(condition->n > 0 && !isempty(condition->key));
	switch (condition->type) {
	case CONDITION_ID:
	case CONDITION_INTERFACES:
		/* another value would fit no number at all */
		for (uint32_t i = 0; i < condition->n; i++)
			check(!(condition->numbers[i].value & ~condition->numbers[i].mask));
		break;
	case CONDITION_LISTED:
	case CONDITION_NAME:
	case CONDITION_MODALIAS:
	case CONDITION_ATTRIBUTE:
		check_globs(condition);
		break;
	case CONDITION_NOT:
	case CONDITION_PARENT:
	case CONDITION_ANCESTOR:
		for (uint32_t i = 0; i < condition->n; i++)
			check_match(&condition->matches[i], depth + 1);
		break;
	}
}

/* An attribute is asked about once, by whichever of its keys. */
static void check_attribute(const struct Match *match, uint32_t i)
{
	const struct Condition *condition = &match->conditions[i];

	for (uint32_t j = 0; condition->type == CONDITION_ATTRIBUTE && j < i; j++)
		check(match->conditions[j].type != CONDITION_ATTRIBUTE ||
		      !streq(match->conditions[j].key, condition->key));
}

/* How deep matches stand in each other is how deep code calls itself that walks them. */
static void check_match(const struct Match *match, unsigned depth)
{
	check(depth < PARSE_DEPTH_MAX);
	check(match->bus != _BUS_INVALID || match->n_conditions > 0);
	for (uint32_t i = 0; i < match->n_conditions; i++) {
		check_condition(&match->conditions[i], depth);
		check_attribute(match, i);
	}
}

static void check_rule(const struct Rule *rule)
{
	check(streq(rule->file, "fuzz.yaml") && rule->line >= 1);
	check(action_to_string(rule->action));
	check(!rule->driver || (rule->action == ACTION_ALLOW && driver_name_valid(rule->driver)));
	check(rule->when && !(rule->when & ~(unsigned)(WHEN_COLD | WHEN_HOT)));
	check(rule->count.max >= 1 && rule->count.min <= rule->count.max);
	check(!action_gives(rule->count.over));
	check(!rule->after_freeze || action_gives(rule->action));
	check_match(&rule->match, 0);
}

/* What is read of every device must not be what only the device itself knows. */
static void check_need(const char *attribute)
{
	const char *slash = strrchr(attribute, '/'), *name = slash ? slash + 1 : attribute;

	check(!isempty(name) && !streq(name, ".") && !streq(name, ".."));
	check(!streq(name, "config") && !streq(name, "rom") && !streq(name, "vpd"));
}

static void check_policy(const struct Policy *policy)
{
	for (size_t i = 0; i < policy_n_rules(policy); i++)
		check_rule(policy_rule(policy, i));
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		check(action_to_string(policy_default(policy, bus)));
	for (size_t i = 0; i < policy->modules.allow.n; i++)
		check(!glob_problem(string_at(&policy->modules.allow, i)));
	for (size_t i = 0; i < policy->needs.attributes.n; i++)
		check_need(string_at(&policy->needs.attributes, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	_cleanup_(parse_errors_done) struct ParseErrors errors;
	int r;

	check(policy);
	r = policy_parse(policy, "fuzz.yaml", (const char *)data, size, &errors);
	check(r == 0 || r == -EBADMSG);
	if (r < 0) {
		check_errors(&errors, size);
		return 0;
	}
	check(errors.n == 0);
	check_policy(policy);
	check(policy_index(policy) == 0);
	return 0;
}
