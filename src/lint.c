/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lint.h"

#include <errno.h>
#include <stdarg.h>

#include "covers.h"
#include "glob-match.h"
#include "hardened.h"
#include "lint-modalias.h"

struct Lint {
	const struct Policy *policy;
	void (*warn)(const struct Rule *rule, const char *message, void *userdata);
	void *userdata;
	const struct Rule *rule; /* NULL: what is said is of none */
	int n;
	bool failed; /* out of memory */
};

_printf_(2, 3) static void add(struct Lint *lint, const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	va_end(ap);
	lint->failed = lint->failed || !message;
	if (message)
		lint->warn(lint->rule, message, lint->userdata);
	lint->n++;
}

/* --- the whole --- */

static void check_default(struct Lint *lint, const char *bus, enum Action action)
{
	if (action == ACTION_ALLOW)
		add(lint,
		    "defaults: %s: allow: each device that no rule fits gets any driver; the "
		    "host chooses ids, and so the driver",
		    bus);
}

static void check_policy(struct Lint *lint)
{
	const struct Policy *policy = lint->policy;

	lint->rule = NULL;
	check_default(lint, "\"*\"", policy->any_default);
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		check_default(lint, bus_to_string(bus), policy->bus_default[bus]);
}

/* --- a rule's matches --- */

static void check_modaliases(struct Lint *lint, const struct Condition *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const char *problem = modalias_glob_problem(c->globs[i]);

		if (problem)
			add(lint, "modalias \"%s\" never fits: %s", c->globs[i], problem);
	}
}

/* pnp ids are compared without their case. */
static void check_ids(struct Lint *lint, enum Bus bus, const struct Condition *c)
{
	for (uint32_t i = 0; bus == BUS_ACPI && i < c->n; i++)
		if (acpi_id_is_lower(c->globs[i]))
			add(lint, "hid \"%s\" hardly fits: ids of ACPI's are in upper case",
			    c->globs[i]);
}

static void check_match(struct Lint *lint, const struct Match *match)
{
	for (uint32_t i = 0; i < match->n_conditions; i++) {
		const struct Condition *c = &match->conditions[i];

		switch (c->type) {
		case CONDITION_ID:
			if (c->short_class)
				add(lint,
				    "a class of fewer than 6 digits begins with zeros: 0x0106 is "
				    "0x000106; if all of a class is meant, write \"0x0106xx\"");
			break;
		case CONDITION_LISTED:
			check_ids(lint, match->bus, c);
			break;
		case CONDITION_MODALIAS:
			check_modaliases(lint, c);
			break;
		case CONDITION_NOT:
		case CONDITION_PARENT:
		case CONDITION_ANCESTOR:
			for (uint32_t j = 0; j < c->n; j++)
				check_match(lint, &c->matches[j]);
			break;
		default:
			break;
		}
	}
}

static bool matches_address(const struct Match *match)
{
	for (uint32_t i = 0; i < match->n_conditions; i++) {
		const struct Condition *c = &match->conditions[i];

		if (c->type == CONDITION_NAME && streq(c->key, "address"))
			return true;
		if (c->type != CONDITION_NOT && c->type != CONDITION_PARENT &&
		    c->type != CONDITION_ANCESTOR)
			continue;
		for (uint32_t j = 0; j < c->n; j++)
			if (matches_address(&c->matches[j]))
				return true;
	}
	return false;
}

/* --- a rule's driver --- */

static bool admits_any_driver(const struct Rule *rule)
{
	return rule->action == ACTION_ALLOW && !rule->driver &&
	       (rule->match.bus == _BUS_INVALID || bus_info[rule->match.bus].driver_settable);
}

/* A device of ACPI's that lists PRP0001 goes by "compatible" strings of its own making, as any
 * driver for device trees has one. Its modalias is that of a device tree's, behind one of ACPI's if
 * it lists other ids, too; the ids that are read from that have its "of" among them. Its name is
 * one of its ids', and not always that one. */
#define COMPATIBLE "of:Nany-nameT<NULL>Cany,driver"
static const char *const compatibles[] = {COMPATIBLE, "acpi:ANY0001:\n" COMPATIBLE};

static bool fits_any_compatible(const char *glob)
{
	for (size_t i = 0; i < ELEMENTSOF(compatibles); i++)
		if (glob_match(glob, compatibles[i]))
			return true;
	/* as an id, or as a modalias of ACPI's that leaves open what follows */
	return glob_match(glob, "of") || glob_match(glob, "PRP0001") ||
	       (startswith(glob, "acpi:") && glob[strlen(glob) - 1] == '*');
}

