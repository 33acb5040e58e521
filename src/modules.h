/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* The modules that carry an alias fitting @modalias, in the order in which kmod finds them: those
 * of the kernel @version, NULL for the running one, of the system at @root, NULL for this one.
 * Returns their number and a list, ended by NULL, that the caller frees with modules_free(); 0 with
 * an empty list where the kernel has no modules; a negative errno. */
int modules_for(const char *root, const char *version, const char *modalias, char ***ret);

/* Whether that kernel says at all which modules know which ids. */
bool modules_have_aliases(const char *root, const char *version);

void modules_free(char **modules);
