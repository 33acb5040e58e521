/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* modules list, modules explain: what may be loaded, and why. */

#include <errno.h>

#include "escape.h"
#include "log.h"
#include "module-plan.h"
#include "modules.h"
#include "names.h"
#include "output.h"
#include "suggest.h"

/* --- what both say of a module --- */

static char *join(const struct Vector *strings)
{
	return join_words(strings->data, strings->n);
}

/* Why, and of what is built in and a driver, how it could be kept from starting. */
static char *why_text(const struct ModulePlan *plan, size_t number)
{
	const struct Module *module = &plan->list.modules[number];
	_cleanup_free_ char *why = module_verdict_why(&plan->verdicts[number]);
	_cleanup_free_ char *names = NULL;
	char *text;

	if (!module->is_builtin || module->initcalls.n == 0)
		return TAKE_PTR(why);
	names = join(&module->initcalls);
	if (!why || !names ||
	    asprintf(&text, "%s; initcall_blacklist=%s keeps it from starting", why, names) < 0)
		return NULL;
	return text;
}

static struct json_object *module_to_json(const struct ModulePlan *plan, size_t number)
{
	const struct Module *module = &plan->list.modules[number];
	const struct ModuleVerdict *verdict = &plan->verdicts[number];
	_cleanup_free_ char *why = module_verdict_why(verdict);
	struct json_object *object = json_object_new_object();

	json_add_string(object, "name", module->name);
	json_add_string(object, "path", module->path);
	json_add_string(object, "verdict", module_verdict_word(verdict));
	json_add_string(object, "reason", module_reason_to_string(verdict->reason));
	json_add_string(object, "why", why);
	json_object_object_add(object, "initcalls",
			       module->is_builtin && plan->list.has_initcalls
				       ? strings_to_json(&module->initcalls)
				       : NULL);
	return object;
}

static void add_kernel(struct json_object *object, const struct ModulePlan *plan)
{
	json_object_object_add(object, "kernels", strings_to_json(&plan->versions));
	json_add_string(object, "mode", module_mode_to_string(module_plan_mode(plan)));
	json_object_object_add(object, "strict",
			       json_object_new_boolean(plan->view.policy->modules.strict));
}

/* --- list --- */

static int print_list_json(const struct ModulePlan *plan)
{
	struct json_object *root = json_object_new_object(), *modules = json_object_new_array();

	add_kernel(root, plan);
	for (size_t i = 0; i < plan->list.n; i++)
		(void)json_object_array_add(modules, module_to_json(plan, i));
	json_object_object_add(root, "modules", modules);
	json_object_object_add(root, "notes", strings_to_json(&plan->notes));
	return json_print(root);
}

static void print_summary(const struct ModulePlan *plan)
{
	size_t allowed = 0, builtin = 0;

	for (size_t i = 0; i < plan->list.n; i++) {
		allowed += module_is_allowed(&plan->verdicts[i]);
		builtin += plan->verdicts[i].reason == MODULE_BUILTIN;
	}
	(void)printf("\n%zu allowed, %zu denied, %zu built in; mode: %s\n", allowed,
		     plan->list.n - allowed - builtin, builtin,
		     module_mode_to_string(module_plan_mode(plan)));
	if (builtin > 0 && !plan->list.has_initcalls)
		(void)printf("Which functions start what is built in is not known: neither "
			     "/proc/kallsyms nor a System.map of this kernel tells\n");
	for (size_t i = 0; i < plan->notes.n; i++) {
		_cleanup_free_ char *safe = escape_text(string_at(&plan->notes, i));

		(void)printf("%s\n", safe ? safe : "out of memory");
	}
}

static enum Colour colour_of(const struct ModuleVerdict *verdict)
{
	if (module_is_allowed(verdict))
		return COLOUR_GOOD;
	return verdict->reason == MODULE_DENIED ? COLOUR_BAD : COLOUR_NONE;
}

