/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* policy check: what the policy itself tells, and what this machine tells of it. */

#include <errno.h>
#include <stdarg.h>

#include "escape.h"
#include "lint.h"
#include "module-asks.h"
#include "modules.h"
#include "names.h"
#include "output.h"
#include "policy-files.h"
#include "udev.h"
#include "view.h"
#include "vital.h"

struct Check {
	struct json_object *errors, *warnings, *notes; /* NULL: text */
	struct Policy *policy;
	const char *root; /* that the policy's files are below: as errors name them */
	int n_warnings;
	int refused; /* devices that the machine needs, or a negative errno */
	bool has_machine;
};

static void check_done(struct Check *check)
{
	policy_unref(check->policy);
	json_object_put(check->errors);
	json_object_put(check->warnings);
	json_object_put(check->notes);
}

/* 0 is none. */
static void add_place(struct json_object *object, const char *key, unsigned number)
{
	json_object_object_add(object, key, number > 0 ? json_object_new_int64(number) : NULL);
}

static void add_error(const struct PolicyRefusal *refusal, void *userdata)
{
	struct Check *check = userdata;
	struct json_object *object = json_object_new_object();

	json_add_string(object, "file", refusal->file);
	add_place(object, "line", refusal->line);
	add_place(object, "column", refusal->column);
	json_add_string(object, "message", refusal->message);
	(void)json_object_array_add(check->errors, object);
}

/* --- warnings --- */

static char *below_root(const struct Check *check, const char *file)
{
	char *path;

	return asprintf(&path, "%s%s", check->root, file) < 0 ? NULL : path;
}

/* Where what is wrong is, a new string: with the whole of several files that is none of them. */
static char *file_of(const struct Check *check, const struct Rule *rule)
{
	const struct Vector *files = &check->policy->file_vector;

	if (rule)
		return below_root(check, rule->file);
	return files->n == 1 ? below_root(check, string_at(files, 0)) : NULL;
}

static void print_warning(const struct Check *check, const struct Rule *rule, const char *message)
{
	_cleanup_free_ char *safe = escape_text(message), *path = file_of(check, rule),
			    *file = escape_text(path),
			    *name = escape_text(rule ? rule->name : NULL);

	if (path)
		(void)printf("%s:", file ? file : "?");
	if (rule)
		(void)printf("%u:", rule->line);
	if (path || rule)
		(void)printf(" ");
	(void)printf("%s%s%s\n", name && *name ? name : "", name && *name ? ": " : "",
		     safe ? safe : "out of memory");
}

/* @rule is NULL for what is of the whole policy. */
static void on_warning(const struct Rule *rule, const char *message, void *userdata)
{
	struct Check *check = userdata;
	_cleanup_free_ char *file = NULL;
	struct json_object *object;

	check->n_warnings++;
	if (!check->warnings) {
		print_warning(check, rule, message);
		return;
	}
	object = json_object_new_object();
	file = file_of(check, rule);
	json_add_string(object, "file", file);
	add_place(object, "line", rule ? rule->line : 0);
	json_add_string(object, "name", rule ? rule->name : NULL);
	json_add_string(object, "message", message);
	(void)json_object_array_add(check->warnings, object);
}

_printf_(3, 4) static void warn(struct Check *check, const struct Rule *rule, const char *format,
				...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	va_end(ap);
	on_warning(rule, message ? message : "out of memory", check);
}

/* What could not be checked is no warning. */
static void note(struct Check *check, const char *text)
{
	if (check->notes)
		(void)json_object_array_add(check->notes, json_object_new_string(text));
	else
		(void)printf("%s\n", text);
}

/* --- modules --- */

/* Rules that give a device of which no module of this kernel knows the ids. One by class may still
 * do, and so may a driver that is built in, which modules.alias does not tell. */
