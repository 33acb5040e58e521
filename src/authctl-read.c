/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "authctl.h"
#include "device-read.h"
#include "escape.h"
#include "find-device.h"
#include "log.h"
#include "modules.h"
#include "output.h"
#include "policy-files.h"
#include "protection.h"
#include "udev.h"
#include "verdict.h"

/* One line of the list. */
struct Row {
	struct Device *device;
	char *label; /* what the device calls itself, or NULL */
	struct Verdict verdict;
	char *description;
};

struct View {
	struct udev *udev;
	struct udev_hwdb *hwdb; /* NULL where the database is not installed */
	struct Policy *policy;
	struct Row *rows;
	size_t n_rows;
	enum Protection mode; /* of the kernel's device authorization */
	bool incomplete;      /* a device could not be read */
};

static void row_done(struct Row *row)
{
	device_free(row->device);
	free(row->label);
	verdict_done(&row->verdict);
	free(row->description);
}

static void view_done(struct View *view)
{
	for (size_t i = 0; i < view->n_rows; i++)
		row_done(&view->rows[i]);
	free(view->rows);
	policy_unref(view->policy);
	udev_hwdb_unref(view->hwdb);
	udev_unref(view->udev);
}

static int view_open(struct View *view, const struct Options *options)
{
	view->udev = udev_new();
	if (!view->udev)
		return -ENOMEM;
	view->hwdb = udev_hwdb_new(view->udev);
	view->mode = kernel_mode();
	return policy_load(options->policy, &view->policy);
}

/* Takes over @device, on failure too. */
static int view_add(struct View *view, struct Device *device, int dirfd)
{
	struct Row row = {.device = device, .label = device_read_label(dirfd, device->bus)};
	struct Decision decision;
	struct Row *rows = reallocarray(view->rows, view->n_rows + 1, sizeof(*rows));

	if (rows)
		view->rows = rows;
	policy_decide(view->policy, device, NULL, &decision);
	row.description = udev_describe(view->hwdb, device);
	if (!rows || !row.description ||
	    verdict_of(device, &decision, view->mode == PROTECTION_AUDIT, &row.verdict) < 0) {
		row_done(&row);
		return -ENOMEM;
	}
	rows[view->n_rows++] = row;
	return 0;
}

/* Reads one node for the list. What is gone meanwhile, or is no device, is no error; one that
 * cannot be read is no reason not to show the others. */
static int on_node(const char *syspath, void *userdata)
{
	_cleanup_close_ int dirfd = -1;
	struct View *view = userdata;
	struct Device *device = NULL;
	int r = device_open(syspath, &view->policy->needs, &dirfd, &device);

	if (r == -ENODEV || r == -ENOTSUP)
		return 0;
	if (r < 0) {
		_cleanup_free_ char *safe = escape_text(syspath);

		log_error("%s: cannot be read: %s", safe ? safe : "?", strerror(-r));
		view->incomplete = true;
		return 0;
	}
	return view_add(view, device, dirfd);
}

/* --- protection --- */

static enum Protection bus_protection(const struct View *view, enum Bus bus)
{
	for (size_t i = 0; i < view->n_rows; i++) {
		const struct Device *device = view->rows[i].device;

		if (device->bus != bus || device->authorized < 0)
			continue;
		/* native: the bus's own attribute; _INVALID: the older vendor attribute */
		if (bus_info[bus].native || view->mode == _PROTECTION_INVALID)
			return PROTECTION_KERNEL;
		return view->mode;
	}
	return PROTECTION_NONE;
}

static bool bus_present(const struct View *view, enum Bus bus)
{
	for (size_t i = 0; i < view->n_rows; i++)
		if (view->rows[i].device->bus == bus)
			return true;
	return false;
}

/* --- text --- */

static const char *authorized_word(const struct Device *device)
{
	return device->authorized < 0 ? NULL : device->authorized ? "yes" : "no";
}

static char *verdict_text(const struct Verdict *verdict)
{
	char *text;

	if (!verdict->driver)
		return strdup(verdict->word);
	if (asprintf(&text, "%s %s", verdict->word, verdict->driver) < 0)
		return NULL;
	return text;
}

static void add_row(struct Table *table, const struct Row *row)
{
	_cleanup_free_ char *name = device_name(row->device),
			    *verdict = verdict_text(&row->verdict);

	table_add(table, name);
	table_add(table, isempty(row->description) ? row->label : row->description);
	table_add(table, row->device->driver);
	table_add(table, authorized_word(row->device));
	table_add(table, verdict);
	table_add(table, row->verdict.why);
}

static void add_heading(struct Table *table, const char *const *heading, size_t n)
{
	table->n_columns = n;
	for (size_t i = 0; i < n; i++)
		table_add(table, heading[i]);
}

static int print_list(const struct View *view)
{
	static const char *const heading[] = {"DEVICE",	    "WHAT",    "DRIVER",
					      "AUTHORIZED", "VERDICT", "WHY"};
	static const char *const protection_heading[] = {"BUS", "PROTECTION", "MEANING"};
	struct Table table = {0};
	int r;

	add_heading(&table, heading, ELEMENTSOF(heading));
	for (size_t i = 0; i < view->n_rows; i++)
		add_row(&table, &view->rows[i]);
	r = table_print(&table);
	if (r < 0)
		return r;
	(void)putchar('\n');
	add_heading(&table, protection_heading, ELEMENTSOF(protection_heading));
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		enum Protection protection = bus_protection(view, bus);

		if (!bus_present(view, bus))
			continue;
		table_add(&table, bus_to_string(bus));
		table_add(&table, protection_to_string(protection));
		table_add(&table, protection_explain(protection, bus));
	}
	return table_print(&table);
}

