/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The modules of the running kernel that carry an alias fitting @modalias, in the order in which
 * kmod finds them. Returns their number and a list, ended by NULL, that the caller frees with
 * modules_free(); 0 with an empty list where the kernel has no modules; a negative errno. */
int modules_for(const char *modalias, char ***ret);
void modules_free(char **modules);
