/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* A message by which the kernel tells of a device (lib/kobject_uevent.c, kobject_uevent_env()):
 * "ACTION@DEVPATH" and then "KEY=VALUE" after "KEY=VALUE", each ended by a NUL. Values are what
 * drivers were told by devices: a host's words. */
struct Uevent {
	const char *action;
	const char *devpath; /* below /sys */
	const char *subsystem;
	const char *devtype; /* NULL: none */
};

/* Reads the @size bytes at @message. Returns 0 with *ret pointing into them, or -EBADMSG: not ended
 * by a NUL, an entry without a key or a value, no ACTION, DEVPATH or SUBSYSTEM or two of one, a
 * head that does not say the same, or a path that leaves /sys. */
int uevent_parse(const char *message, size_t size, struct Uevent *ret);
