/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Prints what udev's rules are to know of a device, for IMPORT{program} of udev(7). @source is not
 * escaped. Returns 0 or a negative errno. */
int udev_print_verdict(const char *verdict, const char *source);
