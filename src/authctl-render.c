/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* modules render, modules check: the files by which modprobe(8) and udev(7) keep to the policy. */

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "escape.h"
#include "glob-match.h"
#include "io.h"
#include "log.h"
#include "module-plan.h"
#include "module-rendered.h"
#include "modules.h"
#include "names.h"
#include "output.h"
#include "replace-file.h"
#include "root-open.h"
#include "suggest.h"

#define TABLE_SIZE_MAX ((off_t)16 * 1024 * 1024)

/* --- files --- */

/* What is in the file, "" where there is none; the caller frees it. */
static int read_text(const char *root, const char *path, char **ret)
{
	_cleanup_close_ int fd = root_open(root, path, O_RDONLY | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return -errno;
	if (fd >= 0 && st.st_size > TABLE_SIZE_MAX)
		return -EFBIG;
	text = calloc(1, (fd >= 0 ? (size_t)st.st_size : 0) + 1);
	if (!text)
		return -ENOMEM;
	n = fd >= 0 ? read_full(fd, text, (size_t)st.st_size) : 0;
	if (n < 0)
		return (int)n;
	*ret = TAKE_PTR(text);
	return 0;
}

/* --- render --- */

/* udevd looks at its modprobe configuration anew every few seconds at most. */
static void tell_udev(void)
{
	static const char *const args[] = {"udevadm", "control", "--reload", NULL};
	pid_t pid;

	if (access("/run/udev/control", F_OK) < 0)
		return;
	if (posix_spawnp(&pid, args[0], NULL, NULL, (char *const *)args, environ) != 0 ||
	    waitpid(pid, NULL, 0) < 0)
		log_warning("udev was not told to read the new configuration: run udevadm control "
			    "--reload");
}

static int write_file(const struct ModulePlan *plan, bool table, const char *text)
{
	_cleanup_free_ char *path = module_plan_path(plan, table), *safe = escape_text(path);
	int r = path ? replace_file(plan->root, module_plan_file(plan, table), text, strlen(text))
		     : -ENOMEM;

	if (r < 0)
		log_error("cannot write %s: %s", safe ? safe : "?", strerror(-r));
	else
		(void)printf("%s\n", safe ? safe : "?");
	return r;
}

/* What is loaded now, and would not be. */
static void warn_of_loaded(const struct ModulePlan *plan)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/modules", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		const struct Module *module;
		const struct ModuleVerdict *verdict;
		_cleanup_free_ char *why = NULL, *safe = NULL;

		line[strcspn(line, " \n")] = '\0';
		module = module_list_find(&plan->list, line);
		verdict = module ? &plan->verdicts[module_number(&plan->list, module)] : NULL;
		if (!verdict || verdict->reason != MODULE_DENIED)
			continue;
		why = module_verdict_why(verdict);
		safe = escape_text(why);
		log_warning("%s is loaded now, and will not be any more: %s", module->name,
			    safe ? safe : "?");
	}
}

static void warn_of_notes(const struct ModulePlan *plan)
{
	for (size_t i = 0; i < plan->notes.n; i++) {
		_cleanup_free_ char *safe = escape_text(string_at(&plan->notes, i));

		log_warning("%s", safe ? safe : "out of memory");
	}
}

/* Files that come before ours: their names are others' choice. */
static int warn_of_holes(const struct ModulePlan *plan)
{
	_cleanup_(modprobe_config_done) struct ModprobeConfig config = {0};
	_cleanup_vector_ struct Vector holes = {0};
	const struct ModuleHole *all;
	int r = modprobe_config_read(plan->root, plan->list.directory, &config);

	if (r == 0)
		r = module_plan_find_holes(plan, &config, &holes);
	all = holes.data;
	for (size_t i = 0; i < holes.n; i++) {
		_cleanup_free_ char *text = module_hole_text(&all[i]), *safe = escape_text(text);

		log_warning("%s", text && safe ? safe : "out of memory");
	}
	return r;
}

