/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "testbed.h"

/* A client of org.tdxauth1(5). A call that gets no answer at all fails the test. */

static inline void bus_closep(sd_bus **bus)
{
	if (*bus)
		(void)sd_bus_flush_close_unref(*bus);
}

static inline void message_unrefp(sd_bus_message **message)
{
	if (*message)
		(void)sd_bus_message_unref(*message);
}

#define _cleanup_bus_ _cleanup_(bus_closep)
#define _cleanup_message_ _cleanup_(message_unrefp)

#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

/* On the socket in the testbed's directory, where the daemon is at the other end; on the testbed's
 * system bus. NULL where nobody listens. */
sd_bus *connect_peer(struct Testbed *bed);
sd_bus *connect_system(void);

/* Calls a method of the object at @path. It succeeds, with the answer, which the caller frees; or
 * fails with an error of this name. */
sd_bus_message *bus_call(sd_bus *bus, const char *path, const char *interface, const char *member,
			 const char *types, ...);
void bus_call_fails(sd_bus *bus, const char *error, const char *path, const char *interface,
		    const char *member, const char *types, ...);

/* The same where nothing of the answer matters. */
#define bus_do(...) sd_bus_message_unref(bus_call(__VA_ARGS__))

/* The path of the object of a device, which the caller frees. */
char *bus_object(sd_bus *bus, const char *name);

/* A property as text: strings as they are, booleans as "yes" and "no", numbers in decimal. The
 * caller frees it. */
char *bus_property(sd_bus *bus, const char *path, const char *interface, const char *name);
void expect_property(sd_bus *bus, const char *path, const char *interface, const char *name,
		     const char *value);
