/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* Devices of a kernel without the series, on buses where the driver core can be made to keep
 * drivers from them. The bus says by what (bus_info[].gate), and what stands for the attributes is:
 *
 * GATE_OVERRIDE, pci: a driver_override that names no driver keeps them all away, and OVERRIDE_ONLY
 * all but the one that tdx-auth binds by request. A device is refused while it has the word and no
 * driver. What somebody else has written there (vfio's tools, say) is left alone.
 *
 * GATE_AUTOPROBE, virtio and pnp: with the bus's drivers_autoprobe at 0 no device gets a driver but
 * by request. A device is authorized while it has one, and held to it.
 *
 * drivers/base/bus.c, drivers/base/dd.c (device_initial_probe()), drivers/pci/pci-driver.c
 * (pci_match_device()). pci_bus_add_device() attaches whatever drivers_autoprobe says, so there a
 * driver that is loaded probes before anybody is told of the device. */

struct GateState {
	enum Gate gate;		 /* GATE_NONE: there is no such thing, and the rest says nothing */
	int authorized;		 /* -1: somebody else has a say */
	char *authorized_driver; /* that it is held to, "" for any; owned */
	char *override;		 /* somebody else's, or NULL; owned */
};

/* What holds the device whose directory is @dirfd, and how; @driver is the one that it has, or
 * NULL. To be asked of devices without `authorized` only. Returns 0 or a negative errno; the caller
 * frees what is in *ret. */
int gate_read(int dirfd, enum Bus bus, const char *driver, struct GateState *ret);

/* The same in two steps where reading may make the reader wait, as many kernels' driver_override
 * does for as long as a probe lasts: opens it. Returns a descriptor that the caller closes; -ENOENT
 * where gate_read() does not make who calls it wait. Then what was read, or NULL where nothing was.
 */
int gate_open(int dirfd, enum Bus bus);
int gate_interpret(const char *override, const char *driver, struct GateState *ret);

/* Whether devices of @bus get drivers by themselves, 1 or 0; -ENODEV where the bus is not there, or
 * is none of GATE_AUTOPROBE, or the kernel has device authorization or the older vendor attribute.
 */
int gate_read_autoprobe(enum Bus bus);

/* Has them wait for a request. Returns 0 or a negative errno. */
int gate_close_autoprobe(enum Bus bus);