int verb_modules_render(const struct Options *options, char *const *args)
{
	_cleanup_module_plan_ struct ModulePlan plan = {0};
	_cleanup_free_ char *config = NULL, *table = NULL;
	int r;

	(void)args;
	/* what is in modprobe.d is policy */
	if (is_too_late(options, "nothing was rendered"))
		return EXIT_REFUSED;
	if (module_plan_read(options, &plan) < 0)
		return EXIT_FAILED;
	r = module_plan_render(&plan, &config, &table);
	if (r < 0)
		return finish(r, "render the module policy");
	warn_of_notes(&plan);
	if (!plan.root && module_plan_mode(&plan) != MODULES_OFF)
		warn_of_loaded(&plan);
	/* the table first: the gate reads it as soon as the other one is there */
	if (write_file(&plan, true, table) < 0 || write_file(&plan, false, config) < 0)
		return EXIT_FAILED;
	if (!plan.root)
		tell_udev();
	r = warn_of_holes(&plan);
	if (r < 0)
		return finish(r, "look whether it is heeded");
	return finish(fflush(stdout) == 0 ? 0 : -errno, "print");
}

/* --- check --- */

struct Check {
	const struct ModulePlan *plan;
	struct ModprobeConfig old; /* what was rendered before */
	char *old_table;
	struct Vector holes;			 /* of struct ModuleHole */
	struct json_object *changes, *undecided; /* NULL: text */
	size_t n_changes, n_undecided;
	struct Rendered head; /* what the old file says of itself */
	bool is_current;
};

static void check_done(struct Check *check)
{
	modprobe_config_done(&check->old);
	vector_done(&check->holes);
	free(check->old_table);
	json_object_put(check->changes);
	json_object_put(check->undecided);
	rendered_done(&check->head);
}

/* Whether @name is one of the modules of the table that was rendered before. */
static bool was_known(const struct Check *check, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = check->old_table; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) == 0 && line[n] == '\t')
			return true;
	}
	return false;
}

static bool was_denied(const struct Check *check, const char *name)
{
	const struct ModprobeLine *lines = check->old.lines.data;

	for (size_t i = 0; i < check->old.lines.n; i++)
		if (lines[i].command == MODPROBE_INSTALL && glob_match(lines[i].name, name))
			return true;
	return false;
}

static const char *old_word(const struct Check *check, const char *name)
{
	if (!was_denied(check, name))
		return "allowed";
	return was_known(check, name) ? "denied" : "unknown";
}

static void add_change(struct Check *check, const char *name, const char *was, const char *is,
		       const char *why)
{
	_cleanup_free_ char *safe = escape_text(why);
	struct json_object *object;

	check->n_changes++;
	if (!check->changes) {
		(void)printf("%s: was %s, is %s: %s\n", name, was, is, safe ? safe : "?");
		return;
	}
	object = json_object_new_object();
	json_add_string(object, "name", name);
	json_add_string(object, "was", was);
	json_add_string(object, "is", is);
	json_add_string(object, "why", why);
	(void)json_object_array_add(check->changes, object);
}

static int compare_verdicts(struct Check *check)
{
	const struct ModuleList *list = &check->plan->list;

	for (size_t i = 0; i < list->n; i++) {
		const struct ModuleVerdict *verdict = &check->plan->verdicts[i];
		const char *name = list->modules[i].name, *is = module_verdict_word(verdict);
		const char *was = old_word(check, name);
		_cleanup_free_ char *why = NULL;

		if (verdict->reason == MODULE_BUILTIN || streq(was, is))
			continue;
		why = module_verdict_why(verdict);
		if (!why)
			return -ENOMEM;
		add_change(check, name, was, is, why);
	}
	return 0;
}

static void add_undecided(struct Check *check, const char *name, const char *device)
{
	_cleanup_free_ char *safe = escape_text(device);
	struct json_object *object;

	check->n_undecided++;
	if (!check->undecided) {
		(void)printf("%s: denied, and new: it fits %s, which is allowed for another "
			     "driver\n",
			     name, safe ? safe : "?");
		return;
	}
	object = json_object_new_object();
	json_add_string(object, "name", name);
	json_add_string(object, "device", device);
	(void)json_object_array_add(check->undecided, object);
}

/* Modules that nothing was rendered for yet, and that know a device that is allowed: one of them
 * may be what a new kernel drives it with. */
