/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "bus-internal.h"
#include "log.h"
#include "names.h"
#include "phase.h"

#define BACKLOG 128
#define PATIENCE_USEC                                                                              \
	(10 * UINT64_C(1000000)) /* that it takes a peer to authenticate; sd-bus                   \
				  * would wait for 90 seconds */
#define PEER_BUFFER                                                                                \
	(128 * 1024) /* bytes that the kernel holds for who does not read; sd-bus takes            \
		      * 8 MiB */
#define PAUSE_USEC UINT64_C(1000000)		/* before the next attempt to accept or connect */
#define PAUSE_MAX_USEC (60 * UINT64_C(1000000)) /* the longest, it doubles */

/* --- connections --- */

struct BusConnection *bus_connection_of(struct BusServer *server, sd_bus_message *message)
{
	sd_bus *bus = sd_bus_message_get_bus(message);
	struct BusConnection *c = server->connections;

	while (c && (c->bus != bus || c->is_doomed))
		c = c->next;
	return c;
}

static void drop_calls(struct BusServer *server, const sd_bus *bus)
{
	struct BusCall *call = server->calls, *next;

	for (; call; call = next) {
		next = call->next;
		/* the others are being carried out, and nobody hears what came of them */
		if (call->is_checked && sd_bus_message_get_bus(call->message) == bus)
			bus_call_free(call);
	}
}

static void connection_free(struct BusConnection *connection)
{
	struct BusServer *server = connection->server;
	struct BusConnection **p = &server->connections;

	while (*p != connection)
		p = &(*p)->next;
	*p = connection->next;
	server->n_peers -= !connection->is_system;
	drop_calls(server, connection->bus);
	sd_event_source_disable_unref(connection->patience);
	(void)sd_bus_close_unref(connection->bus);
	free(connection);
}

static void reconnect_later(struct BusServer *server)
{
	if (sd_event_source_set_time_relative(server->reconnect, server->patience_usec) < 0 ||
	    sd_event_source_set_enabled(server->reconnect, SD_EVENT_ONESHOT) < 0)
		log_warning("cannot come back to the system bus");
	server->patience_usec *= 2;
	if (server->patience_usec > PAUSE_MAX_USEC)
		server->patience_usec = PAUSE_MAX_USEC;
}

static int on_doomed(sd_event_source *source, void *userdata)
{
	struct BusServer *server = userdata;
	struct BusConnection *connection = server->connections, *next;

	for (; connection; connection = next) {
		next = connection->next;
		if (!connection->is_doomed)
			continue;
		if (connection->is_system)
			reconnect_later(server);
		connection_free(connection);
	}
	return 0;
}

void bus_connection_doom(struct BusConnection *connection)
{
	connection->is_doomed = true;
	(void)sd_event_source_set_enabled(connection->server->reaper, SD_EVENT_ONESHOT);
}

void bus_connection_check(struct BusConnection *connection)
{
	uint64_t n;

	if (connection->is_doomed || sd_bus_get_n_queued_write(connection->bus, &n) < 0 ||
	    n <= BUS_QUEUE_MAX)
		return;
	log_warning("a connection to D-Bus is closed, as its other end does not read");
	bus_connection_doom(connection);
}

/* Much of what is sent sd-bus answers by itself: properties, introspection. */
static int on_end_of_turn(sd_event_source *source, void *userdata)
{
	const struct BusServer *server = userdata;

	for (struct BusConnection *c = server->connections; c; c = c->next)
		bus_connection_check(c);
	return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	bus_connection_doom(userdata);
	return 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct BusConnection *connection = userdata;

	if (sd_bus_is_ready(connection->bus) <= 0)
		bus_connection_doom(connection);
	return 0;
}

static int limit_buffer(sd_bus *bus)
{
	const int size = PEER_BUFFER;
	int fd = sd_bus_get_fd(bus);

	if (fd < 0)
		return fd;
	return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ? -errno : 0;
}

