/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-parse.h"

#include <errno.h>
#include <search.h>

#include "suggest.h"
#include "yaml-reader.h"

struct Parser {
	struct YamlReader yaml;
	struct Policy *policy;
	struct Rule rule; /* the rule being read */
	bool match_seen, action_seen;
	enum Bus match_bus;
	yaml_mark_t rule_mark;
	void *names; /* tsearch() tree of the rule names of this file */
};

/* --- values --- */

static int parse_action(struct Parser *p, const char *key, enum Action *ret)
{
	static const char *const words[] = {"allow", "deny", "kernel"};
	const char *value;
	int r = reader_text(&p->yaml, key, &value);

	if (r < 0)
		return r;
	*ret = action_from_string(value);
	if (*ret != _ACTION_INVALID)
		return 0;
	if (streq(value, "remove"))
		return reader_fail(&p->yaml, p->yaml.event.start_mark,
				   "\"remove\" is not yet known to this version");
	return reader_fail(&p->yaml, p->yaml.event.start_mark,
			   "unknown action \"%s\", the nearest valid one is \"%s\"", value,
			   nearest_word(value, words, ELEMENTSOF(words)));
}

bool driver_name_valid(const char *s)
{
	size_t n = strlen(s);

	/* some have a blank within: "i8042 kbd" */
	if (n == 0 || n > POLICY_DRIVER_MAX || s[0] == ' ' || s[n - 1] == ' ')
		return false;
	for (; *s; s++)
		if (*s < ' ' || *s >= 0x7f || *s == '/')
			return false;
	return true;
}

/* --- match --- */

static int add_condition(struct Parser *p, struct Condition condition)
{
	return rule_add_condition(&p->rule, &condition);
}

static int parse_id_condition(struct Parser *p, const struct Key *key)
{
	const struct BusId *id = &bus_info[p->match_bus].ids[key->argument];
	const char *value;
	uint32_t number;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	r = bus_id_parse(value, id, &number);
	if (r < 0) {
		return reader_fail(
			&p->yaml, p->yaml.event.start_mark,
			"\"%s\" is no value for \"%s\": it takes 0x and up to %u hexadecimal "
			"digits%s",
			value, key->name, id->digits,
			id->decimal_ok ? ", or a decimal number" : "");
	}
	return add_condition(p, (struct Condition){.type = CONDITION_BUS_ID,
						   .bus = p->match_bus,
						   .field = id->field,
						   .number = number});
}

/* Keys of the language that a bus's match will have, in this version or a later one. */
static const char *const later_match_keys[_BUS_MAX][READER_KEYS_MAX] = {
	[BUS_PCI] = {"subsystem_vendor", "subsystem_device", "class", "revision"},
	[BUS_USB] = {"serial", "manufacturer", "product", "interfaces"},
	[BUS_THUNDERBOLT] = {"unique_id", "vendor_name", "device_name"},
	[BUS_ACPI] = {"hid"},
	[BUS_PNP] = {"id"},
	[BUS_PLATFORM] = {"name"},
};

static int parse_bus_match(struct Parser *p, const struct Key *key)
{
	enum Bus bus = (enum Bus)key->argument;
	const struct BusId *ids = bus_info[bus].ids;
	struct Key keys[READER_KEYS_MAX] = {0};
	size_t n = 0, before = p->rule.n_conditions;
	yaml_mark_t mark = p->yaml.event.start_mark;
	char what[32];
	int r;

	if (p->match_bus != _BUS_INVALID)
		return reader_fail(&p->yaml, mark,
				   "a device is on one bus: \"%s\" and \"%s\" never both match",
				   bus_to_string(p->match_bus), key->name);
	p->match_bus = bus;
	for (int i = 0; ids[i].attr; i++)
		if (ids[i].policy_key)
			keys[n++] = (struct Key){ids[i].attr, parse_id_condition, i};
	for (size_t i = 0; later_match_keys[bus][i]; i++)
		keys[n++].name = later_match_keys[bus][i];
	(void)snprintf(what, sizeof(what), "%s match key", key->name);
	r = reader_mapping(&p->yaml, key->name, what, keys);
	if (r < 0)
		return r;
	if (p->rule.n_conditions == before)
		return reader_fail(&p->yaml, mark, "\"%s\" names nothing to match", key->name);
	return 0;
}

