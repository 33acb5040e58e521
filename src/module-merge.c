/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-merge.h"

#include <errno.h>

#include "module-render.h"
#include "string-list.h"

void kernel_modules_done(struct KernelModules *kernel)
{
	module_verdicts_free(kernel->verdicts, kernel->list.n);
	strings_done(&kernel->notes);
	modprobe_config_done(&kernel->config);
	module_list_done(&kernel->list);
}

/* --- the list --- */

struct Merge {
	const struct KernelModules *kernels;
	size_t n;
	struct ModuleList *list;
	struct ModuleVerdict *verdicts;
	struct Vector *notes;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every name of any kernel, once, in order. */
static int collect_names(const struct Merge *merge, const char ***ret, size_t *ret_n)
{
	const char **names;
	size_t n = 0, unique = 0;

	for (size_t k = 0; k < merge->n; k++)
		n += merge->kernels[k].list.n;
	names = calloc(n + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	n = 0;
	for (size_t k = 0; k < merge->n; k++)
		for (size_t i = 0; i < merge->kernels[k].list.n; i++)
			names[n++] = merge->kernels[k].list.modules[i].name;
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (unique == 0 || !streq(names[unique - 1], names[i]))
			names[unique++] = names[i];
	*ret = names;
	*ret_n = unique;
	return 0;
}

static int add_initcall(struct Module *module, const char *function)
{
	return strings_have(&module->initcalls, function)
		       ? 0
		       : strings_add(&module->initcalls, "%s", function);
}

static int add_need(struct Module *module, uint32_t number)
{
	uint32_t *more;

	for (size_t i = 0; i < module->n_needs; i++)
		if (module->needs[i] == number)
			return 0;
	more = reallocarray(module->needs, module->n_needs + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	module->needs = more;
	module->needs[module->n_needs++] = number;
	return 0;
}

/* Adds what @kernel knows of @module. */
static int merge_module(const struct Merge *merge, struct Module *module,
			const struct KernelModules *kernel)
{
	const struct Module *from = module_list_find(&kernel->list, module->name);
	int r = 0;

	if (!from)
		return 0;
	/* as a module, where it is one anywhere */
	if (!module->path || module->is_builtin || !from->is_builtin) {
		free(module->path);
		module->path = strdup(from->path);
		module->is_builtin = from->is_builtin;
	}
	module->is_for_devices = module->is_for_devices || from->is_for_devices;
	for (size_t i = 0; r == 0 && i < from->n_needs; i++) {
		const char *name = kernel->list.modules[from->needs[i]].name;

		r = add_need(module, (uint32_t)module_number(merge->list,
							     module_list_find(merge->list, name)));
	}
	for (size_t i = 0; r == 0 && i < from->initcalls.n; i++)
		r = add_initcall(module, string_at(&from->initcalls, i));
	return module->path ? r : -ENOMEM;
}

static int merge_list(const struct Merge *merge)
{
	_cleanup_free_ const char **names = NULL;
	struct ModuleList *list = merge->list;
	size_t n;
	int r = collect_names(merge, &names, &n);

	if (r < 0)
		return r;
	list->modules = calloc(n + 1, sizeof(*list->modules));
	if (!list->modules)
		return -ENOMEM;
	for (; list->n < n; list->n++) {
		list->modules[list->n].name = strdup(names[list->n]);
		if (!list->modules[list->n].name)
			return -ENOMEM;
	}
	for (size_t k = 0; k < merge->n; k++) {
		list->has_initcalls = list->has_initcalls || merge->kernels[k].list.has_initcalls;
		for (size_t i = 0; r == 0 && i < n; i++)
			r = merge_module(merge, &list->modules[i], &merge->kernels[k]);
	}
	return r;
}

/* --- the verdicts --- */

/* That of @kernel over @name; NULL where it is no module there. */
static const struct ModuleVerdict *verdict_in(const struct KernelModules *kernel, const char *name)
{
	const struct Module *module = module_list_find(&kernel->list, name);

	return module && !module->is_builtin
		       ? &kernel->verdicts[module_number(&kernel->list, module)]
		       : NULL;
}

/* What the kernels that have a module make of it, the last of each kind. */
struct Opinion {
	const struct ModuleVerdict *allows, *denies;
	const char *allowed_by, *denied_by; /* versions */
	bool all_outside;		    /* those that allow it do so for MODULE_OUTSIDE */
};

static struct Opinion opinion_over(const struct Merge *merge, const char *name)
{
	struct Opinion opinion = {.all_outside = true};

	for (size_t k = 0; k < merge->n; k++) {
		const struct ModuleVerdict *verdict = verdict_in(&merge->kernels[k], name);

		if (!verdict)
			continue;
		if (!module_is_allowed(verdict)) {
			opinion.denies = verdict;
			opinion.denied_by = merge->kernels[k].list.version;
			continue;
		}
		opinion.allows = verdict;
		opinion.allowed_by = merge->kernels[k].list.version;
		opinion.all_outside = opinion.all_outside && verdict->reason == MODULE_OUTSIDE;
	}
	return opinion;
}

static int set_verdict(struct ModuleVerdict *verdict, enum ModuleReason reason, char *why)
{
	free(verdict->why);
	verdict->reason = reason;
	verdict->why = why;
	return why ? 0 : -ENOMEM;
}

static int copy_verdict(struct ModuleVerdict *to, const struct ModuleVerdict *from)
{
	if (!from)
		return 0; /* denied, as nothing is said */
	to->reason = from->reason;
	to->why = from->why ? strdup(from->why) : NULL;
	return from->why && !to->why ? -ENOMEM : 0;
}

static int merge_verdict(const struct Merge *merge, size_t number)
{
	const char *name = merge->list->modules[number].name;
	struct ModuleVerdict *verdict = &merge->verdicts[number];
	struct Opinion opinion = opinion_over(merge, name);
	_cleanup_free_ char *why = NULL;
	char *text;

	if (merge->list->modules[number].is_builtin) {
		verdict->reason = MODULE_BUILTIN;
		return 0;
	}
	if (!opinion.denies || !opinion.allows)
		return copy_verdict(verdict, opinion.denies ? opinion.denies : opinion.allows);
	why = module_verdict_why(opinion.denies);
	if (!why || asprintf(&text, "the kernel %s denies it: %s", opinion.denied_by, why) < 0)
		return -ENOMEM;
	return set_verdict(verdict, MODULE_DENIED, text);
}

/* Allows @name, which @by brings with it in @kernel. */
static int open_for(const struct Merge *merge, const char *name, const char *by,
		    enum ModuleReason reason, const struct KernelModules *kernel)
{
	const struct Module *module = module_list_find(merge->list, name);
	struct ModuleVerdict *verdict = &merge->verdicts[module_number(merge->list, module)];
	char *why;

	if (verdict->reason != MODULE_DENIED || !module_name_is_plain(name))
		return 0;
	if (asprintf(&why, "%s of the kernel %s", by, kernel->list.version) < 0)
		return -ENOMEM;
	return set_verdict(verdict, reason, why);
}

static bool is_allowed(const struct Merge *merge, const char *name)
{
	const struct Module *module = module_list_find(merge->list, name);

	return module && module_is_allowed(&merge->verdicts[module_number(merge->list, module)]);
}

/* What modules of @kernel bring with them that are allowed there and in all. It takes one round: a
 * module's needs are those of all depths. */
static int open_needs(const struct Merge *merge, const struct KernelModules *kernel)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < kernel->list.n; i++) {
		const struct Module *module = &kernel->list.modules[i];
		const struct ModuleVerdict *verdict = &kernel->verdicts[i];

		if (!module_is_allowed(verdict) || verdict->reason == MODULE_OUTSIDE)
			continue;
		/* its verdict names who brings it; where that is denied it does not come */
		if ((verdict->reason == MODULE_SOFT || verdict->reason == MODULE_BEHIND) &&
		    is_allowed(merge, verdict->why))
			r = open_for(merge, module->name, verdict->why, verdict->reason, kernel);
		if (!is_allowed(merge, module->name))
			continue;
		for (size_t k = 0; r == 0 && k < module->n_needs; k++)
			r = open_for(merge, kernel->list.modules[module->needs[k]].name,
				     module->name, MODULE_NEEDED, kernel);
	}
	return r;
}

/* The first driver that a module of @kernel needs and that is denied, or NULL. */
static const char *denied_need(const struct Merge *merge, const struct KernelModules *kernel,
			       const char *name)
{
	const struct Module *module = module_list_find(&kernel->list, name);

	for (size_t i = 0; module && i < module->n_needs; i++) {
		const struct Module *need = &kernel->list.modules[module->needs[i]];

		if (!need->is_builtin && module_is_driver(need) && !is_allowed(merge, need->name))
			return need->name;
	}
	return NULL;
}

static int close_outside(const struct Merge *merge, size_t number)
{
	const char *name = merge->list->modules[number].name, *need = NULL;
	struct ModuleVerdict *verdict = &merge->verdicts[number];
	char *why;

	if (verdict->reason != MODULE_OUTSIDE || !opinion_over(merge, name).all_outside)
		return 0;
	for (size_t k = 0; !need && k < merge->n; k++)
		need = denied_need(merge, &merge->kernels[k], name);
	if (!need)
		return 0;
	if (asprintf(&why, "needs %s, which is denied", need) < 0)
		return -ENOMEM;
	return set_verdict(verdict, MODULE_DENIED, why);
}

static int note_loss(const struct Merge *merge, size_t number)
{
	const char *name = merge->list->modules[number].name;
	struct Opinion opinion = opinion_over(merge, name);
	_cleanup_free_ char *allowed = NULL, *denied = NULL;

	if (merge->verdicts[number].reason != MODULE_DENIED || !opinion.allows)
		return 0;
	allowed = module_verdict_why(opinion.allows);
	denied = module_verdict_why(&merge->verdicts[number]);
	if (!allowed || !denied)
		return -ENOMEM;
	return strings_add(merge->notes,
			   "%s would be allowed in the kernel %s (%s), and is denied: %s; "
			   "\"modules: allow\" may have it",
			   name, opinion.allowed_by, allowed, denied);
}

static int merge_verdicts(const struct Merge *merge)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < merge->list->n; i++)
		r = merge_verdict(merge, i);
	for (size_t k = 0; r == 0 && k < merge->n; k++)
		r = open_needs(merge, &merge->kernels[k]);
	for (size_t i = 0; r == 0 && i < merge->list->n; i++)
		r = close_outside(merge, i);
	for (size_t i = 0; r == 0 && i < merge->list->n; i++)
		r = note_loss(merge, i);
	return r;
}

int modules_merge(const struct KernelModules *kernels, size_t n, struct ModuleList *ret_list,
		  struct ModuleVerdict **ret_verdicts, struct Vector *notes)
{
	struct Merge merge = {.kernels = kernels, .n = n, .list = ret_list, .notes = notes};
	int r;

	*ret_list = (struct ModuleList){0};
	*ret_verdicts = NULL;
	r = merge_list(&merge);
	if (r < 0)
		return r;
	merge.verdicts = *ret_verdicts = calloc(ret_list->n + 1, sizeof(**ret_verdicts));
	return merge.verdicts ? merge_verdicts(&merge) : -ENOMEM;
}
