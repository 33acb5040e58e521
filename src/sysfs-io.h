/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* All reading and writing of sysfs goes through here, and, but for sysfs_open(), through one
 * directory descriptor: what was identified is what is written, also when the path names another
 * device by now. On a device that is gone the functions return -ENODEV. */

/* Opens the directory of a device. Returns a descriptor that the caller closes; -ENODEV, or the
 * errno of open(2). */
int sysfs_open(const char *syspath);

/* What tells one sysfs directory from every other, past ones at the same path included: kernfs
 * never gives out an inode number twice (fs/kernfs/dir.c, idr_alloc_cyclic() and a generation). */
int sysfs_identity(int dirfd, dev_t *ret_dev, ino_t *ret_ino);

/* Reads an attribute through a fresh open, one page at most, without its last newline. Returns 0
 * and a string that the caller frees; -ENOENT where there is no such attribute; -ENODEV. */
int sysfs_read(int dirfd, const char *attr, char **ret);

/* Reads all of a binary attribute. Returns 0, bytes that the caller frees, and how many; -EFBIG
 * where there are more than @max; else as sysfs_read(). */
int sysfs_read_binary(int dirfd, const char *attr, size_t max, unsigned char **ret,
		      size_t *ret_size);

/* Writes an attribute in one write(2). May block as long as a driver's probe or release takes.
 * Returns 0 or the negative errno that the kernel answered. */
int sysfs_write(int dirfd, const char *attr, const char *value);

/* The last component of a link's target, as of `driver` and `subsystem`. Returns 0 and a string
 * that the caller frees; -ENOENT where there is no such link. */
int sysfs_read_link(int dirfd, const char *link, char **ret);
