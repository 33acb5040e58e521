/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide.h"

#include <errno.h>

#include "policy-index.h"

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

/* Who refuses modules that know the device wants it to have no driver. A rule that allows it says
 * otherwise, and of this very device; a default, or the kernel's list, does not. */
static void heed_modprobe(const struct Moment *moment, struct Decision *decision)
{
	if (!moment || !moment->refused_by || !action_gives(decision->action) ||
	    (decision->rule && decision->action == ACTION_ALLOW))
		return;
	*decision = (struct Decision){.action = ACTION_DENY,
				      .rule = decision->rule,
				      .by = DECIDED_BY_MODPROBE,
				      .refused_by = moment->refused_by};
}

static const struct Rule *find_linear(const struct Policy *policy, const struct Device *device,
				      const struct Moment *moment)
{
	for (size_t i = 0; i < policy_n_rules(policy); i++)
		if (rule_matches(policy_rule(policy, i), device, moment, NULL))
			return policy_rule(policy, i);
	return NULL;
}

typedef const struct Rule *(*Find)(const struct Policy *policy, const struct Device *device,
				   const struct Moment *moment);

/* What is exempt is asked first, so that it takes no room of a rule that fits it. */
static void decide(const struct Policy *policy, Find find, const struct Device *device,
		   const struct Moment *moment, struct Decision *ret)
{
	const struct Rule *rule;

	if (device_exempt(device)) {
		*ret = (struct Decision){.action = ACTION_KERNEL, .by = DECIDED_BY_EXEMPTION};
		return;
	}
	rule = find(policy, device, moment);
	if (rule)
		decide_by_rule(policy, rule, moment, ret);
	else
		decide_by_default(policy, device, moment, ret);
	heed_modprobe(moment, ret);
	if (moment && moment->is_sealed && action_gives(ret->action))
		*ret = (struct Decision){ACTION_DENY, NULL, ret->rule, DECIDED_BY_SEAL};
	ret->is_hot = moment && moment->is_hot;
}

void policy_decide_linear(const struct Policy *policy, const struct Device *device,
			  const struct Moment *moment, struct Decision *ret)
{
	decide(policy, find_linear, device, moment, ret);
}

void policy_decide(const struct Policy *policy, const struct Device *device,
		   const struct Moment *moment, struct Decision *ret)
{
	decide(policy, policy->index ? policy_index_find : find_linear, device, moment, ret);
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

char *decision_source(const struct Decision *decision, enum Bus bus)
{
	char *text;

	if (decision->by == DECIDED_BY_FAILURE)
		return strdup("it could not be read");
	if (decision->by == DECIDED_BY_HAND)
		return strdup("by hand");
	if (decision->by == DECIDED_BY_EXEMPTION)
		return strdup("no policy decides over it");
	if (decision->by == DECIDED_BY_MODPROBE)
		return strdup(decision->refused_by ? decision->refused_by : "modprobe.d");
	if (decision->rule)
		return rule_name(decision->rule);
	return asprintf(&text, "default for %s", bus_to_string(bus)) < 0 ? NULL : text;
}
