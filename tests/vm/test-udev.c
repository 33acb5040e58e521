/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The udev rules: no module for a device that is not authorized, on a kernel that says so in its
 * events and on one that does not; and the mode in which the rules alone decide. */

#include "vmtest.h"

#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define CONFIG "/etc/tdx-auth/tdx-authd.yaml"
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define STOP "systemctl stop tdx-authd.socket tdx-authd"

#define ALLOW                                                                                      \
	"- {name: nic, action: allow, driver: e1000e, match: {pci: {vendor: 0x8086, device: "      \
	"0x10d3}}}\\n"
#define POLICY                                                                                     \
	"version: 1\\nrules:\\n" ALLOW                                                             \
	"- {name: old-nic, action: deny, match: {pci: {vendor: 0x8086, device: 0x100e}}}\\n"

#define ALLOWED "e1000e,id=nic1,bus=rp1,romfile="
#define DENIED "e1000,id=old1,bus=rp2,romfile="
#define UNLISTED "nvme,id=nvme1,serial=x,drive=null1,bus=rp3"

struct kernel {
	const char *name, *cmdline;
};

static const struct kernel patched = {"patched", "dev_auth=enforce"}, stock = {"stock", ""};

static struct vm *up(void **state, const struct kernel *kernel)
{
	struct vm *vm = vm_up(state, .kernel = kernel->name, .init = VM_INIT_SYSTEMD,
			      .cmdline = kernel->cmdline);

	vm_expect_soon(vm, IS_UP);
	vm_expect(vm, 0, "mkdir -p /etc/tdx-auth/policy.d && printf '" POLICY "' > " OWNER);
	return vm;
}

static void expect_property(struct vm *vm, const char *device, const char *property,
			    const char *value)
{
	vm_expect(vm, 0, "udevadm settle");
	vm_expect_output(vm, value, "udevadm info -q property --property=%s --value %s", property,
			 device);
}

static void expect_verdict(struct vm *vm, const char *device, const char *verdict, const char *rule)
{
	expect_property(vm, device, "TDX_AUTH_VERDICT", verdict);
	expect_property(vm, device, "TDX_AUTH_RULE", rule);
}

static void expect_module(struct vm *vm, const char *module, bool is_loaded)
{
	vm_expect(vm, 0, "udevadm settle");
	vm_expect(vm, is_loaded ? 0 : 1, "[ -e /sys/module/%s ]", module);
}

static void expect_driver(struct vm *vm, const char *device, const char *driver)
{
	vm_expect_soon(vm, "[ \"$(basename \"$(readlink %s/driver)\")\" = '%s' ]", device, driver);
}

static void expect_modules_for_the_authorized_alone(struct vm *vm)
{
	_cleanup_free_ char *nic = NULL, *old = NULL, *nvme = NULL;

	old = vm_plug_pci(vm, DENIED, "8086:100e");
	expect_verdict(vm, old, "deny", "50-owner.yaml:old-nic");
	expect_module(vm, "e1000", false);
	nvme = vm_plug_pci(vm, UNLISTED, "1b36:0010");
	expect_module(vm, "nvme", false);
	expect_driver(vm, nvme, "");
	nic = vm_plug_pci(vm, ALLOWED, "8086:10d3");
	expect_verdict(vm, nic, "allow", "50-owner.yaml:nic");
	expect_driver(vm, nic, "e1000e");
	/* an event that waited, of a device that was there before it */
	vm_expect(vm, 0, "MODALIAS=$(cat %s/modalias) /usr/lib/tdx-auth/tdx-auth-udev %s", nic,
		  nic);
	vm_expect(vm, 1, "MODALIAS=pci:v00008086d0000100E /usr/lib/tdx-auth/tdx-auth-udev %s", nic);
}

static void expect_module_once_authorized(struct vm *vm)
{
	_cleanup_free_ char *old = vm_plug_pci(vm, DENIED, "8086:100e");

	expect_module(vm, "e1000", false);
	vm_expect(vm, 0, "tdx-authctl authorize $(basename %s)", old);
	expect_driver(vm, old, "e1000");
	expect_verdict(vm, old, "allow", "by hand");
}

static void with_the_daemon(void **state, const struct kernel *kernel)
{
	struct vm *vm = up(state, kernel);

	vm_expect(vm, 0, "systemctl restart tdx-authd");
	expect_modules_for_the_authorized_alone(vm);
	vm_unplug(vm, "old1");
	expect_module_once_authorized(vm);
}

static void test_modules_load_for_authorized_devices_alone(void **state)
{
	with_the_daemon(state, &patched);
}

static void test_modules_load_for_authorized_devices_alone_on_a_stock_kernel(void **state)
{
	with_the_daemon(state, &stock);
}