/* Takes over @bus, also on failure. No descriptors of others are taken. */
static int connection_new(struct BusServer *server, sd_bus *bus, bool is_system)
{
	struct BusConnection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection) {
		sd_bus_unref(bus);
		return -ENOMEM;
	}
	*connection = (struct BusConnection){
		.next = server->connections, .server = server, .bus = bus, .is_system = is_system};
	server->connections = connection;
	server->n_peers += !is_system;
	r = sd_bus_negotiate_fds(bus, false);
	if (r >= 0)
		r = bus_manager_add(server, bus);
	if (r >= 0)
		r = bus_device_add(server, bus);
	if (r >= 0)
		r = sd_bus_match_signal_async(bus, NULL, "org.freedesktop.DBus.Local", NULL,
					      "org.freedesktop.DBus.Local", "Disconnected",
					      on_disconnected, NULL, connection);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		r = sd_bus_attach_event(bus, server->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0 && !is_system)
		r = limit_buffer(bus);
	if (r >= 0 && !is_system)
		r = sd_event_add_time_relative(server->event, &connection->patience,
					       CLOCK_MONOTONIC, PATIENCE_USEC, 0, on_patience,
					       connection);
	if (r < 0)
		connection_free(connection);
	return r;
}

/* --- the system bus --- */

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct BusServer *server = userdata;
	uint32_t what;

	if (sd_bus_message_is_method_error(reply, NULL)) {
		log_warning("the system bus does not give us its name " BUS_NAME ": %s",
			    sd_bus_message_get_error(reply)->name);
		return 0;
	}
	if (sd_bus_message_read(reply, "u", &what) >= 0 && what == 2) /* DBUS_REQUEST_NAME_... */
		log_warning("the name " BUS_NAME " on the system bus has another owner; waiting "
			    "for it");
	server->patience_usec = PAUSE_USEC;
	return 0;
}

static int set_address(sd_bus *bus)
{
	const char *address = secure_getenv(SYSTEM_BUS_ADDRESS_VARIABLE);
	int r = sd_bus_set_address(bus, isempty(address) ? SYSTEM_BUS_ADDRESS : address);

	if (r >= 0)
		r = sd_bus_set_bus_client(bus, true);
	/* it starts after us, if at all */
	return r < 0 ? r : sd_bus_set_watch_bind(bus, true);
}

static int connect_system(struct BusServer *server)
{
	sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r < 0)
		return r;
	r = set_address(bus);
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	r = connection_new(server, bus, true);
	if (r < 0)
		return r;
	r = sd_bus_request_name_async(bus, NULL, BUS_NAME, SD_BUS_NAME_QUEUE, on_name, server);
	if (r < 0)
		connection_free(server->connections);
	return r;
}

static void try_system(struct BusServer *server)
{
	int r = connect_system(server);

	if (r >= 0)
		return;
	if (server->patience_usec == PAUSE_USEC)
		log_warning("cannot connect to the system bus yet: %s", strerror(-r));
	reconnect_later(server);
}

static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata)
{
	try_system(userdata);
	return 0;
}

/* --- the socket --- */

static bool is_root(int fd)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	/* as whom we run: root, but for tests */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 && cred.uid == geteuid();
}

static int set_peer(sd_bus *bus, int fd)
{
	sd_id128_t id;
	int r = sd_id128_randomize(&id);

	if (r >= 0)
		r = sd_bus_set_server(bus, true, id);
	if (r >= 0) /* else who listens for signals of the name would hear none */
		r = sd_bus_set_sender(bus, BUS_NAME);
	return r < 0 ? r : sd_bus_set_fd(bus, fd, fd);
}

/* Takes over @fd. */
static int add_peer(struct BusServer *server, int fd)
{
	_cleanup_close_ int owned = fd;
	sd_bus *bus = NULL;
	int r;

	if (server->n_peers >= server->n_peers_max || !is_root(fd)) {
		server->n_turned_away++;
		return 0;
	}
	r = sd_bus_new(&bus);
	if (r >= 0)
		r = set_peer(bus, fd);
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	(void)take_fd(&owned); /* the bus's */
	return connection_new(server, bus, false);
}

