/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-plan.h"

#include <errno.h>
#include <fcntl.h>

#include "escape.h"
#include "log.h"
#include "module-asks.h"
#include "module-notes.h"
#include "module-render.h"
#include "module-rendered.h"
#include "modules.h"
#include "names.h"
#include "root-open.h"
#include "string-list.h"
#include "suggest.h"

static const struct KernelModules *kernel_at(const struct ModulePlan *plan, size_t i)
{
	return (const struct KernelModules *)plan->kernels.data + i;
}

/* --- reading --- */

struct Resolver {
	const char *root, *version;
};

static int resolve(const char *alias, char ***ret, void *userdata)
{
	const struct Resolver *resolver = userdata;
	int r = modules_for(resolver->root, resolver->version, alias, ret);

	return r < 0 ? r : 0;
}

static int judge(struct ModulePlan *plan, struct KernelModules *kernel)
{
	struct Resolver resolver = {plan->root, kernel->list.version};
	struct ModuleQuestion question = {
		.policy = plan->view.policy,
		.list = &kernel->list,
		.config = &kernel->config,
		.devices = plan->view.inventory.devices,
		.decisions = plan->view.decisions,
		.n_devices = plan->view.inventory.n,
		.resolve = resolve,
		.userdata = &resolver,
	};

	return modules_judge(&question, &kernel->verdicts, &kernel->notes);
}

/* @error is why nothing is known of the kernel @version; NULL: of any. */
static void tell_unreadable(const char *root, const char *version, int error)
{
	_cleanup_strings_ struct Vector versions = {0};
	_cleanup_free_ char *safe = version ? escape_text(version) : NULL, *names = NULL,
			    *others = NULL, *tree = escape_text(root ? root : "");

	(void)module_list_versions(root, &versions, NULL);
	names = join_words(versions.data, versions.n);
	others = names ? escape_text(names) : NULL;
	if (version && error == -ENOENT)
		log_error("there is no kernel %s in %s/lib/modules%s%s", safe ? safe : "?",
			  tree ? tree : "", versions.n > 0 ? ", which has: " : "",
			  others ? others : "");
	else if (version && error == -ENODATA)
		log_error("the kernel %s has no modules.dep or modules.alias: run depmod",
			  safe ? safe : "?");
	else if (version)
		log_error("cannot read the modules of the kernel %s: %s", safe ? safe : "?",
			  strerror(-error));
	else if (error == -ENOENT)
		log_error("there is no kernel in %s/lib/modules", tree ? tree : "");
	else if (error == -ENODATA)
		log_error("no kernel in %s/lib/modules has a modules.dep: run depmod",
			  tree ? tree : "");
	else
		log_error("cannot tell which kernels are in %s/lib/modules: %s", tree ? tree : "",
			  strerror(-error));
}

/* Returns -ENOENT, -ENODATA and their like after the log told why, and -ENOMEM without. */
static int add_kernel(struct ModulePlan *plan, const char *version)
{
	struct KernelModules kernel = {0};
	int r = module_list_read(plan->root, version, &kernel.list);

	if (r < 0 && r != -ENOMEM) {
		tell_unreadable(plan->root, version, r);
		plan->is_told = true;
	}
	if (r == 0)
		r = modprobe_config_read(plan->root, kernel.list.directory, &kernel.config);
	if (r == 0)
		r = judge(plan, &kernel);
	if (r == 0)
		r = vector_add(&plan->kernels, &kernel, sizeof(kernel));
	if (r < 0)
		kernel_modules_done(&kernel);
	else
		r = vector_add(&plan->versions, &kernel.list.version, sizeof(char *));
	return r;
}

static int add_kernels(const struct Options *options, struct ModulePlan *plan)
{
	_cleanup_strings_ struct Vector found = {0};
	const struct Vector *versions = &options->kernels;
	int r = 0;

	if (versions->n == 0) {
		r = module_list_versions(options->root, &found, &plan->left_out);
		if (r < 0 && r != -ENOMEM) {
			tell_unreadable(options->root, NULL, r);
			plan->is_told = true;
		}
		versions = &found;
	}
	for (size_t i = 0; r == 0 && i < versions->n; i++)
		if (!strings_have(&plan->versions, string_at(versions, i)))
			r = add_kernel(plan, string_at(versions, i));
	return r;
}

static bool has_file(const char *root, const char *path)
{
	_cleanup_close_ int fd = root_open(root, path, O_PATH | O_NOFOLLOW);

	return fd >= 0;
}

/* What is rendered for a tree goes below its /usr/lib, for which modprobe.d(5) takes a file of the
 * same name in one of the directories before: one that was rendered in the tree itself, say. */
