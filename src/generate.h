/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "view.h"

/* Writes a policy that keeps in use what is in use, and no more: a rule for each kind of device
 * that has a driver and that the kernel's built-in list does not admit. A rule that would decide
 * over another device that is there, too, is left out; which devices get none, and why, is a
 * comment. Returns 0; -EFBIG where it is larger than a file of a policy may be; or another negative
 * errno. On failure nothing is written, or, where @file does not take all, some of it. */
int policy_generate(FILE *file, const struct View *view);