static int find_undecided(struct Check *check, const struct Device *device)
{
	const struct ModulePlan *plan = check->plan;
	_cleanup_free_ char *name = device_name(device);
	char **names = NULL;
	int r = device->modalias ? module_plan_resolve(plan, device->modalias, &names) : 0;

	if (!name || r < 0)
		return name ? r : -ENOMEM;
	for (char **n = names; n && *n; n++) {
		const struct Module *module = module_list_find(&plan->list, *n);

		if (module &&
		    plan->verdicts[module_number(&plan->list, module)].reason == MODULE_DENIED &&
		    streq(old_word(check, *n), "unknown"))
			add_undecided(check, *n, name);
	}
	modules_free(names);
	return 0;
}

/* Whether the tables have the same modules: why each is denied differs where other devices were
 * there, as in the image that a machine was made of. */
static bool has_same_names(const char *a, const char *b)
{
	while (*a && *b) {
		size_t n = strcspn(a, "\t\n");

		if (n != strcspn(b, "\t\n") || memcmp(a, b, n) != 0)
			return false;
		a += strcspn(a, "\n");
		b += strcspn(b, "\n");
		a += *a == '\n';
		b += *b == '\n';
	}
	return !*a && !*b;
}

static int read_old(struct Check *check)
{
	const struct ModulePlan *plan = check->plan;
	_cleanup_free_ char *config = NULL, *table = NULL, *old = NULL;
	_cleanup_free_ char *real = NULL;
	const char *config_path, *table_path;
	/* an image's own, where the machine has no other */
	bool is_vendors = !plan->root && access(MODULE_CONFIG_OWNER, F_OK) < 0;
	int r;

	config_path = is_vendors ? MODULE_CONFIG_VENDOR : module_plan_file(plan, false);
	table_path = is_vendors ? MODULE_TABLE_VENDOR : module_plan_file(plan, true);
	r = module_plan_render(plan, &config, &table);
	if (r == 0)
		r = read_text(plan->root, config_path, &old);
	if (r == 0)
		r = read_text(plan->root, table_path, &check->old_table);
	if (r == 0 && old)
		r = modprobe_config_parse(&check->old, config_path, old, strlen(old));
	if (r == 0)
		r = root_resolve(plan->root, config_path, &real);
	if (r == 0 || r == -ENOENT)
		/* "": there is none */
		r = rendered_compare_for(plan->view.policy, real ? real : "", &plan->versions,
					 &check->head);
	if (r == 0)
		/* nothing refused is as good as no file */
		check->is_current = module_plan_mode(plan) == MODULES_OFF
					    ? check->old.lines.n == 0
					    : streq_or_null(old, config) && check->old_table &&
						      has_same_names(check->old_table, table);
	check->is_current = check->is_current && !plan->is_shadowed;
	return r;
}

static int judge(struct Check *check)
{
	const struct View *view = &check->plan->view;
	int r = read_old(check);

	if (r == 0 && !check->is_current && module_plan_mode(check->plan) != MODULES_OFF)
		r = compare_verdicts(check);
	for (size_t i = 0; r == 0 && i < view->inventory.n; i++)
		if (view->decisions[i].action == ACTION_ALLOW)
			r = find_undecided(check, view->inventory.devices[i]);
	if (r == 0 && check->is_current)
		r = module_plan_find_holes(check->plan, &check->plan->config, &check->holes);
	return r;
}

static void print_holes(const struct Check *check)
{
	const struct ModuleHole *holes = check->holes.data;

	for (size_t i = 0; i < check->holes.n; i++) {
		_cleanup_free_ char *text = module_hole_text(&holes[i]), *safe = escape_text(text);

		(void)printf("%s\n", text && safe ? safe : "out of memory");
	}
}

static void print_notes(const struct Check *check)
{
	const struct Vector *notes = &check->plan->notes;

	for (size_t i = 0; i < notes->n; i++) {
		_cleanup_free_ char *safe = escape_text(string_at(notes, i));

		(void)printf("%s\n", safe ? safe : "out of memory");
	}
}

static struct json_object *holes_to_json(const struct Check *check)
{
	const struct ModuleHole *holes = check->holes.data;
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < check->holes.n; i++) {
		const struct ModprobeLine *line = holes[i].line;
		struct json_object *object = json_object_new_object();

		json_add_string(object, "name", holes[i].module);
		json_add_string(object, "file", line ? line->file : NULL);
		json_object_object_add(object, "line",
				       line ? json_object_new_int64(line->line) : NULL);
		(void)json_object_array_add(array, object);
	}
	return array;
}

