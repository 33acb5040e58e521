/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-write.h"

#include "escape.h"

/* YAML 1.1, 5.7: what is no printable ASCII is escaped, so that no terminal acts on it. The parser
 * takes UTF-8 alone, which what a policy holds therefore is; the name of its file may be other. */
void yaml_write_text(FILE *file, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	(void)fputc('"', file);
	while (*p) {
		uint32_t c;
		size_t n = utf8_decode(p, &c);

		if (n == 0)
			c = 0xfffd; /* for a byte that is of no character */
		p += n ? n : 1;
		if (c == '"' || c == '\\')
			(void)fprintf(file, "\\%c", (char)c);
		else if (c >= 0x20 && c < 0x7f)
			(void)fputc((char)c, file);
		else
			(void)fprintf(file, "\\U%08X", c);
	}
	(void)fputc('"', file);
}

static void write_number(FILE *file, const struct Number *number, unsigned digits)
{
	(void)fputs("\"0x", file);
	for (unsigned i = digits; i-- > 0;) {
		if (number->mask >> (4 * i) & 0xf)
			(void)fprintf(file, "%x", number->value >> (4 * i) & 0xf);
		else
			(void)fputc('x', file);
	}
	(void)fputc('"', file);
}

static unsigned digits_of(enum Bus bus, enum IdField field)
{
	const struct BusId *id = bus_info[bus].ids;

	while (id->attr && id->field != field)
		id++;
	return id->digits;
}

static void write_interface(FILE *file, const struct Number *number)
{
	(void)fputc('"', file);
	for (int shift = 16; shift >= 0; shift -= 8) {
		if (number->mask >> shift & 0xff)
			(void)fprintf(file, "%02x", number->value >> shift & 0xff);
		else
			(void)fputc('*', file);
		if (shift > 0)
			(void)fputc(':', file);
	}
	(void)fputc('"', file);
}

static void write_match(FILE *file, const struct Match *match);

static void write_values(FILE *file, const struct Condition *condition, enum Bus bus)
{
	/* a list would be one level deeper than what was read */
	(void)fputs(condition->n > 1 ? "[" : "", file);
	for (uint32_t i = 0; i < condition->n; i++) {
		(void)fputs(i > 0 ? ", " : "", file);
		switch (condition->type) {
		case CONDITION_ID:
			write_number(file, &condition->numbers[i],
				     digits_of(bus, condition->field));
			break;
		case CONDITION_INTERFACES:
			write_interface(file, &condition->numbers[i]);
			break;
		case CONDITION_NOT:
		case CONDITION_PARENT:
		case CONDITION_ANCESTOR:
			write_match(file, &condition->matches[i]);
			break;
		default:
			yaml_write_text(file, condition->globs[i]);
		}
	}
	(void)fputs(condition->n > 1 ? "]" : "", file);
}

static bool is_text_of(enum Bus bus, const char *attribute)
{
	for (int i = 0; bus != _BUS_INVALID && bus_info[bus].texts[i]; i++)
		if (streq(bus_info[bus].texts[i], attribute))
			return true;
	return false;
}

/* Where in a match a condition is written. */
enum Part { PART_BUS, PART_INTERFACES, PART_ATTRIBUTES, PART_MATCH };

static enum Part part_of(const struct Condition *condition, enum Bus bus)
{
	switch (condition->type) {
	case CONDITION_ID:
	case CONDITION_LISTED:
		return PART_BUS;
	case CONDITION_INTERFACES:
		return PART_INTERFACES;
	case CONDITION_NAME:
		return streq(condition->key, "name") ? PART_BUS : PART_MATCH;
	case CONDITION_ATTRIBUTE:
		return is_text_of(bus, condition->key) ? PART_BUS : PART_ATTRIBUTES;
	default:
		return PART_MATCH;
	}
}

