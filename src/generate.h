/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "view.h"

/* Writes a policy that keeps in use what is in use, and no more: a rule for each kind of device
 * that has a driver and that the kernel's built-in list does not admit; which devices get none, and
 * why, is a comment. Returns 0 or a negative errno. */
int policy_generate(FILE *file, const struct View *view);
