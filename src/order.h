/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "enforce.h"
#include "sysfs-io.h"

/* What goes between a worker and its starter, over a socket of type SOCK_SEQPACKET: an order with
 * the descriptors that it is about, and then one reply, or one text for each descriptor. */

#define ORDER_FDS_MAX 128 /* the kernel passes SCM_MAX_FD, 253, at a time (include/net/scm.h) */

struct Order {
	bool is_reading;	       /* read each descriptor; else: */
	struct EnforceRequest request; /* of the device whose directory the only descriptor is */
};

/* Sends an order with @n descriptors, which stay the caller's, without waiting. Returns 0 or a
 * negative errno. */
int order_send(int socket, const struct Order *order, const int *fds, size_t n);

/* Waits for one. Returns 0 with 1 to ORDER_FDS_MAX descriptors in *ret_fds, which the caller
 * closes; -EIO where there will be none any more. */
int order_receive(int socket, struct Order *ret, int *ret_fds, size_t *ret_n);

/* Sends what came of reading one attribute: an error or a text. Returns 0 or -EIO. */
int text_send(int socket, int error, const char *text);

/* Receives it, without waiting, into reading->error and *reading->text. Returns 0; -EAGAIN where
 * nothing has come yet; -EIO where nothing will; -ENOMEM. */
int text_receive(int socket, struct Reading *reading);
