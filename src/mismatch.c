/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mismatch.h"

#define SHOWN_MAX 3   /* ancestors, members of a list and interfaces that are told one by one */
#define VALUE_MAX 100 /* bytes of what a device says */
#define DEPTH_MAX 2   /* `parent`, `ancestor` and `not` within each other: more nobody could read */

/* What is being told, of whom. */
struct Telling {
	FILE *out;
	const struct Device *device;
	bool gives; /* as match_holds() takes it */
	unsigned depth;
};

static struct Telling within(const struct Telling *telling, const struct Device *device)
{
	struct Telling inner = *telling;

	inner.device = device;
	inner.depth++;
	return inner;
}

/* --- what a device has --- */

static void write_value(FILE *out, const char *value)
{
	size_t n = strnlen(value, VALUE_MAX + 1);

	if (n <= VALUE_MAX) {
		(void)fputs(value, out);
		return;
	}
	/* not within a character */
	for (n = VALUE_MAX; n > VALUE_MAX - 3 && (value[n] & 0xc0) == 0x80;)
		n--;
	(void)fprintf(out, "%.*s...", (int)n, value);
}

static void write_text(FILE *out, const char *verb, const char *value, const char *absence)
{
	if (!value) {
		(void)fputs(absence, out);
		return;
	}
	(void)fprintf(out, "%s ", verb);
	write_value(out, *value ? value : "empty");
}

static void write_more(FILE *out, size_t n)
{
	if (n > SHOWN_MAX)
		(void)fprintf(out, " and %zu more", n - SHOWN_MAX);
}

static void write_interfaces(FILE *out, const struct Device *device)
{
	(void)fputs(device->n_interfaces > 0 ? "has " : "has none", out);
	for (size_t i = 0; i < device->n_interfaces && i < SHOWN_MAX; i++)
		(void)fprintf(out, "%s%02x:%02x:%02x", i > 0 ? ", " : "",
			      device->interfaces[i] >> 16 & 0xff, device->interfaces[i] >> 8 & 0xff,
			      device->interfaces[i] & 0xff);
	write_more(out, device->n_interfaces);
}

static void write_found(const struct Telling *telling, const struct Condition *condition)
{
	const struct Device *device = telling->device;
	FILE *out = telling->out;

	switch (condition->type) {
	case CONDITION_ID:
		if (device_has_id(device, condition->field))
			(void)fprintf(out, "is 0x%x", device->ids[condition->field]);
		else
			(void)fputs(condition->field == ID_CLASS && !device->syspath
					    ? "is another, as far as it is told"
					    : "is unknown",
				    out);
		break;
	case CONDITION_NAME:
		write_text(out, "is", device->sysname, "is unknown");
		break;
	case CONDITION_MODALIAS:
		write_text(out, "is", device->modalias, "is none");
		break;
	case CONDITION_ATTRIBUTE:
		write_text(out, "is", device_attribute(device, condition->key),
			   "no such attribute");
		break;
	case CONDITION_LISTED:
		write_text(out, "is", device->bus == BUS_ACPI ? device->modalias : device->text_ids,
			   "is none");
		break;
	case CONDITION_INTERFACES:
		write_interfaces(out, device);
		break;
	default:
		break;
	}
}

/* --- matches within a condition --- */

static void write_mismatch(const struct Telling *telling, const struct Mismatch *mismatch);

/* "vendor: is 0x1af4; device: is 0x1042": of each member of the list what failed first. */
static void write_failures(const struct Telling *telling, const struct Condition *condition)
{
	for (uint32_t i = 0; i < condition->n && i < SHOWN_MAX; i++) {
		struct Mismatch mismatch = {0};

		(void)match_holds(&condition->matches[i], telling->device, telling->gives,
				  &mismatch);
		(void)fputs(i > 0 ? "; " : "", telling->out);
		write_mismatch(telling, &mismatch);
	}
	write_more(telling->out, condition->n);
}

static void write_name(const struct Telling *telling)
{
	_cleanup_free_ char *name = device_name(telling->device);

	write_value(telling->out, name ? name : "?");
}

/* "pci:0000:00:01.0 (vendor: is 0x1af4)" */
static void write_failed_device(const struct Telling *telling, const struct Condition *condition)
{
	write_name(telling);
	(void)fputs(" (", telling->out);
	write_failures(telling, condition);
	(void)fputc(')', telling->out);
}

static void write_parent(const struct Telling *telling, const struct Condition *condition)
{
	struct Telling inner = within(telling, telling->device->parent);

	if (inner.device)
		write_failed_device(&inner, condition);
	else
		(void)fputs("has none", telling->out);
}

