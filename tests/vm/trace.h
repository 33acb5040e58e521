/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
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

/* Where what happens after a line of the early console (the serial port at 0x3f8) begins, the first
 * one that has @text in it. -ENOENT: there is none. */
int trace_find_console(const char *path, const char *text, long *ret);

/* Accesses to each of @devices from @position on, in @counts. */
int trace_count_accesses(const char *path, long position, const struct trace_device *devices,
			 struct trace_count *counts, size_t n);

struct trace_config_access {
	bool write;
	unsigned int offset;
	uint32_t value;
};

/* Accesses to the config space of @device from @position to @end, or to the end if that is 0, in
 * order. @ret is for the caller to free. */
int trace_config_accesses(const char *path, long position, long end,
			  const struct trace_device *device, struct trace_config_access **ret,
			  size_t *ret_n);

/* Where the kernel takes over: after the firmware's last word to the device that has given it the
 * kernel (fw_cfg). -ENOENT: it has not come that far, or QEMU names the device differently. For
 * kernels that have no driver for that device. */
int trace_kernel_start(const char *path, long *ret);

/* Accesses from @position on to memory or ports of the region that QEMU calls @name. The first of
 * them goes to @first. */
int trace_count_region(const char *path, long position, const char *name, unsigned int *ret_count,
		       char first[static 256]);
