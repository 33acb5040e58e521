/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* enable, disable: from a policy that is told to one that is done, and back. */

#include <errno.h>
#include <fcntl.h>

#include "client.h"
#include "escape.h"
#include "generate.h"
#include "log.h"
#include "names.h"
#include "output.h"
#include "phase.h"
#include "policy-files.h"
#include "replace-file.h"
#include "root-open.h"
#include "view.h"
#include "vital.h"

/* --- files --- */

#define UNCHANGED "nothing was changed"

/* The freeze may have come while devices kept who looks at them waiting. Returns an exit status. */
static int write_owners(const struct Options *options, const char *name, const char *text,
			size_t size)
{
	const char *root = options->root ? options->root : "";
	_cleanup_free_ char *path = NULL, *safe = escape_text(root);
	int r = 0;

	if (is_too_late(options, UNCHANGED))
		return EXIT_REFUSED;
	if (!safe || asprintf(&path, POLICY_DIR_OWNER "/%s", name) < 0) {
		path = NULL;
		r = -ENOMEM;
	}
	if (r == 0)
		r = replace_file(root, path, text, size);
	if (r < 0)
		log_error("cannot write %s" POLICY_DIR_OWNER "/%s: %s", safe ? safe : "?", name,
			  strerror(-r));
	else
		(void)printf("%s%s\n", safe, path);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int load(const struct Options *options, struct Policy **ret)
{
	return policy_load_from_root(options->root ? options->root : "", ret);
}

/* Returns an exit status. */
static int set_mode(const struct Options *options, enum PolicyMode mode)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	char text[200];
	int status;

	/* what cannot be loaded is not changed */
	if (load(options, &policy) < 0)
		return EXIT_FAILED;
	policy_unref(TAKE_PTR(policy));
	(void)snprintf(text, sizeof(text),
		       "# Written by \"tdx-authctl enable\" and \"tdx-authctl disable\": "
		       "tdx-auth.policy(5), MODE.\nversion: 1\nmode: %s\n",
		       policy_mode_to_string(mode));
	status = write_owners(options, MODE_FILE, text, strlen(text));
	if (status != EXIT_DONE)
		return status;
	if (load(options, &policy) < 0)
		return EXIT_FAILED;
	if (policy->mode == mode)
		return EXIT_DONE;
	log_error(
		"the policy is in the mode \"%s\" all the same: a file that comes after " MODE_FILE
		" says so; change it there",
		policy_mode_to_string(policy->mode));
	return EXIT_FAILED;
}

/* --- what would be --- */

/* Where the kernel has no means nothing is lost. */
static bool would_lose(const struct View *view, const struct Device *device,
		       const struct Verdict *verdict)
{
	if (!device->driver || view_protection(view, device->bus) == PROTECTION_NONE)
		return false;
	if (streq(verdict->word, action_to_string(ACTION_ALLOW)))
		return verdict->driver && !streq(verdict->driver, device->driver);
	return streq(verdict->word, action_to_string(ACTION_DENY)) ||
	       streq(verdict->word, action_to_string(ACTION_REMOVE));
}

static int add_loss(struct Table *table, const struct View *view, size_t number)
{
	const struct Device *device = view->inventory.devices[number];
	_cleanup_free_ char *name = device_name(device), *what = view_describe(view, device);
	struct Verdict verdict;
	int r = view_verdict(view, number, &verdict);

	if (r == 0 && would_lose(view, device, &verdict)) {
		if (table->n_cells == 0) {
			table_add(table, "WOULD BE REFUSED");
			table_add(table, "WHAT");
			table_add(table, "DRIVER");
			table_add(table, "WHY");
		}
		table_add(table, name);
		table_add(table, what);
		table_add(table, device->driver);
		table_add(table, verdict.why);
	}
	verdict_done(&verdict);
	return r;
}

/* Returns 0 or a negative errno. */
static int print_losses(const struct View *view)
{
	struct Table table = {.n_columns = 4};
	int r = 0;

	for (size_t i = 0; r == 0 && i < view->inventory.n; i++)
		r = add_loss(&table, view, i);
	if (r < 0) {
		table_free(&table);
		return r;
	}
	if (table.n_cells == 0) {
		(void)printf("Every device that has a driver keeps it.\n");
		return fflush(stdout) == 0 ? 0 : -errno;
	}
	return table_print(&table);
}

