/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device-json.h"

#include "protection.h"
#include "snapshot.h"

void json_add_device(struct json_object *object, const struct Device *device)
{
	_cleanup_free_ char *name = device->syspath ? device_name(device) : NULL;

	json_add_string(object, "device", name);
	json_add_string(object, "bus", bus_to_string(device->bus));
	json_add_string(object, "name", device->syspath ? device->sysname : NULL);
	json_add_string(object, "syspath", device->syspath);
}

static void add_parent(struct json_object *object, const struct Device *device)
{
	_cleanup_free_ char *name = device->parent ? device_name(device->parent) : NULL;

	json_add_string(object, "parent", name);
}

struct json_object *outcome_to_json(const struct Verdict *verdict)
{
	struct json_object *object = json_object_new_object();

	json_add_string(object, "action", verdict->word);
	json_add_string(object, "driver", verdict->driver);
	json_add_string(object, "why", verdict->why);
	return object;
}

static void add_identity(struct json_object *object, const struct View *view,
			 const struct Device *device)
{
	_cleanup_free_ char *description = view_describe(view, device),
			    *label = view_label(view, device);

	add_parent(object, device);
	json_add_string(object, "description", isempty(description) ? NULL : description);
	json_add_string(object, "label", label);
	json_add_string(object, "modalias", device->modalias);
	json_object_object_add(object, "ids", ids_to_json(device));
	json_add_string(object, "listed_ids", device->text_ids);
}

static void add_state(struct json_object *object, const struct View *view,
		      const struct Device *device)
{
	bool is_made_up = !device->syspath;

	json_add_string(object, "driver", device->driver);
	json_object_object_add(
		object, "authorized",
		device->authorized < 0 ? NULL : json_object_new_boolean(device->authorized));
	json_add_string(object, "authorized_by", origin_to_string(device->authorized_by));
	json_add_string(object, "authorized_driver", device->authorized_driver);
	json_add_string(object, "backend",
			is_made_up ? NULL : backend_to_string(device_backend(device)));
	json_add_string(object, "protection",
			is_made_up ? NULL
				   : protection_to_string(view_protection(view, device->bus)));
}

struct json_object *verdict_to_json(const struct View *view, const struct Device *device,
				    const struct Verdict *verdict)
{
	struct json_object *object = json_object_new_object();

	json_add_device(object, device);
	add_identity(object, view, device);
	add_state(object, view, device);
	json_object_object_add(object, "verdict", outcome_to_json(verdict));
	return object;
}

struct json_object *words_to_json(char *const *words)
{
	struct json_object *list = json_object_new_array();

	for (; words && *words; words++)
		(void)json_object_array_add(list, json_object_new_string(*words));
	return list;
}
