/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A backend for QEMU's vhost-user device models, in a process of its own that ends with this one.
 * It answers what QEMU asks before a guest may use the device, the same for every kind of device;
 * it never looks at a queue. @path: of its socket. */
int vhost_user_start(const char *path);
