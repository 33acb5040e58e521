/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-parse.h"

#include <errno.h>
#include <search.h>

#include "glob-match.h"
#include "policy-parser.h"

/* --- values --- */

static int parse_action(struct Parser *p, const char *key, enum Action *ret)
{
	int word, r = reader_word(&p->yaml, key, "action", action_words, _ACTION_MAX, &word);

	if (r == 0)
		*ret = (enum Action)word;
	return r;
}

/* Reads a text into the policy's memory. */
static int parse_text(struct Parser *p, const struct Key *key, const char **ret)
{
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	*ret = arena_strdup(&p->policy->arena, value);
	return *ret ? 0 : -ENOMEM;
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

/* --- rules --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int parse_name(struct Parser *p, const struct Key *key)
{
	const char *const *found;
	int r = parse_text(p, key, &p->rule.name);

	if (r < 0)
		return r;
	found = tsearch(p->rule.name, &p->names, compare_names);
	if (!found)
		return -ENOMEM;
	if (*found == p->rule.name)
		return 0;
	return fail_here(p, "a rule named \"%s\" stands in this file already", p->rule.name);
}

static int parse_rule_action(struct Parser *p, const struct Key *key)
{
	enum Action action;
	int r = parse_action(p, key->name, &action);

	p->action_seen = true;
	if (r == 0)
		p->rule.action = action;
	return r;
}

static int parse_driver(struct Parser *p, const struct Key *key)
{
	int r = parse_text(p, key, &p->rule.driver);

	if (r < 0 || driver_name_valid(p->rule.driver))
		return r;
	return fail_here(p, "\"%s\" cannot be the name of a driver", p->rule.driver);
}

static int parse_reason(struct Parser *p, const struct Key *key)
{
	return parse_text(p, key, &p->rule.reason);
}

static int parse_min(struct Parser *p, const struct Key *key)
{
	p->policy->has_minimum = true;
	return reader_number(&p->yaml, key->name, 1, READER_NUMBER_MAX, &p->rule.count.min);
}

static int parse_max(struct Parser *p, const struct Key *key)
{
	return reader_number(&p->yaml, key->name, 1, READER_NUMBER_MAX, &p->rule.count.max);
}

static int parse_over(struct Parser *p, const struct Key *key)
{
	static const char *const words[] = {"deny", "remove"};
	int word, r = reader_word(&p->yaml, key->name, "action for devices over the count", words,
				  ELEMENTSOF(words), &word);

	p->over_seen = true;
	if (r == 0)
		p->rule.count.over = word == 0 ? ACTION_DENY : ACTION_REMOVE;
	return r;
}

static int parse_count(struct Parser *p, const struct Key *key)
{
	static const struct Key keys[] = {
		{"min", parse_min}, {"max", parse_max}, {"over", parse_over}, {NULL}};
	yaml_mark_t mark = p->yaml.event.start_mark;
	int r = reader_mapping(&p->yaml, key->name, "count key", keys);

	p->count_seen = true;
	if (r < 0)
		return r;
	if (p->rule.count.min == 0 && p->rule.count.max == UINT32_MAX)
		return reader_fail(&p->yaml, mark, "\"count\" has neither \"min\" nor \"max\"");
	if (p->rule.count.min > p->rule.count.max)
		return reader_fail(&p->yaml, mark, "\"min\" is more than \"max\"");
	if (p->over_seen && p->rule.count.max == UINT32_MAX)
		return reader_fail(&p->yaml, mark, "\"over\" needs a \"max\" to be over");
	return 0;
}

static int parse_when_word(struct Parser *p, const struct Key *key)
{
	static const char *const words[] = {"cold", "hot"};
	int word, r = reader_word(&p->yaml, key->name, "moment", words, ELEMENTSOF(words), &word);

	if (r == 0)
		p->rule.when |= word == 0 ? WHEN_COLD : WHEN_HOT;
	return r;
}

static int parse_when(struct Parser *p, const struct Key *key)
{
	p->rule.when = 0;
	return reader_one_or_list(&p->yaml, key, parse_when_word);
}

static int parse_after_freeze(struct Parser *p, const struct Key *key)
{
	bool value = false;
	int r = reader_bool(&p->yaml, key->name, &value);

	p->rule.after_freeze = value;
	return r;
}

static const struct Key rule_keys[] = {
	{"name", parse_name},
	{"action", parse_rule_action},
	{"driver", parse_driver},
	{"match", parse_rule_match},
	{"count", parse_count},
	{"when", parse_when},
	{"after-freeze", parse_after_freeze},
	{"reason", parse_reason},
	{NULL},
};

static int check_action(struct Parser *p)
{
	const struct Rule *rule = &p->rule;

	if (rule->driver && rule->action != ACTION_ALLOW)
		return reader_fail(&p->yaml, p->rule_mark,
				   "\"driver\" goes with \"action: allow\" only");
	if (p->count_seen && !action_gives(rule->action))
		return reader_fail(&p->yaml, p->rule_mark,
				   "\"count\" goes with \"action: allow\" and \"action: kernel\" "
				   "only");
	if (rule->after_freeze && !action_gives(rule->action))
		return reader_fail(&p->yaml, p->rule_mark,
				   "\"after-freeze\" goes with \"action: allow\" and \"action: "
				   "kernel\" only");
	return 0;
}

static int check_bus(struct Parser *p)
{
	const struct Rule *rule = &p->rule;
	enum Bus bus = match_bus(&rule->match);
	const struct BusInfo *info;

	if (bus == _BUS_INVALID)
		return 0;
	info = &bus_info[bus];
	if (rule->driver && !info->driver_settable)
		return reader_fail(&p->yaml, p->rule_mark,
				   "\"driver\" cannot be enforced on the %s bus, whose devices are "
				   "authorized as a whole",
				   bus_to_string(bus));
	if (!info->removable &&
	    (rule->action == ACTION_REMOVE || rule->count.over == ACTION_REMOVE))
		return reader_fail(&p->yaml, p->rule_mark,
				   "devices of the %s bus cannot be removed; deny them",
				   bus_to_string(bus));
	return 0;
}

static int check_rule(struct Parser *p)
{
	int r;

	if (!p->action_seen)
		return reader_fail(&p->yaml, p->rule_mark, "the rule has no \"action\"");
	if (!p->match_seen)
		return reader_fail(&p->yaml, p->rule_mark, "the rule has no \"match\"");
	r = check_action(p);
	return r < 0 ? r : check_bus(p);
}

static int parse_rule(struct Parser *p, const struct Key *key)
{
	int r;

	p->rule_mark = p->yaml.event.start_mark;
	p->action_seen = p->match_seen = p->count_seen = p->over_seen = false;
	p->rule = (struct Rule){
		.file = string_at(&p->policy->file_vector, p->policy->file_vector.n - 1),
		.line = (unsigned)p->rule_mark.line + 1,
		.match.bus = _BUS_INVALID,
		.count = {.max = UINT32_MAX, .over = ACTION_DENY},
		.when = WHEN_COLD | WHEN_HOT,
	};
	r = reader_mapping(&p->yaml, key->name, "rule key", rule_keys);
	if (r < 0)
		return r;
	r = check_rule(p);
	return r < 0 ? r : policy_add_rule(p->policy, &p->rule);
}

static int parse_rules(struct Parser *p, const struct Key *key)
{
	return reader_list(&p->yaml, key, "a list of rules", parse_rule);
}

/* --- modules --- */

static int parse_modules_mode(struct Parser *p, const struct Key *key)
{
	int word, r = reader_word(&p->yaml, key->name, "mode", module_mode_words, _MODULES_MAX,
				  &word);

	if (r == 0)
		p->policy->modules.mode = (enum ModuleMode)word;
	return r;
}

/* Modules go by one name, with "-" and "_" for the same: kmod's underscores(). */
static int parse_allowed_module(struct Parser *p, const struct Key *key)
{
	struct Place place = {.line = (unsigned)p->yaml.event.start_mark.line + 1};
	const char *value, *problem;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	problem = glob_problem(value);
	if (problem)
		return fail_here(p, "\"%s\": %s", value, problem);
	if (strpbrk(value, "/ \n"))
		return fail_here(p, "\"%s\" cannot be the name of a module", value);
	place.file = string_at(&p->policy->file_vector, p->policy->file_vector.n - 1);
	return policy_allow_module(p->policy, value, &place);
}

static int parse_modules_allow(struct Parser *p, const struct Key *key)
{
	return reader_list(&p->yaml, key, "a list of modules", parse_allowed_module);
}

static int parse_strict(struct Parser *p, const struct Key *key)
{
	return reader_bool(&p->yaml, key->name, &p->policy->modules.strict);
}

static int parse_modules(struct Parser *p, const struct Key *key)
{
	static const struct Key keys[] = {{"mode", parse_modules_mode},
					  {"allow", parse_modules_allow},
					  {"strict", parse_strict},
					  {NULL}};

	return reader_mapping(&p->yaml, key->name, "modules key", keys);
}

/* --- the document --- */

static int parse_bus_default(struct Parser *p, const struct Key *key)
{
	enum Bus bus = (enum Bus)key->argument;
	enum Action action = _ACTION_INVALID;
	int r = parse_action(p, key->name, &action);

	if (r < 0)
		return r;
	if (action == ACTION_REMOVE && !bus_info[bus].removable)
		return fail_here(p, "devices of the %s bus cannot be removed; deny them",
				 key->name);
	p->policy->bus_default[bus] = action;
	return 0;
}

static int parse_any_default(struct Parser *p, const struct Key *key)
{
	enum Action action = _ACTION_INVALID;
	int r = parse_action(p, key->name, &action);

	if (r < 0)
		return r;
	if (action == ACTION_REMOVE)
		return fail_here(p, "devices of most buses cannot be removed; name those of which "
				    "they can: pci, usb");
	p->policy->any_default = action;
	return 0;
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

static int parse_mode(struct Parser *p, const struct Key *key)
{
	int word, r = reader_word(&p->yaml, key->name, "mode", policy_mode_words, _POLICY_MODE_MAX,
				  &word);

	if (r == 0)
		p->policy->mode = (enum PolicyMode)word;
	return r;
}

static const struct Key document_keys[] = {
	{"version", parse_version}, {"mode", parse_mode},	{"defaults", parse_defaults},
	{"rules", parse_rules},	    {"modules", parse_modules}, {NULL},
};

static void keep_name(void *name)
{
	(void)name; /* the names belong to the rules */
}

int policy_parse(struct Policy *policy, const char *file, const char *text, size_t size,
		 struct ParseErrors *ret_errors)
{
	struct Parser p = {.yaml = {.noun = "policy",
				    .errors = ret_errors,
				    .parser = &p,
				    .size_max = policy->size_max},
			   .policy = policy};
	int r;

	*ret_errors = (struct ParseErrors){0};
	if (!policy_add_file(policy, file))
		return -ENOMEM;
	r = reader_read(&p.yaml, text, size, document_keys);
	tdestroy(p.names, keep_name);
	vector_done(&p.values);
	return r;
}