/* Returns how many conditions were written, each behind @separator but for the first. */
static unsigned write_part(FILE *file, const struct Match *match, enum Part part, unsigned written)
{
	for (uint32_t i = 0; i < match->n_conditions; i++) {
		const struct Condition *c = &match->conditions[i];

		if (part_of(c, match->bus) != part)
			continue;
		(void)fputs(written++ > 0 ? ", " : "", file);
		if (part == PART_ATTRIBUTES)
			yaml_write_text(file, c->key);
		else if (part == PART_INTERFACES)
			(void)fputs(quantity_to_string(c->quantity), file);
		else
			(void)fputs(c->key, file);
		(void)fputs(": ", file);
		write_values(file, c, match->bus);
	}
	return written;
}

static bool has_part(const struct Match *match, enum Part part)
{
	for (uint32_t i = 0; i < match->n_conditions; i++)
		if (part_of(&match->conditions[i], match->bus) == part)
			return true;
	return false;
}

static void write_match(FILE *file, const struct Match *match)
{
	unsigned written = 0;

	(void)fputs("{ ", file);
	if (match->bus != _BUS_INVALID) {
		(void)fprintf(file, "%s: { ", bus_to_string(match->bus));
		written = write_part(file, match, PART_BUS, 0);
		if (has_part(match, PART_INTERFACES)) {
			(void)fprintf(file, "%sinterfaces: { ", written ? ", " : "");
			(void)write_part(file, match, PART_INTERFACES, 0);
			(void)fputs(" }", file);
		}
		(void)fputs(" }", file);
		written = 1;
	}
	if (has_part(match, PART_ATTRIBUTES)) {
		(void)fprintf(file, "%sattrs: { ", written ? ", " : "");
		(void)write_part(file, match, PART_ATTRIBUTES, 0);
		(void)fputs(" }", file);
		written = 1;
	}
	(void)write_part(file, match, PART_MATCH, written);
	(void)fputs(" }", file);
}

static void write_optional(FILE *file, const char *key, const char *value)
{
	if (!value)
		return;
	(void)fprintf(file, "    %s: ", key);
	yaml_write_text(file, value);
	(void)fputc('\n', file);
}

static void write_count(FILE *file, const struct Count *count)
{
	if (count->min == 0 && count->max == UINT32_MAX)
		return;
	(void)fputs("    count: { ", file);
	if (count->min > 0)
		(void)fprintf(file, "min: %u%s", count->min, count->max != UINT32_MAX ? ", " : "");
	if (count->max != UINT32_MAX)
		(void)fprintf(file, "max: %u, over: %s", count->max, action_to_string(count->over));
	(void)fputs(" }\n", file);
}

/* @name: under which it is written, or NULL. */
static void write_place(FILE *file, const struct Rule *rule, const char *name)
{
	(void)fputs("  # ", file);
	yaml_write_text(file, rule->file);
	(void)fprintf(file, ":%u", rule->line);
	if (rule->name && !streq_or_null(rule->name, name)) {
		(void)fputs(" ", file);
		yaml_write_text(file, rule->name);
	}
	(void)fputc('\n', file);
}

static void write_rule(FILE *file, const struct Rule *rule, const char *name)
{
	(void)fputs("  - ", file);
	if (name) {
		(void)fputs("name: ", file);
		yaml_write_text(file, name);
		(void)fputs("\n    ", file);
	}
	(void)fprintf(file, "action: %s\n", action_to_string(rule->action));
	write_optional(file, "driver", rule->driver);
	(void)fputs("    match: ", file);
	write_match(file, &rule->match);
	(void)fputc('\n', file);
	write_count(file, &rule->count);
	if (rule->when != (WHEN_COLD | WHEN_HOT))
		(void)fprintf(file, "    when: %s\n", rule->when == WHEN_COLD ? "cold" : "hot");
	if (rule->after_freeze)
		(void)fputs("    after-freeze: true\n", file);
	write_optional(file, "reason", rule->reason);
}