static int print_list(const struct Options *options, const struct ModulePlan *plan)
{
	struct Table table = {.n_columns = 3};
	int r;

	options_table(options, &table);
	table_add_coloured(&table, "MODULE", COLOUR_DIM);
	table_add_coloured(&table, "VERDICT", COLOUR_DIM);
	table_add_coloured(&table, "WHY", COLOUR_DIM);
	for (size_t i = 0; i < plan->list.n; i++) {
		_cleanup_free_ char *why = why_text(plan, i);

		table.failed = table.failed || !why;
		table_add_word(&table, plan->list.modules[i].name);
		table_add_coloured(&table, module_verdict_word(&plan->verdicts[i]),
				   colour_of(&plan->verdicts[i]));
		table_add(&table, why);
	}
	r = table_print(&table);
	if (r == 0 && !options->no_legend)
		print_summary(plan);
	return r < 0 || fflush(stdout) == 0 ? r : -errno;
}

int verb_modules_list(const struct Options *options, char *const *args)
{
	_cleanup_module_plan_ struct ModulePlan plan;

	(void)args;
	if (module_plan_read(options, &plan) < 0)
		return EXIT_FAILED;
	return finish(options->json ? print_list_json(&plan) : print_list(options, &plan), "print");
}

/* --- explain --- */

struct Subject {
	const struct ModulePlan *plan;
	const struct Module *module;
	struct Vector needs;		    /* of strings, not owned */
	struct Vector needed;		    /* by these, those that are allowed; the same */
	const struct ModprobeLine *refused; /* by the machine's own modprobe.d */
	const struct ModprobeLine *gated;   /* so that nobody loads it */
};

static void subject_done(struct Subject *subject)
{
	vector_done(&subject->needs);
	vector_done(&subject->needed);
}

static int add_neighbours(struct Subject *subject)
{
	const struct ModuleList *list = &subject->plan->list;
	int r = 0;

	for (size_t i = 0; r == 0 && i < subject->module->n_needs; i++)
		r = vector_add(&subject->needs, &list->modules[subject->module->needs[i]].name,
			       sizeof(char *));
	for (size_t i = 0; r == 0 && i < list->n; i++) {
		const struct Module *other = &list->modules[i];

		if (!module_is_allowed(&subject->plan->verdicts[i]))
			continue;
		for (size_t k = 0; r == 0 && k < other->n_needs; k++)
			if (&list->modules[other->needs[k]] == subject->module)
				r = vector_add(&subject->needed, &other->name, sizeof(char *));
	}
	return r;
}

static int subject_make(const struct ModulePlan *plan, const struct Module *module,
			struct Subject *ret)
{
	const struct ModprobeLine *instead;

	*ret = (struct Subject){.plan = plan, .module = module};
	if (!module->is_builtin) {
		ret->refused = modprobe_config_refusal(&plan->config, module->name);
		ret->gated = modprobe_config_bar(&plan->config, module->name, &instead);
	}
	return add_neighbours(ret);
}

static void add_fact(struct Table *table, const char *name, const char *value)
{
	table_add(table, name);
	table_add(table, value);
}

/* "/etc/modprobe.d/a.conf:3 (blacklist)" */
static char *line_text(const struct ModprobeLine *line)
{
	char *text;

	if (!line)
		return strdup("");
	if (line->command == MODPROBE_BLACKLIST)
		return asprintf(&text, "%s:%u: blacklist", line->file, line->line) < 0 ? NULL
										       : text;
	return asprintf(&text, "%s:%u: install %s %s", line->file, line->line, line->name,
			line->text) < 0
		       ? NULL
		       : text;
}

