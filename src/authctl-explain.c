/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device-json.h"
#include "find-device.h"
#include "hardened.h"
#include "log.h"
#include "mismatch.h"
#include "modalias.h"
#include "modules.h"
#include "protection.h"
#include "suggest.h"

struct Subject {
	const struct View *view;
	const struct Device *device;
	struct Moment moment;
	struct Decision decision;
	struct Verdict verdict;
	char **modules; /* NULL: none, or unknown */
	bool is_there;	/* not made up of a modalias, nor of a snapshot */
};

/* --- one device --- */

static void subject_done(struct Subject *subject)
{
	verdict_done(&subject->verdict);
	modules_free(subject->modules);
}

/* The rules from the first to the one that decided, or to the last. */
static size_t n_tried(const struct Subject *subject)
{
	const struct Policy *policy = subject->view->policy;

	if (!subject->decision.rule)
		return policy_n_rules(policy);
	return (size_t)(subject->decision.rule - policy_rule(policy, 0)) + 1;
}

static char *rule_outcome(const struct Subject *subject, const struct Rule *rule)
{
	struct Mismatch mismatch;

	if (rule != subject->decision.rule &&
	    !rule_matches(rule, subject->device, &subject->moment, &mismatch))
		return mismatch_text(rule, &mismatch, subject->device, &subject->moment);
	switch (subject->decision.by) {
	case DECIDED_BY_COUNT:
		return strdup("fits, but admits no more devices");
	case DECIDED_BY_FREEZE:
		return strdup("fits, but admits none after the freeze");
	default:
		return strdup("fits, and decides");
	}
}

static char *place_of(const struct Rule *rule)
{
	char *text;

	return asprintf(&text, "%s:%u", rule->file, rule->line) < 0 ? NULL : text;
}

static void print_rules(const struct Subject *subject)
{
	struct Table table = {.n_columns = 4};
	size_t n = n_tried(subject), all = policy_n_rules(subject->view->policy);

	if (all == 0) {
		(void)printf("\nThe policy has no rules.\n");
		return;
	}
	(void)printf("\nRules, as they were tried:\n");
	table_add(&table, "RULE");
	table_add(&table, "NAME");
	table_add(&table, "ACTION");
	table_add(&table, "OUTCOME");
	for (size_t i = 0; i < n; i++) {
		const struct Rule *rule = policy_rule(subject->view->policy, i);
		_cleanup_free_ char *place = place_of(rule), *outcome = rule_outcome(subject, rule);

		table_add(&table, place);
		table_add(&table, rule->name);
		table_add(&table, action_to_string(rule->action));
		table_add(&table, outcome);
	}
	(void)table_print(&table);
	if (n < all)
		(void)printf("%zu more rule%s behind it were not tried.\n", all - n,
			     all - n == 1 ? "" : "s");
}

static const char *kernel_default(const struct Device *device, char *buffer, size_t size)
{
	const char *driver;

	if (bus_info[device->bus].native)
		return "the bus's own: all devices";
	if (!hardened_find(device, &driver))
		return "deny: not on the list of hardened devices";
	if (!driver)
		return "allow: on the list of hardened devices";
	(void)snprintf(buffer, size, "allow %s: on the list of hardened devices", driver);
	return buffer;
}

static void add_fact(struct Table *table, const char *name, const char *value)
{
	table_add(table, name);
	table_add(table, value);
}

static char *join(char **words)
{
	size_t n = 0;

	while (words && words[n])
		n++;
	return join_words((const char *const *)words, n);
}

