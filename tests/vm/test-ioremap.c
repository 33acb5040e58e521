/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ioremap() knows an address and no device. The driver of virtio-mmio maps what the command line
 * says, and so it can be sent to the memory of any device: here to that of a PCI function that no
 * list names, which nothing else in this kernel would map. */

#include <errno.h>

#include "agent-protocol.h"
#include "vmtrace.h"

#define WRITE AGENT_PATH " write"
#define BIND WRITE " /sys/bus/platform/drivers/virtio-mmio/bind virtio-mmio.0"
#define DRIVER "/sys/bus/platform/devices/virtio-mmio.0/driver"
#define SOUND "8086:293e"
#define XHCI "1b36:000d"

#define REFUSED "ioremap of a blocked device at"
#define WOULD_BE "would be refused: device not authorized"
/* What the driver says when it has mapped something and found no virtio device there. */
#define MAPPED "virtio-mmio virtio-mmio.0: Wrong magic value"

/* The xHCI controller has a final fixup that maps it. */
static const char *const devices[] = {"ich9-intel-hda,addr=0x12", "qemu-xhci,id=xhci,bus=rp2",
				      NULL};

struct scene {
	struct vm *vm;
	char *device;
	struct trace_device traced;
};

static struct scene boot(void **state, const char *mode, unsigned long long address)
{
	char cmdline[160];
	struct scene s = {0};

	(void)snprintf(cmdline, sizeof(cmdline), "dev_auth=%s virtio_mmio.device=0x200@0x%llx:5",
		       mode, address);
	s.vm = vm_up(state, .kernel = "patched", .cmdline = cmdline, .devices = devices,
		     .trace = true);
	s.device = vm_find_pci(s.vm, SOUND);
	s.traced = vm_traced(s.vm, s.device);
	return s;
}

/* Where the firmware puts the device. It does so each time, as the machine is the same. */
static unsigned long long find_address(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=enforce",
			      .devices = devices);
	char *device = vm_find_pci(vm, SOUND),
	     *line = vm_output(vm, "head -n 1 %s/resource", device);
	unsigned long long address = strtoull(line, NULL, 0);

	assert_int_not_equal(address, 0);
	free(line);
	free(device);
	return address;
}

static struct scene up(void **state, const char *mode)
{
	static unsigned long long address;
	struct scene s;

	if (!address)
		address = find_address(state);
	s = boot(state, mode, address);
	assert_int_equal(s.traced.ranges[0].start, address);
	return s;
}

static bool says(struct vm *vm, const char *text)
{
	char *log = vm_output(vm, "dmesg");
	bool said = strstr(log, text) != NULL;

	free(log);
	return said;
}

/* A mark that ioremap() goes by is seen by user space (IORESOURCE_BLOCKED in the series). */
static bool is_marked(const struct scene *s)
{
	char *flags = vm_output(s->vm, "set -- $(head -n 1 %s/resource); echo $3", s->device);
	bool marked = strtoull(flags, NULL, 0) & 0x00800000;

	free(flags);
	return marked;
}

static void test_enforcing_refuses_to_map_a_blocked_device(void **state)
{
	struct scene s = up(state, "enforce");
	long now;

	assert_true(says(s.vm, REFUSED));
	assert_false(says(s.vm, MAPPED));
	assert_true(is_marked(&s));
	vm_expect(s.vm, 1, "[ -e " DRIVER " ]");
	vm_expect(s.vm, ENOMEM, BIND);
	assert_int_equal(vm_count(s.vm, 0, &s.traced).bars, 0);

	/* authorized it can be mapped, and no more when that is taken back */
	vm_expect(s.vm, 0, WRITE " %s/authorized 1", s.device);
	now = vm_trace_now(s.vm);
	vm_expect(s.vm, ENODEV, BIND);
	assert_true(says(s.vm, MAPPED));
	assert_int_not_equal(vm_count(s.vm, now, &s.traced).bars, 0);
	vm_expect(s.vm, 0, WRITE " %s/authorized 0", s.device);
	now = vm_trace_now(s.vm);
	vm_expect(s.vm, ENOMEM, BIND);
	vm_expect_untouched(s.vm, now, &s.traced, 1);
	free(s.device);
}

static void test_an_audit_maps_and_says_what_would_be_refused(void **state)
{
	struct scene s = up(state, "audit");
	const char *name = strrchr(s.device, '/') + 1;
	char *log = vm_output(s.vm, "dmesg | grep '" WOULD_BE "'"), *xhci, expected[64];

	assert_true(says(s.vm, MAPPED));
	assert_false(says(s.vm, REFUSED));
	assert_false(is_marked(&s));
	(void)snprintf(expected, sizeof(expected), "pci %s: mapping BAR 0 ", name);
	if (!strstr(log, expected) || !strstr(log, "devm_ioremap"))
		vm_fail(s.vm, "no word of %s: %s", name, log);
	/* a fixup is in the log too */
	xhci = vm_find_pci(s.vm, XHCI);
	(void)snprintf(expected, sizeof(expected), "pci %s: mapping BAR 0 ",
		       strrchr(xhci, '/') + 1);
	if (!strstr(log, expected) || !strstr(log, "by quirk_usb_early_handoff"))
		vm_fail(s.vm, "no word of the fixup: %s", log);
	free(xhci);
	free(log);
	free(s.device);
}

static void test_off_maps_and_says_nothing(void **state)
{
	struct scene s = up(state, "off");

	assert_true(says(s.vm, MAPPED));
	assert_false(says(s.vm, REFUSED));
	assert_false(says(s.vm, WOULD_BE));
	assert_false(is_marked(&s));
	free(s.device);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		vm_test(test_enforcing_refuses_to_map_a_blocked_device),
		vm_test(test_an_audit_maps_and_says_what_would_be_refused),
		vm_test(test_off_maps_and_says_nothing),
	};

	return RUN_TESTS("ioremap", tests);
}
