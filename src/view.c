/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view.h"

#include <errno.h>

#include "by-hand.h"
#include "device-read.h"
#include "escape.h"
#include "find-device.h"
#include "log.h"
#include "module-list.h"
#include "modules.h"
#include "policy-files.h"
#include "policy-start.h"
#include "protection.h"
#include "root-open.h"
#include "snapshot.h"
#include "string-list.h"
#include "suggest.h"
#include "sysfs-io.h"
#include "terminal.h"
#include "udev.h"

#define CANDIDATES_MAX 8 /* that are told of */

/* Opens what a view needs beside a policy. */
static int open_machine(struct View *view, const struct Options *options)
{
	view->udev = udev_new();
	if (!view->udev)
		return -ENOMEM;
	view->hwdb = udev_hwdb_new(view->udev);
	view->mode = kernel_mode();
	view->of_snapshot = options->snapshot;
	return 0;
}

/* What apply went by there. */
static int load_in_initrd(struct Policy **ret)
{
	struct PolicyStart start;
	int r = policy_start(NULL, &start);

	if (r >= 0)
		*ret = start.policy;
	return r;
}

int view_load_policy(const struct Options *options, struct Policy **ret)
{
	if (options->root)
		return policy_load_from_root(options->root, ret);
	if (options->policy)
		return policy_load_files((char *const[]){(char *)options->policy, NULL}, ret);
	return options->initrd ? load_in_initrd(ret) : policy_load(NULL, ret);
}

int view_open(struct View *view, const struct Options *options)
{
	int r = open_machine(view, options);

	return r < 0 ? r : view_load_policy(options, &view->policy);
}

static int decide(struct View *view)
{
	view->decisions = calloc(view->inventory.n + 1, sizeof(*view->decisions));
	if (!view->decisions)
		return -ENOMEM;
	return policy_decide_all(view->policy, view->inventory.devices, view->inventory.n,
				 circumstances_moment, &view->circumstances, view->decisions);
}

static int read_devices(struct View *view, const struct Options *options, const struct Needs *needs)
{
	int r;

	if (options->snapshot)
		return snapshot_load(options->snapshot, &view->inventory);
	r = inventory_read(needs, &view->inventory);
	if (r < 0)
		log_error("cannot enumerate devices: %s", strerror(-r));
	return r;
}

/* Whether the snapshot of @file says which devices have the attribute. */
static bool holds(const struct View *view, const char *file, const char *name,
		  const char *wanted_by)
{
	_cleanup_free_ char *safe = NULL;

	if (needs_has(&view->inventory.held, name))
		return true;
	safe = escape_text(name);
	log_error("%s: does not hold \"%s\", which %s", file, safe ? safe : "?", wanted_by);
	return false;
}

/* What any policy can ask for by a key of its own. */
static bool holds_all_texts(const struct View *view, const char *file)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		for (const char *const *text = bus_info[bus].texts; *text; text++)
			if (!holds(view, file, *text, "rules go by; make it anew"))
				return false;
	return true;
}

int view_open_all(struct View *view, const struct Options *options)
{
	_cleanup_(needs_done) struct Needs needs = {0};
	int r = open_machine(view, options);

	if (r < 0)
		return r;
	view->policy = policy_new();
	if (!view->policy || snapshot_needs(view->policy, &needs) < 0)
		return -ENOMEM;
	r = read_devices(view, options, &needs);
	if (r >= 0 && options->snapshot && !holds_all_texts(view, options->snapshot))
		r = -EINVAL;
	return r;
}

/* What a policy asks for and a snapshot does not hold would be as if no device had it. */
static int check_snapshot(const struct View *view, const char *file)
{
	const struct Vector *asked = &view->policy->needs.attributes;

	for (size_t i = 0; i < asked->n; i++)
		if (!holds(view, file, string_at(asked, i),
			   "the policy asks for; make it with this policy"))
			return -EINVAL;
	return 0;
}

/* What this machine has in modprobe.d is nothing to the devices of another. */
static void read_circumstances(struct View *view, const struct Options *options)
{
	if (options->snapshot)
		phase_read(&view->circumstances.phase);
	else
		circumstances_read(options->root, &view->circumstances);
	if (module_refusals_need_interfaces(view->circumstances.refusals))
		view->policy->needs.interfaces = true;
}

int view_read(struct View *view, const struct Options *options)
{
	_cleanup_(needs_done) struct Needs all = {0};
	int r;

	if (view->decisions)
		return 0;
	read_circumstances(view, options);
	/* what would allow a device names all that it shows */
	if (options->refused && snapshot_needs(view->policy, &all) < 0)
		return -ENOMEM;
	r = read_devices(view, options, options->refused ? &all : &view->policy->needs);
	if (r < 0)
		return r;
	if (options->snapshot && check_snapshot(view, options->snapshot) < 0)
		return -EINVAL;
	r = decide(view);
	if (r < 0)
		log_error("out of memory");
	return r;
}

