/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-plan.h"

#include <errno.h>

#include "escape.h"
#include "log.h"
#include "module-render.h"
#include "modules.h"
#include "names.h"

static int resolve(const char *alias, char ***ret, void *userdata)
{
	const struct ModulePlan *plan = userdata;
	int r = modules_for(plan->root, plan->list.version, alias, ret);

	return r < 0 ? r : 0;
}

static int read_list(const struct Options *options, struct ModulePlan *plan)
{
	_cleanup_free_ char *safe = NULL;
	int r = module_list_read(options->root, options->kernel, &plan->list);

	if (r >= 0)
		return 0;
	safe = escape_text(plan->list.version ? plan->list.version : options->kernel);
	if (r == -ENOTUNIQ)
		log_error("%s/lib/modules has several kernels: say which with --kernel",
			  options->root ? options->root : "");
	else if (r == -ENODATA)
		log_error("the kernel %s has no modules.dep or modules.alias: run depmod",
			  safe ? safe : "?");
	else
		log_error("cannot read the modules of the kernel %s: %s",
			  safe && *safe ? safe : "that is there", strerror(-r));
	return r;
}

static int judge(struct ModulePlan *plan)
{
	struct ModuleQuestion question = {
		.policy = plan->view.policy,
		.list = &plan->list,
		.config = &plan->config,
		.devices = plan->view.inventory.devices,
		.decisions = plan->view.decisions,
		.n_devices = plan->view.inventory.n,
		.resolve = resolve,
		.userdata = plan,
	};

	return modules_judge(&question, &plan->verdicts, &plan->notes);
}

int module_plan_read(const struct Options *options, struct ModulePlan *ret)
{
	int r;

	*ret = (struct ModulePlan){.root = options->root};
	r = view_open(&ret->view, options);
	if (r < 0)
		return r;
	ret->view.policy->needs.interfaces = true; /* by which the drivers of usb go */
	if (!options->root || options->snapshot) {
		r = view_read(&ret->view, options);
		if (r < 0)
			return r;
	}
	r = read_list(options, ret);
	if (r < 0)
		return r;
	r = modprobe_config_read(ret->root, ret->list.directory, &ret->config);
	if (r == 0)
		r = judge(ret);
	if (r < 0)
		log_error("cannot tell which modules may be loaded: %s", strerror(-r));
	return r;
}

void module_plan_done(struct ModulePlan *plan)
{
	module_verdicts_free(plan->verdicts, plan->list.n);
	for (size_t i = 0; i < plan->notes.n; i++)
		free(((char **)plan->notes.data)[i]);
	vector_done(&plan->notes);
	modprobe_config_done(&plan->config);
	module_list_done(&plan->list);
	view_done(&plan->view);
}

enum ModuleMode module_plan_mode(const struct ModulePlan *plan)
{
	enum ModuleMode mode = plan->view.policy->modules.mode;

	return mode == _MODULES_INVALID ? MODULES_OFF : mode;
}

/* --- files --- */

static int write_globs(FILE *file, const struct ModulePlan *plan)
{
	_cleanup_free_ const char **names = calloc(plan->list.n + 1, sizeof(*names));
	struct Vector globs = {0};
	size_t n = 0;
	int r;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < plan->list.n; i++)
		if (module_is_allowed(&plan->verdicts[i]))
			names[n++] = plan->list.modules[i].name;
	r = complement_make(names, n, &globs);
	for (size_t i = 0; r == 0 && i < globs.n; i++)
		(void)fprintf(file, "install %s " MODULE_GATE "%s\n", string_at(&globs, i),
			      module_plan_mode(plan) == MODULES_AUDIT ? " audit" : "");
	complement_done(&globs);
	return r;
}

/* The names that libkmod would have beside @module on one side. */
static void write_side(FILE *file, const struct ModprobeLine *line, bool after)
{
	const char *pos = line->text, *word;
	bool is_after, any = false;
	size_t len;

	while ((word = softdep_next(&pos, &len, &is_after))) {
		/* what no alias has, and what the file would be read otherwise for */
		if (is_after != after || memchr(word, '\\', len) || memchr(word, '#', len))
			continue;
		(void)fprintf(file, "%s%.*s",
			      any     ? " "
			      : after ? " post: "
				      : " pre: ",
			      (int)len, word);
		any = true;
	}
}

/* libkmod runs no install command for a module that has soft dependencies: it loads it
 * (libkmod-module.c, __kmod_module_fill_softdep()). Only the first line on a module counts, so
 * those of what is allowed come first, and then one by which nothing else has any. An audit leaves
 * them as they are, and says nothing of such modules. */
