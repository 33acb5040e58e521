/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "escape.h"
#include "io.h"
#include "log.h"

#define DEPTH_MAX 8

/* What tells devices from each other beside the keys of the language. To read it is not to ask the
 * device: the kernel knows it already. */
static const char *const telling[] = {"bDeviceClass", "bDeviceProtocol", "bDeviceSubClass",
				      "bcdDevice",    "features",	 "path",
				      "uid"};

int snapshot_needs(const struct Policy *policy, struct Needs *ret)
{
	const struct Vector *asked = &policy->needs.attributes;
	int r = 0;

	*ret = (struct Needs){.interfaces = true};
	for (size_t i = 0; r == 0 && i < ELEMENTSOF(telling); i++)
		r = needs_add(ret, telling[i]);
	for (enum Bus bus = 0; r == 0 && bus < _BUS_MAX; bus++)
		for (int i = 0; r == 0 && bus_info[bus].texts[i]; i++)
			r = needs_add(ret, bus_info[bus].texts[i]);
	for (size_t i = 0; r == 0 && i < asked->n; i++)
		r = needs_add(ret, string_at(asked, i));
	if (r < 0)
		needs_done(ret);
	return r;
}

/* --- writing --- */

static void put_text(struct json_object *object, const char *key, const char *value)
{
	_cleanup_free_ char *safe = value ? escape_text(value) : NULL;

	if (!value)
		return;
	if (!safe)
		abort();
	json_object_object_add(object, key, json_object_new_string(safe));
}

struct json_object *ids_to_json(const struct Device *device)
{
	struct json_object *ids = json_object_new_object();

	for (const struct BusId *id = bus_info[device->bus].ids; id->attr; id++) {
		char text[16];

		if (!device_has_id(device, id->field))
			continue;
		(void)snprintf(text, sizeof(text), "0x%0*x", (int)id->digits,
			       device->ids[id->field]);
		json_object_object_add(ids, id->attr, json_object_new_string(text));
	}
	return ids;
}

static int compare_attributes(const void *a, const void *b)
{
	return strcmp(((const struct Attribute *)a)->name, ((const struct Attribute *)b)->name);
}

static void put_attributes(struct json_object *object, const struct Device *device)
{
	struct json_object *attributes = json_object_new_object();

	if (device->n_attributes > 0)
		qsort(device->attributes, device->n_attributes, sizeof(*device->attributes),
		      compare_attributes);
	for (size_t i = 0; i < device->n_attributes; i++)
		put_text(attributes, device->attributes[i].name, device->attributes[i].value);
	json_object_object_add(object, "attributes", attributes);
}

static void put_interfaces(struct json_object *object, const struct Device *device)
{
	struct json_object *interfaces = json_object_new_array();

	for (size_t i = 0; i < device->n_interfaces; i++) {
		uint32_t n = device->interfaces[i];
		char text[sizeof("cc:ss:pp")];

		(void)snprintf(text, sizeof(text), "%02x:%02x:%02x", n >> 16 & 0xff, n >> 8 & 0xff,
			       n & 0xff);
		(void)json_object_array_add(interfaces, json_object_new_string(text));
	}
	json_object_object_add(object, "interfaces", interfaces);
}

struct json_object *device_to_json(const struct Device *device)
{
	struct json_object *object = json_object_new_object();

	put_text(object, "bus", bus_to_string(device->bus));
	put_text(object, "syspath", device->syspath);
	put_text(object, "modalias", device->modalias);
	json_object_object_add(object, "ids", ids_to_json(device));
	put_text(object, "listed_ids", device->text_ids);
	put_attributes(object, device);
	if (bus_info[device->bus].interfaces)
		put_interfaces(object, device);
	put_text(object, "driver", device->driver);
	if (device->authorized >= 0)
		json_object_object_add(object, "authorized",
				       json_object_new_boolean(device->authorized));
	put_text(object, "authorized_by", origin_to_string(device->authorized_by));
	put_text(object, "authorized_driver", device->authorized_driver);
	if (device->gate != GATE_NONE)
		put_text(object, "held_by", "driver");
	put_text(object, "driver_override", device->override);
	return object;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct json_object *held_to_json(const struct Needs *held)
{
	struct json_object *list = json_object_new_array();

	if (held->attributes.n > 0)
		qsort(held->attributes.data, held->attributes.n, sizeof(char *), compare_strings);
	for (size_t i = 0; i < held->attributes.n; i++)
		(void)json_object_array_add(
			list, json_object_new_string(string_at(&held->attributes, i)));
	return list;
}

struct json_object *snapshot_to_json(const struct Inventory *inventory)
{
	struct json_object *root = json_object_new_object(), *devices = json_object_new_array();

