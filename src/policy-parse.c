/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-parse.h"

#include <errno.h>
#include <search.h>
#include <stdarg.h>
#include <yaml.h>

#include "suggest.h"

struct Parser {
	yaml_parser_t yaml;
	yaml_event_t event; /* the current one; consumed by advance() */
	struct Policy *policy;
	struct Rule rule; /* the rule being read */
	bool match_seen, action_seen, version_seen;
	enum Bus match_bus;
	yaml_mark_t rule_mark;
	void *names; /* tsearch() tree of the rule names of this file */
	struct PolicyError *error;
};

/* A key of a mapping. `parse` finds the value's first event as the current one and leaves its last
 * event there. A key without `parse` belongs to the language but not yet to this version. */
struct Key {
	const char *name;
	int (*parse)(struct Parser *p, const struct Key *key);
	int argument;
};

#define MAX_KEYS 16
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* --- errors --- */

_printf_(3, 4) static int fail(struct Parser *p, yaml_mark_t mark, const char *format, ...)
{
	va_list ap;

	free(p->error->message);
	p->error->line = (unsigned)mark.line + 1;
	p->error->column = (unsigned)mark.column + 1;
	va_start(ap, format);
	if (vasprintf(&p->error->message, format, ap) < 0)
		p->error->message = NULL;
	va_end(ap);
	return p->error->message ? -EBADMSG : -ENOMEM;
}

void policy_error_done(struct PolicyError *error)
{
	free(error->message);
	*error = (struct PolicyError){0};
}