static void write_softdeps(FILE *file, const struct ModulePlan *plan)
{
	if (module_plan_mode(plan) == MODULES_AUDIT)
		return;
	for (size_t i = 0; i < plan->list.n; i++) {
		const char *name = plan->list.modules[i].name;
		const struct ModprobeLine *line =
			module_is_allowed(&plan->verdicts[i])
				? modprobe_config_softdep(&plan->config, name)
				: NULL;

		if (!line || !*line->text)
			continue;
		(void)fprintf(file, "softdep %s", name);
		write_side(file, line, false);
		write_side(file, line, true);
		(void)fputc('\n', file);
	}
	(void)fputs("softdep * pre:\n", file);
}

static int write_config(FILE *file, const struct ModulePlan *plan)
{
	_cleanup_free_ char *version = escape_word(plan->list.version);

	if (!version)
		return -ENOMEM;
	(void)fprintf(file,
		      "# Made by \"tdx-authctl modules render\": do not edit.\n"
		      "# Kernel: %s\n"
		      "# Mode: %s\n",
		      version, module_mode_to_string(module_plan_mode(plan)));
	if (module_plan_mode(plan) == MODULES_OFF)
		return 0;
	write_softdeps(file, plan);
	return write_globs(file, plan);
}

static int write_table(FILE *file, const struct ModulePlan *plan)
{
	(void)fputs("# Made by \"tdx-authctl modules render\": do not edit.\n", file);
	if (module_plan_mode(plan) == MODULES_OFF)
		return 0;
	for (size_t i = 0; i < plan->list.n; i++) {
		_cleanup_free_ char *name = NULL, *why = NULL, *safe = NULL;

		if (plan->verdicts[i].reason != MODULE_DENIED)
			continue;
		name = escape_word(plan->list.modules[i].name);
		why = module_verdict_why(&plan->verdicts[i]);
		safe = why ? escape_text(why) : NULL;
		if (!name || !safe)
			return -ENOMEM;
		(void)fprintf(file, "%s\t%s\n", name, safe);
	}
	return 0;
}

static int to_text(const struct ModulePlan *plan,
		   int (*write)(FILE *file, const struct ModulePlan *plan), char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r;

	if (!file)
		return -ENOMEM;
	r = write(file, plan);
	if (fclose(file) != 0)
		r = -ENOMEM;
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}

int module_plan_render(const struct ModulePlan *plan, char **ret_config, char **ret_table)
{
	_cleanup_free_ char *config = NULL;
	int r = to_text(plan, write_config, &config);

	if (r == 0)
		r = to_text(plan, write_table, ret_table);
	if (r == 0)
		*ret_config = TAKE_PTR(config);
	return r;
}

/* --- holes --- */

static int add_hole(struct Vector *holes, const char *module, const struct ModprobeLine *line)
{
	const struct ModuleHole *all = holes->data;
	struct ModuleHole hole = {module, line};

	for (size_t i = 0; i < holes->n; i++)
		if (all[i].line == line)
			return 0;
	return vector_add(holes, &hole, sizeof(hole));
}

int module_plan_find_holes(const struct ModulePlan *plan, const struct ModprobeConfig *config,
			   struct Vector *ret)
{
	int r = 0;

	if (module_plan_mode(plan) != MODULES_ENFORCE)
		return 0;
	for (size_t i = 0; r == 0 && i < plan->list.n; i++) {
		const char *name = plan->list.modules[i].name;
		const struct ModprobeLine *instead;

		if (plan->verdicts[i].reason == MODULE_DENIED &&
		    !modprobe_config_bar(config, name, &instead))
			r = add_hole(ret, name, instead);
	}
	return r;
}

char *module_hole_text(const struct ModuleHole *hole)
{
	const struct ModprobeLine *line = hole->line;
	char *text;
	int n;

	if (line)
		n = asprintf(&text,
			     "%s is denied, and loaded all the same: %s:%u comes before what was "
			     "rendered",
			     hole->module, line->file, line->line);
	else
		n = asprintf(&text,
			     "%s is denied, and loaded all the same: another file has the place of "
			     "what was rendered",
			     hole->module);
	return n < 0 ? NULL : text;
}

char *module_plan_path(const struct ModulePlan *plan, bool table)
{
	char *path;

	if (!plan->root)
		return strdup(table ? MODULE_TABLE_OWNER : MODULE_CONFIG_OWNER);
	return asprintf(&path, "%s%s", plan->root,
			table ? MODULE_TABLE_VENDOR : MODULE_CONFIG_VENDOR) < 0
		       ? NULL
		       : path;
}
