/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "authctl.h"
#include "client.h"
#include "escape.h"
#include "log.h"
#include "names.h"
#include "output.h"
#include "view.h"

#define PAUSE_MSEC 300 /* between two attempts to find the daemon again */

struct Monitor {
	bool json;
	int error; /* of printing; 0 so far */
};

/* --- a line each --- */

static void print_line(struct Monitor *monitor, const char *text)
{
	_cleanup_free_ char *safe = escape_text(text);

	if (!safe)
		monitor->error = -ENOMEM;
	else if (puts(safe) < 0 || fflush(stdout) != 0)
		monitor->error = -errno;
}

_printf_(2, 3) static void print_text(struct Monitor *monitor, const char *format, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		monitor->error = -ENOMEM;
		return;
	}
	print_line(monitor, text);
	free(text);
}

static struct json_object *event_new(const char *event)
{
	struct json_object *object = json_object_new_object();

	json_add_string(object, "event", event);
	return object;
}

static void print_event(struct Monitor *monitor, struct json_object *object)
{
	int r = json_print_line(object);

	if (r < 0)
		monitor->error = r;
}

/* What the daemon escaped, as it was. */
static void add_text(struct json_object *object, const char *key, const char *text)
{
	_cleanup_free_ char *raw = client_text(text);

	json_add_string(object, key, isempty(raw) ? NULL : raw);
}

/* What names a device, as device-json.h has it: of BUS:NAME, or of the path of one that was gone
 * before it could be read. */
static void add_device(struct json_object *object, const char *text)
{
	_cleanup_free_ char *raw = client_text(text), *bus = NULL;
	bool is_path = raw && startswith(raw, "/");
	const char *colon = raw && !is_path ? strchr(raw, ':') : NULL;

	if (colon)
		bus = strndup(raw, (size_t)(colon - raw));
	json_add_string(object, "device", is_path ? NULL : raw);
	json_add_string(object, "bus", bus);
	json_add_string(object, "name", colon ? colon + 1 : NULL);
	json_add_string(object, "syspath", is_path ? raw : NULL);
}

/* --- what the daemon says --- */

static int on_decided(struct Monitor *monitor, sd_bus_message *m)
{
	static const char *const keys[] = {"outcome", "action", "driver", "rule", "text"};
	const char *path, *name, *values[ELEMENTSOF(keys)];
	struct json_object *object;
	int r = sd_bus_message_read(m, "ossssss", &path, &name, &values[0], &values[1], &values[2],
				    &values[3], &values[4]);

	if (r < 0)
		return r;
	if (!monitor->json) {
		_cleanup_free_ char *raw = client_text(values[4]);

		print_line(monitor, raw);
		return 0;
	}
	object = event_new("decided");
	add_device(object, name);
	for (size_t i = 0; i < ELEMENTSOF(keys); i++)
		add_text(object, keys[i], values[i]);
	print_event(monitor, object);
	return 0;
}

static int on_device(struct Monitor *monitor, sd_bus_message *m, const char *event)
{
	const char *path, *name;
	struct json_object *object;
	int r = sd_bus_message_read(m, "os", &path, &name);

	if (r < 0)
		return r;
	if (!monitor->json) {
		_cleanup_free_ char *raw = client_text(name);

		print_text(monitor, "%s %s", event, raw ? raw : "?");
		return 0;
	}
	object = event_new(event);
	add_device(object, name);
	print_event(monitor, object);
	return 0;
}

#define LOADED_KEY "loaded_usec"

/* The properties of the manager that change and are told of, and where the JSON of status has
 * them. */
static const struct Property {
	const char *name, *type, *group, *key;
} properties[] = {
	{"Frozen", "b", NULL, "frozen"},
	{"Sealed", "b", NULL, "sealed"},
	{"PolicyMode", "s", "policy", "mode"},
	{"PolicyState", "s", "policy", "state"},
	{"PolicyRules", "u", "policy", "rules"},
	{"PolicyGeneration", "t", "policy", "generation"},
	{"PolicyLoadedUSec", "t", "policy", LOADED_KEY},
	{"MissingRules", "u", "policy", "missing_rules"},
};

static const struct Property *find_property(const char *name, const char *type)
{
	for (size_t i = 0; i < ELEMENTSOF(properties); i++)
		if (streq(name, properties[i].name) && streq(type, properties[i].type))
			return &properties[i];
	return NULL;
}

static int read_value(sd_bus_message *m, char type, struct json_object **ret)
{
	union {
		const char *s;
		int b;
		uint32_t u;
		uint64_t t;
	} value;
	int r = sd_bus_message_read_basic(m, type, &value);

	if (r < 0)
		return r;
	if (type == 's')
		*ret = json_object_new_string(value.s);
	else if (type == 'b')
		*ret = json_object_new_boolean(value.b);
	else
		*ret = json_object_new_uint64(type == 'u' ? value.u : value.t);
	return 1;
}

/* The object in @object that the property is in, made with all that it can have. */
static struct json_object *group_of(struct json_object *object, const struct Property *property)
{
	struct json_object *group;

	if (!property->group)
		return object;
	group = json_object_object_get(object, property->group);
	if (group)
		return group;
	group = json_object_new_object();
	for (size_t i = 0; i < ELEMENTSOF(properties); i++)
		if (streq_or_null(properties[i].group, property->group))
			json_object_object_add(group, properties[i].key, NULL);
	json_object_object_add(object, property->group, group);
	return group;
}

