/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "escape.h"
#include "log.h"
#include "names.h"
#include "phase.h"
#include "worker.h"

#define PATIENCE_USEC (30 * UINT64_C(1000000)) /* beyond a worker's deadline */
#define PERSON_USEC (120 * UINT64_C(1000000))  /* for who types a password for polkit */

struct Client {
	sd_bus *bus;
	bool is_direct; /* the daemon's own socket: no bus between */
	bool is_gone;	/* the daemon left the bus */
};

static uint64_t patience_usec(void)
{
	const char *msec = secure_getenv("TDX_AUTH_PATIENCE_MSEC"); /* for tests */

	return isempty(msec) ? WORKER_DEADLINE_USEC + PATIENCE_USEC
			     : strtoull(msec, NULL, 10) * 1000;
}

bool client_is_silent(int error)
{
	return error == -ETIMEDOUT || error == -ENOTCONN;
}

/* What @error of a connection is called here. */
static int silence(int error)
{
	switch (error) {
	case -ECONNRESET:
	case -EPIPE:
	case -ESHUTDOWN:
		return -ENOTCONN;
	default:
		return error;
	}
}

void client_tell_direct(int error)
{
	log_info("%s: written directly",
		 error == -ESRCH ? "no daemon runs" : "the daemon cannot be asked");
}

static const char *explain_silence(int error)
{
	switch (error) {
	case -ETIMEDOUT:
		return "it does not answer";
	case -ENOTCONN:
		return "it closed the connection: it may serve as many clients as it takes "
		       "(bus-connections-max, tdx-authd.yaml(5))";
	default:
		return strerror(-error);
	}
}

/* --- connecting --- */

/* Until the other end has said who it is. sd-bus itself waits for that a minute and a half. */
static int start(sd_bus *bus)
{
	uint64_t until = now_usec() + patience_usec();
	int r = sd_bus_start(bus);

	while (r >= 0) {
		uint64_t now = now_usec();

		r = sd_bus_is_ready(bus);
		if (r != 0)
			break;
		if (now >= until)
			return -ETIMEDOUT;
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, until - now);
	}
	return r < 0 ? r : 0;
}

static int connect_to(const char *address, bool is_direct, struct Client **ret)
{
	_cleanup_client_ struct Client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;
	client->is_direct = is_direct;
	r = sd_bus_new(&client->bus);
	if (r >= 0)
		r = sd_bus_set_address(client->bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(client->bus, !is_direct);
	if (r >= 0)
		r = start(client->bus);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(client);
	return 0;
}

static int connect_directly(struct Client **ret)
{
	_cleanup_free_ char *path = runtime_path(BUS_SOCKET), *address = NULL;

	if (!path || asprintf(&address, "unix:path=%s", path) < 0)
		return -ENOMEM;
	return connect_to(address, true, ret);
}

static int connect_to_system_bus(struct Client **ret)
{
	const char *address = secure_getenv(SYSTEM_BUS_ADDRESS_VARIABLE);

	return connect_to(isempty(address) ? SYSTEM_BUS_ADDRESS : address, false, ret);
}

/* A call of the bus itself about the daemon's name. */
static int ask_bus(struct Client *client, const char *method, sd_bus_error *error,
		   sd_bus_message **ret)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(client->bus, &call, "org.freedesktop.DBus",
					       "/org/freedesktop/DBus", "org.freedesktop.DBus",
					       method);

	if (r >= 0)
		r = sd_bus_message_append(call, "s", BUS_NAME);
	return r < 0 ? r : sd_bus_call(client->bus, call, patience_usec(), error, ret);
}

/* Returns -ESRCH where nobody has the daemon's name. */
static int check_owner(struct Client *client)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	int r, has_owner;

	if (client->is_direct)
		return 0;
	r = ask_bus(client, "NameHasOwner", NULL, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "b", &has_owner);
	if (r < 0)
		return r;
	return has_owner ? 0 : -ESRCH;
}

static bool is_nobody(int error)
{
	return error == -ECONNREFUSED || error == -ENOENT;
}

/* For who does not find the daemon on the system bus: whether one listens beside it. Returns 0
 * where one does, -ECONNREFUSED or -ENOENT where none does, -EACCES where only root can tell. */
