/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>

#include "bus-internal.h"
#include "names.h"
#include "policy-parse.h"

void bus_device_done(struct BusDevice *device)
{
	free(device->name);
	free(device->syspath);
	free(device->modalias);
	free(device->driver);
	free(device->authorized_driver);
	free(device->rule);
	*device = (struct BusDevice){0};
}

/* --- the object --- */

void bus_device_path(ino_t ino, char ret[static BUS_DEVICE_PATH_SIZE])
{
	(void)snprintf(ret, BUS_DEVICE_PATH_SIZE, BUS_DEVICES_PATH "/%" PRIu64, (uint64_t)ino);
}

/* One device has one path: no leading zeros, no signs. */
static bool parse_path(const char *path, ino_t *ret)
{
	const char *number = startswith(path, BUS_DEVICES_PATH "/");
	char canonical[BUS_DEVICE_PATH_SIZE];

	if (!number || *number < '1' || *number > '9')
		return false;
	errno = 0;
	*ret = strtoull(number, NULL, 10);
	bus_device_path(*ret, canonical);
	return !errno && streq(path, canonical);
}

/* Whether somebody asks for exactly this object: then he is told what is missing. */
static bool is_asked_for(sd_bus *bus, const char *path)
{
	sd_bus_message *message = sd_bus_get_current_message(bus);
	const char *of = message ? sd_bus_message_get_path(message) : NULL,
		   *interface = message ? sd_bus_message_get_interface(message) : NULL;

	return of && streq(of, path) &&
	       (!interface || streq(interface, BUS_DEVICE_INTERFACE) ||
		streq(interface, "org.freedesktop.DBus.Properties"));
}

static int find_device(sd_bus *bus, const char *path, const char *interface, void *userdata,
		       void **ret_found, sd_bus_error *ret_error)
{
	struct BusServer *server = userdata;
	ino_t ino;
	int r;

	if (!parse_path(path, &ino))
		return 0;
	bus_device_done(&server->view);
	r = server->operations->read_device(server->userdata, ino, &server->view);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return is_asked_for(bus, path)
			       ? sd_bus_error_set(ret_error, BUS_ERROR("NoSuchDevice"),
						  "the device is gone, or there never was one")
			       : 0;
	server->view.server = server;
	server->view.ino = ino;
	*ret_found = &server->view;
	return 1;
}

struct Paths {
	char **list; /* ends with NULL */
	size_t n;
	int r;
};

static void add_path(ino_t ino, void *argument)
{
	struct Paths *paths = argument;
	char path[BUS_DEVICE_PATH_SIZE];

	if (paths->r < 0)
		return;
	if (paths->n % 256 == 0) { /* room for one more and the end, whenever there is none */
		char **list = reallocarray(paths->list, paths->n + 257, sizeof(char *));

		paths->r = list ? 0 : -ENOMEM;
		if (!list)
			return;
		paths->list = list;
	}
	bus_device_path(ino, path);
	paths->list[paths->n] = strdup(path);
	if (!paths->list[paths->n])
		paths->r = -ENOMEM;
	else
		paths->list[++paths->n] = NULL;
}

static int list_devices(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
			sd_bus_error *ret_error)
{
	struct BusServer *server = userdata;
	struct Paths paths = {0};

	server->operations->for_each_device(server->userdata, add_path, &paths);
	if (paths.r < 0) {
		for (size_t i = 0; i < paths.n; i++)
			free(paths.list[i]);
		free(paths.list);
		return paths.r;
	}
	*ret_nodes = paths.list;
	return 0;
}

/* --- arguments --- */

static int invalid(sd_bus_error *error, const char *text)
{
	return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, text);
}

static int read_bool(sd_bus_message *m, bool *ret)
{
	int value, r = sd_bus_message_read(m, "v", "b", &value);

	if (r >= 0)
		*ret = value;
	return r;
}

static int read_driver(sd_bus_message *m, const char **ret)
{
	int r = sd_bus_message_read(m, "v", "s", ret);

	return r >= 0 && **ret && !driver_name_valid(*ret) ? -EINVAL : r;
}

/* Options, each at most once. */
enum {
	OPTION_DRIVER = 1,
	OPTION_REMOVE = 2,
	OPTION_PERMANENT = 4,
};

static int read_option(sd_bus_message *m, const char *key, unsigned allowed, unsigned *seen,
		       struct BusDecision *ret)
{
	unsigned option = streq(key, "driver")	    ? OPTION_DRIVER
			  : streq(key, "remove")    ? OPTION_REMOVE
			  : streq(key, "permanent") ? OPTION_PERMANENT
						    : 0;

	if (!(option & allowed) || option & *seen)
		return -EINVAL;
	*seen |= option;
	if (option == OPTION_DRIVER)
		return read_driver(m, &ret->driver);
	return read_bool(m, option == OPTION_REMOVE ? &ret->remove : &ret->permanent);
}

static int read_options(sd_bus_message *m, unsigned allowed, struct BusDecision *ret)
{
	unsigned seen = 0;
	const char *key;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &key);
		if (r >= 0)
			r = read_option(m, key, allowed, &seen, ret);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int parse_authorize(struct BusCall *call, sd_bus_error *error)
{
	call->decision.authorize = true;
	return read_options(call->message, OPTION_DRIVER | OPTION_PERMANENT, &call->decision) < 0
		       ? invalid(error, "the options are \"driver\", the name of a driver or \"\", "
					"and \"permanent\", a boolean")
		       : 0;
}