static void add_fact(struct Table *table, const char *name, const char *value)
{
	table_add(table, name);
	table_add(table, value);
}

static char *join(char **words)
{
	_cleanup_free_ char *text = strdup("");

	for (; text && words && *words; words++) {
		char *longer;

		if (asprintf(&longer, "%s%s%s", text, *text ? " " : "", *words) < 0)
			return NULL;
		free(text);
		text = longer;
	}
	return TAKE_PTR(text);
}

static int print_device(const struct View *view, const struct Row *row, char **modules)
{
	struct Table table = {.n_columns = 2};
	const struct Device *device = row->device;
	_cleanup_free_ char *name = device_name(device), *verdict = verdict_text(&row->verdict),
			    *module_list = join(modules);

	add_fact(&table, "Device:", name);
	add_fact(&table, "What:", row->description);
	add_fact(&table, "Calls itself:", row->label);
	add_fact(&table, "Path:", device->syspath);
	add_fact(&table, "Modalias:", device->modalias);
	add_fact(&table, "Modules that fit:", module_list);
	add_fact(&table, "Driver:", device->driver);
	add_fact(&table, "Authorized:", authorized_word(device));
	add_fact(&table, "Authorized by:", origin_to_string(device->authorized_by));
	add_fact(&table, "Authorized driver:",
		 device->authorized == 1 && device->authorized_driver && !*device->authorized_driver
			 ? "any"
			 : device->authorized_driver);
	add_fact(&table, "Verdict:", verdict);
	add_fact(&table, "Why:", row->verdict.why);
	add_fact(&table,
		 "Protection:", protection_explain(bus_protection(view, device->bus), device->bus));
	return table_print(&table);
}

/* --- JSON --- */

static struct json_object *device_to_json(const struct Row *row)
{
	struct json_object *object = json_object_new_object();
	struct json_object *verdict = json_object_new_object();
	const struct Device *device = row->device;

	json_add_string(object, "bus", bus_to_string(device->bus));
	json_add_string(object, "name", device->sysname);
	json_add_string(object, "syspath", device->syspath);
	json_add_string(object, "description", isempty(row->description) ? NULL : row->description);
	json_add_string(object, "label", row->label);
	json_add_string(object, "modalias", device->modalias);
	json_add_string(object, "driver", device->driver);
	json_object_object_add(
		object, "authorized",
		device->authorized < 0 ? NULL : json_object_new_boolean(device->authorized));
	json_add_string(object, "authorized_by", origin_to_string(device->authorized_by));
	json_add_string(object, "authorized_driver", device->authorized_driver);
	json_add_string(verdict, "action", row->verdict.word);
	json_add_string(verdict, "driver", row->verdict.driver);
	json_add_string(verdict, "why", row->verdict.why);
	json_object_object_add(object, "verdict", verdict);
	return object;
}

static int print_list_json(const struct View *view)
{
	struct json_object *root = json_object_new_object();
	struct json_object *devices = json_object_new_array();
	struct json_object *protection = json_object_new_object();

	for (size_t i = 0; i < view->n_rows; i++)
		(void)json_object_array_add(devices, device_to_json(&view->rows[i]));
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		if (bus_present(view, bus))
			json_add_string(protection, bus_to_string(bus),
					protection_to_string(bus_protection(view, bus)));
	json_object_object_add(root, "devices", devices);
	json_object_object_add(root, "protection", protection);
	return json_print(root);
}

static int print_device_json(const struct View *view, const struct Row *row, char **modules)
{
	struct json_object *object = device_to_json(row);
	struct json_object *list = json_object_new_array();

	for (; modules && *modules; modules++)
		(void)json_object_array_add(list, json_object_new_string(*modules));
	json_object_object_add(object, "modules", list);
	json_add_string(object, "protection",
			protection_to_string(bus_protection(view, row->device->bus)));
	return json_print(object);
}

/* --- verbs --- */

static int finish(int r, const char *what)
{
	if (r >= 0)
		return EXIT_DONE;
	log_error("cannot %s: %s", what, strerror(-r));
	return EXIT_FAILED;
}

int verb_list(const struct Options *options, char *const *args)
{
	_cleanup_(view_done) struct View view = {0};
	int r;

	(void)args;
	if (view_open(&view, options) < 0)
		return EXIT_FAILED;
	r = udev_for_each_node(view.udev, on_node, &view);
	if (r < 0)
		return finish(r, "enumerate devices");
	r = finish(options->json ? print_list_json(&view) : print_list(&view), "print");
	return view.incomplete ? EXIT_FAILED : r;
}

int verb_show(const struct Options *options, char *const *args)
{
	_cleanup_(view_done) struct View view = {0};
	_cleanup_close_ int dirfd = -1;
	struct Device *device = NULL;
	char **modules = NULL;
	int r = view_open(&view, options);

	if (r < 0)
		return EXIT_FAILED;
	r = find_device(args[0], &view.policy->needs, &dirfd, &device);
	if (r < 0)
		return exit_status_of(r);
	r = view_add(&view, device, dirfd);
	if (r < 0)
		return finish(r, "show the device");
	if (view.rows[0].device->modalias &&
	    modules_for(view.rows[0].device->modalias, &modules) < 0)
		modules = NULL;
	r = options->json ? print_device_json(&view, &view.rows[0], modules)
			  : print_device(&view, &view.rows[0], modules);
	modules_free(modules);
	return finish(r, "print");
}
