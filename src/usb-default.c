/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usb-default.h"

#include <errno.h>

#include "names.h"
#include "sysfs-io.h"

bool is_root_hub(const struct Device *device)
{
	return device->bus == BUS_USB && device_exempt(device);
}

/* 1 and the older -1 are all devices, 2 those that firmware says are built in. */
int usb_default_read_hub(int dirfd)
{
	_cleanup_free_ char *text = NULL;
	int r = sysfs_read(dirfd, ATTR_AUTHORIZED_DEFAULT, &text);

	return r < 0 ? r : streq(text, "1") || streq(text, "-1");
}

int usb_default_deny_hub(int dirfd)
{
	return sysfs_write(dirfd, ATTR_AUTHORIZED_DEFAULT, "0");
}

/* They are one attribute in two places. */
int usb_default_read(void)
{
	_cleanup_close_ int dirfd = sysfs_open(SYSFS_USBCORE_PARAMETERS);

	return dirfd < 0 ? dirfd : usb_default_read_hub(dirfd);
}

int usb_default_deny(void)
{
	_cleanup_close_ int dirfd = sysfs_open(SYSFS_USBCORE_PARAMETERS);

	return dirfd < 0 ? dirfd : usb_default_deny_hub(dirfd);
}

char *usb_root_hub_of(const char *syspath)
{
	for (const char *p = strchr(syspath, '/'); p; p = strchr(p + 1, '/')) {
		const char *number = startswith(p, "/usb");
		size_t digits = number ? strspn(number, "0123456789") : 0;

		if (digits > 0 && number[digits] == '/')
			return strndup(syspath, (size_t)(number + digits - syspath));
	}
	return NULL;
}
