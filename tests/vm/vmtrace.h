/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "trace.h"
#include "vmtest.h"

/* What a guest with vm_options.trace did to its devices. As in vmtest.h, what fails fails the
 * test. */

/* A device as the trace knows it, from its directory under /sys. */
struct trace_device vm_traced(struct vm *vm, const char *device);

long vm_trace_now(struct vm *vm);

/* The firmware has handed over to the kernel. */
long vm_trace_kernel(struct vm *vm);

/* The kernel has enumerated its devices: from here on a blocked one is left alone. Wants
 * VM_TRACE_BOOT in the command line. */
long vm_trace_enumerated(struct vm *vm);
#define VM_TRACE_BOOT "initcall_debug ignore_loglevel"

struct trace_count vm_count(struct vm *vm, long from, const struct trace_device *device);

/* None of @n devices was accessed from @from on. */
#define vm_expect_untouched(vm, from, devices, n)                                                  \
	vm_expect_untouched_at(vm, __FILE__, __LINE__, from, devices, n)
void vm_expect_untouched_at(struct vm *vm, const char *file, int line, long from,
			    const struct trace_device *devices, size_t n);

/* What was done to the device from @from to @to is what the core of PCI has to do with a device
 * that sleeps or is reset, for its state not to be lost, and nothing more:
 *
 * - reads of the header, of what is needed to walk the lists of capabilities, and of those
 *   registers of PM, PCI Express and AER that are saved, and of the serial number, which shows
 *   whether it is still the same device;
 * - writes to the header and to these registers of the very value that was first read there;
 *   besides, what PME has left behind is cleared, and a reset begins with INTx disabled and
 *   all else in the command register off (0x400);
 * - no access to a BAR. */
#define vm_expect_only_kept(vm, from, to, device)                                                  \
	vm_expect_only_kept_at(vm, __FILE__, __LINE__, from, to, device)
void vm_expect_only_kept_at(struct vm *vm, const char *file, int line, long from, long to,
			    const struct trace_device *device);
