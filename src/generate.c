/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"

#include <errno.h>

#include "escape.h"
#include "generate-rule.h"
#include "hardened.h"
#include "policy-parse.h"
#include "policy-write.h"

/* The devices that no rule can tell apart. */
struct Group {
	char *text;   /* of the rule for them, but its name and count */
	size_t first; /* device */
	unsigned n;
	bool is_left_out;
};

#define NO_GROUP SIZE_MAX

/* What is to be written. */
struct Draft {
	const struct View *view;
	struct Group *groups;
	size_t n_groups;
	size_t *group_of;     /* each device, NO_GROUP where it gets no rule */
	const char **reasons; /* why each gets none, or NULL */
};

static const struct Device *device_at(const struct Draft *draft, size_t number)
{
	return draft->view->inventory.devices[number];
}

static void draft_done(struct Draft *draft)
{
	for (size_t i = 0; i < draft->n_groups; i++)
		free(draft->groups[i].text);
	free(draft->groups);
	free(draft->group_of);
	free(draft->reasons);
}

/* --- what gets a rule --- */

/* Why the owner has to say nothing for the device to stay as it is, where the kernel decides. */
static const char *kernels_reason(const struct Device *device)
{
	const char *driver;

	switch (device->authorized_by) {
	case ORIGIN_KERNEL:
		return "the kernel made them itself";
	case ORIGIN_PARENT:
		return "the kernel decides over them as over the device above";
	case ORIGIN_BUILTIN:
		return "they are on the kernel's built-in list";
	default:
		break;
	}
	if (device->bus == BUS_PLATFORM && device->authorized_by == _ORIGIN_INVALID)
		return "without the kernel series they may be the kernel's own";
	return hardened_find(device, &driver) ? "they are on tdx-auth's list of hardened devices"
					      : NULL;
}

/* Why the device gets no rule, as a static phrase over several, or NULL where it may get one. */
static const char *reason_to_leave_out(const struct Device *device)
{
	const char *reason = device_exempt(device);

	if (reason)
		return reason;
	if (device->authorized == 0)
		return "they are refused now";
	if (!device->driver)
		return "no driver has them";
	reason = bus_info[device->bus].native ? NULL : kernels_reason(device);
	return reason ? reason : rule_obstacle(device);
}

/* Adds the device to those that have the same rule. */
static int add_to_group(struct Draft *draft, size_t number)
{
	char *text = rule_text(device_at(draft, number));
	size_t i = 0;

	if (!text)
		return -ENOMEM;
	while (i < draft->n_groups && !streq(draft->groups[i].text, text))
		i++;
	if (i < draft->n_groups)
		free(text);
	else
		draft->groups[draft->n_groups++] = (struct Group){text, number};
	draft->groups[i].n++;
	draft->group_of[number] = i;
	return 0;
}

static int fill_draft(struct Draft *draft)
{
	size_t n = draft->view->inventory.n;
	int r = 0;

	draft->groups = calloc(n + 1, sizeof(*draft->groups));
	draft->group_of = calloc(n + 1, sizeof(*draft->group_of));
	draft->reasons = calloc(n + 1, sizeof(*draft->reasons));
	if (!draft->groups || !draft->group_of || !draft->reasons)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		draft->group_of[i] = NO_GROUP;
		draft->reasons[i] = reason_to_leave_out(device_at(draft, i));
		if (!draft->reasons[i])
			r = add_to_group(draft, i);
	}
	return r;
}

/* --- rules --- */

static void write_comment(FILE *file, const struct View *view, const struct Device *device)
{
	_cleanup_free_ char *name = device_name(device), *safe = escape_text(name),
			    *description = view_describe(view, device),
			    *safe_description = escape_text(description);

	(void)fprintf(file, "  # %s%s%s\n", safe ? safe : "?",
		      isempty(safe_description) ? "" : ": ",
		      safe_description ? safe_description : "");
}

/* What a rule for the device is called, if no other is: its driver has no "/" and no control
 * character. */
static char *name_for(const struct Device *device)
{
	char *name;

	if (device->bus != BUS_USB)
		return strdup(device->bus == BUS_THUNDERBOLT ? "thunderbolt" : device->driver);
	return asprintf(&name, "usb-%04x-%04x", device->ids[ID_VENDOR], device->ids[ID_DEVICE]) < 0
		       ? NULL
		       : name;
}

