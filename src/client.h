/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "util.h"

/* The tool's end of the daemon's D-Bus interface, org.tdxauth1. */
struct Client;

/* Connects to the daemon: root to its own socket in /run/tdx-auth, others, and root where that is
 * forbidden, over the system bus. Starts no daemon. Returns 0; -ESRCH where no daemon runs, of
 * which nothing is logged; -ENOTCONN after the log told why, where one runs, or may, that cannot be
 * reached. */
int client_open(struct Client **ret);
/* The same without the log; *ret_problem is a static phrase then. */
int client_open_quietly(struct Client **ret, const char **ret_problem);
void client_close(struct Client *client);
DEFINE_TRIVIAL_CLEANUP(struct Client *, client_close)
#define _cleanup_client_ _cleanup_(client_closep)

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)

/* How the tool says that a decision is in force and not written down. */
#define CLIENT_NOT_SAVED "done, but not for good: "

/* A call of the daemon's manager, or of the device whose directory in sysfs has this inode number,
 * which no other has in a boot. Returns 0 with a message for the caller to fill in and to unref, or
 * a negative errno. */
int client_new_call(struct Client *client, const char *method, sd_bus_message **ret);
int client_new_device_call(struct Client *client, ino_t ino, const char *method,
			   sd_bus_message **ret);

/* Sends @call and waits for the answer as long as a worker of the daemon's may take and longer, and
 * where polkit may ask somebody, for that. Returns 0 with the answer, for the caller to unref; or,
 * after an error was logged that begins with @subject: -ENODEV (no such device), -EKEYREJECTED
 * (refused by freeze, seal or policy), what client_is_silent() knows, -EACCES, or -EIO for anything
 * else; or, without a log, -ENOLCK: sealed, but for the kernel's lock. */
int client_call(struct Client *client, const char *subject, sd_bus_message *call,
		sd_bus_message **ret);

/* All properties of the manager, an a{sv}. As client_call(). */
int client_read_manager(struct Client *client, sd_bus_message **ret);

/* Calls @on_property for each property of an a{sv}, with the type of the value that is to be read
 * next; it returns 1 where it read that, 0 where it did not, or a negative errno. Returns 0 or a
 * negative errno. */
typedef int (*client_property_t)(sd_bus_message *m, const char *name, const char *type,
				 void *userdata);
int client_for_each_property(sd_bus_message *m, client_property_t on_property, void *userdata);

/* Whether the daemon did not answer at all: what was asked of it may have been done or not. */
bool client_is_silent(int error);

/* Logs that something was done without the daemon: @error is -ESRCH where none runs. */
void client_tell_direct(int error);

/* Has @on_signal called for each signal of the daemon's, and of nobody else. Returns 0 or a
 * negative errno. */
int client_follow(struct Client *client, sd_bus_message_handler_t on_signal, void *userdata);

/* Waits for the daemon's next messages and handles them; ends, too, where @fd has an error, as a
 * pipe has that nobody reads any more. Returns 0; -EPIPE for that; -ENOTCONN where the daemon went
 * away; or another negative errno. */
int client_wait(struct Client *client, int fd);

/* What the daemon made a text for people of, as it came from a device: a new string, not escaped,
 * NULL when out of memory. */
char *client_text(const char *text);
