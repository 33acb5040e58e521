/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>

#include "decide.h"
#include "fuzz.h"
#include "glob-match.h"
#include "policy-index.h"
#include "policy-parse.h"

/* The input is a policy, and behind a line "%device" a device, line by line a word and its value:
 *
 *	hot			it was plugged later
 *	frozen			it is after the freeze
 *	admitted N		each rule admits N devices already
 *	bus WORD		pci, if not said
 *	name TEXT		its name in sysfs
 *	modalias TEXT
 *	ids TEXT		what acpi or pnp devices list, ids separated by blanks
 *	vendor HEX		the same for device, subsystem_vendor, subsystem_device, class and
 *				revision, whatever the bus calls them
 *	interface HEX		0xCCSSPP of a USB interface; any number of them
 *	attr NAME TEXT		an attribute; any number of them
 *	parent			what follows is of the device above it
 *
 * What is none of this means nothing; of what may stand once only, the last counts.
 *
 * Whatever the two are: the index finds the rule that is found without it, and a glob fits what
 * fnmatch(3) says that it fits. */

#define SEPARATOR "\n%device\n"
#define PARENTS_MAX 8 /* "ancestor" within "ancestor" tries all ways through them */
#define STARS_MAX 3   /* fnmatch(3) tries all ways to fit stars */

/* Lines of the device that hold what the decision depends on beside it. */
struct Reading {
	struct Device *device; /* the one that lines are of now */
	unsigned parents;
	bool is_hot, is_frozen;
	uint32_t admitted;
};

static void replace(char **s, const char *value)
{
	free(*s);
	*s = strdup(value);
	check(*s);
}

static struct Device *new_device(void)
{
	struct Device *device = calloc(1, sizeof(*device));

	check(device);
	replace(&device->sysname, "");
	return device;
}

static void read_id(struct Device *device, enum IdField field, const char *value)
{
	if (parse_sysfs_hex(value, &device->ids[field]) == 0)
		device->have_ids |= 1U << field;
}

static void read_interface(struct Device *device, const char *value)
{
	size_t n = device->n_interfaces;

	device->interfaces = reallocarray(device->interfaces, n + 1, sizeof(*device->interfaces));
	check(device->interfaces);
	if (parse_sysfs_hex(value, &device->interfaces[n]) == 0)
		device->n_interfaces++;
}

/* Names differ, as those in a policy's needs do. */
static void read_attribute(struct Device *device, char *name)
{
	char *value = strchr(name, ' ');
	size_t n = device->n_attributes;

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < n; i++)
		if (streq(device->attributes[i].name, name))
			return;
	device->attributes = reallocarray(device->attributes, n + 1, sizeof(*device->attributes));
	check(device->attributes);
	device->attributes[n] = (struct Attribute){.name = strdup(name)};
	check(device->attributes[n].name);
	if (value)
		replace(&device->attributes[n].value, value);
	device->n_attributes++;
}

static void read_parent(struct Reading *reading)
{
	if (reading->parents++ >= PARENTS_MAX)
		return;
	reading->device->parent = new_device();
	reading->device = reading->device->parent;
}

static void read_of_device(struct Device *device, const char *word, char *value)
{
	static const char *const fields[_ID_FIELD_MAX] = {
		[ID_VENDOR] = "vendor",
		[ID_DEVICE] = "device",
		[ID_SUBSYSTEM_VENDOR] = "subsystem_vendor",
		[ID_SUBSYSTEM_DEVICE] = "subsystem_device",
		[ID_CLASS] = "class",
		[ID_REVISION] = "revision",
	};

	if (streq(word, "bus") && bus_from_string(value) != _BUS_INVALID)
		device->bus = bus_from_string(value);
	else if (streq(word, "name"))
		replace(&device->sysname, value);
	else if (streq(word, "modalias"))
		replace(&device->modalias, value);
	else if (streq(word, "ids"))
		replace(&device->text_ids, value);
	else if (streq(word, "interface"))
		read_interface(device, value);
	else if (streq(word, "attr"))
		read_attribute(device, value);
	for (enum IdField field = 0; field < _ID_FIELD_MAX; field++)
		if (streq(word, fields[field]))
			read_id(device, field, value);
}