/* How many of @names are @base, or @base with a number. */
static unsigned count_like(const struct Vector *names, const char *base)
{
	unsigned n = 0;

	for (size_t i = 0; i < names->n; i++) {
		const char *rest = startswith(string_at(names, i), base);

		n += rest && (!*rest || *rest == '-');
	}
	return n;
}

static bool is_taken(const struct Vector *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (streq(string_at(names, i), name))
			return true;
	return false;
}

/* The same, with a number where @names have it, to which it is added. NULL when out of memory. */
static const char *unique_name(struct Vector *names, const struct Device *device)
{
	_cleanup_free_ char *base = name_for(device), *name = base ? strdup(base) : NULL;

	for (unsigned i = base ? count_like(names, base) : 0; name && is_taken(names, name); i++) {
		free(TAKE_PTR(name));
		if (asprintf(&name, "%s-%u", base, i + 1) < 0)
			name = NULL;
	}
	if (!name || vector_add(names, &name, sizeof(name)) < 0)
		return NULL;
	return TAKE_PTR(name);
}

static int write_group(FILE *file, const struct Draft *draft, size_t number, struct Vector *names)
{
	const struct Group *group = &draft->groups[number];
	const char *name = unique_name(names, device_at(draft, group->first));

	if (!name)
		return -ENOMEM;
	for (size_t i = group->first; i < draft->view->inventory.n; i++)
		if (draft->group_of[i] == number)
			write_comment(file, draft->view, device_at(draft, i));
	(void)fputs("  - name: ", file);
	yaml_write_text(file, name);
	(void)fprintf(file, "\n%s    count: { max: %u }\n", group->text, group->n);
	return 0;
}

static int write_groups(FILE *file, const struct Draft *draft)
{
	struct Vector names = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < draft->n_groups; i++) {
		if (draft->groups[i].is_left_out)
			continue;
		(void)fputs(names.n == 0 ? "rules:\n" : "", file);
		r = write_group(file, draft, i, &names);
	}
	if (names.n == 0)
		(void)fputs("rules: []\n", file);
	for (size_t i = 0; i < names.n; i++)
		free((char *)string_at(&names, i));
	vector_done(&names);
	return r;
}

/* --- what gets no rule --- */

#define COMMENT_WIDTH 96

/* Writes the names of the devices that are left out for @reason, as many in a line as there is room
 * for. */
static void write_names(FILE *file, const struct Draft *draft, const char *reason)
{
	size_t column = 0;

	for (size_t i = 0; i < draft->view->inventory.n; i++) {
		_cleanup_free_ char *name = NULL, *safe = NULL;
		size_t width;

		if (!streq_or_null(draft->reasons[i], reason))
			continue;
		name = device_name(device_at(draft, i));
		safe = escape_text(name);
		width = escaped_width(safe ? safe : "?") + 1;
		if (column == 0 || column + width > COMMENT_WIDTH) {
			(void)fputs(column ? "\n#  " : "#  ", file);
			column = 3;
		}
		(void)fprintf(file, " %s", safe ? safe : "?");
		column += width;
	}
	(void)fputc('\n', file);
}

/* What gets no rule is told, by reasons, as silence could be taken for a rule. */
static void write_left_out(FILE *file, const struct Draft *draft)
{
	for (size_t i = 0; i < draft->view->inventory.n; i++) {
		const char *reason = draft->reasons[i];
		bool is_first = reason;

		for (size_t j = 0; is_first && j < i; j++)
			is_first = !streq_or_null(draft->reasons[j], reason);
		if (!is_first)
			continue;
		(void)fprintf(file, "# No rules for these: %s.\n", reason);
		write_names(file, draft, reason);
	}
}

/* --- the policy --- */

/* The policy as it is drafted: a new string, *ret_size bytes long. Returns 0 or -ENOMEM. */
static int write_draft(const struct Draft *draft, char **ret, size_t *ret_size)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_size);
	int r;

	if (!file)
		return -ENOMEM;
	(void)fputs("# What has a driver and is not on the kernel's built-in list of hardened "
		    "devices.\n"
		    "# Keep what you need: each rule is a driver that nobody hardened.\n"
		    "version: 1\ndefaults: { \"*\": kernel, usb: deny, thunderbolt: deny }\n",
		    file);
	r = write_groups(file, draft);
	write_left_out(file, draft);
	if (fclose(file) != 0 || r < 0) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

