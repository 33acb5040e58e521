/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "glob-match.h"
#include "policy-parser.h"

/* --- conditions --- */

/* Reads a value or a list of values, each of which @item adds to p->values, of @size bytes, and
 * adds @condition with them. */
static int parse_condition(struct Parser *p, const struct Key *key, struct Condition *condition,
			   int (*item)(struct Parser *p, const struct Key *key), size_t size)
{
	void *values;
	int r;

	vector_done(&p->values); /* of a value that was refused */
	r = reader_one_or_list(&p->yaml, key, item);
	if (r < 0)
		return r;
	values = arena_copy(&p->policy->arena, p->values.data, p->values.n, size);
	condition->n = (uint32_t)p->values.n;
	condition->short_class = condition->type == CONDITION_ID && p->short_class;
	condition->numbers = values;
	vector_done(&p->values);
	return values ? vector_add(&p->match->conditions, condition, sizeof(*condition)) : -ENOMEM;
}

static int parse_glob(struct Parser *p, const struct Key *key)
{
	const char *glob, *problem;
	int r = reader_text(&p->yaml, key->name, &glob);

	if (r < 0)
		return r;
	problem = glob_problem(glob);
	if (problem)
		return fail_here(p, "\"%s\": %s", glob, problem);
	glob = arena_strdup(&p->policy->arena, glob);
	return glob ? vector_add(&p->values, &glob, sizeof(glob)) : -ENOMEM;
}

static int parse_globs(struct Parser *p, const struct Key *key, enum ConditionType type,
		       const char *name)
{
	struct Condition condition = {.type = type, .key = name};

	return parse_condition(p, key, &condition, parse_glob, sizeof(const char *));
}

/* --- ids --- */

static const struct BusId *bus_id(const struct Parser *p, const struct Key *key)
{
	return &bus_info[p->match->bus].ids[key->argument];
}

static int parse_id(struct Parser *p, const struct Key *key)
{
	const struct BusId *id = bus_id(p, key);
	struct Number number;
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	if (bus_id_parse_masked(value, id, &number.value, &number.mask) < 0)
		return fail_here(p,
				 "\"%s\" is no value for \"%s\": it takes 0x and up to %u "
				 "hexadecimal digits, x for any%s",
				 value, key->name, id->digits,
				 id->decimal_ok ? ", or a decimal number" : "");
	if (id->field == ID_CLASS && strlen(value) < strlen("0x") + id->digits)
		p->short_class = true;
	return vector_add(&p->values, &number, sizeof(number));
}

static int parse_ids(struct Parser *p, const struct Key *key)
{
	const struct BusId *id = bus_id(p, key);
	struct Condition condition = {.type = CONDITION_ID, .field = id->field, .key = id->attr};

	p->short_class = false;
	return parse_condition(p, key, &condition, parse_id, sizeof(struct Number));
}

static int parse_listed_id(struct Parser *p, const struct Key *key)
{
	const char *text = (const char *)p->yaml.event.data.scalar.value;

	if (p->yaml.event.type == YAML_SCALAR_EVENT && is_id_of_any_driver(text, strlen(text)))
		return fail_here(p, "\"PRP0001\" says nothing of the driver: match the modalias, "
				    "of:...");
	return parse_glob(p, key);
}

static int parse_listed(struct Parser *p, const struct Key *key)
{
	struct Condition condition = {.type = CONDITION_LISTED,
				      .key = bus_info[p->match->bus].listed_key};

	return parse_condition(p, key, &condition, parse_listed_id, sizeof(const char *));
}

/* An attribute can be named as a key of its bus and under "attrs". */
static int parse_attribute_globs(struct Parser *p, const struct Key *key, const char *attribute)
{
	const struct Condition *known = p->match->conditions.data;
	int r;

	for (size_t i = 0; i < p->match->conditions.n; i++)
		if (known[i].type == CONDITION_ATTRIBUTE && streq(known[i].key, attribute))
			return fail_here(p, "\"%s\" is given twice", attribute);
	r = parse_globs(p, key, CONDITION_ATTRIBUTE, attribute);
	return r < 0 ? r : policy_need_attribute(p->policy, attribute);
}

static int parse_text_key(struct Parser *p, const struct Key *key)
{
	return parse_attribute_globs(p, key, bus_info[p->match->bus].texts[key->argument]);
}

static int parse_name(struct Parser *p, const struct Key *key)
{
	return parse_globs(p, key, CONDITION_NAME, key->argument ? "name" : "address");
}

/* --- USB interfaces --- */