/* How a person calls a device, the surest first. */
enum Call {
	CALL_WHOLE, /* BUS:NAME, or its path */
	CALL_NAME,
	CALL_VAGUE, /* what either begins with, or its modalias */
};

/* Whether @name is what @device is called so. Returns -ENOMEM, too. */
static int is_meant(const struct Device *device, const char *name, enum Call call)
{
	_cleanup_free_ char *full = device_name(device);

	if (!full)
		return -ENOMEM;
	if (call == CALL_WHOLE)
		return streq(full, name) || streq(device->syspath, name);
	if (call == CALL_NAME)
		return streq(device->sysname, name);
	return startswith(full, name) || startswith(device->sysname, name) ||
	       streq_or_null(device->modalias, name);
}

/* "a, b, ...": those that @name may mean. */
static char *list_meant(const struct View *view, const char *name, enum Call call)
{
	_cleanup_strings_ struct Vector names = {0};
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < view->inventory.n; i++) {
		const struct Device *device = view->inventory.devices[i];

		if (is_meant(device, name, call) <= 0)
			continue;
		if (names.n == CANDIDATES_MAX) {
			(void)strings_add(&names, "...");
			break;
		}
		(void)strings_take(&names, device_name(device));
	}
	text = join_words(names.data, names.n);
	return escape_text(text);
}

/* "BUS:..." */
static bool names_a_bus(const char *name)
{
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		const char *rest = startswith(name, bus_to_string(bus));

		if (rest && *rest == ':')
			return true;
	}
	return false;
}

/* The device that is called most like it, or NULL: a new string, escaped. */
static char *nearest_device(const struct View *view, const char *name)
{
	_cleanup_strings_ struct Vector names = {0};
	bool has_bus = names_a_bus(name);
	const char *nearest;

	for (size_t i = 0; i < view->inventory.n; i++) {
		const struct Device *device = view->inventory.devices[i];

		(void)strings_take(&names, has_bus ? device_name(device) : strdup(device->sysname));
	}
	nearest = nearest_word(name, names.data, names.n);
	return nearest ? escape_text(nearest) : NULL;
}

/* Returns 0, -ENODEV, -ENOTUNIQ or -ENOMEM. */
static int find_meant(const struct View *view, const char *name, enum Call call,
		      const struct Device **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < view->inventory.n; i++) {
		int r = is_meant(view->inventory.devices[i], name, call);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		*ret = view->inventory.devices[i];
		n++;
	}
	return n == 1 ? 0 : n == 0 ? -ENODEV : -ENOTUNIQ;
}

bool view_has(struct View *view, const struct Options *options, const char *name)
{
	const struct Device *device;

	if (!options->snapshot)
		return find_device_quietly(name);
	return view_read(view, options) < 0 ||
	       find_meant(view, name, CALL_WHOLE, &device) != -ENODEV ||
	       find_meant(view, name, CALL_NAME, &device) != -ENODEV;
}

bool view_has_like(struct View *view, const struct Options *options, const char *name)
{
	const struct Device *device;

	return view_read(view, options) < 0 ||
	       find_meant(view, name, CALL_VAGUE, &device) != -ENODEV;
}

static void tell_not_found(const struct View *view, const char *name, int error, enum Call call)
{
	_cleanup_free_ char *safe = escape_text(name), *others = NULL;

	if (error == -ENOTUNIQ) {
		others = list_meant(view, name, call);
		log_error("%s: several devices %s: %s", safe ? safe : "?",
			  call == CALL_VAGUE
				  ? "are called so at the beginning, or have that modalias"
				  : "have that name",
			  others ? others : "?");
		return;
	}
	others = nearest_device(view, name);
	log_error("%s: no such device%s%s; \"tdx-authctl list\" shows them all", safe ? safe : "?",
		  others ? ", the nearest is " : "", others ? others : "");
}

static int find_in_view(const struct View *view, const char *name, const struct Device **ret)
{
	enum Call call = CALL_WHOLE;
	int r = find_meant(view, name, call, ret);

	while (r == -ENODEV && call < CALL_VAGUE)
		r = find_meant(view, name, ++call, ret);
	if (r == -ENOMEM)
		log_error("out of memory");
	else if (r < 0)
		tell_not_found(view, name, r, call);
	return r;
}