static void warn_of_unknown_ids(struct Check *check)
{
	for (size_t i = 0; i < policy_n_rules(check->policy); i++) {
		const struct Rule *rule = policy_rule(check->policy, i);
		_cleanup_free_ char *modalias =
			rule->action == ACTION_ALLOW ? rule_modalias(rule, false) : NULL;
		char **modules = NULL;

		if (modalias && !modules_have_aliases(NULL, NULL)) {
			note(check, "not checked against the modules of the running kernel: there "
				    "is no modules.alias");
			return;
		}
		if (modalias && modules_for(NULL, NULL, modalias, &modules) == 0)
			warn(check, rule,
			     "no module of the running kernel knows these ids; a driver that is "
			     "built in, or goes by the class, may");
		modules_free(modules);
	}
}

/* A policy of modules is in force by what is rendered of it. */
static void warn_of_nothing_rendered(struct Check *check)
{
	enum ModuleMode mode = check->policy->modules.mode;

	if ((mode == MODULES_AUDIT || mode == MODULES_ENFORCE) &&
	    access(MODULE_CONFIG_OWNER, F_OK) < 0 && access(MODULE_CONFIG_VENDOR, F_OK) < 0)
		warn(check, NULL,
		     "modules: mode: %s: nothing of it is in force before \"tdx-authctl modules "
		     "render\"",
		     module_mode_to_string(mode));
}

/* --- drivers --- */

/* Whether @bus has a driver of that name; if not, one that it misspells goes to *ret, which the
 * caller frees. */
static bool find_driver(enum Bus bus, const char *name, char **ret)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[64];
	struct dirent *entry;

	(void)snprintf(path, sizeof(path), "/sys/bus/%s/drivers", bus_to_string(bus));
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (streq(entry->d_name, name))
			return true;
		if (!*ret && driver_is_misspelled(name, entry->d_name))
			*ret = strdup(entry->d_name);
	}
	return false;
}

/* The driver that is there and that the rule misspells, or NULL: one that is not there at all may
 * be loaded later. A new string. */
static char *right_spelling(const struct Rule *rule)
{
	_cleanup_free_ char *right = NULL;

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		if ((rule->match.bus == _BUS_INVALID || rule->match.bus == bus) &&
		    find_driver(bus, rule->driver, &right))
			return NULL;
	return TAKE_PTR(right);
}

static void warn_of_misspelled_drivers(struct Check *check)
{
	for (size_t i = 0; i < policy_n_rules(check->policy); i++) {
		const struct Rule *rule = policy_rule(check->policy, i);
		_cleanup_free_ char *right = NULL;

		/* policy_lint() told of these */
		if (!rule->driver || rule_hardened_driver(rule))
			continue;
		right = right_spelling(rule);
		if (right)
			warn(check, rule, "no driver is called \"%s\": its name is \"%s\"",
			     rule->driver, right);
	}
}

/* --- counts --- */

/* Rules that need more devices than are here. Returns 0 or a negative errno after the log told why.
 */
static int warn_of_missing(struct Check *check)
{
	const struct Policy *policy = check->policy;
	_cleanup_view_ struct View view = {.udev = udev_new(), .policy = policy_ref(check->policy)};
	_cleanup_free_ uint32_t *admitted = calloc(policy_n_rules(policy) + 1, sizeof(*admitted));
	int r;

	if (!policy->has_minimum)
		return 0;
	if (!view.udev || !admitted)
		return -ENOMEM;
	r = view_read(&view, &(struct Options){0});
	if (r < 0)
		return r;
	for (size_t i = 0; i < view.inventory.n; i++)
		if (view.decisions[i].rule && view.decisions[i].by == DECIDED_BY_RULE)
			admitted[view.decisions[i].rule - policy_rule(policy, 0)]++;
	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		const struct Rule *rule = policy_rule(policy, i);

		if (admitted[i] < rule->count.min)
			warn(check, rule, "needs %u device%s, and %u of them %s here now",
			     rule->count.min, rule->count.min == 1 ? "" : "s", admitted[i],
			     admitted[i] == 1 ? "is" : "are");
	}
	return 0;
}

/* --- the verb --- */