static bool fits_all_compatibles(const char *glob)
{
	for (size_t i = 0; i < ELEMENTSOF(compatibles); i++)
		if (!glob_match(glob, compatibles[i]))
			return false;
	return true;
}

static bool is_of_modalias_alone(const struct Match *match)
{
	return match->bus == _BUS_INVALID && match->n_conditions == 1 &&
	       match->conditions[0].type == CONDITION_MODALIAS;
}

/* A name never does, and `not` does where it is as wide. */
static bool keeps_out_any_compatible(const struct Condition *c)
{
	if (c->type == CONDITION_LISTED || c->type == CONDITION_MODALIAS) {
		for (uint32_t i = 0; i < c->n; i++)
			if (fits_any_compatible(c->globs[i]))
				return false;
		return true;
	}
	for (uint32_t i = 0; c->type == CONDITION_NOT && i < c->n; i++) {
		const struct Match *match = &c->matches[i];

		for (uint32_t j = 0; is_of_modalias_alone(match) && j < match->conditions[0].n; j++)
			if (fits_all_compatibles(match->conditions[0].globs[j]))
				return true;
	}
	return false;
}

static void check_compatible(struct Lint *lint)
{
	const struct Match *match = &lint->rule->match;

	if (match->bus != _BUS_INVALID && match->bus != BUS_ACPI && match->bus != BUS_PLATFORM)
		return;
	for (uint32_t i = 0; i < match->n_conditions; i++)
		if (keeps_out_any_compatible(&match->conditions[i]))
			return;
	add(lint, "fits what goes by PRP0001, with which the host names any driver as a device "
		  "tree would");
}

bool driver_is_misspelled(const char *name, const char *right)
{
	if (streq(name, right))
		return false;
	for (; *name && *right; name++, right++)
		if (*name != *right && !(strchr("-_", *name) && strchr("-_", *right)))
			return false;
	return *name == *right;
}

const char *rule_hardened_driver(const struct Rule *rule)
{
	const char *right = NULL;

	for (size_t i = 0; rule->driver && i < hardened_table_size; i++) {
		const struct HardenedEntry *entry = &hardened_table[i];

		if (!entry->driver ||
		    (rule->match.bus != _BUS_INVALID && rule->match.bus != entry->bus))
			continue;
		if (streq(rule->driver, entry->driver))
			return NULL;
		if (driver_is_misspelled(rule->driver, entry->driver))
			right = entry->driver;
	}
	return right;
}

/* --- a rule --- */

static void check_reached(struct Lint *lint, size_t number)
{
	for (size_t i = 0; i < number; i++) {
		const struct Rule *earlier = policy_rule(lint->policy, i);
		_cleanup_free_ char *name = NULL;

		if (!rule_covers(earlier, lint->rule))
			continue;
		name = rule_name(earlier);
		lint->failed = lint->failed || !name;
		if (name)
			add(lint, "never reached: %s fits all that it fits%s", name,
			    earlier->action == lint->rule->action ? "" : ", and decides otherwise");
		return;
	}
}

static void check_rule(struct Lint *lint, size_t number)
{
	const char *driver;

	lint->rule = policy_rule(lint->policy, number);
	check_reached(lint, number);
	check_match(lint, &lint->rule->match);
	if (matches_address(&lint->rule->match))
		add(lint, "matches an address: the host chooses which device has which");
	driver = rule_hardened_driver(lint->rule);
	if (driver)
		add(lint, "no driver is called \"%s\": its name is \"%s\"", lint->rule->driver,
		    driver);
	if (!admits_any_driver(lint->rule))
		return;
	add(lint, "allows any driver: the host chooses ids and class, and so the driver; "
		  "name the one with \"driver\"");
	check_compatible(lint);
}

int policy_lint(const struct Policy *policy,
		void (*warn)(const struct Rule *rule, const char *message, void *userdata),
		void *userdata)
{
	struct Lint lint = {.policy = policy, .warn = warn, .userdata = userdata};

	check_policy(&lint);
	for (size_t i = 0; i < policy_n_rules(policy); i++)
		check_rule(&lint, i);
	return lint.failed ? -ENOMEM : lint.n;
}
