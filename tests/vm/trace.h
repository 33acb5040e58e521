/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "util.h"

/* What the host sees of a guest's devices: QEMU's trace of accesses to config space, memory and
 * ports, as vm_options.trace turns it on. QEMU writes a line before the access returns to the
 * guest, so what a command did is in the file when the command has ended. */

#define TRACE_RANGES 7 /* the lines of sysfs's "resource" that are BARs or the ROM */

struct trace_device {
	char address[8]; /* as QEMU prints it: 00:1f.2 */
	struct {
		uint64_t start, end;
	} ranges[TRACE_RANGES];
	size_t n_ranges;
};

struct trace_count {
	unsigned int config; /* reads and writes of config space */
	unsigned int bars;   /* reads and writes of memory and ports behind BARs */
	char first[256];     /* the first of them */
};

/* From the directory name under /sys/bus/pci/devices and the text of the file "resource".
 * -EINVAL: not what it should be. */
int trace_device_parse(const char *name, const char *resource, struct trace_device *ret);

/* The end of the trace: where what happens from now on begins. */
int trace_position(const char *path, long *ret);

/* Accesses to @device from @position on. */
int trace_count_accesses(const char *path, long position, const struct trace_device *device,
			 struct trace_count *ret);