/* What is there alone: what would be of devices that come nobody knows. Returns an exit status. */
static int rehearse(const struct Options *options)
{
	_cleanup_view_ struct View view = {0};
	int r;

	if (view_open(&view, options) < 0)
		return EXIT_FAILED;
	view.policy->mode = POLICY_ENFORCE;
	if (view_read(&view, options) < 0)
		return EXIT_FAILED;
	r = print_losses(&view);
	if (r < 0)
		return finish(r, "tell what would be refused");
	if (options->i_know)
		return EXIT_DONE;
	r = policy_check_vital(view.policy, VITAL_ALL);
	if (r == 0)
		return EXIT_DONE;
	log_error("the policy is not enabled; allow what it would refuse, or add --i-know");
	return r < 0 ? EXIT_FAILED : EXIT_REFUSED;
}

/* --- a policy to begin with --- */

/* A file of that name is its owner's, if only with defaults. */
static bool has_generated(void)
{
	if (faccessat(AT_FDCWD, POLICY_DIR_OWNER "/" GENERATED_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	log_error(
		"there are no rules, and none are written, as " POLICY_DIR_OWNER "/" GENERATED_FILE
		" is there: take it away, or put rules into it (\"tdx-authctl policy generate\")");
	return true;
}

/* Returns an exit status. */
static int generate(const struct Options *options)
{
	_cleanup_view_ struct View view = {0};
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *file;
	int r;

	if (has_generated())
		return EXIT_FAILED;
	r = view_open_all(&view, options);
	if (r < 0)
		return finish(r, "look at the devices");
	file = open_memstream(&text, &size);
	r = file ? policy_generate(file, &view) : -ENOMEM;
	if (file && fclose(file) != 0)
		r = -ENOMEM;
	if (r < 0)
		return finish(r, "generate a policy");
	(void)printf("There are no rules: for the devices in use they are written to\n");
	return write_owners(options, GENERATED_FILE, text, size);
}

/* A machine whose owner wrote no rule: without one it loses what is not hardened. Returns an exit
 * status. */
static int have_rules(const struct Options *options)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	if (load(options, &policy) < 0)
		return EXIT_FAILED;
	return policy_n_rules(policy) > 0 ? EXIT_DONE : generate(options);
}

/* --- the verbs --- */

/* Returns an exit status. */
static int put_in_force(const struct Options *options, char *const *args)
{
	_cleanup_client_ struct Client *client = NULL;
	const char *problem;

	if (client_open_quietly(&client, &problem) != -ESRCH)
		return verb_reload(options, args);
	(void)printf("No daemon runs: systemctl enable --now tdx-authd\n");
	return EXIT_DONE;
}

static void tell_of_initrd(void)
{
	(void)printf("The initrd has a copy of the policy: make it anew (update-initramfs -u, "
		     "dracut -f, or a new image).\n");
}

/* Returns an exit status. */
static int look_before(const struct Options *options)
{
	int status = have_rules(options);

	return status == EXIT_DONE ? rehearse(options) : status;
}

int verb_enable(const struct Options *options, char *const *args)
{
	/* a tree is none: nothing is there that could be lost */
	bool is_machine = root_is_this_system(options->root);
	int status;

	if (is_too_late(options, UNCHANGED))
		return EXIT_REFUSED;
	status = is_machine ? look_before(options) : EXIT_DONE;
	if (status == EXIT_DONE)
		status = set_mode(options, POLICY_ENFORCE);
	if (status == EXIT_DONE && is_machine)
		status = put_in_force(options, args);
	if (status != EXIT_DONE)
		return status;
	tell_of_initrd();
	return finish(fflush(stdout) == 0 ? 0 : -errno, "print");
}

/* What was refused has no driver, and its bus's default is another, until the machine starts again:
 * manager_note_mode(). */
int verb_disable(const struct Options *options, char *const *args)
{
	int status = set_mode(options, POLICY_AUDIT);

	(void)args;
	if (status != EXIT_DONE)
		return status;
	if (root_is_this_system(options->root))
		(void)printf("From the next start of the machine on nothing is refused by policy; "
			     "until then what was refused stays so.\n");
	tell_of_initrd();
	return finish(fflush(stdout) == 0 ? 0 : -errno, "print");
}