/* @userdata: the object of all that changed. */
static int on_property(sd_bus_message *m, const char *name, const char *type, void *userdata)
{
	const struct Property *property = find_property(name, type);
	struct json_object *object = userdata, *value;
	int r;

	if (!property)
		return 0;
	r = read_value(m, type[0], &value);
	if (r >= 0)
		json_object_object_add(group_of(object, property), property->key, value);
	return r;
}

static const char *value_text(struct json_object *value)
{
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value) ? "yes" : "no";
	return json_object_get_string(value);
}

/* As text has it, which is for people. */
static void print_change(struct Monitor *monitor, const struct Property *property,
			 struct json_object *value)
{
	char when[TIME_TEXT_MAX];

	if (streq(property->key, LOADED_KEY)) {
		time_text(json_object_get_uint64(value), when);
		print_text(monitor, "policy loaded: %s", when);
		return;
	}
	print_text(monitor, "%s%s%s: %s", property->group ? property->group : "",
		   property->group ? " " : "", property->key, value_text(value));
}

static void print_changes(struct Monitor *monitor, struct json_object *object)
{
	for (size_t i = 0; i < ELEMENTSOF(properties); i++) {
		const struct Property *p = &properties[i];
		struct json_object *group =
			p->group ? json_object_object_get(object, p->group) : object;
		struct json_object *value = json_object_object_get(group, p->key);

		if (value)
			print_change(monitor, p, value);
	}
	(void)json_object_put(object);
}

static int on_changed(struct Monitor *monitor, sd_bus_message *m)
{
	struct json_object *object;
	const char *interface;
	int r = sd_bus_message_read(m, "s", &interface);

	if (r < 0 || !streq(interface, BUS_MANAGER_INTERFACE))
		return r;
	object = event_new("changed");
	json_object_object_add(object, "frozen", NULL);
	json_object_object_add(object, "sealed", NULL);
	json_object_object_add(object, "policy", NULL);
	r = client_for_each_property(m, on_property, object);
	if (r < 0)
		(void)json_object_put(object);
	else if (monitor->json)
		print_event(monitor, object);
	else
		print_changes(monitor, object);
	return r;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct Monitor *monitor = userdata;
	int r = 0;

	(void)error;
	if (monitor->error < 0)
		return 0;
	if (sd_bus_message_is_signal(m, BUS_MANAGER_INTERFACE, "Decided"))
		r = on_decided(monitor, m);
	else if (sd_bus_message_is_signal(m, BUS_MANAGER_INTERFACE, "DeviceAdded"))
		r = on_device(monitor, m, "added");
	else if (sd_bus_message_is_signal(m, BUS_MANAGER_INTERFACE, "DeviceRemoved"))
		r = on_device(monitor, m, "removed");
	else if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties",
					  "PropertiesChanged"))
		r = on_changed(monitor, m);
	if (r < 0)
		log_warning("cannot make out a signal of the daemon's: %s", strerror(-r));
	return 0;
}

/* --- the verb --- */

static void tell_daemon(struct Monitor *monitor, const char *state, const char *text)
{
	struct json_object *object;

	if (!monitor->json) {
		print_line(monitor, text);
		return;
	}
	object = event_new("daemon");
	json_add_string(object, "state", state);
	print_event(monitor, object);
}

/* As long as the daemon is there and somebody reads. Returns what client_wait() returns. */
static int follow(struct Monitor *monitor, struct Client *client)
{
	int r = client_follow(client, on_signal, monitor);

	if (r < 0)
		return r;
	tell_daemon(monitor, "running", "the daemon runs");
	while (r >= 0 && monitor->error == 0)
		r = client_wait(client, STDOUT_FILENO);
	return monitor->error < 0 ? monitor->error : r;
}

/* Returns -EPIPE where nobody reads any more. */
static int pause_a_moment(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	return poll(&p, 1, PAUSE_MSEC) > 0 ? -EPIPE : 0;
}

/* Returns a negative errno: why it ends. */
static int monitor_forever(struct Monitor *monitor)
{
	bool was_there = false, was_told = false;
	int r = 0;

	while (r >= 0 && monitor->error == 0) {
		_cleanup_client_ struct Client *client = NULL;
		const char *problem;

		r = client_open_quietly(&client, &problem);
		if (r == -ENOTCONN && !was_there) {
			log_error("cannot reach the daemon: %s", problem);
			return r;
		}
		if (r == -ESRCH && !was_told)
			tell_daemon(monitor, "none", "no daemon runs; waiting for one");
		was_told = true;
		if (r >= 0) {
			r = follow(monitor, client);
			if (monitor->error < 0 || r == -EPIPE)
				return r;
			was_there = true;
			tell_daemon(monitor, "gone", "the daemon is gone; waiting for it");
		}
		r = pause_a_moment();
	}
	return monitor->error < 0 ? monitor->error : r;
}

/* Lines are whole, as each is written at once. */
static void on_end(int signal)
{
	(void)signal;
	_exit(EXIT_DONE);
}

int verb_monitor(const struct Options *options, char *const *args)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGPIPE};
	struct Monitor monitor = {.json = options->json};
	int r;

	(void)args;
	for (size_t i = 0; i < ELEMENTSOF(ends); i++)
		(void)sigaction(ends[i], &(struct sigaction){.sa_handler = on_end}, NULL);
	r = monitor_forever(&monitor);
	if (r == -EPIPE)
		return EXIT_DONE;
	return r == -ENOTCONN ? EXIT_FAILED : finish(r, "print");
}