static int print_text(const struct Subject *subject)
{
	struct Table table = {.n_columns = 2};
	const struct Device *device = subject->device;
	_cleanup_free_ char *name = device_name(device),
			    *description = view_describe(subject->view, device),
			    *modules = join(subject->modules),
			    *outcome = verdict_text(&subject->verdict);
	enum Protection protection = view_protection(subject->view, device->bus);
	char buffer[128];
	int r;

	add_fact(&table, "Device:", name);
	add_fact(&table, "What:", description);
	add_fact(&table, "Modalias:", device->modalias);
	add_fact(&table, "Kernel's default:", kernel_default(device, buffer, sizeof(buffer)));
	add_fact(&table, "Modules that fit:", modules);
	if (device->syspath)
		add_fact(&table, "Backend:", backend_explain(device_backend(device)));
	if (subject->is_there)
		add_fact(&table, "Protection:", protection_explain(protection, device->bus));
	add_fact(&table, "Outcome:", outcome);
	add_fact(&table, "Why:", subject->verdict.why);
	r = table_print(&table);
	if (r < 0)
		return r;
	print_rules(subject);
	return fflush(stdout) == 0 ? 0 : -errno;
}

static struct json_object *rules_to_json(const struct Subject *subject)
{
	struct json_object *list = json_object_new_array();
	const struct Rule *decided = subject->decision.rule;

	for (size_t i = 0; i < n_tried(subject); i++) {
		const struct Rule *rule = policy_rule(subject->view->policy, i);
		struct json_object *object = json_object_new_object();
		struct Mismatch mismatch = {0};
		bool fits = (decided && rule == decided) ||
			    rule_matches(rule, subject->device, &subject->moment, &mismatch);
		_cleanup_free_ char *outcome = rule_outcome(subject, rule);

		json_add_string(object, "file", rule->file);
		json_object_object_add(object, "line", json_object_new_int64(rule->line));
		json_add_string(object, "name", rule->name);
		json_add_string(object, "action", action_to_string(rule->action));
		json_object_object_add(object, "fits", json_object_new_boolean(fits));
		json_add_string(object, "failed_key", mismatch.key);
		json_add_string(object, "outcome", outcome);
		(void)json_object_array_add(list, object);
	}
	return list;
}

static int print_json(const struct Subject *subject)
{
	const struct Device *device = subject->device;
	struct json_object *root = verdict_to_json(subject->view, device, &subject->verdict);
	char buffer[128];

	json_add_string(root, "kernel_default", kernel_default(device, buffer, sizeof(buffer)));
	json_object_object_add(root, "modules", words_to_json(subject->modules));
	json_object_object_add(root, "rules", rules_to_json(subject));
	return json_print(root);
}

static int explain(const struct Options *options, struct Subject *subject)
{
	int r = verdict_of(subject->device, &subject->decision,
			   subject->view->mode == PROTECTION_AUDIT, &subject->verdict);

	if (r < 0)
		return finish(r, "explain");
	if (subject->device->modalias &&
	    modules_for(NULL, NULL, subject->device->modalias, &subject->modules) < 0)
		subject->modules = NULL;
	return finish(options->json ? print_json(subject) : print_text(subject), "print");
}

static int explain_modalias(const struct Options *options, const struct View *view,
			    const struct Device *device)
{
	_cleanup_(subject_done) struct Subject subject = {.view = view, .device = device};

	policy_decide(view->policy, device, NULL, &subject.decision);
	return explain(options, &subject);
}

int verb_explain(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	_cleanup_device_ struct Device *made_up = NULL;
	_cleanup_(subject_done) struct Subject subject = {.view = &view};
	int r;

	if (view_open(&view, options) < 0)
		return EXIT_FAILED;
	/* the name of a device goes before a modalias */
	if (!view_has(&view, options, args[0]) && device_from_modalias(args[0], &made_up) == 0 &&
	    (made_up->have_ids || made_up->bus >= BUS_ACPI)) {
		log_info("no device is called so; taken for a modalias");
		return explain_modalias(options, &view, made_up);
	}
	r = view_find(&view, options, args[0], &subject.device);
	if (r < 0)
		return exit_status_of(r);
	subject.is_there = !options->snapshot;
	phase_moment(subject.device, &subject.moment, &view.phase);
	subject.decision = view.decisions[inventory_number(&view.inventory, subject.device)];
	return explain(options, &subject);
}