int view_find(struct View *view, const struct Options *options, const char *name,
	      const struct Device **ret)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = -1;
	int r;

	if (options->snapshot || !find_device_quietly(name)) {
		r = view_read(view, options);
		return r < 0 ? r : find_in_view(view, name, ret);
	}
	r = find_device(name, NULL, &dirfd, &device);
	if (r >= 0)
		r = view_read(view, options);
	if (r < 0)
		return r;
	*ret = inventory_find(&view->inventory, device->syspath);
	if (!*ret)
		tell_not_found(view, name, -ENODEV, CALL_WHOLE);
	return *ret ? 0 : -ENODEV;
}

void view_done(struct View *view)
{
	inventory_done(&view->inventory);
	circumstances_done(&view->circumstances);
	free(view->decisions);
	policy_unref(view->policy);
	udev_hwdb_unref(view->hwdb);
	udev_unref(view->udev);
}

char *view_describe(const struct View *view, const struct Device *device)
{
	return udev_describe(view->hwdb, device);
}

int view_modules(const struct Options *options, const char *modalias, char ***ret)
{
	_cleanup_strings_ struct Vector versions = {0};
	int r;

	if (!options->root)
		return modules_for(NULL, NULL, modalias, ret);
	r = module_list_versions(options->root, &versions, NULL);
	return r < 0 ? r
		     : modules_for(options->root, string_at(&versions, versions.n - 1), modalias,
				   ret);
}

/* Of a snapshot: the same attributes, and the same way. */
static char *label_of_attributes(const struct Device *device)
{
	char *label = NULL;

	for (const char *const *name = bus_info[device->bus].names; *name; name++) {
		const char *value = device_attribute(device, *name);
		char *longer;

		if (isempty(value))
			continue;
		if (asprintf(&longer, "%s%s%s", label ? label : "", label ? " " : "", value) < 0)
			break;
		free(label);
		label = longer;
	}
	return label;
}

char *view_label(const struct View *view, const struct Device *device)
{
	_cleanup_close_ int dirfd = -1;

	if (view->of_snapshot || !device->syspath)
		return label_of_attributes(device);
	dirfd = sysfs_open(device->syspath);
	return dirfd < 0 ? NULL : device_read_label(dirfd, device->bus);
}

int view_verdict(const struct View *view, size_t number, struct Verdict *ret)
{
	return verdict_of(view->inventory.devices[number], &view->decisions[number],
			  view->mode == PROTECTION_AUDIT, ret);
}

enum Protection view_protection(const struct View *view, enum Bus bus)
{
	if (view->of_snapshot)
		return _PROTECTION_INVALID;
	for (size_t i = 0; i < view->inventory.n; i++) {
		const struct Device *device = view->inventory.devices[i];

		if (device->bus == bus && device->gate != GATE_NONE)
			return PROTECTION_MODULES;
		if (device->bus != bus || device->authorized < 0)
			continue;
		/* native: the bus's own attribute; _INVALID: the older vendor attribute */
		if (bus_info[bus].native || view->mode == _PROTECTION_INVALID)
			return PROTECTION_KERNEL;
		return view->mode;
	}
	return PROTECTION_NONE;
}

bool view_has_bus(const struct View *view, enum Bus bus)
{
	for (size_t i = 0; i < view->inventory.n; i++)
		if (view->inventory.devices[i]->bus == bus)
			return true;
	return false;
}

void options_table(const struct Options *options, struct Table *table)
{
	table->width = options->full ? 0 : terminal_width();
	table->has_colours = terminal_has_colours();
	table->no_heading = options->no_legend;
}

enum Colour verdict_colour(const struct Verdict *verdict)
{
	if (streq(verdict->word, action_to_string(ACTION_ALLOW)))
		return COLOUR_GOOD;
	return streq(verdict->word, action_to_string(ACTION_DENY)) ||
			       streq(verdict->word, action_to_string(ACTION_REMOVE))
		       ? COLOUR_BAD
		       : COLOUR_NONE;
}

const char *authorized_word(const struct Device *device)
{
	return device->authorized < 0 ? NULL : device->authorized ? "yes" : "no";
}

char *verdict_text(const struct Verdict *verdict)
{
	char *text;

	if (!verdict->driver)
		return strdup(verdict->word);
	return asprintf(&text, "%s %s", verdict->word, verdict->driver) < 0 ? NULL : text;
}

bool is_too_late(const struct Options *options, const char *what)
{
	struct Obstacle obstacle;

	if (!root_is_this_system(options->root) || !by_hand_is_over(&obstacle))
		return false;
	log_error("%s: %s", what, obstacle.text);
	return true;
}

int finish(int r, const char *what)
{
	if (r >= 0 || (r == -EPIPE && pager_is_open())) /* who reads has enough */
		return EXIT_DONE;
	log_error("cannot %s: %s", what, strerror(-r));
	return EXIT_FAILED;
}
