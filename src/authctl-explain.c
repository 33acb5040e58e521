/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device-json.h"
#include "escape.h"
#include "explain.h"
#include "find-device.h"
#include "hardened.h"
#include "log.h"
#include "modules.h"
#include "protection.h"
#include "suggest.h"

struct Subject {
	struct Explanation explanation;
	struct Vector untold; /* of strings: modalias_untold() */
	char **modules;	      /* NULL: none, or unknown */
	bool is_there;	      /* not supposed from a modalias, nor of a snapshot */
};

static void subject_done(struct Subject *subject)
{
	explanation_done(&subject->explanation);
	vector_done(&subject->untold);
	modules_free(subject->modules);
}

/* --- text --- */

static char *place_of(const struct Rule *rule)
{
	char *text;

	return asprintf(&text, "%s:%u", rule->file, rule->line) < 0 ? NULL : text;
}

static void print_rules(const struct Options *options, const struct Explanation *explanation)
{
	struct Table table = {.n_columns = 4};
	const struct Tried *tried = explanation->tried.data;
	size_t n = explanation->tried.n, all = policy_n_rules(explanation->view->policy);

	if (all == 0) {
		(void)printf("\nThe policy has no rules.\n");
		return;
	}
	(void)printf("\nRules, as they were tried:\n");
	options_table(options, &table);
	table_add(&table, "RULE");
	table_add(&table, "NAME");
	table_add(&table, "ACTION");
	table_add(&table, "OUTCOME");
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *place = place_of(tried[i].rule);

		table_add(&table, place);
		table_add(&table, tried[i].rule->name);
		table_add(&table, action_to_string(tried[i].rule->action));
		table_add(&table, tried[i].outcome);
	}
	(void)table_print(&table);
	if (n < all)
		(void)printf("%zu more rule%s behind it were not tried.\n", all - n,
			     all - n == 1 ? "" : "s");
}

static const char *kernel_default(const struct Explanation *explanation, char *buffer, size_t size)
{
	const struct Device *device = explanation->device;
	const char *driver;

	if (explanation->modalias && !supposed_hardened_is_known(explanation->modalias))
		return "unknown from a modalias that does not tell all the ids it goes by";
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

/* "allow e1000e, or deny" */
static char *verdicts_text(const struct Explanation *explanation)
{
	const struct Verdict *verdicts = explanation->verdicts.data;
	_cleanup_free_ char *text = strdup("");

	for (size_t i = 0; text && i < explanation->verdicts.n; i++) {
		_cleanup_free_ char *one = verdict_text(&verdicts[i]);
		char *longer;

		if (!one || asprintf(&longer, "%s%s%s", text, i > 0 ? ", or " : "", one) < 0)
			return NULL;
		free(text);
		text = longer;
	}
	return TAKE_PTR(text);
}

/* Why the verdict is what it is, or what it depends on. */
static char *reason(const struct Explanation *explanation)
{
	const struct Verdict *verdict = explanation_verdict(explanation);
	_cleanup_free_ char *keys = NULL;
	char *text;

	if (verdict)
		return strdup(verdict->why);
	keys = join_words(explanation->depends_on.data, explanation->depends_on.n);
	if (!keys || asprintf(&text, "depends on %s: unknown from a modalias", keys) < 0)
		return NULL;
	return text;
}

static int print_text(const struct Options *options, const struct Subject *subject)
{
	const struct Explanation *explanation = &subject->explanation;
	struct Table table = {.n_columns = 2};
	const struct Device *device = explanation->device;
	const struct Modalias *modalias = explanation->modalias;
	_cleanup_free_ char *name = modalias ? NULL : device_name(device),
			    *description = view_describe(explanation->view, device),
			    *untold = join_words(subject->untold.data, subject->untold.n),
			    *modules = join(subject->modules),
			    *outcome = verdicts_text(explanation), *why = reason(explanation);
	enum Protection protection = view_protection(explanation->view, device->bus);
	char buffer[128];
	int r;

	add_fact(&table, "Device:", name);
	add_fact(&table, "What:", description);
	add_fact(&table, "Modalias:", device->modalias);
	if (modalias && device->bus == BUS_ACPI)
		add_fact(&table, "Taken for:",
			 "a device of acpi; the platform device that is made of it has the same "
			 "modalias and a verdict of its own");
	if (modalias)
		add_fact(&table, "Unknown from it:", untold);
	add_fact(&table, "Kernel's default:", kernel_default(explanation, buffer, sizeof(buffer)));
	add_fact(&table, "Modules that fit:", modules);
	if (!modalias)
		add_fact(&table, "Backend:", backend_explain(device_backend(device)));
	if (subject->is_there)
		add_fact(&table, "Protection:", protection_explain(protection, device->bus));
	add_fact(&table, "Outcome:", outcome);
	add_fact(&table, "Why:", why);
	if (explanation->view->policy->mode == POLICY_AUDIT)
		add_fact(&table, "Mode:", "audit: the outcome is told, and not done");
	r = table_print(&table);
	if (r < 0)
		return r;
	print_rules(options, explanation);
	return fflush(stdout) == 0 ? 0 : -errno;
}

/* --- JSON --- */

static struct json_object *rules_to_json(const struct Explanation *explanation)
{
	struct json_object *list = json_object_new_array();
	const struct Tried *tried = explanation->tried.data;

	for (size_t i = 0; i < explanation->tried.n; i++) {
		struct json_object *object = json_object_new_object();
		const struct Rule *rule = tried[i].rule;

		json_add_string(object, "file", rule->file);
		json_object_object_add(object, "line", json_object_new_int64(rule->line));
		json_add_string(object, "name", rule->name);
		json_add_string(object, "action", action_to_string(rule->action));
		json_object_object_add(
			object, "fits",
			tried[i].fits == ANSWER_MAYBE
				? NULL
				: json_object_new_boolean(tried[i].fits == ANSWER_YES));
		json_add_string(object, "failed_key", tried[i].failed_key);
		json_add_string(object, "outcome", tried[i].outcome);
		(void)json_object_array_add(list, object);
	}
	return list;
}

static struct json_object *possible_to_json(const struct Explanation *explanation)
{
	struct json_object *list = json_object_new_array();
	const struct Verdict *verdicts = explanation->verdicts.data;

	for (size_t i = 0; i < explanation->verdicts.n; i++)
		(void)json_object_array_add(list, outcome_to_json(&verdicts[i]));
	return list;
}

static struct json_object *keys_to_json(const struct Vector *keys)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < keys->n; i++)
		(void)json_object_array_add(list, json_object_new_string(string_at(keys, i)));
	return list;
}

