/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "bus.h"

/* What the files of the bus share: bus.c has the connections, bus-call.c what a call goes through,
 * bus-access.c the one check, bus-manager.c and bus-device.c the two interfaces. */

#define BUS_CALLS_MAX 128  /* that are not answered yet, */
#define BUS_CHECKS_MAX 64  /* of them such that wait for the check, */
#define BUS_CHECKS_EACH 8  /* of one caller, */
#define BUS_CHECKS_USER 32 /* and of one user: to whom polkit's agent belongs may let them wait */
#define BUS_QUEUE_MAX 8192 /* messages that somebody has not read; some 10 MiB of signals */

struct BusConnection {
	struct BusConnection *next;
	struct BusServer *server;
	sd_bus *bus;
	bool is_system;		   /* else it is root, on the socket */
	bool is_doomed;		   /* to be freed once nothing of it is being used */
	sd_event_source *patience; /* with who does not say who he is */
};

struct BusServer {
	sd_event *event;
	const struct BusOperations *operations;
	void *userdata;
	struct BusConnection *connections;
	unsigned n_peers_max; /* connections on the socket at once */
	unsigned n_peers, n_turned_away;
	int socket;
	char *socket_path;
	sd_event_source *listening, *pause, *reconnect, *reaper, *watch;
	uint64_t patience_usec; /* before the system bus is tried again */
	struct BusDevice view;	/* the device that is being looked at */
	struct BusCall *calls;
	unsigned n_calls, n_checks;
};

/* The connection that a message came by, or NULL where it is gone. */
struct BusConnection *bus_connection_of(struct BusServer *server, sd_bus_message *message);

/* Has a connection end as soon as that can be. */
void bus_connection_doom(struct BusConnection *connection);

/* Dooms one whose other end does not read what it is sent. */
void bus_connection_check(struct BusConnection *connection);

/* --- objects --- */

int bus_manager_add(struct BusServer *server, sd_bus *bus);
int bus_device_add(struct BusServer *server, sd_bus *bus);

#define BUS_DEVICE_PATH_SIZE 64
void bus_device_path(ino_t ino, char ret[static BUS_DEVICE_PATH_SIZE]);

/* --- calls --- */

enum BusAccess {
	BUS_ACCESS_NONE, /* nobody may */
	BUS_ACCESS_FREE, /* everybody may */
	BUS_ACCESS_CHECKED,
};

/* What is done about a method. One that has no row, or a row that says nothing, is refused. */
struct BusMethod {
	const char *member;
	enum BusAccess access;
	const char *action; /* of polkit */
	/* Reads the arguments, before anybody is asked. Returns negative with *error set. */
	int (*parse)(struct BusCall *call, sd_bus_error *error);
	/* Ends the call, now or later. */
	void (*carry_out)(struct BusCall *call);
};

struct BusCall {
	struct BusCall *next, **link;
	struct BusServer *server;
	const struct BusMethod *method;
	sd_bus_message *message;
	ino_t ino; /* of the device; 0: a method of the manager */
	sd_bus_slot *question;
	bool is_checked;	     /* it waits for the check, */
	bool is_asked_for_permanent; /* for its second part */
	uid_t uid;		     /* of the caller; root's until polkit is asked */
	struct BusDecision decision;
	const char *name; /* the argument of GetDevice, the message's */
};

/* The handler of all methods: @methods ends with member == NULL. */
int bus_call_start(struct BusServer *server, const struct BusMethod *methods, ino_t ino,
		   sd_bus_message *message, sd_bus_error *error);

/* The one check. Ends in bus_call_go_on(), or in the end of the call. */
void bus_access_check(struct BusCall *call);
void bus_call_go_on(struct BusCall *call);

/* The ends of a call: it is freed. */
void bus_call_fail(struct BusCall *call, const char *name, const char *text);
void bus_call_answer(struct BusCall *call, sd_bus_message *reply, int r);
void bus_call_free(struct BusCall *call);

/* A message that answers it, for bus_call_answer(), which is to be called with what adding to it
 * returned. */
int bus_call_new_reply(struct BusCall *call, sd_bus_message **ret);