/* Why what was rendered is not what would be, where no verdict over a module tells. */
static char *difference(const struct Check *check)
{
	const struct Rendered *head = &check->head;
	_cleanup_free_ char *names = NULL, *safe = NULL;
	char *text = NULL;
	int n = 0;

	switch (head->state) {
	case RENDERED_NOTHING:
		return strdup("nothing is rendered");
	case RENDERED_OTHER_MODE:
		n = asprintf(&text, "the policy says %s, what was rendered says %s",
			     module_mode_to_string(head->wanted),
			     module_mode_to_string(head->mode));
		break;
	case RENDERED_OTHER_KERNEL:
		names = join_words(head->kernels.data, head->kernels.n);
		safe = names ? escape_text(names) : NULL;
		n = safe ? asprintf(&text, "it is for other kernels: %s", safe) : -1;
		break;
	case RENDERED_OTHER_POLICY:
		return strdup("the policy asks for other modules");
	case RENDERED_UNKNOWN:
		return strdup("another version of tdx-auth made it, or it cannot be read");
	default:
		return strdup(check->n_changes > 0 ? "other modules are allowed"
						   : "other modules or dependencies are there");
	}
	return n < 0 ? NULL : text;
}

/* What to do is to be done to the tree that was looked at. */
static void print_conclusion(const struct Check *check)
{
	const char *root = check->plan->root;
	_cleanup_free_ char *safe = escape_text(isempty(root) ? "/" : root), *why = NULL;

	if (check->is_current && check->holes.n == 0) {
		(void)printf("What was rendered is what the policy says.\n");
	} else if (check->is_current) {
		(void)printf("What was rendered is what the policy says, but not all of it is in "
			     "force.\n");
	} else if (check->plan->is_shadowed) {
		(void)printf("What was rendered is not in force.\n");
	} else {
		why = difference(check);
		(void)printf("What was rendered is not what the policy says (%s): run tdx-authctl "
			     "modules render%s%s\n",
			     why ? why : "out of memory", root ? " --root " : "",
			     root && safe ? safe : "");
	}
	if (check->plan->left_out.n > 0)
		(void)printf("Not every kernel was looked at.\n");
}

static int print_check(struct Check *check, bool json)
{
	struct json_object *root;

	if (!json) {
		print_notes(check);
		print_holes(check);
		print_conclusion(check);
		return fflush(stdout) == 0 ? 0 : -errno;
	}
	root = json_object_new_object();
	json_object_object_add(root, "kernels", strings_to_json(&check->plan->versions));
	json_object_object_add(root, "left_out", strings_to_json(&check->plan->left_out));
	json_object_object_add(root, "current", json_object_new_boolean(check->is_current));
	json_object_object_add(root, "shadowed", json_object_new_boolean(check->plan->is_shadowed));
	json_add_string(root, "rendered", rendered_state_to_string(check->head.state));
	json_object_object_add(root, "changes", TAKE_PTR(check->changes));
	json_object_object_add(root, "undecided", TAKE_PTR(check->undecided));
	json_object_object_add(root, "holes", holes_to_json(check));
	json_object_object_add(root, "notes", strings_to_json(&check->plan->notes));
	return json_print(root);
}

int verb_modules_check(const struct Options *options, char *const *args)
{
	_cleanup_module_plan_ struct ModulePlan plan;
	_cleanup_(check_done) struct Check check = {.plan = &plan};
	int r;

	(void)args;
	if (module_plan_read(options, &plan) < 0)
		return EXIT_FAILED;
	if (options->json) {
		check.changes = json_object_new_array();
		check.undecided = json_object_new_array();
	}
	r = judge(&check);
	if (r == 0)
		r = print_check(&check, options->json);
	if (r < 0)
		return finish(r, "check");
	return check.is_current && check.n_undecided == 0 && check.holes.n == 0 &&
			       plan.left_out.n == 0
		       ? EXIT_DONE
		       : EXIT_REFUSED;
}