static int probe(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_free_ char *path = runtime_path(BUS_SOCKET);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || !path || strlen(path) >= sizeof(address.sun_path))
		return -EACCES;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int open_over_system_bus(struct Client **ret, const char **ret_problem)
{
	_cleanup_client_ struct Client *client = NULL;
	int r = connect_to_system_bus(&client);

	if (r >= 0)
		r = check_owner(client);
	if (r >= 0) {
		*ret = TAKE_PTR(client);
		return 0;
	}
	*ret_problem = explain_silence(silence(r));
	if (r != -ESRCH && !is_nobody(r))
		return -ENOTCONN;
	*ret_problem = "it is not on the system bus, and whether one runs only root can tell then";
	return is_nobody(probe()) ? -ESRCH : -ENOTCONN;
}

int client_open_quietly(struct Client **ret, const char **ret_problem)
{
	int r = geteuid() == 0 ? connect_directly(ret) : -EACCES;

	if (r == -EACCES || r == -EPERM)
		return open_over_system_bus(ret, ret_problem);
	*ret_problem = explain_silence(silence(r));
	if (r >= 0)
		return 0;
	return is_nobody(r) ? -ESRCH : -ENOTCONN;
}

int client_open(struct Client **ret)
{
	const char *problem;
	int r = client_open_quietly(ret, &problem);

	if (r < 0 && r != -ESRCH)
		log_error("cannot reach the daemon: %s", problem);
	return r;
}

void client_close(struct Client *client)
{
	if (!client)
		return;
	(void)sd_bus_close_unref(client->bus); /* not flushed, which could wait for ever */
	free(client);
}

/* --- calls --- */

static int new_call(struct Client *client, const char *path, const char *interface,
		    const char *method, sd_bus_message **ret)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(
		client->bus, &call, client->is_direct ? NULL : BUS_NAME, path, interface, method);

	if (r >= 0)
		r = sd_bus_message_set_auto_start(call, false);
	if (r >= 0 && !client->is_direct)
		r = sd_bus_message_set_allow_interactive_authorization(call, true);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(call);
	return 0;
}

int client_new_call(struct Client *client, const char *method, sd_bus_message **ret)
{
	return new_call(client, BUS_PATH, BUS_MANAGER_INTERFACE, method, ret);
}

int client_new_device_call(struct Client *client, ino_t ino, const char *method,
			   sd_bus_message **ret)
{
	char path[sizeof(BUS_DEVICES_PATH) + 24];

	(void)snprintf(path, sizeof(path), BUS_DEVICES_PATH "/%" PRIu64, (uint64_t)ino);
	return new_call(client, path, BUS_DEVICE_INTERFACE, method, ret);
}

#define NOT_PERMITTED                                                                              \
	"not permitted: root may, and who is allowed to by polkit, which cannot ask for a "        \
	"password without an agent (pkttyagent(1))"
#define UNKNOWN_DEVICE "the daemon does not know the device; it may be gone, or has just come"
#define SILENT "the daemon did not answer in time"
#define GONE "the daemon went away before it answered"

static const struct Failure {
	const char *name;
	int error;
	const char *phrase; /* NULL: what the daemon says, after @lead if there is one */
	const char *lead;
} failures[] = {
	{BUS_ERROR("NoSuchDevice"), -ENODEV, NULL},
	{SD_BUS_ERROR_UNKNOWN_OBJECT, -ENODEV, UNKNOWN_DEVICE},
	{BUS_ERROR("Frozen"), -EKEYREJECTED, NULL},
	{BUS_ERROR("Sealed"), -EKEYREJECTED, NULL},
	{BUS_ERROR("PolicyRefused"), -EKEYREJECTED, NULL},
	{BUS_ERROR("KernelNotLocked"), -ENOLCK, NULL},
	{BUS_ERROR("NotSaved"), -EIO, NULL, CLIENT_NOT_SAVED},
	{SD_BUS_ERROR_ACCESS_DENIED, -EACCES, NOT_PERMITTED},
	{SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, -EACCES, NOT_PERMITTED},
	{SD_BUS_ERROR_TIMEOUT, -ETIMEDOUT, SILENT},
	{SD_BUS_ERROR_NO_REPLY, -ENOTCONN, GONE},
	{SD_BUS_ERROR_DISCONNECTED, -ENOTCONN, GONE},
	{SD_BUS_ERROR_NAME_HAS_NO_OWNER, -ENOTCONN, GONE},
	{SD_BUS_ERROR_SERVICE_UNKNOWN, -ENOTCONN, GONE},
};

static const struct Failure *find_failure(const sd_bus_error *error)
{
	for (size_t i = 0; i < ELEMENTSOF(failures); i++)
		if (sd_bus_error_has_name(error, failures[i].name))
			return &failures[i];
	return NULL;
}

char *client_text(const char *text)
{
	char *raw = unescape_text(text);

	return raw ? raw : strdup(text);
}

