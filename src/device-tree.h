/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inventory.h"

/* Calls @visit with each device of @inventory, by its number, behind the one that it hangs on;
 * those of one parent in the inventory's order. @lines is what is to be printed before its name:
 * lines that lead to it, in the characters of Unicode or in those of ASCII. Returns 0, -ENOMEM, or
 * what @visit returned that was not 0. */
int device_tree_walk(const struct Inventory *inventory, bool is_utf8,
		     int (*visit)(size_t number, const char *lines, void *userdata),
		     void *userdata);
