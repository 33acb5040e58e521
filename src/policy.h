/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "enums.h"
#include "util.h"

enum ConditionType {
	CONDITION_BUS_ID,   /* the device is on `bus` and its id `field` is `number` */
	CONDITION_MODALIAS, /* its modalias fits the glob `text`; `bus`: the only one that has such
			     */
};

struct Condition {
	enum ConditionType type;
	enum Bus bus;
	enum IdField field;
	uint32_t number;
	char *text;
};

struct Rule {
	const char *file; /* as given to policy_parse(); owned by the Policy */
	unsigned line;	  /* of the rule's first key, from 1 */
	char *name;	  /* NULL for a rule without one */
	char *reason;	  /* the owner's own words, or NULL */
	char *driver;	  /* the only driver that may bind; NULL for any */
	enum Action action;
	struct Condition *conditions; /* all must hold; there is at least one */
	size_t n_conditions;
};

/* Rules in order, the first that matches decides; for a device that none matches, the default of
 * its bus, else the default of "*", else what policy_new() set. The struct owns all it points to.
 */
struct Policy {
	struct Rule *rules;
	size_t n_rules;
	enum Action bus_default[_BUS_MAX]; /* _ACTION_INVALID: not said */
	enum Action any_default;
	char **files;
	size_t n_files;
};

/* A policy without rules: usb and thunderbolt are denied, the rest is left to the kernel. It is
 * also what applies when the owner's policy cannot be read. NULL when out of memory. */
struct Policy *policy_new(void);
void policy_free(struct Policy *policy);
DEFINE_TRIVIAL_CLEANUP(struct Policy *, policy_free)
#define _cleanup_policy_ _cleanup_(policy_freep)

/* Keeps a copy of @file for the lifetime of @policy and returns it, NULL when out of memory. */
const char *policy_add_file(struct Policy *policy, const char *file);

/* Appends @rule and takes over what it points to, also on failure. Returns 0 or -ENOMEM. */
int policy_add_rule(struct Policy *policy, struct Rule *rule);

void rule_done(struct Rule *rule);

/* Appends a condition to @rule and takes over its text, also on failure. 0 or -ENOMEM. */
int rule_add_condition(struct Rule *rule, struct Condition *condition);

enum Action policy_default(const struct Policy *policy, enum Bus bus);