static void write_ancestors(const struct Telling *telling, const struct Condition *condition)
{
	struct Telling inner = within(telling, telling->device->parent);
	size_t n = 0;

	if (!inner.device)
		(void)fputs("has none", telling->out);
	for (; inner.device; inner.device = inner.device->parent) {
		if (n++ >= SHOWN_MAX)
			continue;
		(void)fputs(n > 1 ? ", " : "", telling->out);
		write_failed_device(&inner, condition);
	}
	write_more(telling->out, n);
}

/* --- what must not fit, and does --- */

static const struct Match *find_fitting(const struct Condition *condition,
					const struct Device *device, bool gives)
{
	for (uint32_t i = 0; device && i < condition->n; i++)
		if (match_holds(&condition->matches[i], device, gives, NULL))
			return &condition->matches[i];
	return NULL;
}

/* The parent or the ancestor of which a condition that holds is true. */
static void write_relative(const struct Telling *telling, const struct Condition *condition)
{
	struct Telling inner = within(telling, telling->device->parent);

	while (inner.device && !find_fitting(condition, inner.device, telling->gives))
		inner.device = inner.device->parent;
	(void)fputs("is ", telling->out);
	if (inner.device)
		write_name(&inner);
}

static void write_holding(const struct Telling *telling, const struct Condition *condition)
{
	(void)fprintf(telling->out, "%s: ", condition->key);
	if (condition->type == CONDITION_PARENT || condition->type == CONDITION_ANCESTOR)
		write_relative(telling, condition);
	else if (condition->type == CONDITION_NOT)
		(void)fputs("does not fit", telling->out);
	else
		write_found(telling, condition);
}

/* "fits, by vendor: is 0x1af4, device: is 0x1042" */
static void write_fitting(const struct Telling *telling, const struct Condition *condition)
{
	struct Telling inner = within(telling, telling->device);
	const struct Match *match;

	inner.gives = !inner.gives;
	match = find_fitting(condition, inner.device, inner.gives);
	(void)fputs("fits", telling->out);
	if (match && match->n_conditions == 0)
		(void)fprintf(telling->out, ", being on the %s bus",
			      bus_to_string(inner.device->bus));
	for (uint32_t i = 0; match && i < match->n_conditions && i < SHOWN_MAX; i++) {
		(void)fputs(i == 0 ? " (" : ", ", telling->out);
		write_holding(&inner, &match->conditions[i]);
	}
	if (match && match->n_conditions > 0) {
		write_more(telling->out, match->n_conditions);
		(void)fputc(')', telling->out);
	}
}

/* --- a mismatch --- */

static bool has_matches(const struct Condition *condition)
{
	return condition->type == CONDITION_NOT || condition->type == CONDITION_PARENT ||
	       condition->type == CONDITION_ANCESTOR;
}

static void write_condition(const struct Telling *telling, const struct Condition *condition)
{
	(void)fputs(condition->key, telling->out);
	if (has_matches(condition) && telling->depth >= DEPTH_MAX)
		return;
	(void)fputs(": ", telling->out);
	if (condition->type == CONDITION_NOT)
		write_fitting(telling, condition);
	else if (condition->type == CONDITION_PARENT)
		write_parent(telling, condition);
	else if (condition->type == CONDITION_ANCESTOR)
		write_ancestors(telling, condition);
	else
		write_found(telling, condition);
}

/* Without a condition it is the bus that failed. */
static void write_mismatch(const struct Telling *telling, const struct Mismatch *mismatch)
{
	if (mismatch->condition)
		write_condition(telling, mismatch->condition);
	else
		(void)fprintf(telling->out, "%s: is on the %s bus", mismatch->key,
			      bus_to_string(telling->device->bus));
}

char *mismatch_text(const struct Rule *rule, const struct Mismatch *mismatch,
		    const struct Device *device, const struct Moment *moment)
{
	struct Telling telling = {.device = device, .gives = action_gives(rule->action)};
	char *text = NULL;
	size_t size;

	telling.out = open_memstream(&text, &size);
	if (!telling.out)
		return NULL;
	if (!mismatch->condition && streq(mismatch->key, "when"))
		(void)fprintf(telling.out, "when: was %s",
			      moment && moment->is_hot ? "plugged after the start"
						       : "there at start");
	else
		write_mismatch(&telling, mismatch);
	if (fclose(telling.out) == 0)
		return text;
	free(text);
	return NULL;
}
