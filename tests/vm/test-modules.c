/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The module policy in force: modprobe, udev and the kernel's own requests run into it. On a kernel
 * without the series, where nothing else keeps a driver from a device. */

#include "vmtest.h"

#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define GATE "/usr/lib/tdx-auth/tdx-auth-modgate"
#define LOADED(module) "grep -q '^" module " ' /proc/modules"
#define RECORD(module, text) "journalctl -q TDX_AUTH_MODULE=" module " | grep -q '" text "'"

static struct vm *up(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "stock", .init = VM_INIT_SYSTEMD);

	vm_expect_soon(vm, "[ \"$(systemctl is-active tdx-authd)\" = active ]");
	vm_expect(vm, 0, "mkdir -p /etc/tdx-auth/policy.d; udevadm settle");
	return vm;
}

/* The section `modules`, and rules. */
static void render(struct vm *vm, const char *modules, const char *rules)
{
	vm_expect(vm, 0,
		  "printf 'version: 1\\nmodules: { %s }\\nrules: [ %s ]\\n' "
		  ">/etc/tdx-auth/policy.d/50-owner.yaml && tdx-authctl modules render",
		  modules, rules);
	vm_expect(vm, 0, "tdx-authctl modules check");
}

static void test_modprobe_of_a_denied_module_fails_with_the_reason(void **state)
{
	struct vm *vm = up(state);

	vm_expect(vm, 0, "modprobe e1000 && rmmod e1000");
	render(vm, "mode: enforce", "");
	vm_expect(vm, 0, "tdx-authctl status | grep '^Modules: *enforce$'");
	vm_expect(vm, 0,
		  "! modprobe e1000 2>/tmp/out && grep -q 'module e1000 (by modprobe) is denied: "
		  "nothing in the policy needs it' /tmp/out");
	vm_expect(vm, 1, LOADED("e1000"));
	vm_expect_soon(vm, RECORD("e1000", "is denied: nothing in the policy needs it"));
	/* by an alias, which is told */
	vm_expect(vm, 0,
		  "! modprobe pci:v00008086d0000100Esv0sd0bc02sc00i00 2>/tmp/out && "
		  "grep -q 'e1000 (wanted as pci:v00008086d0000100E' /tmp/out");
	/* without the command it is refused all the same */
	vm_expect(vm, 0, "mount --bind /dev/null " GATE " && ! modprobe e1000");
	vm_expect(vm, 1, LOADED("e1000"));
	vm_expect(vm, 0, "umount " GATE " && rm /etc/tdx-auth/modules.table && ! modprobe e1000");
	vm_expect(vm, 1, LOADED("e1000"));
}

static void test_udev_loads_no_denied_module_and_does_load_an_allowed_one(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = NULL;

	/* for a device that the daemon refuses udev asks for none */
	vm_expect(vm, 0, "systemctl stop tdx-authd.socket tdx-authd");
	render(vm, "mode: enforce", "");
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_soon(vm, RECORD("e1000e", "by .*udev.* is denied"));
	vm_expect(vm, 0, "udevadm settle");
	vm_expect(vm, 1, LOADED("e1000e"));
	vm_expect_output(vm, "", "basename \"$(readlink %s/driver)\"", device);
	/* udevd reads its configuration again, as it was told to */
	render(vm, "mode: enforce",
	       "{ action: allow, driver: e1000e, match: { pci: { vendor: 0x8086, device: 0x10d3 } "
	       "} "
	       "}");
	vm_expect(vm, 0, "udevadm trigger -c add %s && udevadm settle", device);
	vm_expect_soon(vm, LOADED("e1000e"));
}

static void test_the_kernels_own_request_is_denied_where_strict(void **state)
{
	struct vm *vm = up(state);

	render(vm, "mode: enforce, strict: true", "");
	vm_expect(vm, 0, "! modprobe efivarfs && ! mount -t efivarfs none /mnt");
	vm_expect_soon(vm, RECORD("efivarfs", "wanted as fs-efivarfs"));
	vm_expect(vm, 1, LOADED("efivarfs"));
	render(vm, "mode: enforce", "");
	vm_expect(vm, 0, "modprobe efivarfs");
	vm_expect(vm, 0, LOADED("efivarfs"));
}

static void test_allowed_modules_keep_options_and_soft_dependencies(void **state)
{
	struct vm *vm = up(state);

	vm_expect(vm, 0,
		  "printf 'options dummy_hcd num=2\\nsoftdep dummy_hcd pre: e1000\\n"
		  "softdep usb-storage pre: nvme\\n' >/etc/modprobe.d/own.conf");
	render(vm, "mode: enforce, allow: [dummy_hcd]", "");
	vm_expect(vm, 0, "modprobe dummy_hcd");
	vm_expect_output(vm, "2", "cat /sys/module/dummy_hcd/parameters/num");
	vm_expect(vm, 0, LOADED("e1000"));
	/* libkmod has no ear for `install` of a module with soft dependencies: they are not there
	 */
	vm_expect(vm, 0, "! modprobe usb-storage");
	vm_expect(vm, 1, LOADED("usb_storage") "|| " LOADED("nvme"));
}

