/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"

#include <errno.h>
#include <search.h>

#include "escape.h"
#include "generate-rule.h"
#include "hardened.h"
#include "policy-index.h"
#include "policy-parse.h"
#include "policy-write.h"

#define NONE SIZE_MAX

/* The devices that no rule can tell apart. */
struct Group {
	char *text;	    /* of the rule for them, but its name and count */
	size_t first, last; /* device */
	unsigned n;
	bool is_left_out;
};

/* What is to be written. */
struct Draft {
	const struct View *view;
	struct Group *groups;
	size_t n_groups;
	void *tree;	      /* tsearch() tree of them by text */
	size_t *group_of;     /* each device, NONE where it gets no rule */
	size_t *next;	      /* device of the same group, or NONE */
	const char **reasons; /* why each gets none, or NULL */
};

static const struct Device *device_at(const struct Draft *draft, size_t number)
{
	return draft->view->inventory.devices[number];
}

static void keep(void *node)
{
}

static void draft_done(struct Draft *draft)
{
	for (size_t i = 0; i < draft->n_groups; i++)
		free(draft->groups[i].text);
	tdestroy(draft->tree, keep);
	free(draft->groups);
	free(draft->group_of);
	free(draft->next);
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
	/* a kernel that says it does not know them goes by a list of its own; of firmware's devices
	 * ours does not tell the driver */
	if (device->authorized_by == ORIGIN_DEFAULT || !hardened_find(device, &driver) ||
	    (driver ? !streq(driver, device->driver) : bus_info[device->bus].listed_key != NULL))
		return NULL;
	return "they are on tdx-auth's list of hardened devices";
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
	if (reason)
		return reason;
	return driver_name_valid(device->driver) ? rule_obstacle(device)
						 : "a rule cannot name their drivers";
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(((const struct Group *)a)->text, ((const struct Group *)b)->text);
}

/* Adds the device to those that have the same rule. */
static int add_to_group(struct Draft *draft, size_t number)
{
	struct Group *group = &draft->groups[draft->n_groups], **found;

	const struct Device *device = device_at(draft, number);

	*group = (struct Group){.text = rule_text(device, ACTION_ALLOW, rule_driver(device)),
				.first = number};
	found = group->text ? tsearch(group, &draft->tree, compare_texts) : NULL;
	if (!found || *found != group)
		free(TAKE_PTR(group->text));
	if (!found)
		return -ENOMEM;
	if (*found == group) {
		draft->n_groups++;
	} else {
		group = *found;
		draft->next[group->last] = number;
	}
	group->last = number;
	group->n++;
	draft->group_of[number] = (size_t)(group - draft->groups);
	return 0;
}

static int fill_draft(struct Draft *draft)
{
	size_t n = draft->view->inventory.n;
	int r = 0;

	draft->groups = calloc(n + 1, sizeof(*draft->groups));
	draft->group_of = calloc(n + 1, sizeof(*draft->group_of));
	draft->next = calloc(n + 1, sizeof(*draft->next));
	draft->reasons = calloc(n + 1, sizeof(*draft->reasons));
	if (!draft->groups || !draft->group_of || !draft->next || !draft->reasons)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		draft->group_of[i] = draft->next[i] = NONE;
		draft->reasons[i] = reason_to_leave_out(device_at(draft, i));
		if (!draft->reasons[i])
			r = add_to_group(draft, i);
	}
	return r;
}

/* --- rules --- */

static void write_comment(FILE *file, const struct View *view, const struct Device *device)
{
	_cleanup_free_ char *name = device_name(device), *safe = escape_word(name),
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

/* A name that is taken, and the last number that was tried behind it. */
struct Name {
	char *text;
	unsigned tried;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct Name *)a)->text, ((const struct Name *)b)->text);
}

static void name_free(void *node)
{
	struct Name *name = node;

	free(name->text);
	free(name);
}

/* The one of @text, which is taken over, new or not. NULL when out of memory. */
static struct Name *take_name(void **names, char *text, bool *ret_is_new)
{
	struct Name *name = calloc(1, sizeof(*name)), **found;

	if (!name || !text) {
		free(name);
		free(text);
		return NULL;
	}
	name->text = text;
	found = tsearch(name, names, compare_names);
	*ret_is_new = found && *found == name;
	if (!*ret_is_new)
		name_free(name);
	return found ? *found : NULL;
}