static int look_for_shadow(struct ModulePlan *plan)
{
	const char *const *directory = modprobe_directories;
	int r = 0;

	for (; r == 0 && *directory && !streq(*directory, "/usr/lib/modprobe.d"); directory++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/" MODULE_CONFIG_NAME, *directory) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (!has_file(plan->root, path))
			continue;
		plan->is_shadowed = true;
		r = strings_add(&plan->notes,
				"%s%s takes the place of what is rendered below %s/usr/lib, of "
				"which nothing is in force: remove it",
				plan->root, path, plan->root);
	}
	return r;
}

/* It calls a command, too. */
static int look_at_tree(struct ModulePlan *plan)
{
	int r;

	if (!plan->root)
		return 0;
	r = look_for_shadow(plan);
	if (r == 0 && module_plan_mode(plan) != MODULES_OFF && !has_file(plan->root, MODULE_GATE))
		r = strings_add(&plan->notes,
				"%s" MODULE_GATE ", which says why a module is denied, and loads "
				"it in an audit, is not there: install tdx-auth",
				plan->root);
	return r;
}

static int look_at_list(const struct Options *options, struct ModulePlan *plan)
{
	const char *root = plan->root ? plan->root : "";

	if (module_plan_mode(plan) == MODULES_OFF || options->policy ||
	    has_file(root, POLICY_DIR_VENDOR "/" MODULE_LIST_NAME) ||
	    has_file(root, POLICY_DIR_OWNER "/" MODULE_LIST_NAME))
		return 0;
	return strings_add(
		&plan->notes,
		"%s" POLICY_DIR_VENDOR "/" MODULE_LIST_NAME " is not there: modules that "
		"drive nothing a host could reach (dm_mod, loop, tun, ...) are denied, too",
		root);
}

static int look_at_kernels(struct ModulePlan *plan)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->left_out.n; i++)
		r = strings_add(&plan->notes,
				"the kernel %s is left out, as it has modules and no modules.dep: "
				"run depmod",
				string_at(&plan->left_out, i));
	return r;
}

static int take_notes(const struct Options *options, struct ModulePlan *plan)
{
	int r = look_at_kernels(plan);

	if (r == 0)
		r = module_notes_of_kernels(plan->kernels.data, plan->kernels.n, &plan->notes);
	if (r == 0)
		r = module_notes_of_allow(plan->view.policy, &plan->list, &plan->notes);
	if (r == 0)
		r = module_notes_of_refusals(&plan->list, plan->verdicts, &plan->config,
					     &plan->notes);
	if (r == 0)
		r = look_at_tree(plan);
	return r == 0 ? look_at_list(options, plan) : r;
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
	r = add_kernels(options, ret);
	if (r == 0)
		r = modules_merge(ret->kernels.data, ret->kernels.n, &ret->list, &ret->verdicts,
				  &ret->notes);
	if (r == 0)
		r = modprobe_config_read(ret->root, NULL, &ret->config);
	if (r == 0 && !ret->root)
		r = modprobe_config_read_cmdline(NULL, &ret->config);
	if (r == 0)
		r = take_notes(options, ret);
	if (r < 0 && !ret->is_told)
		log_error("cannot tell which modules may be loaded: %s", strerror(-r));
	return r;
}

void module_plan_done(struct ModulePlan *plan)
{
	module_verdicts_free(plan->verdicts, plan->list.n);
	strings_done(&plan->notes);
	strings_done(&plan->left_out);
	modprobe_config_done(&plan->config);
	module_list_done(&plan->list);
	for (size_t i = 0; i < plan->kernels.n; i++)
		kernel_modules_done((struct KernelModules *)plan->kernels.data + i);
	vector_done(&plan->kernels);
	vector_done(&plan->versions);
	view_done(&plan->view);
}

/* --- questions --- */

/* Moves the names of @more that are not in @names yet into it, and frees the rest. */
static int take_names(struct Vector *names, char **more)
{
	int r = 0;

	for (char **name = more; name && *name; name++)
		if (r == 0 && !strings_have(names, *name))
			r = strings_take(names, *name);
		else
			free(*name);
	free(more);
	return r;
}

int module_plan_resolve(const struct ModulePlan *plan, const char *alias, char ***ret)
{
	struct Vector names = {0};
	static char *const end = NULL;
	size_t n;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < plan->kernels.n; i++) {
		char **more = NULL;

		r = modules_for(plan->root, kernel_at(plan, i)->list.version, alias, &more);
		if (r >= 0)
			r = take_names(&names, more);
	}
	n = names.n;
	if (r >= 0)
		r = vector_add(&names, &end, sizeof(end));
	if (r < 0) {
		strings_done(&names);
		return r;
	}
	*ret = names.data;
	return (int)n;
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

