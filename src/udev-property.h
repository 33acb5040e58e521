/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Prints what udev's rules are to know of a device, for IMPORT{program} of udev(7). @source is not
 * escaped. Returns 0 or a negative errno. */
int udev_print_verdict(const char *verdict, const char *source);

/* Whether the event that udev runs the program for is about the device whose sysfs directory is
 * @dirfd: that shows the modalias by which udev would load a module, $MODALIAS. Events wait, and
 * meanwhile another device may have come to the path of one that went; what was decided over that
 * one is nothing to load the former's module by. Returns 0, also where the event has none; -ESTALE;
 * or as sysfs_read(). */
int udev_check_event(int dirfd);