/* Who waits is heard again in a moment; without a pause he would be so without an end. */
static void pause_listening(struct BusServer *server)
{
	(void)sd_event_source_set_enabled(server->listening, SD_EVENT_OFF);
	(void)sd_event_source_set_time_relative(server->pause, PAUSE_USEC);
	(void)sd_event_source_set_enabled(server->pause, SD_EVENT_ONESHOT);
}

static int on_pause_end(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct BusServer *server = userdata;

	(void)sd_event_source_set_enabled(server->listening, SD_EVENT_ON);
	return 0;
}

/* Who only wants to know whether somebody listens, as is_served() does. */
static bool is_gone(int error)
{
	return error == -ECONNRESET || error == -EPIPE || error == -ENOTCONN;
}

static int on_peer(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct BusServer *server = userdata;
	int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), r;

	if (peer < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_listening(server);
		return 0;
	}
	r = add_peer(server, peer);
	if (is_gone(r))
		log_debug("who connected to " RUNTIME_DIR "/" BUS_SOCKET " is gone already");
	else if (r < 0)
		log_warning("cannot serve a connection to " RUNTIME_DIR "/" BUS_SOCKET ": %s",
			    strerror(-r));
	return 0;
}

static int fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path);
	return 0;
}

/* Whether somebody listens at @path: what a killed daemon left refuses. */
static bool is_served(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	return fd >= 0 && fill_address(path, &address) == 0 &&
	       (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
		errno == EAGAIN);
}

/* A socket at @path that only its owner may connect to. Returns a descriptor or a negative errno.
 */
static int bind_socket(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	mode_t mask;
	int r = fd < 0 ? -errno : fill_address(path, &address);

	if (r < 0)
		return r;
	(void)unlink(path);
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r >= 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	return r < 0 ? r : take_fd(&fd);
}

/* The socket comes into its place when it listens, so that nobody finds one that does not. */
static int open_socket(struct BusServer *server)
{
	_cleanup_free_ char *temporary = NULL, *path = runtime_path(BUS_SOCKET);
	int r = runtime_make_dir();

	if (r < 0)
		return r;
	if (!path || asprintf(&temporary, "%s.%d", path, getpid()) < 0)
		return -ENOMEM;
	if (is_served(path))
		return -EADDRINUSE;
	r = bind_socket(temporary);
	if (r < 0)
		return r;
	server->socket = r;
	if (rename(temporary, path) < 0) {
		r = -errno;
		(void)unlink(temporary);
		return r;
	}
	server->socket_path = TAKE_PTR(path);
	return sd_event_add_io(server->event, &server->listening, server->socket, EPOLLIN, on_peer,
			       server);
}

/* --- birth and death --- */

