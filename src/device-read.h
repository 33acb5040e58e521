/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* Reads what identifies the device whose directory is @dirfd and which was found at @syspath, and
 * what @needs names, which may be NULL. Returns 0 and a device that the caller frees; -ENOTSUP for
 * a node that is no device of a governed bus (a usb interface, say); -ENODEV for a device that is
 * gone; another negative errno where sysfs answered so. */
int device_read(const char *syspath, int dirfd, const struct Needs *needs, struct Device **ret);

/* The same with no needs, and without what a reader may have to wait for: where that is what holds
 * the device, it reads as authorized. */
int device_read_at_once(const char *syspath, int dirfd, struct Device **ret);

/* The same with @needs, without what a reader may have to wait for, as a probe may hold the lock
 * that it needs: attributes that @needs names of this device and those above it, and the device's
 * driver_override where that is what holds it (driver-gate.h). These are open in *ret_readings, of
 * struct Reading, each with a place in *ret to read it into; the caller calls readings_done()
 * before device_free(). */
int device_read_without_waiting(const char *syspath, int dirfd, const struct Needs *needs,
				struct Vector *ret_readings, struct Device **ret);

/* What the outcome of all of @readings is: 0 also where attributes turn out to be absent; the
 * negative errno of the first that could not be read. */
int readings_result(const struct Vector *readings);
void readings_done(struct Vector *readings);

/* Reads no more than what it takes to refuse the device: its bus, its names, its identity, its
 * driver and its authorization, without what a reader may have to wait for: then it reads as
 * authorized. Returns as device_read(). */
int device_read_authorization(const char *syspath, int dirfd, struct Device **ret);

/* Completes a device of device_read_without_waiting(), once all that it opened was read: with what
 * changes while a device is there, its driver and its authorization. Returns 0 or a negative errno,
 * and then the device is not to be used. */
int device_read_state(int dirfd, struct Device *device);

/* The same for the one moment that tools have: opens, reads, and hands the descriptor on to the
 * caller where @ret_dirfd is not NULL. */
int device_open(const char *syspath, const struct Needs *needs, int *ret_dirfd,
		struct Device **ret);

/* What the device calls itself (usb: manufacturer and product), for people: no part of any
 * decision, and read by tools alone, as usbcore lets readers of its strings wait for as long as a
 * probe of the device takes. A string that the caller frees, or NULL. */
char *device_read_label(int dirfd, enum Bus bus);
