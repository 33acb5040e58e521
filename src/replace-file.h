/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Writes the file @name (a name, not a path) in the directory @dirfd, whole or not at all: who
 * reads it sees the old one or the new one, and it is on the disk when the call returns. Until then
 * it has a name of its own that begins with a dot and ends in ".new", which is none of a policy's
 * or of modprobe's, and not that of whoever writes it at the same time. Anybody may read it.
 * Returns 0 or a negative errno. */
int replace_file_at(int dirfd, const char *name, const char *text, size_t size);

/* The same for a path of the system at @root, see root-open.h; makes the directories that it is in.
 */
int replace_file(const char *root, const char *path, const char *text, size_t size);
