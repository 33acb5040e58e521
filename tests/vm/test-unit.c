/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The units as they are shipped: that the sandbox is as tight as it is said to be, and that
 * everything works in it. */

#include "vmtest.h"

#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define ALLOW_NIC "/usr/share/tdx-lab/allow-e1000e.yaml"
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define MAIN_PID "systemctl show --value -p MainPID tdx-authd"
#define STATUS "systemctl show --value -p StatusText tdx-authd"
#define DROP_IN "/run/systemd/system/tdx-authd.service.d/test.conf"
#define USB "/sys/bus/usb/devices"

#define EXPOSURE                                                                                   \
	"systemd-analyze security --no-pager %s | sed -n 's/.*exposure level for [^:]*: "          \
	"\\([0-9.]*\\).*/\\1/p'"

static struct vm *up(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");

	vm_expect_soon(vm, IS_UP);
	vm_expect(vm, 0,
		  "install -D -m 644 " ALLOW_NIC " " OWNER " && systemctl restart tdx-authd");
	vm_expect(vm, 0, "udevadm settle");
	return vm;
}

static void expect_state(struct vm *vm, const char *device, const char *authorized,
			 const char *driver)
{
	vm_expect_output(vm, authorized, "cat %s/authorized", device);
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\"", device);
}

/* With settings beside the shipped ones, lines with \n between them. */
static void restart_with(struct vm *vm, const char *settings)
{
	vm_expect(vm, 0,
		  "mkdir -p $(dirname " DROP_IN ") && printf '[Service]\\n%s\\n' >" DROP_IN
		  " && systemctl daemon-reload && systemctl restart tdx-authd",
		  settings);
	vm_expect_soon(vm, IS_UP);
}

static void test_sandbox_exposes_at_most_one_of_ten(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *ours = vm_output(vm, EXPOSURE, "tdx-authd.service"),
			    *usbguard = vm_output(vm, EXPOSURE, "usbguard.service");

	printf("# exposure by systemd-analyze security: tdx-authd %s, usbguard %s\n", ours,
	       usbguard);
	if (strtod(ours, NULL) <= 0 || strtod(ours, NULL) > 1.0) {
		_cleanup_free_ char *table =
			vm_output(vm, "systemd-analyze security --no-pager tdx-authd.service");

		vm_fail(vm, "exposure %s:\n%s", ours, table);
	}
	assert_true(strtod(usbguard, NULL) > strtod(ours, NULL));
}

static void test_it_is_ready_before_udev_asks_for_events(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");

	vm_expect_soon(vm, IS_UP);
	vm_expect_soon(vm, "[ \"$(systemctl is-active systemd-udev-trigger)\" = active ]");
	vm_expect(vm, 0,
		  "ready=$(systemctl show --value -p ActiveEnterTimestampMonotonic tdx-authd); "
		  "asked=$(systemctl show --value -p ExecMainStartTimestampMonotonic "
		  "systemd-udev-trigger); [ $ready -gt 0 ] && [ $ready -le $asked ]");
}

#define USB_RULES                                                                                  \
	"  - {action: allow, driver: xhci_hcd, match: {pci: {vendor: 0x1b36, device: 0x000d}}}\\n" \
	"  - {action: allow, match: {usb: {product: QEMU USB Keyboard}}}\\n"

/* What is plugged is decided over, on each kind of bus, and what is kept in files is kept. */
static void test_everything_works_in_the_sandbox(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *nic = vm_plug_pci(vm, NIC_DEVICE, NIC), *stranger = NULL, *xhci = NULL;

	vm_expect_soon(vm, "[ -e %s/driver ]", nic);
	expect_state(vm, nic, "1", "e1000e");
	stranger = vm_plug_pci(vm, "e1000,id=nic2,bus=rp2,romfile=", "8086:100e");
	vm_expect(vm, 0, "udevadm settle");
	expect_state(vm, stranger, "0", "");

	/* usbcore's default is a parameter of a module, and of each root hub */
	vm_expect_output(vm, "0", "cat /sys/module/usbcore/parameters/authorized_default");
	vm_expect(vm, 0, "printf '" USB_RULES "' >> " OWNER " && systemctl reload tdx-authd");
	xhci = vm_plug_pci(vm, "qemu-xhci,id=xhci1,bus=rp4", "1b36:000d");
	vm_expect_soon(vm, "[ -e " USB "/usb2 ]");
	vm_expect_output(vm, "0", "cat " USB "/usb*/authorized_default | sort -u");
	vm_plug(vm, "usb-mouse,id=mouse1,bus=xhci1.0,port=1");
	vm_plug(vm, "usb-kbd,id=kbd1,bus=xhci1.0,port=2");
	vm_expect_soon(vm, "[ -e " USB "/1-2/1-2:1.0/driver ]");
	vm_expect_output(vm, "0", "cat " USB "/1-1/authorized");

	vm_expect(vm, 0, "grep -q %s /run/tdx-auth/state", nic);
	vm_expect_soon(vm, "grep -q 'devices{bus=\"usb\",verdict=\"deny\"} 1' "
			   "/run/tdx-auth/metrics.prom");
	vm_expect_output(vm, "644", "stat -c %%a /run/tdx-auth/metrics.prom");
	vm_expect_output(vm, "0",
			 "grep -v '^#' /run/tdx-auth/metrics.prom | "
			 "sed -n 's/^tdx_auth_impaired //p'");
	vm_expect(vm, 0, "! journalctl -u tdx-authd -p warning | grep tdx-authd");

	vm_expect(vm, 0, "tdx-authctl freeze && : > " OWNER " && systemctl reload tdx-authd");
	vm_expect_soon(vm, "journalctl -u tdx-authd | grep -q 'does not change after the freeze'");
	expect_state(vm, nic, "1", "e1000e");
}

