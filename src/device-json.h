/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "output.h"
#include "view.h"

/* The one form in which tdx-authctl's JSON speaks of a device, see tdx-authctl(1). */

/* Adds what names a device: "device", "bus", "name" and "syspath". */
void json_add_device(struct json_object *object, const struct Device *device);

/* A new object: what names @device, what it is, its state, and what @verdict says of it. Out of
 * memory is fatal to the process, as in json-c itself. */
struct json_object *verdict_to_json(const struct View *view, const struct Device *device,
				    const struct Verdict *verdict);

/* The verdict of it alone. */
struct json_object *outcome_to_json(const struct Verdict *verdict);

/* A list of strings that NULL ends, or NULL. */
struct json_object *words_to_json(char *const *words);