static void test_an_audit_loads_what_it_would_deny_as_it_was_asked_for(void **state)
{
	struct vm *vm = up(state);

	render(vm, "mode: audit", "");
	vm_expect(vm, 0, "modprobe dummy_hcd num=2");
	vm_expect_output(vm, "2", "cat /sys/module/dummy_hcd/parameters/num");
	vm_expect_soon(vm, RECORD("dummy_hcd", "would be denied"));
	/* what it depends on is loaded the same way */
	vm_expect_soon(vm, RECORD("udc_core", "would be denied"));
	/* each word is a module's, and none another one's parameter */
	vm_expect(vm, 0, "modprobe -a e1000 e1000e && " LOADED("e1000") " && " LOADED("e1000e"));
	vm_expect(vm, 1, "dmesg | grep 'e1000: unknown parameter'");
	render(vm, "mode: \"off\"", "");
	vm_expect(vm, 0, "modprobe nvme");
	vm_expect(vm, 1, RECORD("nvme", "."));
}

static void test_modprobe_d_takes_a_device_but_not_what_the_machine_runs_on(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce modprobe.blacklist=e1000");
	_cleanup_free_ char *device = NULL, *old = NULL;

	vm_expect_soon(vm, "[ \"$(systemctl is-active tdx-authd)\" = active ]");
	vm_expect(vm, 0,
		  "mkdir -p /etc/tdx-auth/policy.d && printf 'version: 1\ndefaults: { pci: allow "
		  "}\n' "
		  ">/etc/tdx-auth/policy.d/50-owner.yaml && systemctl reload tdx-authd");
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_soon(vm, "[ -e %s/net/* ]", device);
	old = vm_plug_pci(vm, "e1000,id=old1,bus=rp2,romfile=", "8086:100e");
	vm_expect_soon(vm, "journalctl -u tdx-authd | grep -q '%s.*/proc/cmdline:1'",
		       strrchr(old, '/') + 1);
	vm_expect_output(vm, "0", "cat %s/authorized", old);
	vm_expect(vm, 0,
		  "udevadm settle && n=$(basename %s/net/*) && busybox ip addr add 192.0.2.1/24 "
		  "dev $n && "
		  "busybox ip link set $n up && busybox ip route add default via 192.0.2.2",
		  device);
	vm_expect(vm, 0, "echo blacklist e1000e >/etc/modprobe.d/own.conf");
	vm_expect_soon(vm, "journalctl -u tdx-authd | grep -q 'the default route is behind it'");
	vm_expect_soon(vm, "journalctl -u tdx-authd | grep -q 'refuses now is not heeded'");
	vm_expect_output(vm, "1", "cat %s/authorized", device);
	vm_expect(vm, 0,
		  "busybox ip route del default && touch /etc/modprobe.d/own.conf && "
		  "echo >>/etc/modprobe.d/own.conf");
	vm_expect_soon(vm, "[ \"$(cat %s/authorized)\" = 0 ]", device);
	vm_expect(
		vm, 0,
		"tdx-authctl explain pci:$(basename %s) | grep -q '/etc/modprobe.d/own.conf:1: no "
		"module'",
		device);
	vm_expect(vm, 0, "rm /etc/modprobe.d/own.conf");
	vm_expect_soon(vm, "[ \"$(cat %s/authorized)\" = 1 ]", device);
}

static void test_who_authorizes_a_device_does_not_allow_its_module(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");
	_cleanup_free_ char *device = NULL;

	vm_expect_soon(vm, "[ \"$(systemctl is-active tdx-authd)\" = active ]");
	vm_expect(vm, 0, "mkdir -p /etc/tdx-auth/policy.d");
	render(vm, "mode: enforce", "");
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect(vm, 0, "udevadm settle");
	/* nobody asked for it while the device was refused */
	vm_expect(vm, 1, RECORD("e1000e", "."));
	vm_expect(vm, 0, "tdx-authctl authorize pci:$(basename %s)", device);
	vm_expect_output(vm, "1", "cat %s/authorized", device);
	vm_expect_soon(vm, RECORD("e1000e", "by .*udev.* is denied"));
	vm_expect(vm, 1, LOADED("e1000e"));
	render(vm, "mode: enforce, allow: [e1000e]", "");
	vm_expect(vm, 0, "udevadm trigger -c change %s", device);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_modprobe_of_a_denied_module_fails_with_the_reason),
		vm_test(test_udev_loads_no_denied_module_and_does_load_an_allowed_one),
		vm_test(test_the_kernels_own_request_is_denied_where_strict),
		vm_test(test_allowed_modules_keep_options_and_soft_dependencies),
		vm_test(test_an_audit_loads_what_it_would_deny_as_it_was_asked_for),
		vm_test(test_modprobe_d_takes_a_device_but_not_what_the_machine_runs_on),
		vm_test(test_who_authorizes_a_device_does_not_allow_its_module),
	};

	return RUN_TESTS("modules", tests);
}
