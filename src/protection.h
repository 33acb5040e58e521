/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* The mode of the running kernel's device authorization: _PROTECTION_INVALID for a kernel without
 * it; PROTECTION_NONE for off, and for a mode that cannot be read or is unknown; PROTECTION_AUDIT;
 * PROTECTION_KERNEL for enforce. */
enum Protection kernel_mode(void);

/* "enforce", "audit", "off", or "none" for a kernel without it, of what kernel_mode() returned. */
const char *kernel_mode_to_string(enum Protection mode);

/* What a level on a bus means for the owner, as a static phrase. */
const char *protection_explain(enum Protection protection, enum Bus bus);

/* What holds a device to a decision. */
enum Backend {
	BACKEND_NONE,	/* nothing */
	BACKEND_DRIVER, /* the driver core: driver-gate.h */
	BACKEND_BUS,	/* its bus's own attribute */
	BACKEND_VENDOR, /* the older vendor attribute */
	BACKEND_KERNEL, /* the kernel's device authorization */
	_BACKEND_MAX,
};

enum Backend device_backend(const struct Device *device);
/* A word of tdx-authctl(1), and a phrase for people. */
const char *backend_to_string(enum Backend backend);
const char *backend_explain(enum Backend backend);
