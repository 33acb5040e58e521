/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* A device as far as @modalias tells of it: its bus and ids; pnp and platform devices are named by
 * it. Formats: scripts/mod/file2alias.c of the kernel. Returns 0 and a device that the caller
 * frees; -EINVAL for a modalias of no governed bus; -ENOMEM. */
int device_from_modalias(const char *modalias, struct Device **ret);
