/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "device.h"
#include "enums.h"
#include "util.h"
#include "vector.h"

enum ConditionType {
	CONDITION_ID,	      /* the number `field` fits one of `numbers` */
	CONDITION_LISTED,     /* the ids that the device lists fit one of `globs`: each of them, or,
			       * where that takes the device from drivers, any */
	CONDITION_NAME,	      /* its name in sysfs fits one of `globs` */
	CONDITION_MODALIAS,   /* its modalias does */
	CONDITION_ATTRIBUTE,  /* its attribute `attribute` does */
	CONDITION_INTERFACES, /* its USB interfaces fit `numbers`, in the way of `quantity` */
	CONDITION_NOT,	      /* none of `matches` fits */
	CONDITION_PARENT,     /* one of `matches` fits the device above it on a governed bus */
	CONDITION_ANCESTOR,   /* one of `matches` fits one of all those above it */
};

/* A number n fits where (n & mask) == value. */
struct Number {
	uint32_t value, mask;
};

static inline bool number_fits(const struct Number *number, uint32_t n)
{
	return (n & number->mask) == number->value;
}

struct Condition {
	enum ConditionType type : 8;
	enum IdField field : 8;	    /* ID */
	enum Quantity quantity : 8; /* INTERFACES */
	bool short_class : 1;	    /* ID: a class was given with fewer digits than it has */
	uint32_t n;		    /* of what it points to, at least 1 */
	const char *key;	    /* as the policy spells it; attrs: the attribute's name */
	union {
		const struct Number *numbers;
		const char *const *globs;
		const struct Match *matches;
	};
};

/* Fits a device where all conditions hold. */
struct Match {
	enum Bus bus; /* the device's; _BUS_INVALID: any */
	uint32_t n_conditions;
	const struct Condition *conditions;
};

enum {
	WHEN_COLD = 1, /* there at start */
	WHEN_HOT = 2,  /* plugged later */
};

/* How many devices a rule may admit at a time. */
struct Count {
	uint32_t min;	  /* below this many, the machine is degraded; 0: none is needed */
	uint32_t max;	  /* UINT32_MAX: no limit */
	enum Action over; /* what becomes of devices beyond max */
};

struct Rule {
	const char *file;   /* as given to policy_parse() */
	const char *name;   /* NULL for a rule without one */
	const char *reason; /* the owner's own words, or NULL */
	const char *driver; /* the only driver that may bind; NULL for any */
	struct Match match;
	unsigned line; /* of the rule's first key, from 1 */
	struct Count count;
	enum Action action : 8;
	unsigned when : 8; /* WHEN_ bits, at least one */
	bool after_freeze : 1;
};

/* Where something stands in the policy. */
struct Place {
	const char *file; /* as given to policy_parse() */
	unsigned line;	  /* from 1 */
};

/* The section `modules`. */
struct ModulePolicy {
	enum ModuleMode mode;
	struct Vector allow;  /* of strings: names and globs, in the order of the files */
	struct Vector places; /* of struct Place: where each of these stands */
	bool strict;
};

/* Rules in order, the first that matches decides; for a device that none matches, the default of
 * its bus, else the default of "*", else what policy_new() set. The struct owns all it points to.
 */
struct Policy {
	unsigned n_refs;
	struct Vector rule_vector;	   /* of struct Rule: policy_rule() */
	struct Vector file_vector;	   /* of strings */
	enum Action bus_default[_BUS_MAX]; /* _ACTION_INVALID: not said */
	enum Action any_default;
	enum PolicyMode mode;
	struct ModulePolicy modules;
	struct Needs needs;
	bool has_minimum; /* a rule needs devices */
	size_t size_max;  /* bytes of one file: PARSE_SIZE_MAX unless somebody says otherwise */
	struct PolicyIndex *index; /* NULL until policy_index() */
	struct Arena arena;	   /* of what rules and strings consist of */
};

static inline size_t policy_n_rules(const struct Policy *policy)
{
	return policy->rule_vector.n;
}

/* @i is less than policy_n_rules(). */
__attribute__((returns_nonnull)) static inline const struct Rule *
policy_rule(const struct Policy *policy, size_t i)
{
	return (const struct Rule *)policy->rule_vector.data + i;
}

/* A policy without rules: usb and thunderbolt are denied, the rest is left to the kernel. It is
 * also what applies when the owner's policy cannot be read. NULL when out of memory. */
struct Policy *policy_new(void);
/* Returns @policy, which lives until every reference was dropped. */
struct Policy *policy_ref(struct Policy *policy);
void policy_unref(struct Policy *policy);
DEFINE_TRIVIAL_CLEANUP(struct Policy *, policy_unref)
#define _cleanup_policy_ _cleanup_(policy_unrefp)

/* Keeps a copy of @file for the lifetime of @policy and returns it, NULL when out of memory. */
const char *policy_add_file(struct Policy *policy, const char *file);

/* Appends a copy of @rule, whose pointers must live as long as @policy. Returns 0 or -ENOMEM. The
 * rules move: pointers to them are good once all are there. */
int policy_add_rule(struct Policy *policy, const struct Rule *rule);

/* Appends to what the section `modules` allows. The file that @place names must live as long as
 * @policy. Returns 0 or -ENOMEM. */
int policy_allow_module(struct Policy *policy, const char *glob, const struct Place *place);

/* Adds an attribute to what the policy needs. Returns 0 or -ENOMEM. */
int policy_need_attribute(struct Policy *policy, const char *name);

enum Action policy_default(const struct Policy *policy, enum Bus bus);

/* Whether devices of @bus can come out otherwise than the bus itself would have it. */
bool policy_speaks_of(const struct Policy *policy, enum Bus bus);

/* "FILE:NAME" or "FILE:LINE", with the base name of the file: a new string that the caller frees,
 * NULL when out of memory. */
char *rule_name(const struct Rule *rule);
