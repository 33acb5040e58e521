/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Whether a device may wait for the driver that came, at @path (/sys/bus/BUS/drivers/NAME), and
 * would not be given to it by the kernel: one without a driver that is held to this one, or, where
 * devices of its bus are given to none without a request, to no certain one. Also true where that
 * cannot be told. Asked of each of the many drivers that come early, few of which are waited for,
 * so it goes by what was decided already. */
bool driver_is_waited_for(const char *path);
