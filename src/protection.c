/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protection.h"

#include <errno.h>

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

const char *protection_explain(enum Protection protection, enum Bus bus)
{
	switch (protection) {
	case PROTECTION_KERNEL:
		/* else usbcore authorizes before any event */
		if (bus == BUS_USB && usb_default_read() != 0)
			return "a refused device loses its driver, but may have one until then";
		return "a refused device gets no driver";
	case PROTECTION_AUDIT:
		return "the kernel logs what it would refuse, and refuses nothing";
	default:
		return "UNPROTECTED: this kernel cannot refuse a driver to a device of this bus";
	}
}

static const char *const backends[_BACKEND_MAX][2] = {
	[BACKEND_NONE] = {"none", "none: the device has no attribute \"authorized\""},
	[BACKEND_BUS] = {"bus", "the bus's own \"authorized\""},
	[BACKEND_VENDOR] = {"vendor", "the older vendor attribute \"authorized\""},
	[BACKEND_KERNEL] = {"kernel", "the kernel's device authorization"},
};

enum Backend device_backend(const struct Device *device)
{
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
