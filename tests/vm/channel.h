/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads and writes with a deadline (deadline.h) on a stream socket whose other end is QEMU.
 * All return -ETIMEDOUT at the deadline and -ECONNRESET when QEMU has gone. */

/* Up to @size bytes as soon as there are any; returns how many. */
ssize_t channel_read_some(int fd, void *buffer, size_t size, uint64_t deadline);

/* Exactly @size bytes; 0. */
int channel_read(int fd, void *buffer, size_t size, uint64_t deadline);
int channel_write(int fd, const void *buffer, size_t size, uint64_t deadline);
