/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "chain.h"
#include "device-json.h"
#include "escape.h"
#include "log.h"

struct Chains {
	const struct View *view;
	struct Table table;
	struct json_object *json; /* NULL: text */
	unsigned n;		  /* chains so far */
};

static void add_to_table(struct Chains *chains, const struct Device *device,
			 const struct Verdict *verdict)
{
	_cleanup_free_ char *name = device_name(device),
			    *description = view_describe(chains->view, device),
			    *text = verdict_text(verdict);

	table_add(&chains->table, name);
	table_add(&chains->table, description);
	table_add(&chains->table, device->driver);
	table_add(&chains->table, authorized_word(device));
	table_add(&chains->table, text);
	table_add(&chains->table, verdict->why);
}

static void add_to_json(struct Chains *chains, const struct Device *device,
			const struct Verdict *verdict)
{
	struct json_object *object = verdict_to_json(chains->view, device, verdict);

	json_object_object_add(object, "chain", json_object_new_int64(chains->n));
	(void)json_object_array_add(chains->json, object);
}

static int add_link(struct Chains *chains, const struct Device *device)
{
	_cleanup_(verdict_done) struct Verdict verdict;
	int r = view_verdict(chains->view, inventory_number(&chains->view->inventory, device),
			     &verdict);

	if (r < 0)
		return r;
	if (chains->json)
		add_to_json(chains, device, &verdict);
	else
		add_to_table(chains, device, &verdict);
	return 0;
}

static int on_end(const char *syspath, void *userdata)
{
	struct Chains *chains = userdata;
	const struct Device *device = chain_device(&chains->view->inventory, syspath);
	int r = 0;

	chains->n += device != NULL;
	for (; r >= 0 && device; device = device->parent)
		r = add_link(chains, device);
	return r;
}

int verb_why(const struct Options *options, char *const *args)
{
	static const char *const heading[] = {"DEVICE",	    "WHAT",    "DRIVER",
					      "AUTHORIZED", "VERDICT", "WHY"};
	_cleanup_view_ struct View view = {0};
	_cleanup_free_ char *safe = escape_text(args[0]);
	struct Chains chains = {.view = &view, .table.n_columns = ELEMENTSOF(heading)};
	int r;

	if (view_open(&view, options) < 0 || view_read(&view, options) < 0)
		return EXIT_FAILED;
	chains.json = options->json ? json_object_new_array() : NULL;
	for (size_t i = 0; !chains.json && i < ELEMENTSOF(heading); i++)
		table_add(&chains.table, heading[i]);
	r = chain_find(args[0], on_end, &chains);
	if (r >= 0 && chains.n == 0) {
		log_error("%s: hangs on no device of a bus that policy governs", safe ? safe : "?");
		r = -ENODEV;
	} else if (r == -ENODEV && strchr(args[0], '/') && access(args[0], F_OK) < 0) {
		log_error("%s: %s", safe ? safe : "?", strerror(errno));
	} else if (r == -ENODEV) {
		log_error("%s: no block device or network interface, and on no file system that "
			  "is on one",
			  safe ? safe : "?");
	}
	if (r < 0) {
		table_free(&chains.table);
		json_object_put(chains.json);
		return r == -ENODEV ? EXIT_NO_DEVICE : finish(r, "follow the chain");
	}
	return finish(chains.json ? json_print(chains.json) : table_print(&chains.table), "print");
}
