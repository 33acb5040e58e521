/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmtrace.h"

static void check(struct vm *vm, int r, const char *what)
{
	if (r < 0)
		vm_fail(vm, "the trace of %s: %s", what, strerror(-r));
}

struct trace_device vm_traced(struct vm *vm, const char *device)
{
	char *resource = vm_output(vm, "cat %s/resource", device);
	struct trace_device traced;

	check(vm, trace_device_parse(strrchr(device, '/') + 1, resource, &traced), device);
	free(resource);
	return traced;
}

long vm_trace_now(struct vm *vm)
{
	long at = 0;

	check(vm, trace_position(vm_trace_path(vm), &at), "anything");
	return at;
}

static long find_console(struct vm *vm, const char *text)
{
	long at = 0;

	check(vm, trace_find_console(vm_trace_path(vm), text, &at), text);
	return at;
}

/* The early console begins with the kernel's first line; there was no PCI before it. */
long vm_trace_kernel(struct vm *vm)
{
	return find_console(vm, "Linux version ");
}

/* pci_auth_settle_all() is the rootfs_initcall that ends enumeration; with dev_auth=off it runs
 * and does nothing. initcall_debug says when it has returned, on the early console, each byte of
 * which is in the trace, so it says so to the byte. Drivers and all else that may want a device
 * are registered by later initcalls. */
long vm_trace_enumerated(struct vm *vm)
{
	return find_console(vm, "initcall pci_auth_settle_all+");
}

struct trace_count vm_count(struct vm *vm, long from, const struct trace_device *device)
{
	struct trace_count counted;

	check(vm, trace_count_accesses(vm_trace_path(vm), from, device, &counted, 1),
	      device->address);
	return counted;
}

void vm_expect_untouched_at(struct vm *vm, const char *file, int line, long from,
			    const struct trace_device *devices, size_t n)
{
	_cleanup_free_ struct trace_count *seen = calloc(n, sizeof(*seen));

	assert_non_null(seen);
	check(vm, trace_count_accesses(vm_trace_path(vm), from, devices, seen, n), "devices");
	for (size_t i = 0; i < n; i++)
		if (seen[i].config + seen[i].bars > 0)
			vm_fail_at(vm, file, line, "%s was touched: config %u, BARs %u, first %s",
				   devices[i].address, seen[i].config, seen[i].bars, seen[i].first);
}

#define CONFIG_SIZE 4096
#define HEADER_SIZE 64
#define COMMAND 4
#define COMMAND_INTX_DISABLE 0x400
#define PME_STATUS 0x8000

/* What may be done to each byte of a config space. */
enum {
	READ = 1,
	WRITE = 2,
	PME = 4,   /* a write may clear the status of PME */
	SAVED = 8, /* has been read: a write may put that back */
};

static void allow(uint8_t *allowed, size_t at, const uint8_t *registers, uint8_t what)
{
	for (; *registers; registers++)
		if (at + *registers < CONFIG_SIZE)
			allowed[at + *registers] |= what;
}

/* Which registers there are is known from how the kernel goes through the lists: to save state it
 * looks for capabilities that the device does not have, and so comes by all that it has. */
static void allow_capabilities(const struct trace_config_access *a, size_t n, uint8_t *allowed)
{
	/* PCI_PM_CTRL; DEVCTL LNKCTL SLTCTL RTCTL DEVCTL2 LNKCTL2 SLTCTL2; AER's UNCOR_STATUS
	 * UNCOR_MASK UNCOR_SEVER COR_STATUS COR_MASK CAP ROOT_COMMAND, of which a status is
	 * cleared by writing what was read; the two halves of DSN */
	static const uint8_t pm[] = {0x04, 0},
			     aer[] = {0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x2c, 0},
			     express[] = {0x08, 0x10, 0x18, 0x1c, 0x28, 0x30, 0x38, 0},
			     serial[] = {0x04, 0x08, 0};
	unsigned int next = 0, next_extended = 0x100;

	for (size_t i = 0; i < n; i++) {
		if (a[i].write)
			continue;
		if (a[i].offset == 0x34)
			next = a[i].value & 0xfc;
		else if (next && a[i].offset == next) {
			allowed[next] |= READ;
			if ((a[i].value & 0xff) == 0x01)
				allow(allowed, next, pm, READ | WRITE | PME);
			if ((a[i].value & 0xff) == 0x10)
				allow(allowed, next, express, READ | WRITE);
			next = a[i].value >> 8 & 0xfc;
		} else if (a[i].offset == 0x100 ||
			   (next_extended && a[i].offset == next_extended)) {
			allowed[a[i].offset] |= READ;
			if ((a[i].value & 0xffff) == 0x0001)
				allow(allowed, a[i].offset, aer, READ | WRITE);
			if ((a[i].value & 0xffff) == 0x0003)
				allow(allowed, a[i].offset, serial, READ);
			next_extended = a[i].value >> 20 & 0xffc;
		}
	}
}

static bool may_write(const struct trace_config_access *access, uint8_t allowed, uint32_t saved)
{
	if (access->offset == COMMAND && access->value == COMMAND_INTX_DISABLE)
		return true;
	if (!(allowed & WRITE) || !(allowed & SAVED))
		return false;
	return access->value == saved || (allowed & PME && access->value == (saved | PME_STATUS));
}

void vm_expect_only_kept_at(struct vm *vm, const char *file, int line, long from, long to,
			    const struct trace_device *device)
{
	_cleanup_free_ struct trace_config_access *a = NULL;
	static uint8_t allowed[CONFIG_SIZE];
	static uint32_t saved[CONFIG_SIZE];
	size_t n = 0;
	bool may;

	assert_int_equal(vm_count(vm, from, device).bars, 0);
	check(vm, trace_config_accesses(vm_trace_path(vm), from, to, device, &a, &n),
	      device->address);
	memset(allowed, READ | WRITE, HEADER_SIZE);
	memset(allowed + HEADER_SIZE, 0, CONFIG_SIZE - HEADER_SIZE);
	allow_capabilities(a, n, allowed);
	for (size_t i = 0; i < n; i++) {
		if (a[i].offset >= CONFIG_SIZE)
			may = false;
		else if (a[i].write)
			may = may_write(&a[i], allowed[a[i].offset], saved[a[i].offset]);
		else
			may = allowed[a[i].offset] & READ;
		if (!may)
			vm_fail_at(vm, file, line, "%s: %s 0x%x, 0x%x", device->address,
				   a[i].write ? "write" : "read", a[i].offset, a[i].value);
		if (!a[i].write && !(allowed[a[i].offset] & SAVED)) {
			saved[a[i].offset] = a[i].value;
			allowed[a[i].offset] |= SAVED;
		}
	}
}
