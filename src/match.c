/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "match.h"

#include "glob-match.h"
#include "policy-index.h"

/* --- conditions --- */

static bool number_fits(const struct Number *number, uint32_t n)
{
	return (n & number->mask) == number->value;
}

static bool any_number_fits(const struct Condition *condition, uint32_t n)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (number_fits(&condition->numbers[i], n))
			return true;
	return false;
}

static bool any_glob_fits(const struct Condition *condition, const char *s)
{
	for (uint32_t i = 0; s && i < condition->n; i++)
		if (glob_match(condition->globs[i], s))
			return true;
	return false;
}

/* pnp shows ids with their hexadecimal digits in lower case, and tells none from another by that.
 */
static bool any_glob_fits_id(const struct Condition *condition, const struct Device *device,
			     const char *id, size_t len)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (glob_match_n(condition->globs[i], id, len, device->bus == BUS_PNP))
			return true;
	return false;
}

/* A driver may match by any id that a device lists. So a rule that gives fits a device of which it
 * covers all, one that takes away a device of which it names any: neither can be got around by an
 * id more. */
static bool listed_ids_fit(const struct Condition *condition, const struct Device *device,
			   bool gives)
{
	const char *pos = NULL, *id;
	size_t len, n = 0;

	while ((id = device_next_listed_id(device, &pos, &len))) {
		if (any_glob_fits_id(condition, device, id, len) != gives)
			return !gives;
		n++;
	}
	return gives && n > 0;
}

/* --- interfaces --- */

static bool has_interface(const struct Device *device, const struct Number *number)
{
	for (size_t i = 0; i < device->n_interfaces; i++)
		if (number_fits(number, device->interfaces[i]))
			return true;
	return false;
}

static bool has_all_of(const struct Condition *condition, const struct Device *device)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (!has_interface(device, &condition->numbers[i]))
			return false;
	return true;
}

static bool has_one_of(const struct Condition *condition, const struct Device *device)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (has_interface(device, &condition->numbers[i]))
			return true;
	return false;
}

static bool has_no_other(const struct Condition *condition, const struct Device *device)
{
	for (size_t i = 0; i < device->n_interfaces; i++)
		if (!any_number_fits(condition, device->interfaces[i]))
			return false;
	return true;
}

static bool interfaces_fit(const struct Condition *condition, const struct Device *device)
{
	switch (condition->quantity) {
	case QUANTITY_ALL_OF:
		return has_all_of(condition, device);
	case QUANTITY_ONE_OF:
		return has_one_of(condition, device);
	case QUANTITY_NONE_OF:
		return !has_one_of(condition, device);
	case QUANTITY_EQUALS:
		return has_all_of(condition, device) && has_no_other(condition, device);
	default:
		return false;
	}
}

/* --- matches --- */

static bool match_fits(const struct Match *match, const struct Device *device, bool gives,
		       struct Mismatch *ret);

static bool any_match_fits(const struct Condition *condition, const struct Device *device,
			   bool gives)
{
	for (uint32_t i = 0; device && i < condition->n; i++)
		if (match_fits(&condition->matches[i], device, gives, NULL))
			return true;
	return false;
}

static bool any_ancestor_fits(const struct Condition *condition, const struct Device *device,
			      bool gives)
{
	for (; device; device = device->parent)
		if (any_match_fits(condition, device, gives))
			return true;
	return false;
}

static bool condition_holds(const struct Condition *condition, const struct Device *device,
			    bool gives)
{
	switch (condition->type) {
	case CONDITION_ID:
		return device_has_id(device, condition->field) &&
		       any_number_fits(condition, device->ids[condition->field]);
	case CONDITION_LISTED:
		return listed_ids_fit(condition, device, gives);
	case CONDITION_NAME:
		return any_glob_fits(condition, device->sysname);
	case CONDITION_MODALIAS:
		return any_glob_fits(condition, device->modalias);
	case CONDITION_ATTRIBUTE:
		return any_glob_fits(condition, device_attribute(device, condition->key));
	case CONDITION_INTERFACES:
		return interfaces_fit(condition, device);
	case CONDITION_NOT:
		return !any_match_fits(condition, device, !gives);
	case CONDITION_PARENT:
		return any_match_fits(condition, device->parent, gives);
	case CONDITION_ANCESTOR:
		return any_ancestor_fits(condition, device->parent, gives);
	}
	return false;
}

static bool mismatch(struct Mismatch *ret, const char *key, const struct Condition *condition)
{
	if (ret)
		*ret = (struct Mismatch){key, condition};
	return false;
}

