/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy.h"

#include <errno.h>

#include "parse.h"

struct Policy *policy_new(void)
{
	struct Policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return NULL;
	policy->n_refs = 1;
	policy->size_max = PARSE_SIZE_MAX;
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		policy->bus_default[bus] = _ACTION_INVALID;
	policy->any_default = _ACTION_INVALID;
	policy->mode = POLICY_ENFORCE;
	policy->modules.mode = _MODULES_INVALID;
	return policy;
}

struct Policy *policy_ref(struct Policy *policy)
{
	policy->n_refs++;
	return policy;
}

void policy_unref(struct Policy *policy)
{
	if (!policy || --policy->n_refs > 0)
		return;
	vector_done(&policy->rule_vector);
	vector_done(&policy->file_vector);
	vector_done(&policy->modules.allow);
	vector_done(&policy->modules.places);
	vector_done(&policy->needs.attributes);
	arena_done(&policy->arena);
	free(policy);
}

/* Appends a copy of @s, which becomes @policy's. Returns it, NULL when out of memory. */
static const char *add_string(struct Policy *policy, struct Vector *strings, const char *s)
{
	const char *copy = arena_strdup(&policy->arena, s);

	return copy && vector_add(strings, &copy, sizeof(copy)) == 0 ? copy : NULL;
}

const char *policy_add_file(struct Policy *policy, const char *file)
{
	return add_string(policy, &policy->file_vector, file);
}

int policy_add_rule(struct Policy *policy, const struct Rule *rule)
{
	return vector_add(&policy->rule_vector, rule, sizeof(*rule));
}

int policy_allow_module(struct Policy *policy, const char *glob, const struct Place *place)
{
	if (!add_string(policy, &policy->modules.allow, glob))
		return -ENOMEM;
	return vector_add(&policy->modules.places, place, sizeof(*place));
}

int policy_need_attribute(struct Policy *policy, const char *name)
{
	if (needs_has(&policy->needs, name))
		return 0;
	return add_string(policy, &policy->needs.attributes, name) ? 0 : -ENOMEM;
}

enum Action policy_default(const struct Policy *policy, enum Bus bus)
{
	if (policy->bus_default[bus] != _ACTION_INVALID)
		return policy->bus_default[bus];
	if (policy->any_default != _ACTION_INVALID)
		return policy->any_default;
	return bus_info[bus].native ? ACTION_DENY : ACTION_KERNEL;
}

char *rule_name(const struct Rule *rule)
{
	const char *file = strrchr(rule->file, '/');
	char *text;
	int n;

	file = file ? file + 1 : rule->file;
	n = rule->name ? asprintf(&text, "%s:%s", file, rule->name)
		       : asprintf(&text, "%s:%u", file, rule->line);
	return n < 0 ? NULL : text;
}

bool policy_speaks_of(const struct Policy *policy, enum Bus bus)
{
	if (policy_default(policy, bus) != ACTION_KERNEL)
		return true;
	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		const struct Rule *rule = policy_rule(policy, i);

		if (rule->match.bus == bus || rule->match.bus == _BUS_INVALID)
			return true;
	}
	return false;
}