static int print_json(const struct Subject *subject)
{
	const struct Explanation *explanation = &subject->explanation;
	const struct Verdict *verdict = explanation_verdict(explanation);
	_cleanup_free_ char *why = reason(explanation);
	struct Verdict none = {.why = why};
	struct json_object *root =
		verdict_to_json(explanation->view, explanation->device, verdict ? verdict : &none);
	char buffer[128];

	json_object_object_add(root, "possible", possible_to_json(explanation));
	json_object_object_add(root, "depends_on", keys_to_json(&explanation->depends_on));
	json_object_object_add(root, "unknown", keys_to_json(&subject->untold));
	json_add_string(root, "kernel_default",
			kernel_default(explanation, buffer, sizeof(buffer)));
	json_object_object_add(root, "modules", words_to_json(subject->modules));
	json_object_object_add(root, "rules", rules_to_json(explanation));
	return json_print(root);
}

/* --- the verb --- */

static int print(const struct Options *options, struct Subject *subject)
{
	const char *modalias = subject->explanation.device->modalias;

	if (modalias && view_modules(options, modalias, &subject->modules) < 0)
		subject->modules = NULL;
	return finish(options->json ? print_json(subject) : print_text(options, subject), "print");
}

static int explain_supposed(const struct Options *options, const struct View *view,
			    const struct Modalias *modalias)
{
	_cleanup_(subject_done) struct Subject subject = {
		.explanation = {.view = view, .device = modalias->device, .modalias = modalias}};
	int r = explain_modalias(&subject.explanation);

	if (r == 0)
		r = modalias_untold(modalias, &subject.untold);
	if (r < 0)
		return finish(r, "explain");
	log_info("no device is called so; taken for a modalias");
	return print(options, &subject);
}

static int explain_found(const struct Options *options, struct View *view,
			 const struct Device *device)
{
	_cleanup_(subject_done) struct Subject subject = {
		.explanation = {.view = view, .device = device}, .is_there = !options->snapshot};
	size_t number = inventory_number(&view->inventory, device);
	struct Moment moment = {0};
	int r;

	circumstances_moment(device, &moment, &view->circumstances);
	r = explain_device(&subject.explanation, &view->decisions[number], &moment);
	return r < 0 ? finish(r, "explain") : print(options, &subject);
}

static int refuse_modalias(const char *typed)
{
	_cleanup_free_ char *safe = escape_text(typed);

	log_error("%s: no device is called so, and it is no modalias: of this bus one is %s",
		  safe ? safe : "?", modalias_form(typed));
	return EXIT_USAGE;
}

int verb_explain(const struct Options *options, char *const *args)
{
	_cleanup_(modalias_done) struct Modalias modalias = {0};
	_cleanup_view_ struct View view = {0};
	const struct Device *device;
	int r;

	if (view_open(&view, options) < 0)
		return EXIT_FAILED;
	/* the name of a device goes before a modalias */
	if (!view_has(&view, options, args[0])) {
		r = modalias_parse(args[0], &modalias);
		if (r == 0)
			return explain_supposed(options, &view, &modalias);
		if (r == -EINVAL && modalias_is_meant(args[0]) &&
		    !view_has_like(&view, options, args[0]))
			return refuse_modalias(args[0]);
	}
	r = view_find(&view, options, args[0], &device);
	return r < 0 ? exit_status_of(r) : explain_found(options, &view, device);
}