static int load_checked(const struct Options *options, char *const *files, struct Policy **ret)
{
	if (files[0])
		return policy_load_files(files, ret);
	return options->root ? policy_load_from_root(options->root, ret) : policy_load(NULL, ret);
}

static int load(struct Check *check, const struct Options *options, char *const *files)
{
	int r;

	policy_on_refusal(check->errors ? add_error : NULL, check);
	r = load_checked(options, files, &check->policy);
	policy_on_refusal(NULL, NULL);
	return r;
}

static int judge(struct Check *check)
{
	int r = policy_lint(check->policy, on_warning, check);

	if (r < 0)
		return r;
	if (check->policy->file_vector.n == 0)
		warn(check, NULL,
		     "%s%s: no policy is there, nor in the other directories; usb and "
		     "thunderbolt are denied, and the rest is left to the kernel",
		     check->root, POLICY_DIR_OWNER);
	if (check->policy->mode == POLICY_AUDIT)
		note(check, "mode: audit: what the policy would refuse is told, and nothing is "
			    "refused, until \"tdx-authctl enable\"");
	if (check->has_machine) {
		r = warn_of_missing(check);
		if (r < 0)
			return r;
		warn_of_unknown_ids(check);
		warn_of_nothing_rendered(check);
		warn_of_misspelled_drivers(check);
		(void)fflush(stdout); /* what it finds goes to standard error, after this */
		check->refused = policy_check_vital(check->policy, VITAL_ALL);
	} else {
		note(check, "not checked against a machine: its modules, its drivers, its devices, "
			    "and what it runs on");
	}
	return 0;
}

static int print_json(struct Check *check)
{
	struct json_object *root = json_object_new_object(), *files = json_object_new_array();
	const struct Policy *policy = check->policy;

	for (size_t i = 0; policy && i < policy->file_vector.n; i++) {
		_cleanup_free_ char *file = below_root(check, string_at(&policy->file_vector, i));

		(void)json_object_array_add(files, json_object_new_string(file ? file : ""));
	}
	json_object_object_add(root, "files", files);
	json_object_object_add(root, "rules",
			       policy ? json_object_new_int64((int64_t)policy_n_rules(policy))
				      : NULL);
	json_object_object_add(root, "errors", TAKE_PTR(check->errors));
	json_object_object_add(root, "warnings", TAKE_PTR(check->warnings));
	json_object_object_add(root, "notes", TAKE_PTR(check->notes));
	json_object_object_add(root, "refused",
			       policy && check->has_machine && check->refused >= 0
				       ? json_object_new_int64(check->refused)
				       : NULL);
	return json_print(root);
}

static int print_text(const struct Check *check)
{
	size_t rules = policy_n_rules(check->policy), files = check->policy->file_vector.n;

	(void)printf("%zu rule%s in %zu file%s, %d warning%s\n", rules, rules == 1 ? "" : "s",
		     files, files == 1 ? "" : "s", check->n_warnings,
		     check->n_warnings == 1 ? "" : "s");
	return fflush(stdout) == 0 ? 0 : -errno;
}

int verb_policy_check(const struct Options *options, char *const *args)
{
	/* a policy for another machine says nothing about this one */
	_cleanup_(check_done) struct Check check = {
		.has_machine = !options->root,
		.root = options->root && !args[0] ? options->root : ""};
	int loaded, r = 0;

	if (options->json) {
		check.errors = json_object_new_array();
		check.warnings = json_object_new_array();
		check.notes = json_object_new_array();
	}
	loaded = load(&check, options, args);
	if (loaded >= 0)
		r = judge(&check);
	if (r < 0)
		return finish(r, "check");
	if (options->json)
		r = print_json(&check);
	else if (loaded >= 0)
		r = print_text(&check);
	if (r < 0)
		return finish(r, "print");
	if (loaded < 0 || check.refused < 0)
		return EXIT_FAILED;
	return check.refused > 0 && !options->i_know ? EXIT_REFUSED : EXIT_DONE;
}