	json_object_object_add(root, "version", json_object_new_int(SNAPSHOT_VERSION));
	json_object_object_add(root, "attributes", held_to_json(&inventory->held));
	for (size_t i = 0; i < inventory->n; i++)
		(void)json_object_array_add(devices, device_to_json(inventory->devices[i]));
	json_object_object_add(root, "devices", devices);
	return root;
}

/* --- reading --- */

struct Reader {
	size_t index; /* of the device that is being read, if */
	bool in_devices;
	char *problem;
};

_printf_(2, 3) static int fail(struct Reader *reader, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	free(reader->problem);
	if (!text ||
	    (reader->in_devices ? asprintf(&reader->problem, "device %zu: %s", reader->index, text)
				: asprintf(&reader->problem, "%s", text)) < 0)
		reader->problem = NULL;
	return reader->problem ? -EBADMSG : -ENOMEM;
}

static int get(struct Reader *reader, struct json_object *object, const char *key,
	       enum json_type type, struct json_object **ret)
{
	*ret = NULL;
	if (!json_object_object_get_ex(object, key, ret) || json_object_is_type(*ret, type))
		return 0;
	return fail(reader, "\"%s\" is not of type %s", key, json_type_to_name(type));
}

static int decode(struct Reader *reader, const char *key, struct json_object *value, char **ret)
{
	const char *text = json_object_get_string(value);

	/* a NUL would end it before its time */
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return fail(reader, "\"%s\" contains a NUL", key);
	*ret = unescape_text(text);
	return *ret ? 0 : fail(reader, "\"%s\" has a backslash that escapes nothing", key);
}

/* *ret stays NULL where there is no such key. */
static int get_text(struct Reader *reader, struct json_object *object, const char *key, char **ret)
{
	struct json_object *value;
	int r = get(reader, object, key, json_type_string, &value);

	return r < 0 || !value ? r : decode(reader, key, value, ret);
}

static int read_ids(struct Reader *reader, struct json_object *object, struct Device *device)
{
	struct json_object *ids;
	int r = get(reader, object, "ids", json_type_object, &ids);

	for (const struct BusId *id = bus_info[device->bus].ids; r == 0 && ids && id->attr; id++) {
		_cleanup_free_ char *text = NULL;

		r = get_text(reader, ids, id->attr, &text);
		if (r < 0 || !text)
			continue;
		if (bus_id_parse(text, id, &device->ids[id->field]) < 0)
			return fail(reader, "\"%s\" is no value for \"%s\"", text, id->attr);
		device->have_ids |= 1U << id->field;
	}
	return r;
}

static int read_attributes(struct Reader *reader, struct json_object *object, struct Device *device)
{
	struct json_object *attributes;
	int r = get(reader, object, "attributes", json_type_object, &attributes);

	if (r < 0 || !attributes)
		return r;
	device->attributes = calloc((size_t)json_object_object_length(attributes) + 1,
				    sizeof(*device->attributes));
	if (!device->attributes)
		return -ENOMEM;
	json_object_object_foreach(attributes, name, value)
	{
		struct Attribute *attribute = &device->attributes[device->n_attributes];

		if (!json_object_is_type(value, json_type_string))
			return fail(reader, "\"%s\" is not of type string", name);
		attribute->name = strdup(name);
		if (!attribute->name)
			return -ENOMEM;
		device->n_attributes++;
		r = decode(reader, name, value, &attribute->value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_interface(struct Reader *reader, struct json_object *value, uint32_t *ret)
{
	const char *text =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
	unsigned class, subclass, protocol;
	int end = 0;

	if (strspn(text, "0123456789abcdef:") != strlen("cc:ss:pp") ||
	    sscanf(text, "%2x:%2x:%2x%n", &class, &subclass, &protocol, &end) != 3 ||
	    end != (int)strlen(text))
		return fail(reader, "\"%s\" is no interface", text);
	*ret = class << 16 | subclass << 8 | protocol;
	return 0;
}

static int read_interfaces(struct Reader *reader, struct json_object *object, struct Device *device)
{
	struct json_object *list;
	int r = get(reader, object, "interfaces", json_type_array, &list);
	size_t n;

	if (r < 0 || !list)
		return r;
	n = json_object_array_length(list);
	device->interfaces = calloc(n + 1, sizeof(*device->interfaces));
	if (!device->interfaces)
		return -ENOMEM;
	for (; r == 0 && device->n_interfaces < n; device->n_interfaces++)
		r = read_interface(reader, json_object_array_get_idx(list, device->n_interfaces),
				   &device->interfaces[device->n_interfaces]);
	return r;
}

static int read_path(struct Reader *reader, struct json_object *object, struct Device *device)
{
	_cleanup_free_ char *bus = NULL;
	const char *slash;
	int r = get_text(reader, object, "bus", &bus);

	if (r == 0)
		r = get_text(reader, object, "syspath", &device->syspath);
	if (r < 0)
		return r;
	device->bus = bus_from_string(bus);
	if (device->bus == _BUS_INVALID)
		return fail(reader, "\"%s\" is no bus", bus ? bus : "");
	slash = device->syspath ? strrchr(device->syspath, '/') : NULL;
	if (!slash || device->syspath[0] != '/' || !slash[1])
		return fail(reader, "\"syspath\" is no path of a device");
	device->sysname = strdup(slash + 1);
	return device->sysname ? 0 : -ENOMEM;
}

static int read_authorization(struct Reader *reader, struct json_object *object,
			      struct Device *device)
{
	_cleanup_free_ char *by = NULL, *held_by = NULL;
	struct json_object *value;
	int r = get(reader, object, "authorized", json_type_boolean, &value);

	device->authorized = value ? json_object_get_boolean(value) : -1;
	if (r == 0)
		r = get_text(reader, object, "authorized_by", &by);
	device->authorized_by = origin_from_string(by);
	if (r == 0)
		r = get_text(reader, object, "authorized_driver", &device->authorized_driver);
	if (r == 0)
		r = get_text(reader, object, "driver_override", &device->override);
	if (r == 0)
		r = get_text(reader, object, "held_by", &held_by);
	if (r == 0 && held_by && !streq(held_by, "driver"))
		return fail(reader, "\"%s\" is nothing that holds devices", held_by);
	device->gate = held_by ? bus_info[device->bus].gate : GATE_NONE;
	return r;
}

static int read_device(struct Reader *reader, struct json_object *object, struct Inventory *ret)
{
	_cleanup_device_ struct Device *device = calloc(1, sizeof(*device));
	int r;

	if (!device)
		return -ENOMEM;
	if (!json_object_is_type(object, json_type_object))
		return fail(reader, "is no object");
	r = read_path(reader, object, device);
	if (r == 0)
		r = get_text(reader, object, "modalias", &device->modalias);
	if (r == 0)
		r = read_ids(reader, object, device);
	if (r == 0)
		r = get_text(reader, object, "listed_ids", &device->text_ids);
	if (r == 0)
		r = read_attributes(reader, object, device);
	if (r == 0)
		r = read_interfaces(reader, object, device);
	if (r == 0)
		r = get_text(reader, object, "driver", &device->driver);
	if (r == 0)
		r = read_authorization(reader, object, device);
	return r < 0 ? r : inventory_add(ret, TAKE_PTR(device));
}

/* The names of the attributes that devices were asked for. */
static int read_held(struct Reader *reader, struct json_object *root, struct Needs *ret)
{
	struct json_object *list = NULL;

	if (!json_object_object_get_ex(root, "attributes", &list) ||
	    !json_object_is_type(list, json_type_array))
		return fail(reader, "there is no list \"attributes\"");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *name = json_object_array_get_idx(list, i);

		if (!json_object_is_type(name, json_type_string))
			return fail(reader, "\"attributes\" lists what is no name");
		if (needs_add(ret, json_object_get_string(name)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_devices(struct Reader *reader, struct json_object *root, struct Inventory *ret)
{
	struct json_object *devices = NULL;
	size_t n;

	if (!json_object_object_get_ex(root, "devices", &devices) ||
	    !json_object_is_type(devices, json_type_array))
		return fail(reader, "there is no list \"devices\"");
	n = json_object_array_length(devices);
	reader->in_devices = true;
	for (; reader->index < n; reader->index++) {
		int r = read_device(reader, json_object_array_get_idx(devices, reader->index), ret);

		if (r < 0)
			return r;
	}
	reader->in_devices = false;
	inventory_link(ret);
	for (size_t i = 1; i < ret->n; i++)
		if (streq(ret->devices[i]->syspath, ret->devices[i - 1]->syspath))
			return fail(reader, "%s is there twice", ret->devices[i]->syspath);
	return 0;
}

static int read_root(struct Reader *reader, struct json_object *root, struct Inventory *ret)
{
	struct json_object *version = NULL;
	int r;

	if (!json_object_is_type(root, json_type_object) ||
	    !json_object_object_get_ex(root, "version", &version) ||
	    !json_object_is_type(version, json_type_int))
		return fail(reader, "this is no snapshot");
	if (json_object_get_int64(version) != SNAPSHOT_VERSION)
		return fail(reader, "this version knows snapshots of version %d only",
			    SNAPSHOT_VERSION);
	r = read_held(reader, root, &ret->held);
	return r < 0 ? r : read_devices(reader, root, ret);
}

int snapshot_parse(const char *text, size_t size, struct Inventory *ret, char **ret_problem)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	struct Reader reader = {0};
	struct json_object *root;
	int r;

	*ret = (struct Inventory){0};
	*ret_problem = NULL;
	if (!tokener)
		return -ENOMEM;
	if (size > SNAPSHOT_SIZE_MAX) {
		json_tokener_free(tokener);
		return -EFBIG;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	root = json_tokener_parse_ex(tokener, text, (int)size);
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		r = asprintf(&reader.problem, "ends at byte %zu, in the middle", size) < 0
			    ? -ENOMEM
			    : -EBADMSG;
	else if (json_tokener_get_error(tokener) != json_tokener_success)
		r = asprintf(&reader.problem, "byte %zu: %s", json_tokener_get_parse_end(tokener),
			     json_tokener_error_desc(json_tokener_get_error(tokener))) < 0
			    ? -ENOMEM
			    : -EBADMSG;
	else
		r = read_root(&reader, root, ret);
	json_object_put(root);
	json_tokener_free(tokener);
	*ret_problem = reader.problem;
	return r;
}

static int read_all(const char *file, char **ret, size_t *ret_size)
{
	_cleanup_close_ int opened =
		streq(file, "-") ? -1 : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room = 0;
	ssize_t n;

	if (opened < 0 && !streq(file, "-"))
		return -errno;
	do { /* it may be a pipe */
		char *more;

		room = room ? room * 2 : 65536;
		more = realloc(text, room + 1);
		if (!more)
			return -ENOMEM;
		text = more;
		n = read_full(opened < 0 ? STDIN_FILENO : opened, text + size, room - size);
		if (n < 0)
			return (int)n;
		size += (size_t)n;
	} while (size == room && size <= SNAPSHOT_SIZE_MAX);
	text[size] = '\0';
	*ret = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}

int snapshot_load(const char *file, struct Inventory *ret)
{
	_cleanup_free_ char *text = NULL, *problem = NULL, *safe = NULL;
	size_t size = 0;
	int r = read_all(file, &text, &size);

	*ret = (struct Inventory){0};
	if (r == 0)
		r = snapshot_parse(text, size, ret, &problem);
	if (r < 0) {
		safe = escape_text(problem ? problem : strerror(-r));
		log_error("%s: %s", file, safe ? safe : "out of memory");
		inventory_done(ret);
	}
	return r;
}
