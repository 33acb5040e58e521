/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A device that is not authorized is not touched: seen from the host, which is where it matters.
 * And a device that becomes authorized later is none the worse for it. */

#include <errno.h>

#include "agent-protocol.h"
#include "trace.h"
#include "vmtest.h"

#define WRITE AGENT_PATH " write"
#define NVME "1b36:0010"
#define XHCI "1b36:000d"

/* A controller whose final fixup maps it, and one with MSI-X and extended capabilities. */
static const char *const devices[] = {"nvme,serial=x,drive=null1,bus=rp1",
				      "qemu-xhci,id=xhci,bus=rp2", NULL};

static struct vm *up(void **state, const char *cmdline)
{
	return vm_up(state, .kernel = "patched", .cmdline = cmdline, .devices = devices,
		     .trace = true);
}

static long position(struct vm *vm)
{
	long at = 0;
	int r = trace_position(vm_trace_path(vm), &at);

	if (r < 0)
		vm_fail(vm, "no trace: %s", strerror(-r));
	return at;
}

static struct trace_count count(struct vm *vm, long from, const char *device)
{
	char *resource = vm_output(vm, "cat %s/resource", device);
	struct trace_device traced;
	struct trace_count counted;
	int r;

	r = trace_device_parse(strrchr(device, '/') + 1, resource, &traced);
	free(resource);
	if (r >= 0)
		r = trace_count_accesses(vm_trace_path(vm), from, &traced, &counted);
	if (r < 0)
		vm_fail(vm, "the trace of %s: %s", device, strerror(-r));
	return counted;
}

static void expect_untouched(struct vm *vm, long from, const char *device)
{
	struct trace_count seen = count(vm, from, device);

	if (seen.config + seen.bars > 0)
		vm_fail(vm, "%s was touched: config %u, BARs %u, first %s", device, seen.config,
			seen.bars, seen.first);
}

/* The trace sees what it should, else the other tests prove nothing. */
static void test_trace_sees_an_authorized_device(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.allow=pci:1b36:000d");
	char *device = vm_find_pci(vm, XHCI);
	long before = position(vm);

	vm_expect(vm, 0, "cat %s/config > /dev/null", device);
	assert_int_not_equal(count(vm, before, device).config, 0);
	vm_expect(vm, 0, "echo 0 > %s/authorized", device);
	before = position(vm);
	vm_expect(vm, 0, "echo 1 > %s/authorized", device);
	assert_int_not_equal(count(vm, before, device).bars, 0);
	free(device);
}

#define READ_ALL                                                                                   \
	"for f in $(find %s/ -type f ! -name uevent); do head -c 5000 $f; done > /dev/null 2>&1; " \
	":"

static void test_blocked_device_is_not_touched(void **state)
{
	static const char *const ids[] = {NVME, XHCI};
	struct vm *vm = up(state, "dev_auth=enforce");
	long before = position(vm);

	for (size_t i = 0; i < 2; i++) {
		char *device = vm_find_pci(vm, ids[i]);

		vm_expect(vm, 0, READ_ALL, device);
		vm_expect(vm, 0, "cat /proc/bus/pci/*/* > /dev/null");
		vm_expect(vm, 0, "echo 1 > /sys/bus/pci/rescan");
		vm_expect_output(vm, "64", "head -c 5000 %s/config | wc -c", device);
		vm_expect(vm, EPERM, WRITE " %s/config x", device);
		vm_expect(vm, EPERM, WRITE " %s/enable 1", device);
		vm_expect(vm, EPERM, WRITE " %s/reset 1", device);
		expect_untouched(vm, before, device);
		free(device);
	}
}

static void test_plugged_blocked_device_is_only_enumerated(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");
	long before = position(vm);
	char *device = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp3,romfile=", "8086:10d3");
	struct trace_count seen = count(vm, before, device);

	assert_int_not_equal(seen.config, 0);
	assert_int_equal(seen.bars, 0);
	before = position(vm);
	vm_expect(vm, 0, READ_ALL, device);
	vm_expect(vm, 0, "modprobe e1000e");
	expect_untouched(vm, before, device);
	free(device);
}

static void test_device_is_left_alone_after_its_driver_is_gone(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.allow=pci:1b36:000d");
	char *device = vm_find_pci(vm, XHCI);
	long before;

	vm_expect_output(vm, "xhci_hcd", "basename $(readlink %s/driver)", device);
	vm_expect(vm, 0, "echo 0 > %s/authorized", device);
	before = position(vm);
	vm_expect(vm, 0, READ_ALL, device);
	expect_untouched(vm, before, device);
	free(device);
}

/* Config space and what sysfs says of it, as a driver has left it. */
#define SIGHT                                                                                      \
	"od -An -v -tx1 %s/config; cat %s/resource; ls %s; ls %s/msi_irqs | wc -l; cat %s/enable"

static char *sight_of(struct vm *vm, const char *device)
{
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	return vm_output(vm, SIGHT, device, device, device, device, device);
}

static void test_late_is_as_good_as_early(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.allow=pci:1b36:000d");
	char *device = vm_find_pci(vm, XHCI);
	char *early = sight_of(vm, device), *late;

	vm = up(state, "dev_auth=enforce");
	vm_expect_output(vm, "0", "cat %s/authorized", device);
	vm_expect(vm, 0, "echo 1 > %s/authorized", device);
	late = sight_of(vm, device);
	assert_string_equal(late, early);
	free(device);
	free(early);
	free(late);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		vm_test(test_trace_sees_an_authorized_device),
		vm_test(test_blocked_device_is_not_touched),
		vm_test(test_plugged_blocked_device_is_only_enumerated),
		vm_test(test_device_is_left_alone_after_its_driver_is_gone),
		vm_test(test_late_is_as_good_as_early),
	};

	return cmocka_run_group_tests_name("silence", tests, NULL, NULL);
}
