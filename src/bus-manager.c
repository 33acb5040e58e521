/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "bus-internal.h"
#include "names.h"

/* --- properties --- */

/* A property is a field of what the daemon says of itself at this moment. */
#define DEFINE_GETTER(field, type)                                                                 \
	static int get_##field(sd_bus *bus, const char *path, const char *interface,               \
			       const char *property, sd_bus_message *reply, void *userdata,        \
			       sd_bus_error *error)                                                \
	{                                                                                          \
		struct BusServer *server = userdata;                                               \
		struct BusManager manager;                                                         \
                                                                                                   \
		server->operations->read_manager(server->userdata, &manager);                      \
		return sd_bus_message_append(reply, type, manager.field);                          \
	}

DEFINE_GETTER(kernel_mode, "s")
DEFINE_GETTER(policy_mode, "s")
DEFINE_GETTER(policy_state, "s")
DEFINE_GETTER(impairment, "s")
DEFINE_GETTER(configuration, "s")
DEFINE_GETTER(frozen, "b")
DEFINE_GETTER(sealed, "b")
DEFINE_GETTER(policy_rules, "u")
DEFINE_GETTER(missing_rules, "u")
DEFINE_GETTER(policy_generation, "t")
DEFINE_GETTER(policy_loaded_usec, "t")

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
}

static int get_counts(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct BusServer *server = userdata;
	struct BusCount counts[BUS_COUNTS_MAX];
	size_t n = server->operations->read_counts(server->userdata, counts);
	int r = sd_bus_message_open_container(reply, 'a', "{st}");

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = sd_bus_message_append(reply, "{st}", counts[i].key, counts[i].value);
	if (r >= 0)
		r = sd_bus_message_append(reply, "{st}", "turned-away",
					  (uint64_t)server->n_turned_away);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_backends(sd_bus *bus, const char *path, const char *interface, const char *property,
			sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct BusServer *server = userdata;
	struct BusBackend backends[_BUS_MAX];
	size_t n = server->operations->read_backends(server->userdata, backends);
	int r = sd_bus_message_open_container(reply, 'a', "(ssss)");

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = sd_bus_message_append(reply, "(ssss)", backends[i].bus, backends[i].backend,
					  backends[i].protection, backends[i].phrase);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* --- methods --- */

static int parse_name(struct BusCall *call, sd_bus_error *error)
{
	return sd_bus_message_read(call->message, "s", &call->name);
}

static void get_device(struct BusCall *call)
{
	const struct BusServer *server = call->server;
	char path[BUS_DEVICE_PATH_SIZE];
	sd_bus_message *reply = NULL;
	ino_t ino;
	int r = server->operations->find_device(server->userdata, call->name, &ino);

	if (r == -ENOTUNIQ) {
		bus_call_done(call, PROBLEM_AMBIGUOUS,
			      "several buses have a device of that name; say BUS:NAME", NULL);
		return;
	}
	if (r < 0) {
		bus_call_done(call, PROBLEM_NO_SUCH_DEVICE, "no such device", NULL);
		return;
	}
	bus_device_path(ino, path);
	r = bus_call_new_reply(call, &reply);
	if (r >= 0)
		r = sd_bus_message_append(reply, "o", path);
	bus_call_answer(call, reply, r);
}

struct Listing {
	struct BusServer *server;
	sd_bus_message *reply;
	int r;
};

/* One that is gone already is left out. */
static void list_device(ino_t ino, void *argument)
{
	struct Listing *listing = argument;
	struct BusServer *server = listing->server;
	struct BusDevice *device = &server->view;
	char path[BUS_DEVICE_PATH_SIZE];

	if (listing->r < 0)
		return;
	bus_device_done(device);
	if (server->operations->read_device(server->userdata, ino, device) < 0)
		return;
	bus_device_path(ino, path);
	listing->r = sd_bus_message_append(listing->reply, "(osssss)", path, device->name,
					   device->verdict, device->rule, device->authorized,
					   device->driver);
}

static void list_devices(struct BusCall *call)
{
	struct Listing listing = {.server = call->server};

	listing.r = bus_call_new_reply(call, &listing.reply);
	if (listing.r >= 0)
		listing.r = sd_bus_message_open_container(listing.reply, 'a', "(osssss)");
	call->server->operations->for_each_device(call->server->userdata, list_device, &listing);
	if (listing.r >= 0)
		listing.r = sd_bus_message_close_container(listing.reply);
	bus_call_answer(call, listing.reply, listing.r);
}

static void reload(struct BusCall *call)
{
	call->server->operations->reload(call->server->userdata, call);
}

static void freeze(struct BusCall *call)
{
	call->server->operations->freeze(call->server->userdata, call);
}

static void seal(struct BusCall *call)
{
	call->server->operations->seal(call->server->userdata, call);
}

static const struct BusMethod methods[] = {
	{"GetDevice", BUS_ACCESS_FREE, NULL, parse_name, get_device},
	{"ListDevices", BUS_ACCESS_FREE, NULL, NULL, list_devices},
	{"Reload", BUS_ACCESS_CHECKED, POLKIT_RELOAD, NULL, reload},
	{"Freeze", BUS_ACCESS_CHECKED, POLKIT_FREEZE, NULL, freeze},
	{"Seal", BUS_ACCESS_CHECKED, POLKIT_SEAL, NULL, seal},
	{0},
};

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return bus_call_start(userdata, methods, 0, message, error);
}

/* --- the interface --- */

#define METHOD_FLAGS SD_BUS_VTABLE_UNPRIVILEGED /* see bus-device.c */

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("KernelMode", "s", get_kernel_mode, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Frozen", "b", get_frozen, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Sealed", "b", get_sealed, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyMode", "s", get_policy_mode, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyState", "s", get_policy_state, 0,
			SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyRules", "u", get_policy_rules, 0,
			SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyGeneration", "t", get_policy_generation, 0,
			SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("PolicyLoadedUSec", "t", get_policy_loaded_usec, 0,
			SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("MissingRules", "u", get_missing_rules, 0,
			SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Impairment", "s", get_impairment, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Configuration", "s", get_configuration, 0, 0),
	SD_BUS_PROPERTY("Counts", "a{st}", get_counts, 0, 0),
	SD_BUS_PROPERTY("Backends", "a(ssss)", get_backends, 0, 0),
	SD_BUS_METHOD_WITH_ARGS("GetDevice", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", device),
				on_method, METHOD_FLAGS),
	SD_BUS_METHOD_WITH_ARGS("ListDevices", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(osssss)", devices),
				on_method, METHOD_FLAGS),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_method,
				METHOD_FLAGS),
	SD_BUS_METHOD_WITH_ARGS("Freeze", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_method,
				METHOD_FLAGS),
	SD_BUS_METHOD_WITH_ARGS("Seal", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_method, METHOD_FLAGS),
	SD_BUS_SIGNAL_WITH_ARGS("DeviceAdded", SD_BUS_ARGS("o", device, "s", name), 0),
	SD_BUS_SIGNAL_WITH_ARGS("DeviceRemoved", SD_BUS_ARGS("o", device, "s", name), 0),
	SD_BUS_SIGNAL_WITH_ARGS("Decided",
				SD_BUS_ARGS("o", device, "s", name, "s", outcome, "s", action, "s",
					    driver, "s", rule, "s", text),
				0),
	SD_BUS_VTABLE_END,
};

int bus_manager_add(struct BusServer *server, sd_bus *bus)
{
	int r = sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_MANAGER_INTERFACE, vtable,
					 server);

	return r < 0 ? r : sd_bus_add_object_manager(bus, NULL, BUS_PATH);
}