/* The bus whose devices alone have a modalias that fits @glob; _BUS_INVALID where that cannot be
 * said: an ACPI modalias is had by platform devices as well. */
static enum Bus bus_of_modalias(const char *glob)
{
	static const enum Bus own[] = {BUS_PCI, BUS_VIRTIO, BUS_USB, BUS_PLATFORM};

	for (size_t i = 0; i < ELEMENTSOF(own); i++) {
		const char *rest = startswith(glob, bus_to_string(own[i]));

		if (rest && *rest == ':')
			return own[i];
	}
	return _BUS_INVALID;
}

/* fnmatch(3) takes a bracket that is not closed for itself: a rule that can never fit. */
static bool has_open_bracket(const char *glob)
{
	while ((glob = strpbrk(glob, "[\\"))) {
		if (*glob == '\\') {
			glob += glob[1] ? 2 : 1;
			continue;
		}
		/* a bracket that comes first in the list is a member of it */
		glob += glob[1] == '!' || glob[1] == '^' ? 2 : 1;
		glob = *glob ? strchr(glob + 1, ']') : NULL;
		if (!glob)
			return true;
	}
	return false;
}

static int parse_modalias(struct Parser *p, const struct Key *key)
{
	struct Condition condition = {.type = CONDITION_MODALIAS, .bus = _BUS_INVALID};
	yaml_mark_t mark = p->yaml.event.start_mark;
	int r = reader_dup_text(&p->yaml, key->name, &condition.text);

	if (r >= 0 && has_open_bracket(condition.text))
		r = reader_fail(&p->yaml, mark, "\"%s\": a bracket is not closed", condition.text);
	if (r < 0) {
		free(condition.text);
		return r;
	}
	condition.bus = bus_of_modalias(condition.text);
	return add_condition(p, condition);
}

/* A device is on one bus: conditions that speak of several never fit. */
static int check_buses(struct Parser *p, yaml_mark_t mark)
{
	enum Bus bus = p->match_bus;

	for (size_t i = 0; i < p->rule.n_conditions; i++) {
		enum Bus other = p->rule.conditions[i].bus;

		if (other == _BUS_INVALID)
			continue;
		if (bus != _BUS_INVALID && bus != other)
			return reader_fail(
				&p->yaml, mark,
				"a device is on one bus: \"%s\" and a modalias of the %s bus "
				"never both match",
				bus_to_string(bus), bus_to_string(other));
		bus = other;
	}
	return 0;
}

static int parse_match(struct Parser *p, const struct Key *key)
{
	struct Key keys[READER_KEYS_MAX] = {0};
	yaml_mark_t mark = p->yaml.event.start_mark;
	size_t n = 0;
	int r;

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		keys[n++] = (struct Key){bus_to_string(bus), parse_bus_match, (int)bus};
	keys[n++] = (struct Key){"modalias", parse_modalias, 0};
	keys[n++].name = "attrs";
	keys[n++].name = "address";
	keys[n++].name = "parent";
	keys[n++].name = "ancestor";
	keys[n++].name = "not";
	p->match_bus = _BUS_INVALID;
	r = reader_mapping(&p->yaml, key->name, "match key", keys);
	if (r < 0)
		return r;
	if (p->rule.n_conditions == 0)
		return reader_fail(&p->yaml, mark, "\"match\" names nothing to match");
	p->match_seen = true;
	return check_buses(p, mark);
}

