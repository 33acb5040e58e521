/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager-device.h"
#include "manager-hand.h"

#define MAX_ATTEMPTS 3	/* of a request whose worker died */
#define MAX_PENDING 128 /* requests at once: each keeps descriptors open */

/* A device on its way through a worker. First what a policy asks for may have to be read there,
 * then what was decided is written; what its record will need goes with it. */
struct Pending {
	struct Pending *next, **link; /* *link is this one; the latest is the first */
	struct Manager *manager;
	struct Device *device;
	struct Policy *policy; /* that is read for, or that the decision points into */
	int dirfd;
	unsigned attempts;
	struct Vector readings; /* that the device's texts come from */
	bool is_first;		/* it was not decided over before */
	bool is_superseded;	/* somebody decides by hand meanwhile: his is the last word */
	struct Decision decision;
	struct EnforceRequest request;
	struct Hand *hand; /* of a decision by hand, which frees it */
};

/* NULL when out of memory. */
struct Pending *pending_new(struct Manager *m);
void pending_free(struct Pending *pending);

/* The device and the descriptor go with it. */
void pending_take(struct Pending *pending, struct Device **device, int *dirfd);

/* The latest for exactly this device, or NULL. pending_before() goes on from there. */
struct Pending *pending_find(const struct Manager *m, dev_t dev, ino_t ino);
struct Pending *pending_before(const struct Pending *pending);

/* Goes on with what waited for the device, or for any: something on its way to it came to its end.
 */
void manager_go_on(struct Manager *m, const struct Device *device);

/* The part of it that decisions by hand have. */
void manager_hand_go_on(struct Manager *m, const struct Device *device);

/* Has a decision by hand know how what it superseded left the device. */
void manager_hand_note(struct Manager *m, const struct Device *device,
		       const struct EnforceReply *reply);

/* Counts what came of a request. */
void manager_count_outcome(struct Manager *m, const struct EnforceRequest *request, int error);