/* The program that is asked for the verdict is not there, or does not work. */
static void test_no_verdict_no_module(void **state)
{
	struct vm *vm = up(state, &stock);
	_cleanup_free_ char *nic = NULL;

	vm_expect(vm, 0, STOP "; rm /usr/lib/tdx-auth/tdx-auth-udev");
	nic = vm_plug_pci(vm, ALLOWED, "8086:10d3");
	expect_property(vm, nic, "TDX_AUTH_VERDICT", "unknown");
	expect_module(vm, "e1000e", false);
}

/* It starts again, or is meant to: the host may have plugged the device because it does. */
static void test_while_the_daemon_is_away_no_module_is_loaded(void **state)
{
	struct vm *vm = up(state, &stock);
	_cleanup_free_ char *old = NULL;

	vm_expect(vm, 0,
		  "cd /usr/lib/tdx-auth && mv tdx-authd away && systemctl kill -s KILL tdx-authd");
	old = vm_plug_pci(vm, DENIED, "8086:100e");
	expect_property(vm, old, "TDX_AUTH_VERDICT", "unknown");
	expect_module(vm, "e1000", false);
}

/* Who stopped the daemon, and did not ask for the rules to decide, has no device refused. */
static void test_without_daemon_and_mode_nothing_is_decided(void **state)
{
	struct vm *vm = up(state, &stock);
	_cleanup_free_ char *nic = NULL;

	vm_expect(vm, 0, STOP);
	nic = vm_plug_pci(vm, DENIED, "8086:100e");
	expect_verdict(vm, nic, "none", "no daemon runs");
	expect_module(vm, "e1000", true);
}

static void rules_alone(void **state, const struct kernel *kernel)
{
	struct vm *vm = up(state, kernel);

	vm_expect(vm, 0, STOP "; printf 'version: 1\\nrules-only: true\\n' > " CONFIG);
	expect_modules_for_the_authorized_alone(vm);
	/* a driver whose name has a blank */
	if (kernel == &stock)
		vm_expect(vm, 0,
			  "udevadm test -a add '/sys/bus/pnp/drivers/i8042 aux' 2>&1 | "
			  "grep \"tdx-auth-udev '/sys/bus/pnp/drivers/i8042 aux'\"");
	/* and a daemon that comes later takes over what they decided, not as by hand */
	vm_expect(vm, 0,
		  "printf 'version: 1\\nrules:\\n" ALLOW
		  "- {name: old-nic, action: allow, driver: e1000, match: {pci: {vendor: 0x8086, "
		  "device: 0x100e}}}\\n' > " OWNER "; systemctl start tdx-authd");
	vm_expect_soon(vm, "grep -q ' allow 50-owner.yaml:old-nic' /run/tdx-auth/state");
	vm_expect_soon(vm, "[ -e /sys/bus/pci/drivers/e1000/0*:* ]");
}

/* Who decides may have passed the device before its driver came. */
static void test_a_driver_that_comes_while_another_run_decides_is_offered_then(void **state)
{
	struct vm *vm = up(state, &stock);
	_cleanup_free_ char *nic = NULL;

	vm_expect(vm, 0, STOP "; printf 'version: 1\\nrules-only: true\\n' > " CONFIG);
	nic = vm_plug_pci(vm, ALLOWED, "8086:10d3");
	expect_driver(vm, nic, "e1000e");
	vm_expect(vm, 0,
		  "udevadm settle && rmmod e1000e && udevadm settle && "
		  "/usr/lib/tdx-lab/agent lock /run/tdx-auth/state /run/holder && modprobe e1000e");
	/* it waits, and nobody else gives the device to it */
	vm_expect_soon(vm, "grep -qs tdx-authctl /proc/[0-9]*/comm");
	vm_expect(vm, 0, "sleep 1; ! [ -e %s/driver ]", nic);
	vm_expect(vm, 0, "kill $(cat /run/holder)");
	expect_driver(vm, nic, "e1000e");
}

static void test_the_rules_alone_decide(void **state)
{
	rules_alone(state, &patched);
}

static void test_the_rules_alone_decide_on_a_stock_kernel(void **state)
{
	rules_alone(state, &stock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_modules_load_for_authorized_devices_alone),
		vm_test(test_modules_load_for_authorized_devices_alone_on_a_stock_kernel),
		vm_test(test_no_verdict_no_module),
		vm_test(test_while_the_daemon_is_away_no_module_is_loaded),
		vm_test(test_without_daemon_and_mode_nothing_is_decided),
		vm_test(test_a_driver_that_comes_while_another_run_decides_is_offered_then),
		vm_test(test_the_rules_alone_decide),
		vm_test(test_the_rules_alone_decide_on_a_stock_kernel),
	};

	return RUN_TESTS("udev", tests);
}
