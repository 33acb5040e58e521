/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A device that is not authorized is not touched: seen from the host, which is where it matters.
 *
 * QEMU shows no access to memory that it gives to the guest as such: the frame buffer of VGA, a
 * ROM. Nor do the legacy ranges of VGA count here, which belong to no BAR: the text console uses
 * them, whatever PCI device is behind. */

#include <errno.h>

#include "agent-protocol.h"
#include "vmtrace.h"

#define WRITE AGENT_PATH " write"
#define XHCI "1b36:000d"

/* What a host plugs that no list names, with a reason each. */
static const struct {
	const char *device, *ids;
	/* SeaBIOS drives it, before there is a kernel. */
	bool firmware;
} crowd[] = {
	/* with MSI-X and extended capabilities, behind a port whose services look at it */
	{"nvme,serial=x,drive=null1,bus=rp1", "1b36:0010", true},
	/* a final fixup maps it and talks to it, and the driver is built in */
	{"qemu-xhci,id=xhci,bus=rp2", XHCI, true},
	/* a ROM, an arbiter */
	{"VGA,addr=0x10", "1234:1111", true},
	/* ports and memory, a ROM */
	{"e1000,addr=0x11", "8086:100e", false},
	/* nothing but a driver would want this one */
	{"ich9-intel-hda,addr=0x12", "8086:293e", false},
	/* two functions, both with final fixups */
	{"i82550,addr=0x13.0,multifunction=on,romfile=", "8086:1209", false},
	{"usb-ehci,addr=0x13.1", "8086:24cd", true},
	/* the machine's own; its driver is built in */
	{NULL, "8086:2922", true},
};
#define CROWD ELEMENTSOF(crowd)
#define PLUGGED "e1000e,id=nic1,bus=rp3,romfile="
#define PLUGGED_IDS "8086:10d3"

/* A guest with the crowd and with who is plugged later. */
struct scene {
	struct vm *vm;
	char *paths[CROWD + 1];
	struct trace_device devices[CROWD + 1];
	size_t n;
};

static void scene_done(struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->paths[i]);
}

static void add(struct scene *s, char *path)
{
	s->paths[s->n] = path;
	s->devices[s->n++] = vm_traced(s->vm, path);
}

static struct scene up(void **state, const char *kernel, const char *cmdline,
		       char *const *arguments)
{
	const char *devices[CROWD + 1] = {NULL};
	struct scene s = {0};

	for (size_t i = 0; i < CROWD; i++)
		devices[i] = crowd[i].device; /* the machine's own are last, and end the list */
	s.vm = vm_up(state, .kernel = kernel, .cmdline = cmdline, .devices = devices,
		     .arguments = arguments, .trace = true);
	for (size_t i = 0; i < CROWD; i++)
		add(&s, vm_find_pci(s.vm, crowd[i].ids));
	return s;
}

/* What user space and its modules do to devices that they find. */
static void try_all(const struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		vm_expect(s->vm, 0,
			  "find %s/ -type f ! -name uevent -exec head -c 5000 {} + > /dev/null "
			  "2>&1; :",
			  s->paths[i]);
	vm_expect(s->vm, 0, "cat /proc/bus/pci/*/* > /dev/null");
	vm_expect(s->vm, 0, "modprobe -a nvme e1000 e1000e");
	vm_expect(s->vm, 0, "echo 1 > /sys/bus/pci/rescan");
}

/* Plugs one more; returns when that was. */
static long plug(struct scene *s)
{
	long before = vm_trace_now(s->vm);

	add(s, vm_plug_pci(s->vm, PLUGGED, PLUGGED_IDS));
	return before;
}

static void expect_only_enumerated(const struct scene *s, long plugged)
{
	struct trace_count seen = vm_count(s->vm, plugged, &s->devices[CROWD]);

	assert_int_not_equal(seen.config, 0);
	assert_int_equal(seen.bars, 0);
}