/* The line on the soft dependencies of @module in a kernel that has it and allows it, or NULL. */
static const struct ModprobeLine *softdep_of(const struct KernelModules *kernel, const char *name)
{
	const struct Module *module = module_list_find(&kernel->list, name);

	return module && module_is_allowed(&kernel->verdicts[module_number(&kernel->list, module)])
		       ? modprobe_config_softdep(&kernel->config, name)
		       : NULL;
}

static bool has_on_side(const struct ModprobeLine *line, bool after, const char *name, size_t n)
{
	const char *pos = line->text, *word;
	bool is_after;
	size_t len;

	while ((word = softdep_next(&pos, &len, &is_after)))
		if (is_after == after && len == n && memcmp(word, name, n) == 0)
			return true;
	return false;
}

/* Adds to *names what @lines[n] names on one side, and none before it, as pieces of its text. */
static int add_side(struct Vector *names, const struct ModprobeLine *const *lines, size_t n,
		    bool after)
{
	const char *pos = lines[n]->text, *word;
	bool is_after;
	size_t len;
	int r = 0;

	while (r == 0 && (word = softdep_next(&pos, &len, &is_after))) {
		bool is_there = false;

		for (size_t i = 0; i < n; i++)
			is_there = is_there || has_on_side(lines[i], after, word, len);
		/* what no alias has, and what the file would be read otherwise for */
		if (is_after != after || is_there || memchr(word, '\\', len) ||
		    memchr(word, '#', len))
			continue;
		r = strings_take(names, strndup(word, len));
	}
	return r;
}

/* The names that libkmod would have beside a module on one side. */
static int write_side(FILE *file, const struct ModprobeLine *const *lines, size_t n, bool after)
{
	_cleanup_strings_ struct Vector names = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_side(&names, lines, i, after);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		(void)fprintf(file, "%s%s",
			      i > 0   ? " "
			      : after ? " post: "
				      : " pre: ",
			      string_at(&names, i));
	return r;
}

static int write_softdep(FILE *file, const struct ModulePlan *plan, const char *name)
{
	_cleanup_vector_ struct Vector lines = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->kernels.n; i++) {
		const struct ModprobeLine *line = softdep_of(kernel_at(plan, i), name);

		if (line && *line->text)
			r = vector_add(&lines, &line, sizeof(void *));
	}
	if (r < 0 || lines.n == 0)
		return r;
	(void)fprintf(file, "softdep %s", name);
	r = write_side(file, lines.data, lines.n, false);
	if (r == 0)
		r = write_side(file, lines.data, lines.n, true);
	(void)fputc('\n', file);
	return r;
}

/* libkmod runs no install command for a module that has soft dependencies: it loads it
 * (libkmod-module.c, __kmod_module_fill_softdep()). Only the first line on a module counts, so
 * those of what is allowed come first, and then one by which nothing else has any. An audit leaves
 * them as they are, and says nothing of such modules. */
static int write_softdeps(FILE *file, const struct ModulePlan *plan)
{
	int r = 0;

	if (module_plan_mode(plan) == MODULES_AUDIT)
		return 0;
	for (size_t i = 0; r == 0 && i < plan->list.n; i++)
		if (module_is_allowed(&plan->verdicts[i]))
			r = write_softdep(file, plan, plan->list.modules[i].name);
	(void)fputs("softdep * pre:\n", file);
	return r;
}

static int write_config(FILE *file, const struct ModulePlan *plan)
{
	_cleanup_free_ char *asks = NULL;
	int r;

	(void)fputs("# Made by \"tdx-authctl modules render\": do not edit.\n", file);
	for (size_t i = 0; i < plan->kernels.n; i++) {
		_cleanup_free_ char *version = escape_word(kernel_at(plan, i)->list.version);

		if (!version)
			return -ENOMEM;
		(void)fprintf(file, MODULE_KERNEL "%s\n", version);
	}
	(void)fprintf(file, MODULE_MODE "%s\n", module_mode_to_string(module_plan_mode(plan)));
	if (module_plan_mode(plan) == MODULES_OFF)
		return 0;
	asks = module_asks(plan->view.policy);
	if (!asks)
		return -ENOMEM;
	(void)fputs(asks, file);
	r = write_softdeps(file, plan);
	return r < 0 ? r : write_globs(file, plan);
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

const char *module_plan_file(const struct ModulePlan *plan, bool table)
{
	if (!plan->root)
		return table ? MODULE_TABLE_OWNER : MODULE_CONFIG_OWNER;
	return table ? MODULE_TABLE_VENDOR : MODULE_CONFIG_VENDOR;
}

char *module_plan_path(const struct ModulePlan *plan, bool table)
{
	char *path;

	return asprintf(&path, "%s%s", plan->root ? plan->root : "",
			module_plan_file(plan, table)) < 0
		       ? NULL
		       : path;
}