/* "CC:SS:PP", two hexadecimal digits or a star for each of class, subclass and protocol. */
static int parse_interface_text(const char *s, struct Number *ret)
{
	*ret = (struct Number){0};
	for (int i = 0; i < 3; i++) {
		ret->value <<= 8;
		ret->mask <<= 8;
		if (*s == '*') {
			s++;
		} else {
			char digits[] = {s[0], s[0] ? s[1] : '\0', '\0'};
			uint32_t part;

			if (strspn(digits, "0123456789abcdefABCDEF") != 2 ||
			    parse_sysfs_hex(digits, &part) < 0)
				return -EINVAL;
			ret->value |= part;
			ret->mask |= 0xff;
			s += 2;
		}
		if (*s++ != (i < 2 ? ':' : '\0'))
			return -EINVAL;
	}
	return 0;
}

static int parse_interface(struct Parser *p, const struct Key *key)
{
	struct Number number;
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	if (parse_interface_text(value, &number) < 0)
		return fail_here(p,
				 "\"%s\" is no interface: class, subclass and protocol are two "
				 "hexadecimal digits each, or *, as in \"08:06:50\" or \"03:*:*\"",
				 value);
	return vector_add(&p->values, &number, sizeof(number));
}

static int parse_quantity(struct Parser *p, const struct Key *key)
{
	struct Condition condition = {.type = CONDITION_INTERFACES,
				      .quantity = (enum Quantity)key->argument,
				      .key = "interfaces"};

	p->policy->needs.interfaces = true;
	return parse_condition(p, key, &condition, parse_interface, sizeof(struct Number));
}

static int parse_interfaces(struct Parser *p, const struct Key *key)
{
	struct Key keys[READER_KEYS_MAX] = {0};
	size_t before = p->match->conditions.n;
	yaml_mark_t mark = p->yaml.event.start_mark;
	int r;

	for (enum Quantity q = 0; q < _QUANTITY_MAX; q++)
		keys[q] = (struct Key){quantity_to_string(q), parse_quantity, (int)q};
	r = reader_mapping(&p->yaml, key->name, "way to match interfaces", keys);
	if (r == 0 && p->match->conditions.n == before)
		return reader_fail(&p->yaml, mark, "\"interfaces\" names none");
	return r;
}

/* --- buses --- */

static int parse_bus(struct Parser *p, const struct Key *key)
{
	enum Bus bus = (enum Bus)key->argument;
	const struct BusInfo *info = &bus_info[bus];
	struct Key keys[READER_KEYS_MAX] = {0};
	char what[32];
	size_t n = 0;

	if (p->match->bus != _BUS_INVALID)
		return fail_here(p, "a device is on one bus: \"%s\" and \"%s\" never both match",
				 bus_to_string(p->match->bus), key->name);
	p->match->bus = bus;
	for (int i = 0; info->ids[i].attr; i++)
		keys[n++] = (struct Key){info->ids[i].attr, parse_ids, i};
	for (int i = 0; info->texts[i]; i++)
		keys[n++] = (struct Key){info->texts[i], parse_text_key, i};
	if (info->listed_key)
		keys[n++] = (struct Key){info->listed_key, parse_listed};
	if (info->interfaces)
		keys[n++] = (struct Key){"interfaces", parse_interfaces};
	if (bus == BUS_PLATFORM)
		keys[n++] = (struct Key){"name", parse_name, true};
	(void)snprintf(what, sizeof(what), "%s match key", key->name);
	return reader_mapping(&p->yaml, key->name, what, keys);
}

/* --- keys for any bus --- */

static int parse_modalias(struct Parser *p, const struct Key *key)
{
	return parse_globs(p, key, CONDITION_MODALIAS, "modalias");
}

/* To read these is not to read what the kernel knows, but to ask the device:
 * drivers/pci/pci-sysfs.c reads its config space for them, drivers/virtio/virtio.c its status;
 * acpi's status runs firmware. */
static bool reads_the_device(const char *attribute)
{
	static const char *const names[] = {"config",
					    "rom",
					    "vpd",
					    "resource[0-9]*",
					    "current_link_*",
					    "max_link_*",
					    "secondary_bus_number",
					    "subordinate_bus_number",
					    "hrv",
					    "sun",
					    "real_power_state",
					    "sriov_numvfs",
					    "status"};

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		if (glob_match(names[i], attribute))
			return true;
	return false;
}

/* One of the device's own: a path may lead to another's. */
static bool attribute_name_valid(const char *name)
{
	const char *below = startswith(name, "power/");

	name = below ? below : name;
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) < 256;
}

static int parse_attribute(struct Parser *p, const char *name)
{
	struct Key key = {.name = arena_strdup(&p->policy->arena, name)};

	if (!key.name)
		return -ENOMEM;
	if (!attribute_name_valid(name))
		return fail_here(p, "\"%s\" cannot be the name of an attribute", name);
	if (reads_the_device(name))
		return fail_here(p, "\"%s\" cannot be matched: to read it is to talk to the device",
				 name);
	return parse_attribute_globs(p, &key, key.name);
}

static int parse_attributes(struct Parser *p, const struct Key *key)
{
	yaml_mark_t mark = p->yaml.event.start_mark;
	size_t before = p->match->conditions.n;
	int r = reader_names(&p->yaml, key, "the name of an attribute", parse_attribute);

	if (r == 0 && p->match->conditions.n == before)
		return reader_fail(&p->yaml, mark, "\"%s\" names none", key->name);
	return r;
}

