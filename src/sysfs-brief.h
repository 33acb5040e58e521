/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads an attribute that was opened by sysfs_open_attr(), unless that takes long: for a process
 * that must not wait, where another one may. Only for attributes whose reader waits in a way that a
 * signal ends, as those of usb's strings do (drivers/usb/core/sysfs.c, usb_string_attr()): a reader
 * of others would wait all the same. Uses SIGALRM and a timer, of one thread.
 *
 * Returns 0 and a string that the caller frees; -ETIME where it takes longer than 2 ms, or where it
 * did so of any attribute in the last 50, so that many that wait are no more of a wait than one;
 * else as sysfs_read_fd(). */
int sysfs_read_briefly(int fd, char **ret);
