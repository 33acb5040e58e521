/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* Finds the device that a person means by @name: BUS:NAME, a NAME that one governed bus alone has,
 * or a path below /sys, links included; and reads what @needs names (NULL: nothing more). Returns 0
 * with an O_PATH descriptor of its directory and the device, both the caller's; after an error was
 * logged: -ENODEV (no such device), -ENOTUNIQ (several), another negative errno. */
int find_device(const char *name, const struct Needs *needs, int *ret_dirfd, struct Device **ret);

/* Whether find_device() would find one, or several. */
bool find_device_quietly(const char *name);