static void leave_out(struct Draft *draft, size_t group)
{
	draft->groups[group].is_left_out = true;
	for (size_t i = 0; i < draft->view->inventory.n; i++) {
		if (draft->group_of[i] != group)
			continue;
		draft->group_of[i] = NO_GROUP;
		draft->reasons[i] = "a rule for them fits others here, too";
	}
}

/* Whether the device comes out as the draft means it, by the rule of @group or by none. One that is
 * not in use may be refused by a count. */
static bool is_as_meant(const struct Draft *draft, size_t number, const struct Decision *decision,
			size_t group)
{
	const struct Device *device = device_at(draft, number);
	bool is_used = device->driver && device->authorized != 0;

	if (draft->group_of[number] != NO_GROUP)
		return group == draft->group_of[number] && decision->by == DECIDED_BY_RULE;
	return group == NO_GROUP || (decision->by == DECIDED_BY_COUNT && !is_used);
}

/* Marks the groups whose rules decide otherwise than they were written for, over devices of theirs
 * or of others. @groups are those of the policy's rules. */
static void find_misfits(const struct Draft *draft, const struct Policy *policy,
			 const struct Decision *decisions, const size_t *groups, bool *misfits)
{
	for (size_t i = 0; i < draft->view->inventory.n; i++) {
		const struct Rule *rule = decisions[i].rule;
		size_t group = rule ? groups[rule - policy_rule(policy, 0)] : NO_GROUP;

		if (is_as_meant(draft, i, &decisions[i], group))
			continue;
		if (group != NO_GROUP)
			misfits[group] = true;
		if (draft->group_of[i] != NO_GROUP)
			misfits[draft->group_of[i]] = true;
	}
}

/* Decides over all devices by @policy, which is what was drafted, and leaves the misfits out.
 * Returns how many groups that were, or -ENOMEM. */
static int leave_out_misfits(struct Draft *draft, const struct Policy *policy)
{
	const struct Inventory *inventory = &draft->view->inventory;
	_cleanup_free_ struct Decision *decisions = calloc(inventory->n + 1, sizeof(*decisions));
	_cleanup_free_ size_t *groups = calloc(draft->n_groups + 1, sizeof(*groups));
	_cleanup_free_ bool *misfits = calloc(draft->n_groups + 1, sizeof(*misfits));
	size_t rules = 0;
	int n = 0;

	if (!decisions || !groups || !misfits ||
	    policy_decide_all(policy, inventory->devices, inventory->n, NULL, NULL, decisions) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < draft->n_groups; i++)
		if (!draft->groups[i].is_left_out)
			groups[rules++] = i;
	find_misfits(draft, policy, decisions, groups, misfits);
	for (size_t i = 0; i < draft->n_groups; i++) {
		if (!misfits[i])
			continue;
		leave_out(draft, i);
		n++;
	}
	return n;
}

/* Reads what was written as its users will. Returns as leave_out_misfits(). */
static int check_draft(struct Draft *draft, const char *text, size_t size)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	struct ParseErrors errors;
	int r;

	if (!policy)
		return -ENOMEM;
	if (size > policy->size_max)
		return -EFBIG;
	r = policy_parse(policy, "generated", text, size, &errors);
	if (r == -EBADMSG)
		parse_errors_done(&errors);
	return r < 0 ? r : leave_out_misfits(draft, policy);
}

/* Writes draft after draft, each with fewer rules, until one comes out as it is meant. */
static int draft_policy(struct Draft *draft, char **ret, size_t *ret_size)
{
	int r = fill_draft(draft);

	while (r >= 0) {
		_cleanup_free_ char *text = NULL;

		r = write_draft(draft, &text, ret_size);
		if (r >= 0)
			r = check_draft(draft, text, *ret_size);
		if (r > 0)
			continue;
		if (r == 0)
			*ret = TAKE_PTR(text);
		return r;
	}
	return r;
}

int policy_generate(FILE *file, const struct View *view)
{
	_cleanup_(draft_done) struct Draft draft = {.view = view};
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = draft_policy(&draft, &text, &size);

	if (r < 0)
		return r;
	return fwrite(text, 1, size, file) == size && fflush(file) == 0 ? 0 : -EIO;
}