static int add_sources(struct BusServer *server)
{
	int r = sd_event_add_time(server->event, &server->reconnect, CLOCK_MONOTONIC, UINT64_MAX, 0,
				  on_reconnect, server);

	if (r >= 0)
		r = sd_event_source_set_enabled(server->reconnect, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(server->event, &server->pause, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_pause_end, server);
	if (r >= 0)
		r = sd_event_source_set_enabled(server->pause, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(server->event, &server->reaper, on_doomed, server);
	if (r >= 0)
		r = sd_event_source_set_enabled(server->reaper, SD_EVENT_OFF);
	return r < 0 ? r : sd_event_add_post(server->event, &server->watch, on_end_of_turn, server);
}

int bus_new(sd_event *event, unsigned n_peers_max, const struct BusOperations *operations,
	    void *userdata, struct BusServer **ret)
{
	struct BusServer *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	*server = (struct BusServer){.event = sd_event_ref(event),
				     .operations = operations,
				     .userdata = userdata,
				     .n_peers_max = n_peers_max,
				     .socket = -1,
				     .patience_usec = PAUSE_USEC};
	r = add_sources(server);
	if (r < 0) {
		bus_free(server);
		return r;
	}
	r = open_socket(server);
	if (r < 0)
		log_warning("cannot listen on " RUNTIME_DIR "/" BUS_SOCKET ": %s",
			    r == -EADDRINUSE ? "another tdx-authd does" : strerror(-r));
	try_system(server);
	*ret = server;
	return 0;
}

void bus_free(struct BusServer *server)
{
	if (!server)
		return;
	while (server->calls)
		bus_call_free(server->calls);
	while (server->connections)
		connection_free(server->connections);
	sd_event_source_disable_unref(server->listening);
	sd_event_source_disable_unref(server->pause);
	sd_event_source_disable_unref(server->reconnect);
	sd_event_source_disable_unref(server->reaper);
	sd_event_source_disable_unref(server->watch);
	if (server->socket_path)
		(void)unlink(server->socket_path);
	if (server->socket >= 0)
		(void)close(server->socket);
	free(server->socket_path);
	bus_device_done(&server->view);
	sd_event_unref(server->event);
	free(server);
}

/* --- signals --- */

static bool hears(const struct BusConnection *connection)
{
	return !connection->is_doomed && sd_bus_is_ready(connection->bus) > 0;
}

bool bus_is_heard(const struct BusServer *server)
{
	if (!server)
		return false;
	for (const struct BusConnection *c = server->connections; c; c = c->next)
		if (hears(c))
			return true;
	return false;
}

#define for_each_listener(c, server)                                                               \
	for (struct BusConnection * (c) = (server)->connections; c; (c) = (c)->next)               \
		if (hears(c))

void bus_tell_decided(struct BusServer *server, const struct BusRecord *record)
{
	char path[BUS_DEVICE_PATH_SIZE] = "/";

	if (record->ino)
		bus_device_path(record->ino, path);
	for_each_listener(c, server)
	{
		(void)sd_bus_emit_signal(c->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Decided",
					 "ossssss", path, record->name, record->outcome,
					 record->action, record->driver, record->rule,
					 record->text);
		bus_connection_check(c);
	}
}

void bus_tell_added(struct BusServer *server, ino_t ino, const char *name)
{
	char path[BUS_DEVICE_PATH_SIZE];

	bus_device_path(ino, path);
	for_each_listener(c, server)
	{
		(void)sd_bus_emit_interfaces_added(c->bus, path, BUS_DEVICE_INTERFACE, NULL);
		(void)sd_bus_emit_signal(c->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "DeviceAdded",
					 "os", path, name);
		bus_connection_check(c);
	}
}

void bus_tell_removed(struct BusServer *server, ino_t ino, const char *name)
{
	char path[BUS_DEVICE_PATH_SIZE];

	bus_device_path(ino, path);
	for_each_listener(c, server)
	{
		(void)sd_bus_emit_interfaces_removed(c->bus, path, BUS_DEVICE_INTERFACE, NULL);
		(void)sd_bus_emit_signal(c->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "DeviceRemoved",
					 "os", path, name);
		bus_connection_check(c);
	}
}

void bus_tell_changed(struct BusServer *server, ino_t ino)
{
	char path[BUS_DEVICE_PATH_SIZE];

	bus_device_path(ino, path);
	for_each_listener(c, server)
	{
		(void)sd_bus_emit_properties_changed(
			c->bus, path, BUS_DEVICE_INTERFACE, "Driver", "Authorized", "AuthorizedBy",
			"AuthorizedDriver", "Verdict", "Rule", "OnlyDriver", "ByHand", NULL);
		bus_connection_check(c);
	}
}

void bus_tell_manager_changed(struct BusServer *server, const char *const *properties)
{
	for_each_listener(c, server)
	{
		(void)sd_bus_emit_properties_changed_strv(c->bus, BUS_PATH, BUS_MANAGER_INTERFACE,
							  (char **)properties);
		bus_connection_check(c);
	}
}
