/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* More events than the daemon can take, events that are lost, and some that are not the kernel's.
 */

#include "agent-protocol.h"
#include "vmtest.h"

#define NIC "8086:10d3"
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define ALLOW_NIC "/usr/share/tdx-lab/allow-e1000e.yaml"
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define MAIN_PID "systemctl show --value -p MainPID tdx-authd"
#define STATUS "systemctl show --value -p StatusText tdx-authd"
#define METRIC(name) "sed -n 's/^tdx_auth_" name " //p' /run/tdx-auth/metrics.prom"
#define DESCRIPTORS "ls /proc/$(" MAIN_PID ")/fd | wc -l"
#define RESIDENT "sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$(" MAIN_PID ")/status"
#define ALL_STATES "grep -s . /sys/bus/*/devices/*/authorized"

/* A guest in which nobody but the daemon listens: udevd would take minutes. */
static struct vm *up(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");

	vm_expect_soon(vm, IS_UP);
	vm_expect(vm, 0, "udevadm settle");
	vm_expect(vm, 0,
		  "systemctl stop systemd-udevd-kernel.socket systemd-udevd-control.socket "
		  "systemd-udevd.service && modprobe e1000e");
	vm_expect(vm, 0,
		  "install -D -m 644 " ALLOW_NIC " " OWNER " && systemctl restart tdx-authd");
	return vm;
}

#define FLOOD_MS 400000U /* that 100,000 events may take */

/* Events are taken in their order: when this device has been decided over, all before it were. */
static void settle(struct vm *vm, const char *device)
{
	_cleanup_free_ char *path = vm_plug_pci(vm, device, NIC), *has_driver = NULL;

	assert_true(asprintf(&has_driver, "[ -e %s/driver ]", path) > 0);
	if (vm_wait_for(vm, has_driver, FLOOD_MS) < 0)
		vm_fail(vm, "%s was not decided over", path);
	vm_expect_output(vm, "1", "cat %s/authorized", path);
}

static unsigned long number(struct vm *vm, const char *command)
{
	_cleanup_free_ char *text = vm_output(vm, "%s", command);
	unsigned long value = strtoul(text, NULL, 10);

	if (value == 0)
		vm_fail(vm, "%s: no number: %s", command, text);
	return value;
}

static void test_a_flood_of_100000_events_leaves_nothing_behind(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *states = NULL, *descriptors = NULL, *pid = vm_output(vm, MAIN_PID);
	unsigned long before, after;

	settle(vm, "e1000e,id=nic1,bus=rp1,romfile=");
	states = vm_output(vm, ALL_STATES);
	descriptors = vm_output(vm, DESCRIPTORS);
	before = number(vm, RESIDENT);
	/* those of acpi may have become others, so that they are read each time: ten times as slow
	 */
	for (int i = 0; i < 9; i++)
		vm_expect(vm, 0, AGENT_PATH " flood 10000 pci virtio pnp platform");
	vm_expect(vm, 0, AGENT_PATH " flood 10000 pci virtio pnp platform acpi");
	vm_expect_output(vm, states, ALL_STATES);
	vm_unplug(vm, "nic1");
	settle(vm, "e1000e,id=nic2,bus=rp2,romfile=");
	vm_expect_output(vm, pid, MAIN_PID);
	vm_expect_soon(vm, "[ $(" DESCRIPTORS ") = %s ]", descriptors);
	after = number(vm, RESIDENT);
	printf("# resident kB before the flood %lu, after it %lu\n", before, after);
	assert_true(after * 10 <= before * 11);
	vm_expect_output(vm, "0", METRIC("event_overflows_total"));
}

/* Neither the device that went nor the one that came is told of any more when it wakes up.
 * usbguard#349: the first ENOBUFS ended its event thread, and the process lived on. */
static void test_what_lost_events_told_of_is_found_all_the_same(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *nic = NULL, *pid = NULL;

	vm_expect(vm, 0,
		  "for u in service socket; do mkdir -p /run/systemd/system/tdx-authd.$u.d; done; "
		  "printf '[Service]\\nWatchdogSec=0\\n' "
		  ">/run/systemd/system/tdx-authd.service.d/test.conf; "
		  "printf '[Socket]\\nReceiveBuffer=4K\\n' "
		  ">/run/systemd/system/tdx-authd.socket.d/test.conf; systemctl daemon-reload && "
		  "systemctl stop tdx-authd.socket tdx-authd && systemctl start tdx-authd");
	settle(vm, "e1000e,id=nic1,bus=rp1,romfile=");
	vm_expect_soon(vm, "[ \"$(" METRIC("devices{bus=\"pci\",verdict=\"allow\"}") ")\" = 1 ]");
	pid = vm_output(vm, MAIN_PID);
	vm_expect(vm, 0, "kill -STOP %s && " AGENT_PATH " flood 1000 pci platform", pid);
	vm_unplug(vm, "nic1");
	nic = vm_plug_pci(vm, "e1000e,id=nic2,bus=rp2,romfile=", NIC);
	vm_expect_output(vm, "0", "cat %s/authorized", nic);
	vm_expect(vm, 0, "kill -CONT %s", pid);
	vm_expect_soon(vm, "[ -e %s/driver ]", nic);
	vm_expect_soon(vm, STATUS " | grep 'events lost [1-9]'");
	vm_expect_soon(vm, "[ \"$(" METRIC("event_overflows_total") ")\" -gt 0 ]");
	vm_expect_output(vm, "1", METRIC("devices{bus=\"pci\",verdict=\"allow\"}"));
	vm_expect_output(vm, pid, MAIN_PID);
}

static void test_messages_that_are_not_the_kernels_are_dropped_and_counted(void **state)
{
	struct vm *vm = up(state);

	vm_expect(vm, 0, AGENT_PATH " forge 1000");
	settle(vm, "e1000e,id=nic1,bus=rp1,romfile=");
	vm_expect_soon(vm, STATUS " | grep 'dropped: 1000 forged, 0 malformed'");
	vm_expect_soon(vm, "[ \"$(" METRIC("forged_messages_total") ")\" = 1000 ]");
	vm_expect_output(
		vm, "1",
		"journalctl -u tdx-authd | grep -c \"looks like the kernel's, and is not\"");
	vm_expect(vm, 0, "! journalctl -u tdx-authd | grep /devices/forged");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_a_flood_of_100000_events_leaves_nothing_behind),
		vm_test(test_what_lost_events_told_of_is_found_all_the_same),
		vm_test(test_messages_that_are_not_the_kernels_are_dropped_and_counted),
	};

	return RUN_TESTS("events", tests);
}
