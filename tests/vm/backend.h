/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util.h"

/* What QEMU's device models have behind them, where that is another program: servers in processes
 * of their own, which end with this one. @path: of the socket that they listen on. */

/* For vhost-user models. It answers what QEMU asks before a guest may use the device, the same for
 * every kind of device; it never looks at a queue. */
int vhost_user_start(const char *path);

/* For ivshmem-doorbell. Each that connects gets memory and a doorbell of its own, and no peers. */
int ivshmem_start(const char *path);

/* For the two: serves whoever connects. A client that a function returns a negative errno for is
 * gone. */
struct backend {
	int (*welcome)(int client); /* when it has connected; NULL: nothing to do */
	int (*hear)(int client);    /* when it can be read from */
};
int backend_start(const char *path, const struct backend *backend);
