/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "match.h"

#include "glob-match.h"

/* --- conditions --- */

static bool any_number_fits(const struct Condition *condition, uint32_t n)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (number_fits(&condition->numbers[i], n))
			return true;
	return false;
}

static bool any_glob_fits(const struct Condition *condition, const char *s)
{
	for (uint32_t i = 0; s && i < condition->n; i++)
		if (glob_match(condition->globs[i], s))
			return true;
	return false;
}

/* pnp shows ids with their hexadecimal digits in lower case, and tells none from another by that.
 */
bool condition_fits_id(const struct Condition *condition, const struct Device *device,
		       const char *id, size_t len)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (glob_match_n(condition->globs[i], id, len, device->bus == BUS_PNP))
			return true;
	return false;
}

/* A driver may match by any id that a device lists. So a rule that gives fits a device of which it
 * covers all, one that takes away a device of which it names any: neither can be got around by an
 * id more. */
static bool listed_ids_fit(const struct Condition *condition, const struct Device *device,
			   bool gives)
{
	const char *pos = NULL, *id;
	size_t len, n = 0;

	while ((id = device_next_listed_id(device, &pos, &len))) {
		if (condition_fits_id(condition, device, id, len) != gives)
			return !gives;
		n++;
	}
	return gives && n > 0;
}

/* --- interfaces --- */

static bool has_interface(const struct Device *device, const struct Number *number)
{
	for (size_t i = 0; i < device->n_interfaces; i++)
		if (number_fits(number, device->interfaces[i]))
			return true;
	return false;
}

static bool has_all_of(const struct Condition *condition, const struct Device *device)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (!has_interface(device, &condition->numbers[i]))
			return false;
	return true;
}

static bool has_one_of(const struct Condition *condition, const struct Device *device)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (has_interface(device, &condition->numbers[i]))
			return true;
	return false;
}

static bool has_no_other(const struct Condition *condition, const struct Device *device)
{
	for (size_t i = 0; i < device->n_interfaces; i++)
		if (!any_number_fits(condition, device->interfaces[i]))
			return false;
	return true;
}

static bool interfaces_fit(const struct Condition *condition, const struct Device *device)
{
	switch (condition->quantity) {
	case QUANTITY_ALL_OF:
		return has_all_of(condition, device);
	case QUANTITY_ONE_OF:
		return has_one_of(condition, device);
	case QUANTITY_NONE_OF:
		return !has_one_of(condition, device);
	case QUANTITY_EQUALS:
		return has_all_of(condition, device) && has_no_other(condition, device);
	default:
		return false;
	}
}

/* --- matches --- */

static bool match_fits(const struct Match *match, const struct Device *device, bool gives,
		       struct Mismatch *ret);

static bool any_match_fits(const struct Condition *condition, const struct Device *device,
			   bool gives)
{
	for (uint32_t i = 0; device && i < condition->n; i++)
		if (match_fits(&condition->matches[i], device, gives, NULL))
			return true;
	return false;
}

static bool any_ancestor_fits(const struct Condition *condition, const struct Device *device,
			      bool gives)
{
	for (; device; device = device->parent)
		if (any_match_fits(condition, device, gives))
			return true;
	return false;
}

static bool condition_holds(const struct Condition *condition, const struct Device *device,
			    bool gives)
{
	switch (condition->type) {
	case CONDITION_ID:
		return device_has_id(device, condition->field) &&
		       any_number_fits(condition, device->ids[condition->field]);
	case CONDITION_LISTED:
		return listed_ids_fit(condition, device, gives);
	case CONDITION_NAME:
		return any_glob_fits(condition, device->sysname);
	case CONDITION_MODALIAS:
		return any_glob_fits(condition, device->modalias);
	case CONDITION_ATTRIBUTE:
		return any_glob_fits(condition, device_attribute(device, condition->key));
	case CONDITION_INTERFACES:
		return interfaces_fit(condition, device);
	case CONDITION_NOT:
		return !any_match_fits(condition, device, !gives);
	case CONDITION_PARENT:
		return any_match_fits(condition, device->parent, gives);
	case CONDITION_ANCESTOR:
		return any_ancestor_fits(condition, device->parent, gives);
	}
	return false;
}

static bool mismatch(struct Mismatch *ret, const char *key, const struct Condition *condition)
{
	if (ret)
		*ret = (struct Mismatch){key, condition};
	return false;
}

/* @gives: what fits is given to drivers that it might be kept from otherwise. */
static bool match_fits(const struct Match *match, const struct Device *device, bool gives,
		       struct Mismatch *ret)
{
	if (match->bus != _BUS_INVALID && match->bus != device->bus)
		return mismatch(ret, bus_to_string(match->bus), NULL);
	for (uint32_t i = 0; i < match->n_conditions; i++)
		if (!condition_holds(&match->conditions[i], device, gives))
			return mismatch(ret, match->conditions[i].key, &match->conditions[i]);
	return true;
}

bool rule_matches(const struct Rule *rule, const struct Device *device, const struct Moment *moment,
		  struct Mismatch *ret)
{
	unsigned when = moment && moment->is_hot ? WHEN_HOT : WHEN_COLD;

	if (!match_fits(&rule->match, device, action_gives(rule->action), ret))
		return false;
	return rule->when & when || mismatch(ret, "when", NULL);
}

bool match_holds(const struct Match *match, const struct Device *device, bool gives,
		 struct Mismatch *ret)
{
	return match_fits(match, device, gives, ret);
}