/* Logs why the daemon did not do what it was asked for. Returns what client_call() returns. */
static int tell_failure(const char *subject, const sd_bus_error *error, int r)
{
	const struct Failure *failure = find_failure(error);
	_cleanup_free_ char *raw = client_text(error->message ? error->message : ""),
			    *safe = escape_text(raw), *safe_subject = escape_text(subject);
	const char *phrase = isempty(safe) ? "the daemon failed, and does not say why" : safe;

	r = failure ? failure->error : silence(r);
	if (!failure && !client_is_silent(r))
		r = -EIO;
	if (failure && failure->phrase)
		phrase = failure->phrase;
	else if (client_is_silent(r))
		phrase = GONE;
	if (r != -ENOLCK)
		log_error("%s: %s%s", safe_subject ? safe_subject : "?",
			  failure && failure->lead ? failure->lead : "", phrase);
	return r;
}

int client_call(struct Client *client, const char *subject, sd_bus_message *call,
		sd_bus_message **ret)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	uint64_t usec = patience_usec() + (client->is_direct ? 0 : PERSON_USEC);
	int r = sd_bus_call(client->bus, call, usec, &error, ret);

	if (r < 0)
		r = tell_failure(subject, &error, r);
	sd_bus_error_free(&error);
	return r < 0 ? r : 0;
}

int client_read_manager(struct Client *client, sd_bus_message **ret)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	int r = new_call(client, BUS_PATH, "org.freedesktop.DBus.Properties", "GetAll", &call);

	if (r >= 0)
		r = sd_bus_message_append(call, "s", BUS_MANAGER_INTERFACE);
	return r < 0 ? r : client_call(client, "status", call, ret);
}

static int read_property(sd_bus_message *m, client_property_t on_property, void *userdata)
{
	const char *name, *type;
	int r = sd_bus_message_read(m, "s", &name);

	if (r >= 0)
		r = sd_bus_message_peek_type(m, NULL, &type);
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'v', type);
	if (r < 0)
		return r;
	r = on_property(m, name, type, userdata);
	if (r == 0)
		r = sd_bus_message_skip(m, type);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

int client_for_each_property(sd_bus_message *m, client_property_t on_property, void *userdata)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = read_property(m, on_property, userdata);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* --- signals --- */

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct Client *client = userdata;

	client->is_gone = true;
	return 0;
}

/* By its unique name: what the bus delivers others could have sent. */
static int follow_on_bus(struct Client *client, sd_bus_message_handler_t on_signal, void *userdata)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *owner;
	int r = sd_bus_add_match(client->bus, NULL,
				 "type='signal',sender='org.freedesktop.DBus',"
				 "member='NameOwnerChanged',arg0='" BUS_NAME "'",
				 on_owner_changed, client);

	if (r >= 0)
		r = ask_bus(client, "GetNameOwner", NULL, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "s", &owner);
	if (r >= 0)
		r = sd_bus_match_signal(client->bus, NULL, owner, BUS_PATH, NULL, NULL, on_signal,
					userdata);
	return r < 0 ? r : 0;
}

int client_follow(struct Client *client, sd_bus_message_handler_t on_signal, void *userdata)
{
	int r;

	if (!client->is_direct)
		return follow_on_bus(client, on_signal, userdata);
	r = sd_bus_match_signal(client->bus, NULL, NULL, BUS_PATH, NULL, NULL, on_signal, userdata);
	return r < 0 ? r : 0;
}

/* Milliseconds for poll(2) until sd-bus wants to be called again. */
static int bus_timeout(sd_bus *bus)
{
	uint64_t usec, now = now_usec();

	if (sd_bus_get_timeout(bus, &usec) <= 0 || usec == UINT64_MAX)
		return -1;
	return usec <= now ? 0 : (int)((usec - now) / 1000) + 1;
}

int client_wait(struct Client *client, int fd)
{
	struct pollfd p[2] = {{.fd = fd}, {0}};
	int r;

	do {
		r = sd_bus_process(client->bus, NULL);
		if (client->is_gone)
			return -ENOTCONN;
	} while (r > 0);
	if (r < 0)
		return silence(r);
	r = sd_bus_get_events(client->bus);
	if (r < 0)
		return silence(r);
	p[1] = (struct pollfd){.fd = sd_bus_get_fd(client->bus), .events = (short)r};
	if (poll(p, ELEMENTSOF(p), bus_timeout(client->bus)) < 0)
		return errno == EINTR ? 0 : -errno;
	return p[0].revents & (POLLERR | POLLHUP) ? -EPIPE : 0;
}
