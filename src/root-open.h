/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Files of the system whose root directory is @root, NULL or "" for this one: links are followed
 * within it, absolute ones, too, as that system follows them itself (openat2(2), RESOLVE_IN_ROOT).
 * @path begins with a slash. What is asked of whoever may change them is trusted-open.h's. */

/* As open(2), with O_CLOEXEC. Returns a descriptor or a negative errno. */
int root_open(const char *root, const char *path, int flags);

/* The same for a directory, and makes those that are missing, with mode 0755. */
int root_make_directory(const char *root, const char *path);

/* Where @path leads to, as a path from outside: a new string for the caller to free in *ret.
 * Returns 0 or a negative errno. */
int root_resolve(const char *root, const char *path, char **ret);

/* Whether @root is the system that runs. Where an image is built, in a chroot say, / is another
 * one; without /proc it is taken for this one. */
bool root_is_this_system(const char *root);
