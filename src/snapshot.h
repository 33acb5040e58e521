/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-c/json.h>

#include "inventory.h"
#include "policy.h"

/* The governed devices of a machine at one moment, as a file: JSON, without what changes by itself,
 * so that two of the same machine are the same. Strings of devices are escaped as escape_text()
 * does it, within JSON, and lose nothing. */

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_SIZE_MAX ((size_t)64 * 1024 * 1024) /* bytes of a file that is read */

/* What a snapshot holds of each device: what @policy asks for, and all that the policy language has
 * a key for. The caller calls needs_done(). Returns 0 or -ENOMEM. */
int snapshot_needs(const struct Policy *policy, struct Needs *ret);

/* A new object. Out of memory is fatal to the process, as in json-c itself. */
struct json_object *snapshot_to_json(const struct Inventory *inventory);

/* One device of it. */
struct json_object *device_to_json(const struct Device *device);

/* Its numeric ids, of those that are known: an object of strings, "0x" and hexadecimal digits, by
 * their names in sysfs. */
struct json_object *ids_to_json(const struct Device *device);

/* Reads the @size bytes at @text. Returns 0 with *ret, for inventory_done(); -EBADMSG with
 * *ret_problem a phrase, not escaped, that the caller frees; -ENOMEM. */
int snapshot_parse(const char *text, size_t size, struct Inventory *ret, char **ret_problem);

/* The same of a file; "-" is standard input. Returns 0 or a negative errno after the log told why.
 */
int snapshot_load(const char *file, struct Inventory *ret);
