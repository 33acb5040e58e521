/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "enums.h"

/* Giving a device a driver, and taking it away, by the driver core's files. They take the device's
 * name, and a host may put another device at that name at any moment: so it is looked at which one
 * the bus knows by the name, before the write and after it. Each write may block for as long as a
 * driver's probe or release takes.
 *
 * Unless said otherwise the functions return 0 whatever came of it, as a probe that fails is no
 * error of anybody's: the caller reads back. They return -EAGAIN where the device was not taken and
 * may be later: the kernel says no more than that it does not fit, which is also what it says of a
 * pci device that it has told of and not yet offered to drivers itself (pci_bus_add_device(),
 * match_driver), or a probe waits for something else. They return -ENODEV where the bus knows
 * another device by the name, or none, and nothing was written; -ESTALE where it does so after the
 * write, which may have reached that one: what it got by it was taken from it again, and what it
 * lost it has lost. */

struct BindTarget {
	int dirfd; /* the device's directory */
	enum Bus bus;
	const char *name;
};

/* Offers the device to all drivers of its bus. */
int bind_any(const struct BindTarget *target);

/* Offers it to one that is there and that it fits by its ids. */
int bind_to(const struct BindTarget *target, const char *driver);

/* Takes it from the driver that it has, if any. -EOPNOTSUPP where that cannot be done by request
 * (its driver has no `unbind`). */
int bind_none(const struct BindTarget *target);

/* Whether a driver of the name is there. */
bool bind_has_driver(enum Bus bus, const char *driver);