/* @gives: what fits is given to drivers that it might be kept from otherwise. */
static bool match_fits(const struct Match *match, const struct Device *device, bool gives,
		       struct Mismatch *ret)
{
	if (match->bus != _BUS_INVALID && match->bus != device->bus)
		return mismatch(ret, bus_to_string(match->bus), NULL);
	for (uint32_t i = 0; i < match->n_conditions; i++)
		if (!condition_holds(&match->conditions[i], device, gives))
			return mismatch(ret, match->conditions[i].key, &match->conditions[i]);
	return true;
}

bool rule_matches(const struct Rule *rule, const struct Device *device, const struct Moment *moment,
		  struct Mismatch *ret)
{
	unsigned when = moment && moment->is_hot ? WHEN_HOT : WHEN_COLD;

	if (!match_fits(&rule->match, device, action_gives(rule->action), ret))
		return false;
	return rule->when & when || mismatch(ret, "when", NULL);
}

/* --- decisions --- */

static void decide_by_rule(const struct Policy *policy, const struct Rule *rule,
			   const struct Moment *moment, struct Decision *ret)
{
	size_t number = (size_t)(rule - policy_rule(policy, 0));

	*ret = (struct Decision){rule->action, rule->driver, rule, DECIDED_BY_RULE};
	if (!moment || !action_gives(rule->action))
		return;
	if (moment->is_frozen && !rule->after_freeze)
		*ret = (struct Decision){ACTION_DENY, NULL, rule, DECIDED_BY_FREEZE};
	else if (moment->admitted && moment->admitted[number] >= rule->count.max)
		*ret = (struct Decision){rule->count.over, NULL, rule, DECIDED_BY_COUNT};
}

/* After the freeze, what no rule speaks of is not admitted either. */
static void decide_by_default(const struct Policy *policy, const struct Device *device,
			      const struct Moment *moment, struct Decision *ret)
{
	*ret = (struct Decision){.action = policy_default(policy, device->bus)};
	if (moment && moment->is_frozen && action_gives(ret->action))
		*ret = (struct Decision){.action = ACTION_DENY, .by = DECIDED_BY_FREEZE};
}

static const struct Rule *find_linear(const struct Policy *policy, const struct Device *device,
				      const struct Moment *moment)
{
	for (size_t i = 0; i < policy_n_rules(policy); i++)
		if (rule_matches(policy_rule(policy, i), device, moment, NULL))
			return policy_rule(policy, i);
	return NULL;
}

static void decide(const struct Policy *policy, const struct Rule *rule,
		   const struct Device *device, const struct Moment *moment, struct Decision *ret)
{
	if (rule)
		decide_by_rule(policy, rule, moment, ret);
	else
		decide_by_default(policy, device, moment, ret);
}

void policy_decide_linear(const struct Policy *policy, const struct Device *device,
			  const struct Moment *moment, struct Decision *ret)
{
	decide(policy, find_linear(policy, device, moment), device, moment, ret);
}

void policy_decide(const struct Policy *policy, const struct Device *device,
		   const struct Moment *moment, struct Decision *ret)
{
	const struct Rule *rule = policy->index ? policy_index_find(policy, device, moment)
						: find_linear(policy, device, moment);

	decide(policy, rule, device, moment, ret);
}

struct Turn {
	const struct Device *device;
	size_t number;
};

static int compare_turns(const void *a, const void *b)
{
	const struct Turn *x = a, *y = b;

	if (x->device->ino != y->device->ino)
		return x->device->ino > y->device->ino ? 1 : -1;
	return (x->number > y->number) - (x->number < y->number);
}

int policy_decide_all(const struct Policy *policy, struct Device *const *devices, size_t n,
		      void (*moment_of)(const struct Device *device, struct Moment *ret,
					void *userdata),
		      void *userdata, struct Decision *ret)
{
	_cleanup_free_ uint32_t *admitted = calloc(policy_n_rules(policy) + 1, sizeof(*admitted));
	_cleanup_free_ struct Turn *turns = calloc(n + 1, sizeof(*turns));

	if (!admitted || !turns)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		turns[i] = (struct Turn){devices[i], i};
	if (n > 0)
		qsort(turns, n, sizeof(*turns), compare_turns);
	for (size_t i = 0; i < n; i++) {
		struct Decision *decision = &ret[turns[i].number];
		struct Moment moment = {.admitted = admitted};

		if (moment_of)
			moment_of(turns[i].device, &moment, userdata);
		policy_decide(policy, turns[i].device, &moment, decision);
		if (decision->rule && decision->by == DECIDED_BY_RULE)
			admitted[decision->rule - policy_rule(policy, 0)]++;
	}
	return 0;
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

char *decision_source(const struct Decision *decision, enum Bus bus)
{
	char *text;

	if (decision->by == DECIDED_BY_FAILURE)
		return strdup("it could not be read");
	if (decision->rule)
		return rule_name(decision->rule);
	return asprintf(&text, "default for %s", bus_to_string(bus)) < 0 ? NULL : text;
}
