/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../test.h"

#include "vm.h"

/* Tests in guests. Whatever fails here prints where, what, and the end of the serial log, and
 * fails the test. The guest is in the test's *state; vm_down() ends it, failed or not. */

/* Whether the lab has @kernel, a variant of kernel.sh or a guest of debian-image.sh. */
bool vm_has(const char *kernel);

/* A test with a guest of its own. */
#define vm_test(test) cmocka_unit_test_teardown(test, vm_down)

/* Boots a guest and returns it; fails when it does not come up. Ends the one before. */
#define vm_up(state, ...) vm_up_at(state, &(struct vm_options){__VA_ARGS__}, __FILE__, __LINE__)
struct vm *vm_up_at(void **state, const struct vm_options *options, const char *file, int line);
int vm_down(void **state);

#define vm_fail(vm, ...) vm_fail_at(vm, __FILE__, __LINE__, __VA_ARGS__)
_Noreturn _printf_(4, 5) void vm_fail_at(struct vm *vm, const char *file, int line,
					 const char *format, ...);

/* The command exits with this status. The rest of the arguments is the command, as for printf. */
#define vm_expect(vm, status, ...) vm_expect_at(vm, __FILE__, __LINE__, status, __VA_ARGS__)
_printf_(5, 6) void vm_expect_at(struct vm *vm, const char *file, int line, int status,
				 const char *format, ...);

/* The command succeeds and prints this, a newline at its end aside. */
#define vm_expect_output(vm, expected, ...)                                                        \
	vm_expect_output_at(vm, __FILE__, __LINE__, expected, __VA_ARGS__)
_printf_(5, 6) void vm_expect_output_at(struct vm *vm, const char *file, int line,
					const char *expected, const char *format, ...);

/* The command comes to succeed. */
#define vm_expect_soon(vm, ...) vm_expect_soon_at(vm, __FILE__, __LINE__, __VA_ARGS__)
_printf_(4, 5) void vm_expect_soon_at(struct vm *vm, const char *file, int line, const char *format,
				      ...);

/* The command succeeds; what it printed, for the caller to free, without a newline at its end. */
#define vm_output(vm, ...) vm_output_at(vm, __FILE__, __LINE__, __VA_ARGS__)
_printf_(4, 5) char *vm_output_at(struct vm *vm, const char *file, int line, const char *format,
				  ...);

/* The whole serial log, for the caller to free. */
char *vm_log_text(struct vm *vm);

#define vm_plug(vm, device) vm_plug_at(vm, __FILE__, __LINE__, device)
void vm_plug_at(struct vm *vm, const char *file, int line, const char *device);
#define vm_unplug(vm, id) vm_unplug_at(vm, __FILE__, __LINE__, id)
void vm_unplug_at(struct vm *vm, const char *file, int line, const char *id);

/* Plugs @device (vendor and device id as in sysfs's modalias, "8086:10d3") and returns its
 * directory under /sys/devices once the kernel has announced it and offered
 * it to its drivers, for the caller to free. */
#define vm_plug_pci(vm, device, ids) vm_plug_pci_at(vm, __FILE__, __LINE__, device, ids)
char *vm_plug_pci_at(struct vm *vm, const char *file, int line, const char *device,
		     const char *ids);

/* The directory of the one PCI device with these ids; fails when there is none or another. */
#define vm_find_pci(vm, ids) vm_find_pci_at(vm, __FILE__, __LINE__, ids)
char *vm_find_pci_at(struct vm *vm, const char *file, int line, const char *ids);
