/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "uevent.h"

/* Bytes of a message: what the kernel puts into one is at most 2048 and a path twice
 * (include/linux/kobject.h, UEVENT_BUFFER_SIZE; lib/kobject_uevent.c, alloc_uevent_skb()). */
#define UEVENT_SIZE_MAX 16384

/* The socket on which the kernel tells of devices, to which udevd need not have a part.
 *
 * The kernel cannot be asked for those of some subsystems alone: libudev's filter is a classic BPF
 * program on the header that udevd puts before what it sends, and lets pass what has none
 * (systemd, src/libsystemd/sd-device/device-monitor.c, sd_device_monitor_filter_update(): "wrong
 * magic, pass packet"). In a message of the kernel's own the subsystem is behind a path and other
 * variables, and classic BPF has no loops. What is not wanted is dropped by who receives it, before
 * anything of sysfs is looked at. */

/* One that the service manager passed (sd_listen_fds(3)). Returns a descriptor that the caller
 * closes; -ENOENT where none was passed that is such a socket. Not to be called twice. */
int uevent_socket_take(void);

/* A new one, with a receive buffer of 128 MiB where the process may have one. Returns a descriptor
 * that the caller closes, or a negative errno. */
int uevent_socket_open(void);

/* Receives one message into @buffer and reads it. Returns 1 with *ret pointing into @buffer; 0
 * where none waits; -ENOBUFS where messages were lost since the last call; -EPERM for one that is
 * not the kernel's; -EBADMSG for one of the kernel's that cannot be read; or another negative
 * errno. */
int uevent_receive(int fd, char buffer[static UEVENT_SIZE_MAX], struct Uevent *ret);