/* --- matches --- */

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

/* The one bus that all modaliases of @condition are of. */
static enum Bus bus_of_condition(const struct Condition *condition)
{
	enum Bus bus = condition->type == CONDITION_MODALIAS ? bus_of_modalias(condition->globs[0])
							     : _BUS_INVALID;

	for (uint32_t i = 1; bus != _BUS_INVALID && i < condition->n; i++)
		if (bus_of_modalias(condition->globs[i]) != bus)
			return _BUS_INVALID;
	return bus;
}

enum Bus match_bus(const struct Match *match)
{
	enum Bus bus = match->bus;

	for (uint32_t i = 0; bus == _BUS_INVALID && i < match->n_conditions; i++)
		bus = bus_of_condition(&match->conditions[i]);
	return bus;
}

static int check_buses(struct Parser *p, const struct MatchBuilder *match, yaml_mark_t mark)
{
	const struct Condition *conditions = match->conditions.data;

	for (size_t i = 0; match->bus != _BUS_INVALID && i < match->conditions.n; i++) {
		enum Bus other = bus_of_condition(&conditions[i]);

		if (other != _BUS_INVALID && other != match->bus)
			return reader_fail(&p->yaml, mark,
					   "a device is on one bus: \"%s\" and a modalias of the "
					   "%s bus never both match",
					   bus_to_string(match->bus), bus_to_string(other));
	}
	return 0;
}

static int parse_nested(struct Parser *p, const struct Key *key);

static int read_match(struct Parser *p, const struct Key *key)
{
	struct Key keys[READER_KEYS_MAX] = {0};
	size_t n = 0;

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		keys[n++] = (struct Key){bus_to_string(bus), parse_bus, (int)bus};
	keys[n++] = (struct Key){"modalias", parse_modalias};
	keys[n++] = (struct Key){"attrs", parse_attributes};
	keys[n++] = (struct Key){"address", parse_name, false};
	keys[n++] = (struct Key){"parent", parse_nested, CONDITION_PARENT};
	keys[n++] = (struct Key){"ancestor", parse_nested, CONDITION_ANCESTOR};
	keys[n++] = (struct Key){"not", parse_nested, CONDITION_NOT};
	return reader_mapping(&p->yaml, key->name, "match key", keys);
}

static int complete_match(struct Parser *p, const struct Key *key, struct MatchBuilder *builder,
			  yaml_mark_t mark, struct Match *ret)
{
	const struct Condition *conditions = NULL;

	if (builder->conditions.n == 0 && builder->bus == _BUS_INVALID)
		return reader_fail(&p->yaml, mark, "\"%s\" names nothing to match", key->name);
	if (builder->conditions.n > 0) {
		conditions = arena_copy(&p->policy->arena, builder->conditions.data,
					builder->conditions.n, sizeof(*conditions));
		if (!conditions)
			return -ENOMEM;
	}
	*ret = (struct Match){builder->bus, (uint32_t)builder->conditions.n, conditions};
	return check_buses(p, builder, mark);
}

/* Reads one match, whose start is the current event. */
static int parse_match(struct Parser *p, const struct Key *key, struct Match *ret)
{
	struct MatchBuilder builder = {.outer = p->match, .bus = _BUS_INVALID};
	yaml_mark_t mark = p->yaml.event.start_mark;
	int r;

	p->match = &builder;
	r = read_match(p, key);
	if (r == 0)
		r = complete_match(p, key, &builder, mark, ret);
	p->match = builder.outer;
	vector_done(&builder.conditions);
	vector_done(&builder.matches);
	return r;
}

static int parse_nested_one(struct Parser *p, const struct Key *key)
{
	struct Match match = {.bus = _BUS_INVALID};
	int r = parse_match(p, key, &match);

	return r < 0 ? r : vector_add(&p->match->matches, &match, sizeof(match));
}

static int parse_nested(struct Parser *p, const struct Key *key)
{
	struct Condition condition = {.type = (enum ConditionType)key->argument, .key = key->name};
	struct Vector *matches = &p->match->matches;
	int r;

	vector_done(matches); /* of a value that was refused */
	r = reader_one_or_list(&p->yaml, key, parse_nested_one);
	if (r < 0)
		return r;
	p->policy->needs.parents = p->policy->needs.parents || condition.type != CONDITION_NOT;
	condition.n = (uint32_t)matches->n;
	condition.matches =
		arena_copy(&p->policy->arena, matches->data, matches->n, sizeof(struct Match));
	vector_done(matches);
	return condition.matches ? vector_add(&p->match->conditions, &condition, sizeof(condition))
				 : -ENOMEM;
}

int parse_rule_match(struct Parser *p, const struct Key *key)
{
	p->match_seen = true;
	return parse_match(p, key, &p->rule.match);
}