/* The machine's network is not the daemon's, which sees what the default route is on all the same.
 */
static void test_a_reload_keeps_what_the_default_route_is_on(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *nic = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect_soon(vm, "[ -e %s/net/* ]", nic);
	vm_expect(vm, 0,
		  "n=$(basename %s/net/*) && busybox ip addr add 192.0.2.1/24 dev $n && "
		  "busybox ip link set $n up && busybox ip route add default via 192.0.2.2",
		  nic);
	vm_expect(vm, 0,
		  "printf 'version: 1\\ndefaults: { pci: deny }\\n' > " OWNER
		  " && systemctl reload tdx-authd");
	vm_expect_soon(vm, "journalctl -u tdx-authd | grep -q 'the default route is behind it'");
	vm_expect_soon(vm, STATUS " | grep -q 'policy REFUSED'");
	expect_state(vm, nic, "1", "e1000e");
}

/* USBGuard's issues 363, 284, 392 and 494: a unit that made /sys read-only, and nobody noticed. */
static void test_a_sandbox_that_forbids_to_write_is_said_at_start(void **state)
{
	static const char *const settings[] = {
		"ReadWritePaths=\\nReadWritePaths=/etc",
		"ReadOnlyPaths=/sys/devices",
		"User=nobody",
	};
	struct vm *vm = up(state);
	_cleanup_free_ char *nic = NULL;

	for (size_t i = 0; i < ELEMENTSOF(settings); i++) {
		restart_with(vm, settings[i]);
		vm_expect(vm, 0, STATUS " | grep -q 'CANNOT ENFORCE'");
		vm_expect_output(vm, "1",
				 "sed -n 's/^tdx_auth_impaired //p' "
				 "/run/tdx-auth/metrics.prom");
		vm_expect(vm, 0,
			  "journalctl -u tdx-authd -p err | tail -n 5 | grep 'systemctl cat'");
		vm_expect(vm, 0, "systemctl stop tdx-authd.socket tdx-authd");
		vm_expect_output(vm, "1", "systemctl show --value -p ExecMainStatus tdx-authd");
	}
	vm_expect(vm, 0, "rm " DROP_IN " && systemctl daemon-reload && systemctl start tdx-authd");
	vm_expect(vm, 0, "! " STATUS " | grep 'CANNOT'");
	nic = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_soon(vm, "[ -e %s/driver ]", nic);
}

static void test_a_runtime_directory_that_is_not_writable_is_said_at_start(void **state)
{
	struct vm *vm = up(state);

	restart_with(vm, "ReadOnlyPaths=/run/tdx-auth");
	vm_expect(vm, 0, STATUS " | grep -q 'CANNOT KEEP STATE'");
	vm_expect(vm, 0, "journalctl -u tdx-authd -p err | grep -q 'will not outlive'");
}

#define SOCKET_OF_DAEMON "readlink /proc/$(" MAIN_PID ")/fd/3"

/* The same one, so that what came meanwhile waits in it; and what comes starts the daemon. */
static void test_the_socket_outlives_the_daemon(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *before = vm_output(vm, SOCKET_OF_DAEMON), *nic = NULL, *pid = NULL;

	assert_non_null(startswith(before, "socket:"));
	pid = vm_output(vm, MAIN_PID);
	vm_expect(vm, 0, "kill -KILL %s", pid);
	vm_expect_soon(vm, IS_UP " && [ \"$(" MAIN_PID ")\" != %s ]", pid);
	vm_expect_output(vm, before, SOCKET_OF_DAEMON);
	vm_expect(vm, 0, "systemctl stop tdx-authd");
	nic = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_soon(vm, IS_UP);
	vm_expect_soon(vm, "[ -e %s/driver ]", nic);
	vm_expect_output(vm, before, SOCKET_OF_DAEMON);
}

/* USBGuard's issue 350: a daemon that lived on and did nothing. */
static void test_a_daemon_that_hangs_is_replaced(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *pid = NULL, *nic = NULL;

	restart_with(vm, "WatchdogSec=3s");
	pid = vm_output(vm, MAIN_PID);
	vm_expect(vm, 0, "kill -STOP %s", pid);
	nic = vm_plug_pci(vm, NIC_DEVICE, NIC);
	expect_state(vm, nic, "0", "");
	vm_expect_soon(vm, IS_UP " && [ \"$(" MAIN_PID ")\" != %s ]", pid);
	vm_expect_soon(vm, "[ -e %s/driver ]", nic);
	vm_expect(vm, 0, "journalctl -u tdx-authd | grep -qi 'watchdog'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_sandbox_exposes_at_most_one_of_ten),
		vm_test(test_it_is_ready_before_udev_asks_for_events),
		vm_test(test_everything_works_in_the_sandbox),
		vm_test(test_a_reload_keeps_what_the_default_route_is_on),
		vm_test(test_a_sandbox_that_forbids_to_write_is_said_at_start),
		vm_test(test_a_runtime_directory_that_is_not_writable_is_said_at_start),
		vm_test(test_the_socket_outlives_the_daemon),
		vm_test(test_a_daemon_that_hangs_is_replaced),
	};

	return RUN_TESTS("unit", tests);
}