static int parse_deny(struct BusCall *call, sd_bus_error *error)
{
	return read_options(call->message, OPTION_REMOVE | OPTION_PERMANENT, &call->decision) < 0
		       ? invalid(error, "the options are \"remove\" and \"permanent\", booleans")
		       : 0;
}

/* --- methods --- */

static void decide(struct BusCall *call)
{
	const struct BusServer *server = call->server;

	server->operations->decide(server->userdata, call->ino, &call->decision, call);
}

static void explain(struct BusCall *call)
{
	const struct BusServer *server = call->server;

	server->operations->explain(server->userdata, call->ino, call);
}

static void get_personal(struct BusCall *call)
{
	const struct BusServer *server = call->server;

	server->operations->read_personal(server->userdata, call->ino, call);
}

void bus_call_explained(struct BusCall *call, const struct BusExplanation *explanation)
{
	sd_bus_message *reply = NULL;
	int r = bus_call_new_reply(call, &reply);

	if (r >= 0)
		r = sd_bus_message_append(reply, "sss", explanation->verdict, explanation->driver,
					  explanation->why);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(sbs)");
	for (size_t i = 0; r >= 0 && i < explanation->n_tried; i++) {
		const struct BusTried *tried = &explanation->tried[i];

		r = sd_bus_message_append(reply, "(sbs)", tried->source, !tried->key,
					  tried->key ? tried->key : "");
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	bus_call_answer(call, reply, r);
}

void bus_call_told(struct BusCall *call, const char *const *pairs, size_t n_pairs)
{
	sd_bus_message *reply = NULL;
	int r = bus_call_new_reply(call, &reply);

	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{ss}");
	for (size_t i = 0; r >= 0 && i < n_pairs; i++)
		r = sd_bus_message_append(reply, "{ss}", pairs[2 * i], pairs[2 * i + 1]);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	bus_call_answer(call, reply, r);
}

static const struct BusMethod methods[] = {
	{"Authorize", BUS_ACCESS_CHECKED, POLKIT_AUTHORIZE, parse_authorize, decide},
	{"Deny", BUS_ACCESS_CHECKED, POLKIT_DENY, parse_deny, decide},
	{"Explain", BUS_ACCESS_FREE, NULL, NULL, explain},
	{"GetPersonal", BUS_ACCESS_CHECKED, POLKIT_READ_PERSONAL, NULL, get_personal},
	{0},
};

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct BusDevice *device = userdata;

	return bus_call_start(device->server, methods, device->ino, message, error);
}

/* --- the interface --- */

/* sd-bus would ask the bus for the caller's capabilities, and wait for the answer, before it called
 * a method without this. bus-access.c checks instead. */
#define METHOD_FLAGS SD_BUS_VTABLE_UNPRIVILEGED

#define CONSTANT(name, type, field)                                                                \
	SD_BUS_PROPERTY(name, type, NULL, offsetof(struct BusDevice, field),                       \
			SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGING(name, type, field)                                                                \
	SD_BUS_PROPERTY(name, type, NULL, offsetof(struct BusDevice, field),                       \
			SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	CONSTANT("Name", "s", name),
	CONSTANT("Bus", "s", bus),
	CONSTANT("SysfsPath", "s", syspath),
	CONSTANT("Modalias", "s", modalias),
	CHANGING("Driver", "s", driver),
	CHANGING("Authorized", "s", authorized),
	CHANGING("AuthorizedBy", "s", authorized_by),
	CHANGING("AuthorizedDriver", "s", authorized_driver),
	CHANGING("Verdict", "s", verdict),
	CHANGING("Rule", "s", rule),
	CHANGING("OnlyDriver", "s", only_driver),
	CHANGING("ByHand", "b", by_hand),
	CONSTANT("Hot", "b", hot),
	CONSTANT("Backend", "s", backend),
	CONSTANT("Protection", "s", protection),
	SD_BUS_METHOD_WITH_ARGS("Authorize", SD_BUS_ARGS("a{sv}", options),
				SD_BUS_RESULT("s", driver), on_method, METHOD_FLAGS),
	SD_BUS_METHOD_WITH_ARGS("Deny", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, on_method,
				METHOD_FLAGS),
	SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_NO_ARGS,
				SD_BUS_RESULT("s", verdict, "s", driver, "s", why, "a(sbs)", tried),
				on_method, METHOD_FLAGS),
	SD_BUS_METHOD_WITH_ARGS("GetPersonal", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{ss}", personal),
				on_method, METHOD_FLAGS),
	SD_BUS_VTABLE_END,
};

int bus_device_add(struct BusServer *server, sd_bus *bus)
{
	int r = sd_bus_add_fallback_vtable(bus, NULL, BUS_DEVICES_PATH, BUS_DEVICE_INTERFACE,
					   vtable, find_device, server);

	return r < 0 ? r
		     : sd_bus_add_node_enumerator(bus, NULL, BUS_DEVICES_PATH, list_devices,
						  server);
}
