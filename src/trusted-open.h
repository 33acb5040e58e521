/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Opens the file or directory @path, a path below the directory @root or, where that is NULL, of
 * the running system, by the flags of open(2) that read. Links are followed within @root, and
 * refused where they lead nowhere or round.
 *
 * Every directory on the way, that of each link included, and what is opened must be what nobody
 * but root, or the caller, can have put there: owned by one of them, not writable by others (but
 * for directories with the sticky bit on the way), and on no file system of which somebody else
 * says who owns what (statfs(2)): that of another machine, or one that keeps no owners.
 *
 * Returns a descriptor; -ENOENT where something on the way is not there, but -ENOLINK where it is
 * what a link leads to; or another negative errno. *ret_problem is a phrase then that names the
 * place, not escaped, which the caller frees; NULL when out of memory. */
int trusted_open(const char *root, const char *path, int flags, char **ret_problem);
