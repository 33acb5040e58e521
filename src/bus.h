/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "enums.h"
#include "util.h"

/* The D-Bus interface, org.tdxauth1(5): on the system bus, once there is one, and peer-to-peer for
 * root on a socket in /run/tdx-auth. It sees the daemon through struct BusOperations alone, waits
 * for nobody, and asks whoever calls a method for what entitles him to. All strings that it is
 * given are escaped already. */
struct BusServer;
struct BusCall;

/* A device at one moment. A device is known by the inode number of its sysfs directory, which no
 * other one gets in a boot. NULL is "". */
struct BusDevice {
	struct BusServer *server; /* the bus's own */
	ino_t ino;
	char *name;						      /* "BUS:NAME" */
	char *syspath, *modalias, *driver, *authorized_driver, *rule; /* these are owned */
	const char *bus, *authorized, *authorized_by, *verdict, *only_driver, *backend, *protection;
	int by_hand, hot; /* booleans as D-Bus has them */
};

void bus_device_done(struct BusDevice *device);

/* The daemon at one moment. */
struct BusManager {
	const char *kernel_mode, *policy_mode, *policy_state;
	const char *impairment, *configuration; /* phrases for people, "" for none */
	int frozen, sealed;
	uint32_t policy_rules, missing_rules;
	uint64_t policy_generation, policy_loaded_usec;
};

struct BusBackend {
	const char *bus, *backend, *protection, *phrase;
};

struct BusCount {
	const char *key;
	uint64_t value;
};

/* A decision by hand that is asked for. */
struct BusDecision {
	bool authorize, remove, permanent;
	const char *driver; /* NULL: nothing was said of it */
};

struct BusTried {
	char *source;	 /* of a rule; owned */
	const char *key; /* that failed; NULL: it fits */
};

struct BusExplanation {
	const char *verdict, *driver, *why;
	const struct BusTried *tried;
	size_t n_tried;
};

#define BUS_COUNTS_MAX 32

struct BusOperations {
	/* Returns 0, and then the caller calls bus_device_done(); -ENODEV; another negative errno.
	 */
	int (*read_device)(void *userdata, ino_t ino, struct BusDevice *ret);
	void (*for_each_device)(void *userdata, void (*visit)(ino_t ino, void *argument),
				void *argument);
	/* The device that a person means by @name, or -ENODEV; -ENOTUNIQ; another one. */
	int (*find_device)(void *userdata, const char *name, ino_t *ret);
	void (*read_manager)(void *userdata, struct BusManager *ret);
	/* At most one for each bus, or BUS_COUNTS_MAX of them. Return how many. */
	size_t (*read_backends)(void *userdata, struct BusBackend ret[static _BUS_MAX]);
	size_t (*read_counts)(void *userdata, struct BusCount ret[static BUS_COUNTS_MAX]);
	/* These end with one of bus_call_done(), bus_call_explained() and bus_call_told(), now or
	 * later. */
	void (*decide)(void *userdata, ino_t ino, const struct BusDecision *decision,
		       struct BusCall *call);
	void (*explain)(void *userdata, ino_t ino, struct BusCall *call);
	void (*read_personal)(void *userdata, ino_t ino, struct BusCall *call);
	void (*reload)(void *userdata, struct BusCall *call);
	void (*freeze)(void *userdata, struct BusCall *call);
	void (*seal)(void *userdata, struct BusCall *call);
};

/* Starts to listen and to connect. That there is no bus is no error, and is waited for; of others
 * the log tells, and the rest is served. @n_peers_max: connections on the socket at once. Returns 0
 * or -ENOMEM. */
int bus_new(sd_event *event, unsigned n_peers_max, const struct BusOperations *operations,
	    void *userdata, struct BusServer **ret);
void bus_free(struct BusServer *server);

/* The end of a call, which is freed. @text is for people, and may be NULL. @driver: what a decision
 * returns; NULL for calls that return nothing. */
void bus_call_done(struct BusCall *call, enum Problem problem, const char *text,
		   const char *driver);
void bus_call_explained(struct BusCall *call, const struct BusExplanation *explanation);
/* Pairs of a key and a value. */
void bus_call_told(struct BusCall *call, const char *const *pairs, size_t n_pairs);

/* --- signals --- */

/* Whether anybody is connected who could hear one: else nothing is to be done for them. */
bool bus_is_heard(const struct BusServer *server);

struct BusRecord {
	ino_t ino; /* 0: there is no object of the device */
	const char *name, *outcome, *action, *driver, *rule, *text;
};

void bus_tell_decided(struct BusServer *server, const struct BusRecord *record);
void bus_tell_added(struct BusServer *server, ino_t ino, const char *name);
void bus_tell_removed(struct BusServer *server, ino_t ino, const char *name);
void bus_tell_changed(struct BusServer *server, ino_t ino);
/* Names of properties of the manager, ended by NULL. */
void bus_tell_manager_changed(struct BusServer *server, const char *const *properties);
