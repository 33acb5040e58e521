/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "testbed.h"

/* A mocked driver core behind a testbed's files: who writes to bind, unbind or drivers_probe in a
 * test that is linked with --wrap=write gets what drivers/base/bus.c does, as far as
 * driver_override, the ids and drivers_autoprobe go. It is made of files alone, so that it is there
 * in every process of the test. */

/* A bus with `drivers_autoprobe`, which gives devices to drivers. */
void core_add_bus(struct Testbed *bed, const char *bus);
void core_add_driver(struct Testbed *bed, const char *bus, const char *driver);
void core_remove_driver(struct Testbed *bed, const char *bus, const char *driver);

/* A device as a kernel without the series shows it, with the ids that @fits, a driver, knows. */
char *core_add_pci(struct Testbed *bed, const char *name, unsigned vendor, unsigned device,
		   const char *fits);
char *core_add_virtio(struct Testbed *bed, const char *name, unsigned type, const char *fits);

void core_set_fits(struct Testbed *bed, const char *syspath, const char *fits);

/* Gives the device a driver, by the hand of somebody who is not tested, or takes it away. */
void core_bind(struct Testbed *bed, const char *syspath, const char *bus, const char *driver);
void core_unbind(struct Testbed *bed, const char *syspath);

/* The driver that it has, "" for none; the caller frees it. */
char *core_driver(const char *syspath);

/* What is called, once, when a name was written and nothing has come of it yet. */
extern void (*core_on_write)(void);
