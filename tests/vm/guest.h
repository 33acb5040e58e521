/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The harness's end of the agent's channel (agent-protocol.h). */

/* Waits until the agent is there; skips what a serial line carried before. */
int guest_wait_hello(int fd, uint64_t deadline);

/* Runs @command with /bin/sh in the guest. Returns its exit status (128 + signal where one ended
 * it), or a negative errno: -ETIME when it did not end within @timeout_ms in the guest, -ETIMEDOUT
 * when the guest did not answer at all. @ret: its standard output and error, NUL-terminated beyond
 * @ret_size, for the caller to free; set on any non-negative return and with -ETIME. */
int guest_run(int fd, const char *command, unsigned int timeout_ms, char **ret, size_t *ret_size);

/* The two halves of guest_run(), for what the host has to do meanwhile. */
int guest_send(int fd, const char *command, unsigned int timeout_ms);
int guest_receive(int fd, unsigned int timeout_ms, char **ret, size_t *ret_size);