static void expect_silence(void **state, const char *kernel_variant)
{
	struct scene s = up(state, kernel_variant, "dev_auth=enforce " VM_TRACE_BOOT, NULL);
	long kernel = vm_trace_kernel(s.vm), enumerated = vm_trace_enumerated(s.vm), plugged;

	try_all(&s);
	for (size_t i = 0; i < s.n; i++) {
		vm_expect_output(s.vm, "64", "head -c 5000 %s/config | wc -c", s.paths[i]);
		vm_expect(s.vm, EPERM, WRITE " %s/config x", s.paths[i]);
		vm_expect(s.vm, EPERM, WRITE " %s/enable 1", s.paths[i]);
	}
	vm_expect(s.vm, EPERM, WRITE " %s/reset 1", s.paths[0]);
	plugged = plug(&s);
	expect_only_enumerated(&s, plugged);
	plugged = vm_trace_now(s.vm);
	try_all(&s);
	assert_int_equal(vm_end(s.vm, "systemctl poweroff -ff"), 0);
	vm_expect_untouched(s.vm, plugged, &s.devices[CROWD], 1);
	vm_expect_untouched(s.vm, enumerated, s.devices, CROWD);
	/* The kernel has no business behind BARs at all, and where the firmware does not drive a
	 * device nobody has. */
	for (size_t i = 0; i < CROWD; i++) {
		assert_int_equal(vm_count(s.vm, crowd[i].firmware ? kernel : 0, &s.devices[i]).bars,
				 0);
	}
	scene_done(&s);
}

static void test_blocked_devices_are_silent_from_enumeration_to_power_off(void **state)
{
	expect_silence(state, "patched");
}

static void test_they_are_silent_in_a_kernel_with_all_their_drivers_built_in(void **state)
{
	expect_silence(state, "patched-catalogue");
}

/* This proves nothing unless the same devices are touched by the same acts. */
static void test_the_same_devices_are_touched_where_nothing_is_blocked(void **state)
{
	struct scene s = up(state, "patched", "dev_auth=off " VM_TRACE_BOOT, NULL);
	long enumerated = vm_trace_enumerated(s.vm), plugged;

	/* the controllers of which the driver is built in, by the boot alone */
	assert_int_not_equal(vm_count(s.vm, enumerated, &s.devices[1]).bars, 0);
	assert_int_not_equal(vm_count(s.vm, enumerated, &s.devices[CROWD - 1]).bars, 0);
	try_all(&s);
	for (size_t i = 0; i < CROWD; i++)
		assert_int_not_equal(vm_count(s.vm, enumerated, &s.devices[i]).config, 0);
	plugged = plug(&s);
	vm_expect_soon(s.vm, "[ -e %s/net/* ]", s.paths[CROWD]);
	assert_int_not_equal(vm_count(s.vm, plugged, &s.devices[CROWD]).bars, 0);
	scene_done(&s);
}

static void set_power(const struct scene *s, const char *control, const char *status)
{
	for (size_t i = 0; i < s->n; i++) {
		vm_expect(s->vm, 0, "echo %s > %s/power/control", control, s->paths[i]);
		vm_expect_soon(s->vm, "[ $(cat %s/power/runtime_status) = %s ]", s->paths[i],
			       status);
	}
}

static void expect_only_kept(const struct scene *s, long from)
{
	long to = vm_trace_now(s->vm);

	for (size_t i = 0; i < s->n; i++)
		vm_expect_only_kept(s->vm, from, to, &s->devices[i]);
	try_all(s);
	vm_expect_untouched(s->vm, to, s->devices, s->n);
}

