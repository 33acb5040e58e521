/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy.h"

#include <errno.h>

struct Policy *policy_new(void)
{
	struct Policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return NULL;
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		policy->bus_default[bus] = _ACTION_INVALID;
	policy->any_default = _ACTION_INVALID;
	return policy;
}

void rule_done(struct Rule *rule)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		free(rule->conditions[i].text);
	free(rule->conditions);
	free(rule->name);
	free(rule->reason);
	free(rule->driver);
	*rule = (struct Rule){0};
}

void policy_free(struct Policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->n_rules; i++)
		rule_done(&policy->rules[i]);
	free(policy->rules);
	for (size_t i = 0; i < policy->n_files; i++)
		free(policy->files[i]);
	free(policy->files);
	free(policy);
}

/* Makes room for one element more in an array of @n; doubles at powers of two, so that a policy
 * of many rules costs no quadratic copying. Returns the new array, NULL leaves the old valid. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1)) /* neither 0 nor a power of two: there is room */
		return array;
	return reallocarray(array, n ? n * 2 : 1, size);
}

const char *policy_add_file(struct Policy *policy, const char *file)
{
	_cleanup_free_ char *copy = strdup(file);
	char **files = grow(policy->files, policy->n_files, sizeof(*files));

	if (files)
		policy->files = files;
	if (!copy || !files)
		return NULL;
	return policy->files[policy->n_files++] = TAKE_PTR(copy);
}

int policy_add_rule(struct Policy *policy, struct Rule *rule)
{
	struct Rule *rules = grow(policy->rules, policy->n_rules, sizeof(*rules));

	if (!rules) {
		rule_done(rule);
		return -ENOMEM;
	}
	policy->rules = rules;
	policy->rules[policy->n_rules++] = *rule;
	*rule = (struct Rule){0};
	return 0;
}

int rule_add_condition(struct Rule *rule, struct Condition *condition)
{
	struct Condition *conditions =
		grow(rule->conditions, rule->n_conditions, sizeof(*conditions));

	if (!conditions) {
		free(condition->text);
		return -ENOMEM;
	}
	rule->conditions = conditions;
	rule->conditions[rule->n_conditions++] = *condition;
	return 0;
}

enum Action policy_default(const struct Policy *policy, enum Bus bus)
{
	if (policy->bus_default[bus] != _ACTION_INVALID)
		return policy->bus_default[bus];
	if (policy->any_default != _ACTION_INVALID)
		return policy->any_default;
	return bus_info[bus].native ? ACTION_DENY : ACTION_KERNEL;
}
