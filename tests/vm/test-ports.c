/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The ports where a PC has its keyboard controller and its serial ports: what answers there is the
 * host, so the kernel tries none of them unless its owner allows. Seen from the host. The firmware
 * tries them too, before there is a kernel; that does not count. */

#include "trace.h"
#include "vmtest.h"

/* As QEMU names what is behind ports 0x60 and 0x64 (i8042-data, i8042-cmd), 0x3f8 and 0x2f8. */
#define KEYBOARD "i8042-"
#define SERIAL "serial"

/* Serial ports, but no early console on them: that would be the owner's wish. */
static struct vm *up(void **state, const char *cmdline)
{
	static char option[] = "-serial", backend[] = "null";

	return vm_up(state, .kernel = "patched", .cmdline = cmdline, .trace = true,
		     .no_serial = true,
		     .arguments = (char *[]){option, backend, option, backend, NULL});
}

static unsigned int count(struct vm *vm, long from, const char *region, char *first)
{
	unsigned int n;
	int r = trace_count_region(vm_trace_path(vm), from, region, &n, first);

	if (r < 0)
		vm_fail(vm, "no trace: %s", strerror(-r));
	return n;
}

/* The accesses of the kernel so far. */
static void expect_ports(struct vm *vm, const char *region, bool expected)
{
	char first[256];
	unsigned int all = count(vm, 0, region, first), of_kernel;
	long start;
	int r = trace_kernel_start(vm_trace_path(vm), &start);

	if (r < 0)
		vm_fail(vm, "where the kernel starts is not in the trace: %s", strerror(-r));
	of_kernel = count(vm, start, region, first);
	printf("# %s: %u accesses by the firmware, %u by the kernel\n", region, all - of_kernel,
	       of_kernel);
	if (all == of_kernel)
		vm_fail(vm, "the firmware is not seen to use %s", region);
	if ((of_kernel > 0) != expected)
		vm_fail(vm, "%s: %u accesses by the kernel, the first: %s", region, of_kernel,
			first);
}

static void test_without_the_gate_the_kernel_tries_the_ports(void **state)
{
	struct vm *vm = up(state, "dev_auth=off");

	expect_ports(vm, KEYBOARD, true);
	expect_ports(vm, SERIAL, true);
}

static void test_with_it_the_kernel_tries_none(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");

	/* nor when somebody opens what is there of them */
	vm_expect(vm, 0,
		  "timeout 5 head -c 1 /dev/ttyS0; timeout 5 sh -c 'echo x > /dev/ttyS0'; :");
	expect_ports(vm, KEYBOARD, false);
	expect_ports(vm, SERIAL, false);
}

static void test_each_is_allowed_by_itself(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.allow=platform:i8042");

	expect_ports(vm, KEYBOARD, true);
	expect_ports(vm, SERIAL, false);
	vm = up(state, "dev_auth=enforce dev_auth.allow=platform:serial8250");
	expect_ports(vm, KEYBOARD, false);
	expect_ports(vm, SERIAL, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_without_the_gate_the_kernel_tries_the_ports),
		vm_test(test_with_it_the_kernel_tries_none),
		vm_test(test_each_is_allowed_by_itself),
	};

	return RUN_TESTS("ports", tests);
}