static yaml_mark_t mark_at(const char *text, size_t offset)
{
	yaml_mark_t mark = {.index = offset};

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if ((text[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static int fail_yaml(struct Parser *p)
{
	const char *problem = p->yaml.problem ? p->yaml.problem : "not valid YAML";
	yaml_mark_t mark = p->yaml.problem_mark;

	if (p->yaml.error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->yaml.error == YAML_READER_ERROR)
		mark = mark_at((const char *)p->yaml.input.string.start, p->yaml.problem_offset);
	if (p->yaml.context && strstr(p->yaml.context, "alias"))
		return fail(p, mark, "%s %s (a leading * must be quoted: \"*\")", p->yaml.context,
			    problem);
	if (p->yaml.context)
		return fail(p, mark, "%s %s", p->yaml.context, problem);
	return fail(p, mark, "%s", problem);
}

/* --- events --- */

static bool has_anchor_or_tag(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor || event->data.scalar.tag;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor || event->data.mapping_start.tag;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor || event->data.sequence_start.tag;
	default:
		return false;
	}
}

static bool has_directive(const yaml_event_t *event)
{
	return event->type == YAML_DOCUMENT_START_EVENT &&
	       (event->data.document_start.version_directive ||
		event->data.document_start.tag_directives.start !=
			event->data.document_start.tag_directives.end);
}

/* Makes the next event the current one. */
static int advance(struct Parser *p)
{
	yaml_event_delete(&p->event);
	if (!yaml_parser_parse(&p->yaml, &p->event))
		return fail_yaml(p);
	if (has_directive(&p->event))
		return fail(p, p->event.start_mark,
			    "directives are not part of the policy language");
	if (p->event.type == YAML_ALIAS_EVENT || has_anchor_or_tag(&p->event))
		return fail(p, p->event.start_mark,
			    "anchors, aliases and tags are not part of the policy language");
	return 0;
}

static const char *event_noun(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_MAPPING_START_EVENT:
		return "a mapping";
	case YAML_SEQUENCE_START_EVENT:
		return "a list";
	case YAML_SCALAR_EVENT:
		return "a single value";
	default:
		return "nothing";
	}
}

static int expect(struct Parser *p, yaml_event_type_t type, const char *key, const char *noun)
{
	if (p->event.type != type)
		return fail(p, p->event.start_mark, "\"%s\" takes %s, not %s", key, noun,
			    event_noun(&p->event));
	return 0;
}

/* What YAML reads as null: nothing, ~ and null, unless quoted. An empty string is no value either.
 */
static bool is_null(const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;

	if (!*value)
		return true;
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (streq(value, "~") || streq(value, "null") || streq(value, "Null") ||
		streq(value, "NULL"));
}

/* The current scalar as a C string, owned by the event; refuses one that is empty or holds NUL. */
static int expect_text(struct Parser *p, const char *key, const char **ret)
{
	int r = expect(p, YAML_SCALAR_EVENT, key, "a single value");
	const char *value;

	if (r < 0)
		return r;
	*ret = value = (const char *)p->event.data.scalar.value;
	if (strlen(value) != p->event.data.scalar.length)
		return fail(p, p->event.start_mark, "the value of \"%s\" contains a NUL", key);
	if (is_null(&p->event))
		return fail(p, p->event.start_mark, "\"%s\" has no value", key);
	return 0;
}

static int dup_text(struct Parser *p, const char *key, char **field)
{
	const char *value;
	int r = expect_text(p, key, &value);

	if (r < 0)
		return r;
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

/* --- mappings by table --- */

static int fail_unknown(struct Parser *p, const char *what, const char *typed,
			const struct Key *keys)
{
	const char *known[MAX_KEYS];
	size_t n = 0;

	for (; keys->name; keys++) {
		if (!keys->parse && streq(keys->name, typed))
			return fail(p, p->event.start_mark,
				    "\"%s\" is not yet known to this version (%s)", typed, what);
		if (keys->parse)
			known[n++] = keys->name;
	}
	if (n == 0)
		return fail(p, p->event.start_mark, "unknown %s \"%s\"", what, typed);
	return fail(p, p->event.start_mark, "unknown %s \"%s\", the nearest valid one is \"%s\"",
		    what, typed, nearest_word(typed, known, n));
}

static const struct Key *find_key(const struct Key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (keys->parse && streq(keys->name, name))
			return keys;
	return NULL;
}

/* Reads the mapping whose start is the current event: each key once, each known to @keys.
 * @owner is the key that the mapping is the value of, @what names its keys in errors. */
static int parse_mapping(struct Parser *p, const char *owner, const char *what,
			 const struct Key *keys)
{
	unsigned seen = 0;
	int r = expect(p, YAML_MAPPING_START_EVENT, owner, "a mapping");

	if (r < 0)
		return r;
	for (;;) {
		const struct Key *key;
		const char *name;

		r = advance(p);
		if (r < 0)
			return r;
		if (p->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (p->event.type != YAML_SCALAR_EVENT)
			return fail(p, p->event.start_mark, "%s must be a word, not %s", what,
				    event_noun(&p->event));
		name = (const char *)p->event.data.scalar.value;
		if (strlen(name) != p->event.data.scalar.length)
			return fail(p, p->event.start_mark, "%s contains a NUL", what);
		key = find_key(keys, name);
		if (!key)
			return fail_unknown(p, what, name, keys);
		if (seen & (1U << (key - keys)))
			return fail(p, p->event.start_mark, "\"%s\" is given twice", key->name);
		seen |= 1U << (key - keys);
		r = advance(p);
		if (r < 0)
			return r;
		r = key->parse(p, key);
		if (r < 0)
			return r;
	}
}

/* --- values --- */

static int parse_action(struct Parser *p, const char *key, enum Action *ret)
{
	static const char *const words[] = {"allow", "deny", "kernel"};
	const char *value;
	int r = expect_text(p, key, &value);

	if (r < 0)
		return r;
	*ret = action_from_string(value);
	if (*ret != _ACTION_INVALID)
		return 0;
	if (streq(value, "remove"))
		return fail(p, p->event.start_mark, "\"remove\" is not yet known to this version");
	return fail(p, p->event.start_mark,
		    "unknown action \"%s\", the nearest valid one is \"%s\"", value,
		    nearest_word(value, words, ELEMENTSOF(words)));
}

static int parse_digits(const char *s, unsigned base, unsigned max_digits, uint32_t *ret)
{
	uint64_t value = 0;
	unsigned n = 0;

	for (; *s; s++, n++) {
		char low = (char)(*s | 0x20);
		unsigned digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if (base == 16 && low >= 'a' && low <= 'f')
			digit = (unsigned)(low - 'a' + 10);
		else
			return -EINVAL;
		if (n < max_digits)
			value = value * base + digit;
	}
	if (n == 0)
		return -EINVAL;
	if (n > max_digits || value > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)value;
	return 0;
}

int parse_policy_id(const char *s, const struct BusId *id, uint32_t *ret)
{
	const char *hex = startswith(s, "0x");

	if (hex)
		return parse_digits(hex, 16, id->digits, ret);
	/* 010 is 10 to some readers and 8 to others, the kernel's command line among them */
	if (!id->decimal_ok || (s[0] == '0' && s[1]))
		return -EINVAL;
	return parse_digits(s, 10, 10, ret);
}

bool driver_name_valid(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > POLICY_DRIVER_MAX)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f || *s == '/')
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
	int r = expect_text(p, key->name, &value);

	if (r < 0)
		return r;
	r = parse_policy_id(value, id, &number);
	if (r < 0) {
		return fail(p, p->event.start_mark,
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
static const char *const later_match_keys[_BUS_MAX][MAX_KEYS] = {
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
	struct Key keys[MAX_KEYS] = {0};
	size_t n = 0, before = p->rule.n_conditions;
	yaml_mark_t mark = p->event.start_mark;
	char what[32];
	int r;

	if (p->match_bus != _BUS_INVALID)
		return fail(p, mark, "a device is on one bus: \"%s\" and \"%s\" never both match",
			    bus_to_string(p->match_bus), key->name);
	p->match_bus = bus;
	for (int i = 0; ids[i].attr; i++)
		if (ids[i].policy_key)
			keys[n++] = (struct Key){ids[i].attr, parse_id_condition, i};
	for (size_t i = 0; later_match_keys[bus][i]; i++)
		keys[n++].name = later_match_keys[bus][i];
	(void)snprintf(what, sizeof(what), "%s match key", key->name);
	r = parse_mapping(p, key->name, what, keys);
	if (r < 0)
		return r;
	if (p->rule.n_conditions == before)
		return fail(p, mark, "\"%s\" names nothing to match", key->name);
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
	yaml_mark_t mark = p->event.start_mark;
	int r = dup_text(p, key->name, &condition.text);

	if (r >= 0 && has_open_bracket(condition.text))
		r = fail(p, mark, "\"%s\": a bracket is not closed", condition.text);
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
			return fail(p, mark,
				    "a device is on one bus: \"%s\" and a modalias of the %s bus "
				    "never both match",
				    bus_to_string(bus), bus_to_string(other));
		bus = other;
	}
	return 0;
}

static int parse_match(struct Parser *p, const struct Key *key)
{
	struct Key keys[MAX_KEYS] = {0};
	yaml_mark_t mark = p->event.start_mark;
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
	r = parse_mapping(p, key->name, "match key", keys);
	if (r < 0)
		return r;
	if (p->rule.n_conditions == 0)
		return fail(p, mark, "\"match\" names nothing to match");
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
	int r = dup_text(p, key->name, &p->rule.name);

	if (r < 0)
		return r;
	found = tsearch(p->rule.name, &p->names, compare_names);
	if (!found)
		return -ENOMEM;
	if (*found == p->rule.name)
		return 0;
	return fail(p, p->event.start_mark, "a rule named \"%s\" stands in this file already",
		    p->rule.name);
}

static int parse_rule_action(struct Parser *p, const struct Key *key)
{
	p->action_seen = true;
	return parse_action(p, key->name, &p->rule.action);
}

static int parse_driver(struct Parser *p, const struct Key *key)
{
	int r = dup_text(p, key->name, &p->rule.driver);

	if (r < 0 || driver_name_valid(p->rule.driver))
		return r;
	return fail(p, p->event.start_mark, "\"%s\" cannot be the name of a driver",
		    p->rule.driver);
}

static int parse_reason(struct Parser *p, const struct Key *key)
{
	return dup_text(p, key->name, &p->rule.reason);
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
		return fail(p, p->rule_mark, "the rule has no \"action\"");
	if (!p->match_seen)
		return fail(p, p->rule_mark, "the rule has no \"match\"");
	if (p->rule.driver && p->rule.action != ACTION_ALLOW)
		return fail(p, p->rule_mark, "\"driver\" goes with \"action: allow\" only");
	for (size_t i = 0; p->rule.driver && i < p->rule.n_conditions; i++)
		if (p->rule.conditions[i].bus != _BUS_INVALID &&
		    !bus_info[p->rule.conditions[i].bus].driver_settable)
			return fail(
				p, p->rule_mark,
				"\"driver\" cannot be enforced on the %s bus, whose devices are "
				"authorized as a whole",
				bus_to_string(p->rule.conditions[i].bus));
	return 0;
}

static int parse_rule(struct Parser *p)
{
	int r;

	p->rule_mark = p->event.start_mark;
	p->action_seen = p->match_seen = false;
	p->rule.file = p->policy->files[p->policy->n_files - 1];
	p->rule.line = (unsigned)p->rule_mark.line + 1;
	r = parse_mapping(p, "rules", "rule key", rule_keys);
	if (r < 0)
		return r;
	r = check_rule(p);
	if (r < 0)
		return r;
	return policy_add_rule(p->policy, &p->rule);
}

static int parse_rules(struct Parser *p, const struct Key *key)
{
	int r = expect(p, YAML_SEQUENCE_START_EVENT, key->name, "a list of rules");

	while (r == 0) {
		r = advance(p);
		if (r < 0 || p->event.type == YAML_SEQUENCE_END_EVENT)
			return r;
		r = parse_rule(p);
	}
	return r;
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
	struct Key keys[MAX_KEYS] = {0};
	size_t n = 0;

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		keys[n++] = (struct Key){bus_to_string(bus), parse_bus_default, (int)bus};
	keys[n++] = (struct Key){"*", parse_any_default, 0};
	return parse_mapping(p, key->name, "bus", keys);
}

static int parse_version(struct Parser *p, const struct Key *key)
{
	const char *value;
	int r = expect_text(p, key->name, &value);

	if (r < 0)
		return r;
	if (!streq(value, "1") || p->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return fail(p, p->event.start_mark, "this version knows \"version: 1\" only");
	p->version_seen = true;
	return 0;
}

static const struct Key document_keys[] = {
	{"version", parse_version},
	{"defaults", parse_defaults},
	{"rules", parse_rules},
	{"modules"},
	{NULL},
};

static int parse_document(struct Parser *p)
{
	yaml_mark_t start = {0};
	int r;

	do { /* to the first node; a stream without one ends at once */
		r = advance(p);
		if (r < 0)
			return r;
	} while (p->event.type == YAML_STREAM_START_EVENT ||
		 p->event.type == YAML_DOCUMENT_START_EVENT);
	if (p->event.type != YAML_MAPPING_START_EVENT)
		return fail(p, p->event.start_mark,
			    "a policy is a mapping that begins with \"version: 1\"");
	r = parse_mapping(p, "policy", "key", document_keys);
	if (r < 0)
		return r;
	if (!p->version_seen)
		return fail(p, start, "\"version: 1\" is missing");
	do {
		r = advance(p);
		if (r < 0)
			return r;
	} while (p->event.type == YAML_DOCUMENT_END_EVENT);
	if (p->event.type != YAML_STREAM_END_EVENT)
		return fail(p, p->event.start_mark, "a policy file holds one document");
	return 0;
}

static void keep_name(void *name)
{
	(void)name; /* the names belong to the rules */
}

int policy_parse(struct Policy *policy, const char *file, const char *text, size_t size,
		 struct PolicyError *ret_error)
{
	struct Parser p = {.policy = policy, .error = ret_error};
	const char *tab = memchr(text, '\t', size);
	int r;

	*ret_error = (struct PolicyError){0};
	if (size > POLICY_SIZE_MAX)
		return fail(&p, (yaml_mark_t){0}, "larger than %zu bytes", POLICY_SIZE_MAX);
	/* YAML forbids tabs where they matter and libyaml lets some through: none at all is a rule
	 * that people can see. */
	if (tab)
		return fail(&p, mark_at(text, (size_t)(tab - text)),
			    "a tab: policies are indented and separated with spaces");
	if (size >= strlen(BYTE_ORDER_MARK) && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
		return fail(&p, (yaml_mark_t){0}, "begins with a byte order mark; take it out");
	if (!policy_add_file(policy, file) || !yaml_parser_initialize(&p.yaml))
		return -ENOMEM;
	yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, size);
	r = parse_document(&p);
	tdestroy(p.names, keep_name);
	rule_done(&p.rule);
	yaml_event_delete(&p.event);
	yaml_parser_delete(&p.yaml);
	return r;
}
