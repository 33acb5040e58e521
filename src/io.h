/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Reads from @fd until its end or until @buffer has @size bytes. Returns the number of bytes, or a
 * negative errno. */
ssize_t read_full(int fd, void *buffer, size_t size);

/* Writes all of it, however often it takes. Returns 0 or a negative errno. */
int write_full(int fd, const void *data, size_t size);

/* Makes sure that descriptors 0 to 2 are open, on /dev/null where they were not, so that no socket
 * gets such a number and is written to as if it were a terminal. To be called before any other
 * descriptor is opened; ends the process where even that fails. */
void open_standard_fds(void);
