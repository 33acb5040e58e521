/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-c/json.h>

#include "view.h"

/* Policies as JSON, which is YAML, too: what policy_parse() reads of it is the same policy. To be
 * printed by json_print_yaml(). */

/* Of what policy_write() makes of @policy, with the place of each rule for its name: "FILE:NAME" or
 * "FILE:LINE". Returns 0 or -ENOMEM. */
int policy_to_json(const struct Policy *policy, struct json_object **ret);

/* Of what policy_generate() makes of @view. Returns 0 or a negative errno. */
int policy_generate_json(const struct View *view, struct json_object **ret);
