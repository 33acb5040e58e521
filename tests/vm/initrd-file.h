/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An initrd that is that of @guest, of debian-image.sh, and one file more, or another in its place:
 * the kernel unpacks one archive after the other (Documentation/driver-api/early-userspace/
 * buffer-format.rst). @file is a path without the first slash; it and its directories are root's.
 * Returns the path of a new file in $TDX_AUTH_LOGS, for the caller to unlink and free, or NULL with
 * errno. */
char *initrd_with_file(const char *guest, const char *file, const char *text);
