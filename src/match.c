/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "match.h"

#include <fnmatch.h>

static bool condition_holds(const struct Condition *condition, const struct Device *device)
{
	switch (condition->type) {
	case CONDITION_BUS_ID:
		return condition->bus == device->bus && device_has_id(device, condition->field) &&
		       device->ids[condition->field] == condition->number;
	case CONDITION_MODALIAS:
		return device->modalias && fnmatch(condition->text, device->modalias, 0) == 0;
	}
	return false;
}

static bool rule_matches(const struct Rule *rule, const struct Device *device)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		if (!condition_holds(&rule->conditions[i], device))
			return false;
	return rule->n_conditions > 0;
}

void policy_decide(const struct Policy *policy, const struct Device *device, struct Decision *ret)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct Rule *rule = &policy->rules[i];

		if (rule_matches(rule, device)) {
			*ret = (struct Decision){rule->action, rule->driver, rule};
			return;
		}
	}
	*ret = (struct Decision){.action = policy_default(policy, device->bus)};
}

char *decision_source(const struct Decision *decision, enum Bus bus)
{
	const struct Rule *rule = decision->rule;
	const char *file;
	char *text;
	int n;

	if (!rule) {
		n = asprintf(&text, "default for %s", bus_to_string(bus));
		return n < 0 ? NULL : text;
	}
	file = strrchr(rule->file, '/');
	file = file ? file + 1 : rule->file;
	n = rule->name ? asprintf(&text, "%s:%s", file, rule->name)
		       : asprintf(&text, "%s:%u", file, rule->line);
	return n < 0 ? NULL : text;
}
