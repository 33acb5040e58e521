/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager-device.h"

/* usb devices that wait for a decision, where the policy has something to say of usb. */

/* Has usbcore give no device to drivers by itself any more, once, before devices are looked at.
 * What it did before is noted, for devices that are left to it. */
void manager_take_usb(struct Manager *m);

/* The same for a root hub that is seen for the first time. */
void manager_take_root_hub(struct Manager *m, struct Known *known, int dirfd);

/* Whether usbcore would have given the device to drivers, had it not been told to have it wait. */
bool manager_usb_would_give(const struct Manager *m, const struct Device *device);