static int print_subject(const struct Subject *subject)
{
	size_t number = module_number(&subject->plan->list, subject->module);
	_cleanup_free_ char *why = why_text(subject->plan, number), *needs = join(&subject->needs),
			    *needed = join(&subject->needed),
			    *refused = line_text(subject->refused),
			    *gated = line_text(subject->gated);
	struct Table table = {.n_columns = 2};

	table.failed = !why || !needs || !needed || !refused || !gated;
	add_fact(&table, "Module:", subject->module->name);
	add_fact(&table, "Path:", subject->module->path);
	add_fact(&table, "Verdict:", module_verdict_word(&subject->plan->verdicts[number]));
	add_fact(&table, "Why:", why);
	add_fact(&table, "Mode:", module_mode_to_string(module_plan_mode(subject->plan)));
	add_fact(&table, "Refused by:", gated);
	add_fact(&table, "The machine's modprobe.d:", refused);
	add_fact(&table, "Needs:", needs);
	add_fact(&table, "Needed by, of those allowed:", needed);
	return table_print(&table);
}

static struct json_object *line_to_json(const struct ModprobeLine *line)
{
	struct json_object *object = line ? json_object_new_object() : NULL;

	if (!line)
		return NULL;
	json_add_string(object, "file", line->file);
	json_object_object_add(object, "line", json_object_new_int64(line->line));
	return object;
}

static struct json_object *subject_to_json(const struct Subject *subject)
{
	struct json_object *object =
		module_to_json(subject->plan, module_number(&subject->plan->list, subject->module));

	json_object_object_add(object, "gated_by", line_to_json(subject->gated));
	json_object_object_add(object, "refused_by", line_to_json(subject->refused));
	json_object_object_add(object, "needs", strings_to_json(&subject->needs));
	json_object_object_add(object, "needed_by", strings_to_json(&subject->needed));
	return object;
}

/* The modules that @name is the name of, or an alias: a list that modules_free() takes. */
static int find_modules(const struct ModulePlan *plan, const char *name, char ***ret)
{
	const struct Module *module = module_list_find(&plan->list, name);
	int r = module_plan_resolve(plan, module ? module->name : name, ret);

	if (r > 0 || !module)
		return r;
	modules_free(*ret);
	*ret = calloc(2, sizeof(**ret));
	if (*ret)
		(*ret)[0] = strdup(module->name);
	return *ret && (*ret)[0] ? 1 : -ENOMEM;
}

static int explain(const struct ModulePlan *plan, char *const *names, struct json_object *array)
{
	int r = 0;

	for (char *const *name = names; r == 0 && *name; name++) {
		const struct Module *module = module_list_find(&plan->list, *name);
		_cleanup_(subject_done) struct Subject subject = {0};

		if (!module)
			continue;
		r = subject_make(plan, module, &subject);
		if (r < 0)
			break;
		if (array) {
			(void)json_object_array_add(array, subject_to_json(&subject));
			continue;
		}
		if (name > names)
			(void)putchar('\n');
		r = print_subject(&subject);
	}
	return r;
}

static int print_explained(const struct ModulePlan *plan, char *const *names, bool json)
{
	struct json_object *root, *array;
	int r;

	if (!json)
		return explain(plan, names, NULL);
	root = json_object_new_object();
	array = json_object_new_array();
	add_kernel(root, plan);
	json_object_object_add(root, "modules", array);
	r = explain(plan, names, array);
	if (r == 0)
		return json_print(root);
	(void)json_object_put(root);
	return r;
}

int verb_modules_explain(const struct Options *options, char *const *args)
{
	_cleanup_module_plan_ struct ModulePlan plan;
	char **names = NULL;
	int r;

	if (module_plan_read(options, &plan) < 0)
		return EXIT_FAILED;
	r = find_modules(&plan, args[0], &names);
	if (r > 0) {
		r = print_explained(&plan, names, options->json);
		modules_free(names);
		return finish(r, "print");
	}
	if (r == 0) {
		_cleanup_free_ char *safe = escape_text(args[0]), *versions = join(&plan.versions),
				    *kernels = versions ? escape_text(versions) : NULL;

		log_error("the kernel %s has no module \"%s\", and none by this alias%s",
			  kernels ? kernels : "?", safe ? safe : "?",
			  module_plan_mode(&plan) == MODULES_ENFORCE ? "; one that comes is denied"
								     : "");
		modules_free(names);
		return EXIT_FAILED;
	}
	return finish(r, "look for the module");
}
