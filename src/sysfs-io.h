/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* All reading and writing of sysfs goes through here, and, but for sysfs_open(), through one
 * directory descriptor: what was identified is what is written, also when the path names another
 * device by now. (What is only read, and of nothing that was identified, may go by its path, with
 * AT_FDCWD.) On a device that is gone the functions return -ENODEV. */

/* Opens the directory of a device. Returns a descriptor that the caller closes; -ENODEV, or the
 * errno of open(2). */
int sysfs_open(const char *syspath);

/* What tells one sysfs directory from every other, past ones at the same path included: kernfs
 * never gives out an inode number twice (fs/kernfs/dir.c, idr_alloc_cyclic() and a generation). */
int sysfs_identity(int dirfd, dev_t *ret_dev, ino_t *ret_ino);

/* Bytes of the longest text that an attribute can show, a page with what ends it: the kernel cuts
 * off the rest (fs/sysfs/file.c, sysfs_emit()). */
#define SYSFS_TEXT_MAX 4094

/* Reads an attribute through a fresh open, without its last newline. Returns 0 and a string that
 * the caller frees; -ENOENT where there is no such attribute; -EMSGSIZE where it fills its page, so
 * that nobody can tell what was cut off; -ENODEV. */
int sysfs_read(int dirfd, const char *attr, char **ret);

/* The same in two steps, where reading may make the reader wait: opening does not. Returns a
 * descriptor that the caller closes, or as sysfs_read(). */
int sysfs_open_attr(int dirfd, const char *attr);
int sysfs_read_fd(int fd, char **ret);
int sysfs_read_fd_once(int fd, char **ret); /* -EINTR where a signal ended the wait */

/* What @error of reading or writing an attribute means: of a device that is there, -ENODEV is the
 * attribute's own complaint (acpi's `status`, where firmware fails) and becomes -EIO. */
int sysfs_tell_absence(int dirfd, int error);

/* An attribute between the two. */
struct Reading {
	int fd;
	int error;   /* of reading it, 0 or negative */
	char **text; /* where the text is to go: a string on success */
};

/* Whether the device is still there: its attributes go first when it goes (drivers/base/core.c,
 * device_del()). */
bool sysfs_is_alive(int dirfd);

/* Reads all of a binary attribute. Returns 0, bytes that the caller frees, and how many; -EFBIG
 * where there are more than @max; else as sysfs_read(). */
int sysfs_read_binary(int dirfd, const char *attr, size_t max, unsigned char **ret,
		      size_t *ret_size);

/* Writes an attribute in one write(2). May block as long as a driver's probe or release takes.
 * Returns 0 or the negative errno that the kernel answered. */
int sysfs_write(int dirfd, const char *attr, const char *value);

/* The same to what was opened before, for who has something to check in between. */
int sysfs_write_fd(int fd, const char *value);

/* The last component of a link's target, as of `driver` and `subsystem`. Returns 0 and a string
 * that the caller frees; -ENOENT where there is no such link. */
int sysfs_read_link(int dirfd, const char *link, char **ret);
