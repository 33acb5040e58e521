/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mock-daemon.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "names.h"
#include "phase.h"
#include "util.h"

#define CONNECTIONS_MAX 16

static sd_bus *connections[CONNECTIONS_MAX];
static size_t n_connections;
static const char *mode = "";

/* --- methods --- */

/* "error NAME TEXT", or NULL. */
static int answer_error(sd_bus_message *call, const char *rest)
{
	_cleanup_free_ char *name = strndup(rest, strcspn(rest, " "));

	return sd_bus_reply_method_errorf(call, name, "%s", rest + strlen(name) + 1);
}

/* Logs "MEMBER PATH KEY=VALUE..." */
static int log_call(sd_bus_message *m)
{
	const char *key;
	int r = 0;

	(void)fprintf(stderr, "%s %s", sd_bus_message_get_member(m), sd_bus_message_get_path(m));
	if (sd_bus_message_has_signature(m, "a{sv}"))
		r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r > 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const char *text;
		int truth;

		(void)sd_bus_message_read(m, "s", &key);
		if (sd_bus_message_read(m, "v", "s", &text) >= 0)
			(void)fprintf(stderr, " %s=\"%s\"", key, text);
		else if (sd_bus_message_read(m, "v", "b", &truth) >= 0)
			(void)fprintf(stderr, " %s=%d", key, truth);
		r = sd_bus_message_exit_container(m);
		r = r < 0 ? r : 1;
	}
	(void)fputc('\n', stderr);
	return r;
}

static int append_all(sd_bus_message *m)
{
	bool is_refused = streq(mode, "refused"), is_degraded = streq(mode, "degraded");
	const char *impairment = streq(mode, "impaired") ? "CANNOT " MOCK_ESCAPED : "",
		   *configuration = streq(mode, "misconfigured") ? "configuration REFUSED" : "";

	return sd_bus_message_append(
		m, "a{sv}", 14, "Impairment", "s", impairment, "Configuration", "s", configuration,
		"Version", "s", "9.9", "KernelMode", "s", "enforce", "Frozen", "b", true, "Sealed",
		"b", false, "PolicyState", "s", is_refused ? "refused-former" : "ok", "PolicyRules",
		"u", 7U, "PolicyGeneration", "t", UINT64_C(2), "PolicyLoadedUSec", "t",
		UINT64_C(1700000000000000), "MissingRules", "u", is_degraded ? 1U : 0U, "Counts",
		"a{st}", 3, "devices", UINT64_C(4), "overflows", UINT64_C(5), MOCK_ESCAPED,
		UINT64_C(6), "Backends", "a(ssss)", 1, "pci", "kernel", "kernel", "evil\n\x1b[2J",
		"Later", "(ii)", 1, 2);
}

static int answer(sd_bus_message *call)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(call, &reply);

	if (r >= 0 && sd_bus_message_is_method_call(call, NULL, "GetAll"))
		r = append_all(reply);
	if (r >= 0 && sd_bus_message_is_method_call(call, NULL, "Authorize"))
		r = sd_bus_message_append(reply, "s", MOCK_ESCAPED);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *rest = startswith(mode, "error ");
	int r;

	if (!sd_bus_message_is_method_call(m, NULL, NULL))
		return 0;
	(void)log_call(m);
	if (streq(mode, "mute"))
		return 1;
	r = rest ? answer_error(m, rest) : answer(m);
	if (r < 0)
		(void)fprintf(stderr, "mock: %s\n", strerror(-r));
	return 1;
}

/* --- signals --- */

static void emit(sd_bus *bus)
{
	(void)sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "DeviceAdded", "os",
				 BUS_DEVICES_PATH "/7", "usb:" MOCK_ESCAPED);
	(void)sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Decided", "ossssss", "/",
				 "usb:" MOCK_ESCAPED, "refused", "deny", "", "a.yaml:r",
				 "usb:" MOCK_ESCAPED " refused (a.yaml:r)");
	(void)sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "DeviceRemoved", "os",
				 BUS_DEVICES_PATH "/7", "usb:" MOCK_ESCAPED);
	(void)sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Decided", "ossssss", "/",
				 "/sys/devices/pci0000:00/x", "vanished", "", "", "",
				 "/sys/devices/pci0000:00/x: vanished");
	(void)sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Decided", "i", 7);
	(void)sd_bus_emit_signal(
		bus, BUS_PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
		BUS_MANAGER_INTERFACE, 4, "Frozen", "b", true, "PolicyState", "s", "refused-former",
		"PolicyLoadedUSec", "t", UINT64_C(1700000000000000), "Later", "(ii)", 1, 2, 0);
	(void)sd_bus_flush(bus);
}

static int on_usr1(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	for (size_t i = 0; i < n_connections; i++)
		emit(connections[i]);
	return 0;
}

/* --- connections --- */

static int serve(sd_event *event, int fd)
{
	sd_id128_t id = {.bytes = {1}};
	sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_fd(bus, fd, fd);
	if (r >= 0)
		r = sd_bus_set_server(bus, true, id);
	if (r >= 0)
		r = sd_bus_add_filter(bus, NULL, on_message, NULL);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		r = sd_bus_attach_event(bus, event, 0);
	connections[n_connections++] = bus;
	return r;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (connection < 0 || streq(mode, "deaf"))
		return 0;
	if (streq(mode, "hangup") || n_connections == CONNECTIONS_MAX) {
		(void)close(connection);
		return 0;
	}
	return serve(sd_event_source_get_event(source), connection);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || !path || strlen(path) >= sizeof(address.sun_path))
		return -1;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	(void)unlink(path);
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0 ? -1
											       : fd;
}

int mock_daemon_main(int argc, char **argv)
{
	_cleanup_free_ char *path = runtime_path(BUS_SOCKET);
	int fd = listen_at(path), r;
	sd_event *event = NULL;
	sigset_t set;

	(void)argc;
	(void)argv;
	if (getenv("MOCK_DAEMON"))
		mode = getenv("MOCK_DAEMON");
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	r = fd < 0 ? -EIO : sd_event_new(&event);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGUSR1, on_usr1, NULL);
	if (r >= 0)
		r = sd_event_add_io(event, NULL, fd, EPOLLIN, on_connection, NULL);
	if (r < 0)
		return EXIT_FAILURE;
	(void)sd_notify(0, "READY=1");
	return sd_event_loop(event) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