static void read_line(struct Reading *reading, char *line)
{
	char *value = strchr(line, ' ');

	if (value)
		*value++ = '\0';
	if (streq(line, "hot"))
		reading->is_hot = true;
	else if (streq(line, "frozen"))
		reading->is_frozen = true;
	else if (streq(line, "admitted") && value)
		reading->admitted = (uint32_t)strtoul(value, NULL, 10);
	else if (streq(line, "parent"))
		read_parent(reading);
	else if (value)
		read_of_device(reading->device, line, value);
}

static void check_globs(const struct Condition *condition, const char *s)
{
	for (uint32_t i = 0; s && i < condition->n; i++) {
		const char *glob = condition->globs[i], *star = glob;
		unsigned stars = 0;

		while ((star = strchr(star, '*')) && star++)
			stars++;
		if (stars <= STARS_MAX)
			check(glob_match(glob, s) == !fnmatch(glob, s, 0));
	}
}

/* All globs of the rule itself, on what the device shows, whatever they are meant for. */
static void check_rule(const struct Rule *rule, const struct Device *device,
		       const struct Moment *moment)
{
	struct Mismatch mismatch = {0};
	bool matches = rule_matches(rule, device, moment, &mismatch);

	check(matches == !mismatch.key);
	for (uint32_t i = 0; i < rule->match.n_conditions; i++) {
		const struct Condition *condition = &rule->match.conditions[i];

		if (condition->type != CONDITION_LISTED && condition->type != CONDITION_NAME &&
		    condition->type != CONDITION_MODALIAS && condition->type != CONDITION_ATTRIBUTE)
			continue;
		check_globs(condition, device->sysname);
		check_globs(condition, device->modalias);
		check_globs(condition, device->text_ids);
		for (size_t j = 0; j < device->n_attributes; j++)
			check_globs(condition, device->attributes[j].value);
	}
}

static void check_decision(struct Policy *policy, const struct Device *device,
			   const struct Moment *moment)
{
	struct Decision linear, indexed;
	_cleanup_free_ char *source = NULL;

	policy_decide_linear(policy, device, moment, &linear);
	policy_decide(policy, device, moment, &indexed);
	check(linear.rule == indexed.rule);
	check(linear.action == indexed.action);
	check(linear.driver == indexed.driver);
	check(linear.by == indexed.by);
	check(action_to_string(linear.action));
	check(!linear.driver || linear.action == ACTION_ALLOW);
	check(!linear.rule || rule_matches(linear.rule, device, moment, NULL));
	source = decision_source(&linear, device->bus);
	check(!isempty(source));
}

static void try_device(struct Policy *policy, char *text)
{
	_cleanup_device_ struct Device *device = new_device();
	_cleanup_free_ uint32_t *admitted = NULL;
	struct Reading reading = {.device = device};
	struct Moment moment;

	for (char *line; (line = strsep(&text, "\n"));)
		read_line(&reading, line);
	admitted = calloc(policy_n_rules(policy) + 1, sizeof(*admitted));
	check(admitted);
	for (size_t i = 0; i < policy_n_rules(policy); i++)
		admitted[i] = reading.admitted;
	moment = (struct Moment){reading.is_hot, reading.is_frozen, admitted};
	check_decision(policy, device, &moment);
	check_decision(policy, device, NULL);
	for (size_t i = 0; i < policy_n_rules(policy); i++)
		check_rule(policy_rule(policy, i), device, &moment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
	_cleanup_free_ char *text = fuzz_string(data, size);
	char *device = strstr(text, SEPARATOR);

	check(policy);
	if (!device)
		return 0;
	*device = '\0';
	if (policy_parse(policy, "fuzz.yaml", text, strlen(text), &errors) < 0)
		return 0;
	check(policy_index(policy) == 0);
	try_device(policy, device + strlen(SEPARATOR));
	return 0;
}
