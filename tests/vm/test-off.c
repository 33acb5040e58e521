/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* dev_auth=off, and no dev_auth at all: nothing of the series is to be seen. The same machine runs
 * on the patched kernel and on one without the series, and both must look the same. */

#include "agent-protocol.h"
#include "vmtest.h"

static const char *const devices[] = {"virtio-balloon-pci,bus=rp1", "qemu-xhci,id=xhci,bus=rp2",
				      NULL};

struct sight {
	char *attributes; /* names under /sys/devices and /sys/bus */
	char *drivers;	  /* device and driver */
	char *events;	  /* of a plug and an unplug, without sequence and time */
};

static void sight_done(struct sight *s)
{
	free(s->attributes);
	free(s->drivers);
	free(s->events);
}

/* Threads and what belongs to them come and go; so do the workqueues and the statistics of block
 * devices. None of them is a device of a bus. */
#define ATTRIBUTES                                                                                 \
	"find /sys/devices /sys/bus /sys/class -path '*/msi_irqs/*' -prune -o "                    \
	"-path '/sys/devices/virtual/workqueue/*' -prune -o -printf '%%p %%M\\n' | LC_ALL=C sort"

#define DRIVERS                                                                                    \
	"for d in /sys/bus/*/devices/*; do "                                                       \
	"echo \"${d#/sys/bus/} $(basename \"$(readlink $d/driver)\")\"; done"

#define EVENTS "grep -vE '^(TIME|SEQNUM|USEC_INITIALIZED)=' /run/uevents"

static struct sight look(void **state, const char *kernel, const char *cmdline)
{
	struct vm *vm = vm_up(state, .kernel = kernel, .cmdline = cmdline, .devices = devices);
	struct sight seen = {0};
	char *device;

	vm_expect(vm, 0, "modprobe e1000e");
	/* The last that the kernel finds out about by itself, in its own time. */
	vm_expect_soon(vm, "grep -q ImExPS /proc/bus/input/devices");
	vm_expect_soon(vm, "[ $(dmesg | grep -c 'SATA link down') = 6 ]");
	seen.attributes = vm_output(vm, ATTRIBUTES);
	seen.drivers = vm_output(vm, DRIVERS);
	vm_expect(vm, 0, AGENT_PATH " uevents /run/uevents /run/uevents.pid");
	device = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp3,romfile=", "8086:10d3");
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	vm_expect(vm, 0, "echo $(basename %s) > /sys/bus/pci/drivers/e1000e/unbind", device);
	vm_expect(vm, 0, "echo $(basename %s) > /sys/bus/pci/drivers/e1000e/bind", device);
	vm_unplug(vm, "nic1");
	vm_expect_soon(vm, "[ ! -e %s ]", device);
	vm_expect(vm, 0, "echo change > /sys/class/mem/null/uevent");
	vm_expect_soon(vm, "grep -q '^DEVPATH=/devices/virtual/mem/null' /run/uevents");
	seen.events = vm_output(vm, EVENTS);
	free(device);
	return seen;
}

/* Says which line is the first to differ. */
static void expect_same(void **state, const char *what, const char *stock, const char *patched)
{
	size_t n = 0, line;

	if (streq(stock, patched))
		return;
	while (stock[n] && stock[n] == patched[n])
		n++;
	for (line = n; line > 0 && stock[line - 1] != '\n'; line--)
		;
	vm_fail(*state, "%s differ:\n  without the series: %.*s\n  with it: %.*s", what,
		(int)strcspn(stock + line, "\n"), stock + line, (int)strcspn(patched + line, "\n"),
		patched + line);
}

static void expect_like_stock(void **state, const char *cmdline)
{
	_cleanup_(sight_done) struct sight stock = look(state, "stock", ""),
					   patched = look(state, "patched", cmdline);

	/* Or there would be nothing to compare. */
	assert_non_null(strstr(stock.drivers, " virtio_balloon"));
	assert_non_null(strstr(stock.drivers, " xhci_hcd"));
	assert_non_null(strstr(stock.events, "ACTION=bind"));
	expect_same(state, "drivers", stock.drivers, patched.drivers);
	expect_same(state, "attributes", stock.attributes, patched.attributes);
	expect_same(state, "events", stock.events, patched.events);
}

static void test_off_behaves_as_a_kernel_without_the_series(void **state)
{
	expect_like_stock(state, "dev_auth=off");
	vm_expect_output(*state, "off", "cat /sys/kernel/device_authorization/mode");
}

static void test_no_parameter_behaves_as_a_kernel_without_the_series(void **state)
{
	expect_like_stock(state, "");
}

static void test_enforce_would_have_been_seen_to_differ(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=enforce",
			      .devices = devices);
	_cleanup_free_ char *attributes = vm_output(vm, ATTRIBUTES),
			    *drivers = vm_output(vm, DRIVERS);

	assert_non_null(strstr(attributes, "/authorized_driver "));
	assert_null(strstr(drivers, " virtio_balloon"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_off_behaves_as_a_kernel_without_the_series),
		vm_test(test_no_parameter_behaves_as_a_kernel_without_the_series),
		vm_test(test_enforce_would_have_been_seen_to_differ),
	};

	return cmocka_run_group_tests_name("off", tests, NULL, NULL);
}