/* That their state is indeed kept is for test-late.c to show. */
static void test_sleep_and_reset_only_keep_the_state_of_blocked_devices(void **state)
{
	/* Hot plug by the ports themselves, which look after sleep whether a device was replaced;
	 * the other tests have that by ACPI. */
	char *arguments[] = {(char[]){"-global"},
			     (char[]){"ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"}, NULL};
	struct scene s = up(state, "patched", "dev_auth=enforce", arguments);
	long now;

	(void)plug(&s);

	/* one at a time, as anybody may who may write to sysfs */
	now = vm_trace_now(s.vm);
	set_power(&s, "auto", "suspended");
	set_power(&s, "on", "active");
	assert_int_not_equal(vm_count(s.vm, now, &s.devices[CROWD]).config, 0);
	expect_only_kept(&s, now);

	/* the bus below a port, which is authorized and may be reset; whether the link is back in
	 * time is another matter */
	now = vm_trace_now(s.vm);
	vm_expect(s.vm, 0,
		  "for d in %s %s; do echo 1 > $d/../reset_subordinate; done; :", s.paths[0],
		  s.paths[CROWD]);
	assert_int_not_equal(vm_count(s.vm, now, &s.devices[CROWD]).config, 0);
	expect_only_kept(&s, now);

	/* A fatal error of the port, at the host's will: the link is reset, and what is below is
	 * not asked about the error. */
	now = vm_trace_now(s.vm);
	assert_int_equal(vm_monitor(s.vm, "pcie_aer_inject_error rp3 DLP"), 0);
	vm_expect_soon(s.vm, "dmesg | grep -q 'AER: device recovery'");
	expect_only_kept(&s, now);

	now = vm_trace_now(s.vm);
	assert_int_equal(vm_suspend(s.vm, 0), 0);
	assert_int_not_equal(vm_count(s.vm, now, &s.devices[CROWD]).config, 0);
	expect_only_kept(&s, now);

	now = vm_trace_now(s.vm);
	assert_int_equal(vm_end(s.vm, "systemctl reboot -ff"), 0);
	vm_expect_untouched(s.vm, now, s.devices, s.n);
	scene_done(&s);
}

static void test_a_device_is_silent_again_after_its_driver_is_gone(void **state)
{
	static const char *const devices[] = {"qemu-xhci,id=xhci,bus=rp2", NULL};
	struct vm *vm = vm_up(state, .kernel = "patched", .devices = devices, .trace = true,
			      .cmdline = "dev_auth=enforce dev_auth.allow=pci:" XHCI);
	char *path = vm_find_pci(vm, XHCI);
	struct trace_device device = vm_traced(vm, path);
	long now = vm_trace_now(vm);

	vm_expect_output(vm, "xhci_hcd", "basename $(readlink %s/driver)", path);
	vm_expect(vm, 0, "cat %s/config > /dev/null", path);
	assert_int_not_equal(vm_count(vm, now, &device).config, 0);
	vm_expect(vm, 0, "echo 0 > %s/authorized", path);
	now = vm_trace_now(vm);
	vm_expect(vm, 0,
		  "find %s/ -type f ! -name uevent -exec head -c 5000 {} + > /dev/null 2>&1; :",
		  path);
	vm_expect_untouched(vm, now, &device, 1);
	vm_expect(vm, 0, "echo 1 > %s/authorized", path);
	assert_int_not_equal(vm_count(vm, now, &device).bars, 0);
	free(path);
}

#define TESTS                                                                                      \
	vm_test(test_blocked_devices_are_silent_from_enumeration_to_power_off),                    \
		vm_test(test_the_same_devices_are_touched_where_nothing_is_blocked),               \
		vm_test(test_sleep_and_reset_only_keep_the_state_of_blocked_devices),              \
		vm_test(test_a_device_is_silent_again_after_its_driver_is_gone)

int main(void)
{
	static const struct CMUnitTest tests[] = {TESTS};
	static const struct CMUnitTest all[] = {
		TESTS, vm_test(test_they_are_silent_in_a_kernel_with_all_their_drivers_built_in)};

	if (!isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS("silence", all);
	return RUN_TESTS("silence", tests);
}
