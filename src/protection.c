/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protection.h"

#include <errno.h>

#include "driver-gate.h"
#include "names.h"
#include "sysfs-io.h"
#include "usb-default.h"
#include "util.h"

enum Protection kernel_mode(void)
{
	static const enum Protection modes[] = {PROTECTION_NONE, PROTECTION_AUDIT,
						PROTECTION_KERNEL};
	static const char *const words[] = {"off", "audit", "enforce"};
	_cleanup_close_ int dirfd = sysfs_open(SYSFS_AUTHORIZATION);
	_cleanup_free_ char *mode = NULL;

	if (dirfd == -ENODEV)
		return _PROTECTION_INVALID;
	if (dirfd < 0 || sysfs_read(dirfd, ATTR_MODE, &mode) < 0)
		return PROTECTION_NONE;
	for (size_t i = 0; i < ELEMENTSOF(words); i++)
		if (streq(mode, words[i]))
			return modes[i];
	return PROTECTION_NONE;
}

const char *kernel_mode_to_string(enum Protection mode)
{
	switch (mode) {
	case PROTECTION_KERNEL:
		return "enforce";
	case PROTECTION_AUDIT:
		return "audit";
	case PROTECTION_NONE:
		return "off";
	default:
		return "none";
	}
}

/* What tdx-authd sets at start holds from then on, and without it nothing does. */
static const char *explain_gate(enum Bus bus)
{
	if (bus_info[bus].gate == GATE_OVERRIDE)
		return "a refused device is taken from its driver, but a driver that is loaded "
		       "probes it first: keep modules out";
	if (gate_read_autoprobe(bus) != 0)
		return "a refused device loses its driver, but a driver that is loaded probes it "
		       "first: tdx-authd does not keep the bus";
	return "a device gets no driver but from tdx-authd; what had one before its start may keep "
	       "it: keep modules out";
}

const char *protection_explain(enum Protection protection, enum Bus bus)
{
	switch (protection) {
	case PROTECTION_KERNEL:
		/* else usbcore authorizes before any event */
		if (bus == BUS_USB && usb_default_read() != 0)
			return "a refused device loses its driver, but may have one until then";
		return "a refused device gets no driver";
	case PROTECTION_MODULES:
		return explain_gate(bus);
	case PROTECTION_AUDIT:
		return "the kernel logs what it would refuse, and refuses nothing";
	default:
		return "UNPROTECTED but for modules that are not loaded: this kernel cannot refuse "
		       "a "
		       "driver to a device of this bus";
	}
}

static const char *const backends[_BACKEND_MAX][2] = {
	[BACKEND_NONE] = {"none", "none: the device has no attribute \"authorized\""},
	[BACKEND_DRIVER] = {"driver", "the driver core: its driver is taken away"},
	[BACKEND_BUS] = {"bus", "the bus's own \"authorized\""},
	[BACKEND_VENDOR] = {"vendor", "the older vendor attribute \"authorized\""},
	[BACKEND_KERNEL] = {"kernel", "the kernel's device authorization"},
};

enum Backend device_backend(const struct Device *device)
{
	if (device->gate != GATE_NONE)
		return BACKEND_DRIVER;
	if (device->authorized < 0)
		return BACKEND_NONE;
	if (bus_info[device->bus].native)
		return BACKEND_BUS;
	return device->authorized_by == _ORIGIN_INVALID ? BACKEND_VENDOR : BACKEND_KERNEL;
}

const char *backend_to_string(enum Backend backend)
{
	return backends[backend][0];
}

const char *backend_explain(enum Backend backend)
{
	return backends[backend][1];
}
