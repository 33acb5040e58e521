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

static void test_it_is_ready_before_udev(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");

	vm_expect_soon(vm, IS_UP);
	vm_expect_soon(vm, "[ \"$(systemctl is-active systemd-udev-trigger)\" = active ]");
	vm_expect(vm, 0,
		  "ready=$(systemctl show --value -p ActiveEnterTimestampMonotonic tdx-authd); "
		  "asked=$(systemctl show --value -p ExecMainStartTimestampMonotonic "
		  "systemd-udev-trigger); started=$(systemctl show --value -p "
		  "ExecMainStartTimestampMonotonic systemd-udevd); "
		  "[ $ready -gt 0 ] && [ $ready -le $started ] && [ $ready -le $asked ]");
}

#define USB_RULES                                                                                  \
	"  - {action: allow, driver: xhci_hcd, match: {pci: {vendor: 0x1b36, device: 0x000d}}}\\n" \
	"  - {action: allow, match: {usb: {product: QEMU USB Keyboard}}}\\n"

/* What is plugged is decided over, on each kind of bus, and what is kept in files is kept. */
static void test_everything_works_in_the_sandbox(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *nic = vm_plug_pci(vm, NIC_DEVICE, NIC), *stranger = NULL;

	vm_expect_soon(vm, "[ -e %s/driver ]", nic);
	expect_state(vm, nic, "1", "e1000e");
	stranger = vm_plug_pci(vm, "e1000,id=nic2,bus=rp2,romfile=", "8086:100e");
	vm_expect(vm, 0, "udevadm settle");
	expect_state(vm, stranger, "0", "");

	/* usbcore's default is a parameter of a module, and of each root hub */
	vm_expect_output(vm, "0", "cat /sys/module/usbcore/parameters/authorized_default");
	vm_expect(vm, 0, "printf '" USB_RULES "' >> " OWNER " && systemctl reload tdx-authd");
	free(vm_plug_pci(vm, "qemu-xhci,id=xhci1,bus=rp4", "1b36:000d"));
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

/* usbguard#363, usbguard#284, usbguard#392, usbguard#494: a unit that made /sys read-only, and
 * nobody noticed. */
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

#define GADGET "/sys/kernel/config/usb_gadget/g1"

/* A device of the guest's own making, with a name that would make up fields of a record. */
static void plug_gadget(struct vm *vm)
{
	vm_expect(vm, 0,
		  "modprobe -a dummy_hcd libcomposite && { mountpoint -q /sys/kernel/config || "
		  "mount -t configfs none /sys/kernel/config; }");
	vm_expect(vm, 0,
		  "mkdir " GADGET " && cd " GADGET " && echo 0x1d6b > idVendor && "
		  "echo 0x0104 > idProduct && mkdir strings/0x409 configs/c.1 "
		  "functions/SourceSink.0 && ln -s functions/SourceSink.0 configs/c.1/ && "
		  "printf 'evil\" res=failed\\nop=refuse' > strings/0x409/product && "
		  "ls /sys/class/udc > UDC");
}

#define RECORDS "journalctl _AUDIT_TYPE_NAME=USER_DEVICE -o cat"

static void test_the_audit_system_has_what_was_written(void **state)
{
	struct vm *vm = up(state);

	vm_expect(vm, 0,
		  "printf '[Journal]\\nAudit=yes\\n' > /etc/systemd/journald.conf.d/test.conf && "
		  "systemctl start systemd-journald-audit.socket && "
		  "systemctl restart systemd-journald");
	vm_expect(vm, 0,
		  "printf 'version: 1\\nrules:\\n- {action: allow, match: {usb: {product: "
		  "\"*evil*\"}}}\\n' > " OWNER " && systemctl restart tdx-authd");
	plug_gadget(vm);
	vm_expect_soon(vm, "[ \"$(cat " USB "/1-1/authorized)\" = 1 ]");
	/* evil" res=failed, a newline, op=refuse */
	vm_expect_soon(vm,
		       RECORDS " | grep 'op=authorize bus=usb device=\"/sys/devices/[^\"]*/1-1\" "
			       ".* product=6576696C22207265733D6661696C65640A6F703D726566757365 "
			       "rule=\"50-owner.yaml:3\" .* res=success'");
	vm_expect_output(vm, "1", RECORDS " | grep -c /usb1/1-1");
	vm_expect(vm, 0, "! " RECORDS " | grep -e 'res=failed' -e 'op=refuse'");
	vm_expect(vm, 0,
		  "printf 'version: 1\\ndefaults: { usb: deny }\\n' > " OWNER
		  " && systemctl reload tdx-authd");
	vm_expect_soon(vm, RECORDS " | grep 'op=refuse bus=usb .*/1-1'");
}

/* As it is where nothing lets the daemon send records. */
static void test_without_the_audit_system_nothing_is_missed(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *nic = NULL;

	restart_with(vm, "CapabilityBoundingSet=");
	nic = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_soon(vm, "[ -e %s/driver ]", nic);
	vm_expect(vm, 0, "! journalctl -u tdx-authd | grep -i audit");
	vm_expect(vm, 0,
		  "printf 'version: 1\\naudit: yes\\n' > /etc/tdx-auth/tdx-authd.yaml && "
		  "systemctl restart tdx-authd");
	vm_expect(vm, 0, "journalctl -u tdx-authd -p warning | grep 'no records for the audit'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_sandbox_exposes_at_most_one_of_ten),
		vm_test(test_it_is_ready_before_udev),
		vm_test(test_everything_works_in_the_sandbox),
		vm_test(test_a_reload_keeps_what_the_default_route_is_on),
		vm_test(test_a_sandbox_that_forbids_to_write_is_said_at_start),
		vm_test(test_a_runtime_directory_that_is_not_writable_is_said_at_start),
		vm_test(test_the_socket_outlives_the_daemon),
		vm_test(test_a_daemon_that_hangs_is_replaced),
		vm_test(test_the_audit_system_has_what_was_written),
		vm_test(test_without_the_audit_system_nothing_is_missed),
	};

	return RUN_TESTS("unit", tests);
}
