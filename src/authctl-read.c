/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device-json.h"
#include "device-tree.h"
#include "find-device.h"
#include "log.h"
#include "modules.h"
#include "protection.h"
#include "refused.h"
#include "terminal.h"

/* One line of the list. */
struct Row {
	const struct Device *device;
	char *label; /* what the device calls itself, or NULL */
	struct Verdict verdict;
	char *description;
};

static void row_done(struct Row *row)
{
	free(row->label);
	verdict_done(&row->verdict);
	free(row->description);
}

/* Returns 0 or -ENOMEM; the caller calls row_done() in each case. */
static int row_fill(struct Row *row, const struct View *view, size_t number)
{
	const struct Device *device = view->inventory.devices[number];

	*row = (struct Row){.device = device, .label = view_label(view, device)};
	row->description = view_describe(view, device);
	return row->description ? view_verdict(view, number, &row->verdict) : -ENOMEM;
}

/* --- text --- */

/* @lines: of the tree, "" where there is none. */
static void add_row(struct Table *table, const struct Row *row, const char *lines)
{
	_cleanup_free_ char *name = device_name(row->device),
			    *verdict = verdict_text(&row->verdict);

	table_add_behind(table, lines, name);
	table_add(table, isempty(row->description) ? row->label : row->description);
	table_add(table, row->device->driver);
	table_add(table, authorized_word(row->device));
	table_add_coloured(table, verdict, verdict_colour(&row->verdict));
	table_add(table, row->verdict.why);
}

static void add_heading(struct Table *table, const char *const *heading, size_t n)
{
	table->n_columns = n;
	for (size_t i = 0; i < n; i++)
		table_add_coloured(table, heading[i], COLOUR_DIM);
}

struct List {
	const struct View *view;
	struct Table table;
};

static int add_device(size_t number, const char *lines, void *userdata)
{
	struct List *list = userdata;
	_cleanup_(row_done) struct Row row;
	int r = row_fill(&row, list->view, number);

	if (r == 0)
		add_row(&list->table, &row, lines);
	return r;
}

static int add_devices(struct List *list, bool tree)
{
	int r = 0;

	if (tree)
		return device_tree_walk(&list->view->inventory, terminal_is_utf8(), add_device,
					list);
	for (size_t i = 0; r == 0 && i < list->view->inventory.n; i++)
		r = add_device(i, "", list);
	return r;
}

static int print_protection(const struct Options *options, const struct View *view)
{
	static const char *const heading[] = {"BUS", "PROTECTION", "MEANING"};
	struct Table table = {0};

	options_table(options, &table);
	add_heading(&table, heading, ELEMENTSOF(heading));
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		enum Protection protection = view_protection(view, bus);

		if (!view_has_bus(view, bus))
			continue;
		table_add(&table, bus_to_string(bus));
		table_add_coloured(&table, protection_to_string(protection),
				   protection == PROTECTION_NONE ? COLOUR_BAD : COLOUR_NONE);
		table_add(&table, protection_explain(protection, bus));
	}
	return table_print(&table);
}

static int print_list(const struct Options *options, const struct View *view)
{
	static const char *const heading[] = {"DEVICE",	    "WHAT",    "DRIVER",
					      "AUTHORIZED", "VERDICT", "WHY"};
	struct List list = {.view = view};
	int r;

	options_table(options, &list.table);
	add_heading(&list.table, heading, ELEMENTSOF(heading));
	r = add_devices(&list, options->tree);
	if (r < 0) {
		table_free(&list.table);
		return r;
	}
	r = table_print(&list.table);
	if (r < 0 || options->no_legend)
		return r;
	if (view->policy->mode == POLICY_AUDIT)
		(void)printf(
			"\nThe policy is in audit mode: its verdicts are told, and not done.\n");
	if (view->of_snapshot)
		return fflush(stdout) == 0 ? 0 : -errno;
	(void)putchar('\n');
	return print_protection(options, view);
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
	if (!view->of_snapshot)
		add_fact(&table, "Protection:",
			 protection_explain(view_protection(view, device->bus), device->bus));
	return table_print(&table);
}

/* --- JSON --- */

static int print_list_json(const struct View *view)
{
	struct json_object *root = json_object_new_object();
	struct json_object *devices = json_object_new_array();
	struct json_object *protection = json_object_new_object();

	for (size_t i = 0; i < view->inventory.n; i++) {
		_cleanup_(verdict_done) struct Verdict verdict;

		if (view_verdict(view, i, &verdict) < 0)
			abort();
		(void)json_object_array_add(
			devices, verdict_to_json(view, view->inventory.devices[i], &verdict));
	}
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		if (view_has_bus(view, bus))
			json_add_string(protection, bus_to_string(bus),
					protection_to_string(view_protection(view, bus)));
	json_object_object_add(root, "devices", devices);
	json_object_object_add(root, "protection", protection);
	return json_print(root);
}

static int print_device_json(const struct View *view, const struct Row *row, char **modules)
{
	struct json_object *object = verdict_to_json(view, row->device, &row->verdict);

	json_object_object_add(object, "modules", words_to_json(modules));
	return json_print(object);
}

/* --- verbs --- */

int verb_list(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	int r;

	(void)args;
	if (options->tree && options->json) {
		log_error("--tree is for people; in the JSON each device has its parent");
		return EXIT_USAGE;
	}
	if (options->initrd)
		refused_set_deadline();
	if (view_open(&view, options) < 0 || view_read(&view, options) < 0)
		return EXIT_FAILED;
	if (options->refused)
		r = finish(options->json ? refused_print_json(&view) : refused_print(&view),
			   "print");
	else
		r = finish(options->json ? print_list_json(&view) : print_list(options, &view),
			   "print");
	return view.inventory.unreadable.n > 0 ? EXIT_FAILED : r;
}

int verb_show(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	_cleanup_(row_done) struct Row row = {0};
	const struct Device *device;
	char **modules = NULL;
	int r;

	if (view_open(&view, options) < 0)
		return EXIT_FAILED;
	r = view_find(&view, options, args[0], &device);
	if (r < 0)
		return exit_status_of(r);
	r = row_fill(&row, &view, inventory_number(&view.inventory, device));
	if (r < 0)
		return finish(r, "show the device");
	if (device->modalias && view_modules(options, device->modalias, &modules) < 0)
		modules = NULL;
	r = options->json ? print_device_json(&view, &row, modules)
			  : print_device(&view, &row, modules);
	modules_free(modules);
	return finish(r, "print");
}