/* --- rules --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int parse_name(struct Parser *p, const struct Key *key)
{
	char *const *found;
	int r = reader_dup_text(&p->yaml, key->name, &p->rule.name);

	if (r < 0)
		return r;
	found = tsearch(p->rule.name, &p->names, compare_names);
	if (!found)
		return -ENOMEM;
	if (*found == p->rule.name)
		return 0;
	return reader_fail(&p->yaml, p->yaml.event.start_mark,
			   "a rule named \"%s\" stands in this file already", p->rule.name);
}

static int parse_rule_action(struct Parser *p, const struct Key *key)
{
	p->action_seen = true;
	return parse_action(p, key->name, &p->rule.action);
}

static int parse_driver(struct Parser *p, const struct Key *key)
{
	int r = reader_dup_text(&p->yaml, key->name, &p->rule.driver);

	if (r < 0 || driver_name_valid(p->rule.driver))
		return r;
	return reader_fail(&p->yaml, p->yaml.event.start_mark,
			   "\"%s\" cannot be the name of a driver", p->rule.driver);
}

static int parse_reason(struct Parser *p, const struct Key *key)
{
	return reader_dup_text(&p->yaml, key->name, &p->rule.reason);
}

static const struct Key rule_keys[] = {
	{"name", parse_name},
	{"action", parse_rule_action},
	{"driver", parse_driver},
	{"match", parse_match},
	{"reason", parse_reason},
	{"count"},
	{"when"},
	{"after-freeze"},
	{NULL},
};

static int check_rule(struct Parser *p)
{
	if (!p->action_seen)
		return reader_fail(&p->yaml, p->rule_mark, "the rule has no \"action\"");
	if (!p->match_seen)
		return reader_fail(&p->yaml, p->rule_mark, "the rule has no \"match\"");
	if (p->rule.driver && p->rule.action != ACTION_ALLOW)
		return reader_fail(&p->yaml, p->rule_mark,
				   "\"driver\" goes with \"action: allow\" only");
	for (size_t i = 0; p->rule.driver && i < p->rule.n_conditions; i++)
		if (p->rule.conditions[i].bus != _BUS_INVALID &&
		    !bus_info[p->rule.conditions[i].bus].driver_settable)
			return reader_fail(
				&p->yaml, p->rule_mark,
				"\"driver\" cannot be enforced on the %s bus, whose devices are "
				"authorized as a whole",
				bus_to_string(p->rule.conditions[i].bus));
	return 0;
}

static int parse_rule(struct Parser *p, const struct Key *key)
{
	int r;

	p->rule_mark = p->yaml.event.start_mark;
	p->action_seen = p->match_seen = false;
	p->rule.file = p->policy->files[p->policy->n_files - 1];
	p->rule.line = (unsigned)p->rule_mark.line + 1;
	r = reader_mapping(&p->yaml, key->name, "rule key", rule_keys);
	if (r < 0)
		return r;
	r = check_rule(p);
	if (r < 0)
		return r;
	return policy_add_rule(p->policy, &p->rule);
}

static int parse_rules(struct Parser *p, const struct Key *key)
{
	return reader_list(&p->yaml, key, "a list of rules", parse_rule);
}

/* --- the document --- */

static int parse_bus_default(struct Parser *p, const struct Key *key)
{
	return parse_action(p, key->name, &p->policy->bus_default[key->argument]);
}

static int parse_any_default(struct Parser *p, const struct Key *key)
{
	return parse_action(p, key->name, &p->policy->any_default);
}

static int parse_defaults(struct Parser *p, const struct Key *key)
{
	struct Key keys[READER_KEYS_MAX] = {0};
	size_t n = 0;

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		keys[n++] = (struct Key){bus_to_string(bus), parse_bus_default, (int)bus};
	keys[n++] = (struct Key){"*", parse_any_default, 0};
	return reader_mapping(&p->yaml, key->name, "bus", keys);
}

static int parse_version(struct Parser *p, const struct Key *key)
{
	return reader_version(&p->yaml, key->name);
}

static const struct Key document_keys[] = {
	{"version", parse_version},
	{"defaults", parse_defaults},
	{"rules", parse_rules},
	{"modules"},
	{NULL},
};

static void keep_name(void *name)
{
	(void)name; /* the names belong to the rules */
}

int policy_parse(struct Policy *policy, const char *file, const char *text, size_t size,
		 struct ParseError *ret_error)
{
	struct Parser p = {.yaml = {.noun = "policy", .error = ret_error, .parser = &p},
			   .policy = policy};
	int r;

	*ret_error = (struct ParseError){0};
	if (!policy_add_file(policy, file))
		return -ENOMEM;
	r = reader_read(&p.yaml, text, size, document_keys);
	tdestroy(p.names, keep_name);
	rule_done(&p.rule);
	return r;
}
