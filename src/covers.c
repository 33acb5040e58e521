/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "covers.h"

#include "glob-match.h"

static bool number_covers(const struct Number *wide, const struct Number *narrow)
{
	return (wide->mask & narrow->mask) == wide->mask &&
	       (narrow->value & wide->mask) == wide->value;
}

static bool glob_covers(const char *wide, const char *narrow)
{
	return streq(wide, "*") || streq(wide, narrow) ||
	       (glob_is_literal(narrow) && glob_match(wide, narrow));
}

static bool numbers_cover(const struct Condition *wide, const struct Condition *narrow)
{
	for (uint32_t i = 0; i < narrow->n; i++) {
		bool found = false;

		for (uint32_t j = 0; j < wide->n && !found; j++)
			found = number_covers(&wide->numbers[j], &narrow->numbers[i]);
		if (!found)
			return false;
	}
	return true;
}

static bool globs_cover(const struct Condition *wide, const struct Condition *narrow)
{
	for (uint32_t i = 0; i < narrow->n; i++) {
		bool found = false;

		for (uint32_t j = 0; j < wide->n && !found; j++)
			found = glob_covers(wide->globs[j], narrow->globs[i]);
		if (!found)
			return false;
	}
	return true;
}

static bool numbers_are_equal(const struct Condition *a, const struct Condition *b)
{
	return a->quantity == b->quantity && a->n == b->n &&
	       memcmp(a->numbers, b->numbers, a->n * sizeof(*a->numbers)) == 0;
}

static bool match_covers(const struct Match *wide, const struct Match *narrow, bool wide_gives,
			 bool narrow_gives);

/* Whether each match of @narrow is covered by one of @wide. */
static bool matches_cover(const struct Condition *wide, const struct Condition *narrow,
			  bool wide_gives, bool narrow_gives)
{
	for (uint32_t i = 0; i < narrow->n; i++) {
		bool found = false;

		for (uint32_t j = 0; j < wide->n && !found; j++)
			found = match_covers(&wide->matches[j], &narrow->matches[i], wide_gives,
					     narrow_gives);
		if (!found)
			return false;
	}
	return true;
}

/* What fits @narrow fits @wide, both being of one type but for a parent, who is an ancestor. */
static bool condition_covers(const struct Condition *wide, const struct Condition *narrow,
			     bool wide_gives, bool narrow_gives)
{
	if (wide->type == CONDITION_ANCESTOR && narrow->type == CONDITION_PARENT)
		return matches_cover(wide, narrow, wide_gives, narrow_gives);
	if (wide->type != narrow->type)
		return false;
	switch (wide->type) {
	case CONDITION_ID:
		return wide->field == narrow->field && numbers_cover(wide, narrow);
	case CONDITION_LISTED:
		/* all ids of a device are more than one of them */
		return (!wide_gives || narrow_gives) && globs_cover(wide, narrow);
	case CONDITION_NAME:
	case CONDITION_MODALIAS:
		return globs_cover(wide, narrow);
	case CONDITION_ATTRIBUTE:
		return streq(wide->key, narrow->key) && globs_cover(wide, narrow);
	case CONDITION_INTERFACES:
		return numbers_are_equal(wide, narrow);
	case CONDITION_NOT:
		return matches_cover(narrow, wide, !narrow_gives, !wide_gives);
	case CONDITION_PARENT:
	case CONDITION_ANCESTOR:
		return matches_cover(wide, narrow, wide_gives, narrow_gives);
	}
	return false;
}

static bool match_covers(const struct Match *wide, const struct Match *narrow, bool wide_gives,
			 bool narrow_gives)
{
	if (wide->bus != _BUS_INVALID && wide->bus != narrow->bus)
		return false;
	for (uint32_t i = 0; i < wide->n_conditions; i++) {
		bool follows = false;

		for (uint32_t j = 0; j < narrow->n_conditions && !follows; j++)
			follows = condition_covers(&wide->conditions[i], &narrow->conditions[j],
						   wide_gives, narrow_gives);
		if (!follows)
			return false;
	}
	return true;
}

bool rule_covers(const struct Rule *wide, const struct Rule *narrow)
{
	return (wide->when & narrow->when) == narrow->when &&
	       match_covers(&wide->match, &narrow->match, action_gives(wide->action),
			    action_gives(narrow->action));
}
