/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "device.h"

/* The list of hardened devices as the kernel series has it built in: what the kernel's own
 * decision is, or, on a kernel without the series, would be.
 *
 * hardened_find() returns true for a listed device and points *ret_driver to the static name of
 * the only driver the entry admits, NULL where the bus binds none or any. */
bool hardened_find(const struct Device *device, const char **ret_driver);

struct HardenedEntry {
	enum Bus bus;
	uint32_t vendor, device;
	uint32_t class_code, class_mask; /* the entry is by class where the mask is not 0 */
	const char *text;		 /* acpi, pnp: an id; platform: a glob on the name */
	const char *driver;		 /* NULL: none, or any */
};

/* Made from conf/hardened.yaml, as is the kernel's. */
extern const struct HardenedEntry hardened_table[];
extern const size_t hardened_table_size;
