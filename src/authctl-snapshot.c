/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device-json.h"
#include "escape.h"
#include "log.h"
#include "snapshot.h"

/* The devices that are there, with all that a snapshot holds of them, or with what @held names. */
static int take(struct View *view, const struct Options *options, const struct Needs *held)
{
	_cleanup_(needs_done) struct Needs needs = {0};
	int r = view_open(view, options);

	if (r < 0)
		return r;
	needs.interfaces = true;
	if (!held)
		r = snapshot_needs(view->policy, &needs);
	for (size_t i = 0; r >= 0 && held && i < held->attributes.n; i++)
		r = needs_add(&needs, string_at(&held->attributes, i));
	if (r >= 0)
		r = inventory_read(&needs, &view->inventory);
	if (r < 0)
		log_error("cannot read the devices: %s", strerror(-r));
	return r;
}

int verb_snapshot(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	int r;

	(void)args;
	if (take(&view, options, NULL) < 0)
		return EXIT_FAILED;
	r = finish(json_print(snapshot_to_json(&view.inventory)), "print");
	return view.inventory.unreadable.n > 0 ? EXIT_FAILED : r;
}

/* --- diff --- */

struct Diff {
	struct json_object *json; /* NULL: text */
	unsigned n;
};

static void add_to_json(struct Diff *diff, const char *change, const struct Device *device,
			const char *key, struct json_object *before, struct json_object *after)
{
	struct json_object *object = json_object_new_object();

	json_add_string(object, "change", change);
	json_add_device(object, device);
	json_add_string(object, "key", key);
	json_object_object_add(object, "before", json_object_get(before));
	json_object_object_add(object, "after", json_object_get(after));
	(void)json_object_array_add(diff->json, object);
}

/* A value of the JSON form as text. */
static const char *value_text(struct json_object *value)
{
	return value ? json_object_get_string(value) : "none";
}

static void add_change(struct Diff *diff, const char *change, const struct Device *device,
		       const char *key, struct json_object *before, struct json_object *after)
{
	_cleanup_free_ char *name = device_name(device), *safe = escape_text(name),
			    *old = escape_text(value_text(before)),
			    *new = escape_text(value_text(after)), *safe_key = escape_text(key);

	diff->n++;
	if (diff->json)
		add_to_json(diff, change, device, key, before, after);
	else if (key)
		(void)printf("%s %s %s: %s -> %s\n", change, safe ? safe : "?",
			     safe_key ? safe_key : "?", old ? old : "?", new ? new : "?");
	else
		(void)printf("%s %s\n", change, safe ? safe : "?");
}

static void diff_value(struct Diff *diff, const struct Device *device, const char *key,
		       struct json_object *before, struct json_object *after);

/* The keys of two objects: those of the one, then those that the other alone has. */
static void diff_objects(struct Diff *diff, const struct Device *device, struct json_object *before,
			 struct json_object *after)
{
	json_object_object_foreach(before, key, value)
	{
		struct json_object *other = NULL;

		(void)json_object_object_get_ex(after, key, &other);
		diff_value(diff, device, key, value, other);
	}
	json_object_object_foreach(after, new_key, new_value)
	{
		if (!json_object_object_get_ex(before, new_key, NULL))
			diff_value(diff, device, new_key, NULL, new_value);
	}
}

static void diff_value(struct Diff *diff, const struct Device *device, const char *key,
		       struct json_object *before, struct json_object *after)
{
	if (before && after && json_object_is_type(before, json_type_object))
		diff_objects(diff, device, before, after);
	else if (!json_object_equal(before, after))
		add_change(diff, "changed", device, key, before, after);
}

static void diff_device(struct Diff *diff, const struct Device *before, const struct Device *after)
{
	struct json_object *old = device_to_json(before), *new = device_to_json(after);

	diff_objects(diff, after, old, new);
	json_object_put(old);
	json_object_put(new);
}

static void diff_inventories(struct Diff *diff, const struct Inventory *before,
			     const struct Inventory *after)
{
	for (size_t i = 0; i < before->n; i++)
		if (!inventory_find(after, before->devices[i]->syspath))
			add_change(diff, "removed", before->devices[i], NULL, NULL, NULL);
	for (size_t i = 0; i < after->n; i++) {
		const struct Device *old = inventory_find(before, after->devices[i]->syspath);

		if (old)
			diff_device(diff, old, after->devices[i]);
		else
			add_change(diff, "added", after->devices[i], NULL, NULL, NULL);
	}
}

int verb_diff(const struct Options *options, char *const *args)
{
	_cleanup_inventory_ struct Inventory before = {0};
	_cleanup_view_ struct View view = {0};
	struct Diff diff = {0};
	int r = snapshot_load(args[0], &before);

	if (r < 0 || take(&view, options, &before.held) < 0)
		return EXIT_FAILED;
	diff.json = options->json ? json_object_new_array() : NULL;
	diff_inventories(&diff, &before, &view.inventory);
	r = diff.json ? json_print(diff.json) : fflush(stdout) == 0 ? 0 : -errno;
	if (r < 0)
		return finish(r, "print");
	return diff.n > 0 || view.inventory.unreadable.n > 0 ? EXIT_FAILED : EXIT_DONE;
}
