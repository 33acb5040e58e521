/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager-device.h"
#include "uevent.h"

/* Buses of a kernel without the series, where the driver core is what keeps drivers from devices:
 * driver-gate.h. */

/* Has no bus of GATE_AUTOPROBE that is there give its devices to drivers by itself any more, before
 * they are looked at. What each did before is noted. Does nothing for a manager that does not stay
 * to serve. */
void manager_take_buses(struct Manager *m);

/* What an event tells that is none of a device: a bus that appears is taken, and devices that may
 * have a driver are offered to one that does. Returns whether it was such an event. */
bool manager_hear_of_driver(struct Manager *m, const struct Uevent *event);

/* Puts into *decision what `kernel` means for such a device: the table that is made of the list of
 * hardened devices decides, but what had a driver before the start keeps it. */
void manager_stand_in(struct Manager *m, struct Known *known, const struct Device *device,
		      struct Decision *decision);

/* Puts into a device of device_read_at_once() what is known of what was not read. */
void manager_recall(const struct Known *known, struct Device *device);

/* Says, once, which devices keep a driver that no rule and no list gives them, and on which buses
 * nothing can be refused. */
void manager_tell_unprotected(const struct Manager *m);

/* A device that was left with a driver, and has none as that is not there any more, is as nobody
 * knows how it was left, not as somebody else decided. */
void manager_excuse_loss(struct Known *known, const struct Device *device);

/* Notes whether a device that may have a driver was taken by one, and has it be offered again, some
 * times, where not. Returns whether that was told before. @known may be NULL. */
bool manager_offers_again(struct Manager *m, struct Known *known, const struct EnforceReply *reply);

/* Another device is at the path of one that was written to by its name, and may have lost its
 * driver by that. */
void manager_look_at_newcomer(struct Manager *m, const char *syspath);