void policy_write_rule(FILE *file, const struct Rule *rule)
{
	write_rule(file, rule, rule->name);
}

static void write_modules(FILE *file, const struct ModulePolicy *modules)
{
	if (modules->mode == _MODULES_INVALID && modules->allow.n == 0 && !modules->strict)
		return;
	(void)fputs("modules:\n", file);
	if (modules->mode != _MODULES_INVALID)
		(void)fprintf(file, "  mode: %s\n", module_mode_to_string(modules->mode));
	if (modules->strict)
		(void)fputs("  strict: true\n", file);
	if (modules->allow.n == 0)
		return;
	(void)fputs("  allow:\n", file);
	for (size_t i = 0; i < modules->allow.n; i++) {
		(void)fputs("    - ", file);
		yaml_write_text(file, string_at(&modules->allow, i));
		(void)fputc('\n', file);
	}
}

/* --- names --- */

/* The name of a rule, as it is written. */
struct Name {
	char *text; /* owned; NULL: none */
	size_t rule;
};

static int compare_names(const void *a, const void *b)
{
	const struct Name *x = a, *y = b;
	int order = x->text && y->text ? strcmp(x->text, y->text) : !x->text - !y->text;

	return order ? order : (x->rule > y->rule) - (x->rule < y->rule);
}

static int compare_rules(const void *a, const void *b)
{
	const struct Name *x = a, *y = b;

	return (x->rule > y->rule) - (x->rule < y->rule);
}

/* Replaces the names that several rules have by what @other makes of the rule. */
static void replace_shared(const struct Policy *policy, struct Name *names,
			   char *(*other)(const struct Rule *rule))
{
	size_t n = policy_n_rules(policy), end;

	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n && names[i].text; i = end) {
		for (end = i + 1; end < n && streq_or_null(names[i].text, names[end].text);)
			end++;
		for (size_t j = i; end - i > 1 && j < end; j++) {
			free(names[j].text);
			names[j].text = other(policy_rule(policy, names[j].rule));
		}
	}
}

static char *no_name(const struct Rule *rule)
{
	(void)rule;
	return NULL;
}

static void names_free(struct Name *names, size_t n)
{
	for (size_t i = 0; names && i < n; i++)
		free(names[i].text);
	free(names);
}

/* Names are unique in a file, and files are several: a name that rules of two files have is
 * FILE:NAME. Returns one for each rule, for names_free(), in the order of the rules; NULL where
 * there are no rules, or no memory. */
static struct Name *unique_names(const struct Policy *policy)
{
	size_t n = policy_n_rules(policy);
	struct Name *names = n > 0 ? calloc(n, sizeof(*names)) : NULL;

	if (!names)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const char *name = policy_rule(policy, i)->name;

		names[i] = (struct Name){name ? strdup(name) : NULL, i};
	}
	replace_shared(policy, names, rule_name);
	/* a rule may have the FILE:NAME of another for its name */
	replace_shared(policy, names, no_name);
	qsort(names, n, sizeof(*names), compare_rules);
	return names;
}

void policy_write(FILE *file, const struct Policy *policy)
{
	size_t n = policy_n_rules(policy);
	struct Name *names = unique_names(policy);

	(void)fprintf(file, "version: 1\nmode: %s\ndefaults:\n",
		      policy_mode_to_string(policy->mode));
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		(void)fprintf(file, "  %s: %s\n", bus_to_string(bus),
			      action_to_string(policy_default(policy, bus)));
	(void)fputs(n > 0 ? "rules:\n" : "rules: []\n", file);
	for (size_t i = 0; i < n; i++) {
		const char *name = names ? names[i].text : NULL;

		write_place(file, policy_rule(policy, i), name);
		write_rule(file, policy_rule(policy, i), name);
	}
	names_free(names, n);
	write_modules(file, &policy->modules);
}

char *policy_text(const struct Policy *policy, size_t *ret_size)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_size);

	if (!file)
		return NULL;
	policy_write(file, policy);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}