/* The name for the device, with a number where @names have it, to which it is added. NULL when out
 * of memory. */
static const char *unique_name(void **names, const struct Device *device)
{
	bool is_new;
	struct Name *base = take_name(names, name_for(device), &is_new), *name = base;

	while (name && !is_new) {
		char *text;

		if (base->tried == 0)
			base->tried = 1;
		base->tried++;
		if (asprintf(&text, "%s-%u", base->text, base->tried) < 0)
			return NULL;
		name = take_name(names, text, &is_new);
	}
	return name ? name->text : NULL;
}

static int write_group(FILE *file, const struct Draft *draft, size_t number, void **names)
{
	const struct Group *group = &draft->groups[number];
	const char *name = unique_name(names, device_at(draft, group->first));

	if (!name)
		return -ENOMEM;
	for (size_t i = group->first; i != NONE; i = draft->next[i])
		write_comment(file, draft->view, device_at(draft, i));
	(void)fputs("  - name: ", file);
	yaml_write_text(file, name);
	(void)fprintf(file, "\n%s    count: { max: %u }\n", group->text, group->n);
	return 0;
}

static int write_groups(FILE *file, const struct Draft *draft)
{
	void *names = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < draft->n_groups; i++) {
		if (draft->groups[i].is_left_out)
			continue;
		(void)fputs(names ? "" : "rules:\n", file);
		r = write_group(file, draft, i, &names);
	}
	if (!names)
		(void)fputs("rules: []\n", file);
	tdestroy(names, name_free);
	return r;
}

/* --- what gets no rule --- */

#define COMMENT_WIDTH 96
#define REASONS_MAX 32 /* more than there are */

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
		safe = escape_word(name);
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
	const char *told[REASONS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < draft->view->inventory.n; i++) {
		const char *reason = draft->reasons[i];
		size_t j = 0;

		if (!reason)
			continue;
		while (j < n && !streq(told[j], reason))
			j++;
		if (j < n || n == REASONS_MAX)
			continue;
		told[n++] = reason;
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
	if (fclose(file) != 0 || r < 0 || !text) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

static void leave_out(struct Draft *draft, size_t group)
{
	draft->groups[group].is_left_out = true;
	for (size_t i = draft->groups[group].first; i != NONE; i = draft->next[i]) {
		draft->group_of[i] = NONE;
		draft->reasons[i] = "a rule for them fits others here, too";
	}
}

/* Whether the device comes out as the draft means it, by the rule of @group or by none. None: which
 * of two that a rule cannot tell apart would be over its count is for the host to say. */
static bool is_as_meant(const struct Draft *draft, size_t number, const struct Decision *decision,
			size_t group)
{
	if (draft->group_of[number] == NONE)
		return group == NONE;
	return group == draft->group_of[number] && decision->by == DECIDED_BY_RULE;
}

/* Marks the groups whose rules decide otherwise than they were written for, over devices of theirs
 * or of others. @groups are those of the policy's rules. */
static void find_misfits(const struct Draft *draft, const struct Policy *policy,
			 const struct Decision *decisions, const size_t *groups, bool *misfits)
{
	for (size_t i = 0; i < draft->view->inventory.n; i++) {
		const struct Rule *rule = decisions[i].rule;
		size_t group = rule ? groups[rule - policy_rule(policy, 0)] : NONE;

		if (is_as_meant(draft, i, &decisions[i], group))
			continue;
		if (group != NONE)
			misfits[group] = true;
		if (draft->group_of[i] != NONE)
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

/* Reads what was written as its users will. Returns as leave_out_misfits(); or -EFBIG where none is
 * left to leave out, and it is too large for them. */
static int check_draft(struct Draft *draft, const char *text, size_t size)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	struct ParseErrors errors;
	int r;

	if (!policy)
		return -ENOMEM;
	policy->size_max = size;
	r = policy_parse(policy, "generated", text, size, &errors);
	if (r == -EBADMSG)
		parse_errors_done(&errors);
	if (r >= 0)
		r = policy_index(policy);
	if (r >= 0)
		r = leave_out_misfits(draft, policy);
	return r == 0 && size > PARSE_SIZE_MAX ? -EFBIG : r;
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
	return fwrite(text, 1, size, file) == size && fflush(file) == 0 ? 0 : -errno;
}
