/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-asks.h"

#include <errno.h>
#include <stdarg.h>

#include "escape.h"
#include "string-list.h"

/* --- rules and buses --- */

static const struct Condition *exact_id(const struct Match *match, enum IdField field)
{
	for (uint32_t i = 0; i < match->n_conditions; i++) {
		const struct Condition *c = &match->conditions[i];

		if (c->type == CONDITION_ID && c->field == field && c->n == 1 &&
		    c->numbers[0].mask == UINT32_MAX)
			return c;
	}
	return NULL;
}

static uint32_t number_of(const struct Condition *condition)
{
	return condition ? condition->numbers[0].value : 0;
}

char *rule_modalias(const struct Rule *rule, bool by_class)
{
	const struct Condition *vendor = exact_id(&rule->match, ID_VENDOR),
			       *device = exact_id(&rule->match, ID_DEVICE),
			       *class = by_class ? exact_id(&rule->match, ID_CLASS) : NULL;
	uint32_t code = number_of(class);
	char *text = NULL;
	int n = -1;

	if (rule->match.bus == BUS_PCI && ((vendor && device) || class))
		n = asprintf(&text, "pci:v%08Xd%08Xsv00000000sd00000000bc%02Xsc%02Xi%02X",
			     number_of(vendor), number_of(device), code >> 16 & 0xff,
			     code >> 8 & 0xff, code & 0xff);
	else if (rule->match.bus == BUS_VIRTIO && device)
		n = asprintf(&text, "virtio:d%08Xv%08X", number_of(device), number_of(vendor));
	return n < 0 ? NULL : text;
}

bool policy_leaves_to_kernel(const struct Policy *policy, enum Bus bus)
{
	if (policy_default(policy, bus) == ACTION_KERNEL)
		return true;
	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		const struct Rule *rule = policy_rule(policy, i);

		if (rule->action == ACTION_KERNEL &&
		    (rule->match.bus == bus || rule->match.bus == _BUS_INVALID))
			return true;
	}
	return false;
}

/* --- as text --- */

_printf_(2, 3) static int add(struct Vector *lines, const char *format, ...)
{
	_cleanup_free_ char *text = NULL, *safe = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	safe = escape_text(text);
	return safe ? strings_add(lines, MODULE_ASKS "%s\n", safe) : -ENOMEM;
}

static int add_rule(struct Vector *lines, const struct Rule *rule)
{
	_cleanup_free_ char *modalias = rule_modalias(rule, true);

	if (rule->action != ACTION_ALLOW || (!rule->driver && !modalias))
		return 0;
	return add(lines, "driver %s %s", rule->driver ? rule->driver : "-",
		   modalias ? modalias : "-");
}

static int add_all(struct Vector *lines, const struct Policy *policy)
{
	const struct ModulePolicy *modules = &policy->modules;
	int r = modules->strict ? add(lines, "strict") : 0;

	for (size_t i = 0; r == 0 && i < modules->allow.n; i++)
		r = add(lines, "allow %s", string_at(&modules->allow, i));
	for (size_t i = 0; r == 0 && i < policy_n_rules(policy); i++)
		r = add_rule(lines, policy_rule(policy, i));
	for (enum Bus bus = 0; r == 0 && bus < _BUS_MAX; bus++)
		if (policy_leaves_to_kernel(policy, bus))
			r = add(lines, "hardened %s", bus_to_string(bus));
	return r;
}

/* Each line once, in order. The first is there in any case: without one nothing was said. */
static char *join(const struct Vector *lines)
{
	static const char first[] = MODULE_ASKS "what follows\n";
	size_t size = sizeof(first);
	char *text, *end;

	for (size_t i = 0; i < lines->n; i++)
		size += strlen(string_at(lines, i));
	text = malloc(size);
	if (!text)
		return NULL;
	end = text + snprintf(text, size, "%s", first);
	for (size_t i = 0; i < lines->n; i++) {
		const char *line = string_at(lines, i);

		if (i > 0 && streq(line, string_at(lines, i - 1)))
			continue;
		memcpy(end, line, strlen(line) + 1);
		end += strlen(line);
	}
	return text;
}

char *module_asks(const struct Policy *policy)
{
	_cleanup_strings_ struct Vector lines = {0};

	if (add_all(&lines, policy) < 0)
		return NULL;
	strings_sort(&lines);
	return join(&lines);
}
