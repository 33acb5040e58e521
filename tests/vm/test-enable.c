/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A policy that is told first, and then done: "mode", enable and disable. On a kernel without the
 * series, where nothing else refuses. */

#include "vmtest.h"

#define DIRECTORY "/etc/tdx-auth/policy.d"
#define OWNER DIRECTORY "/50-owner.yaml"
#define MODE DIRECTORY "/00-mode.yaml"
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define STOP "systemctl stop tdx-authd.socket tdx-authd"
#define DENY_NIC "- {name: nic, action: deny, match: {pci: {vendor: 0x8086, device: 0x10d3}}}\\n"
#define NIC "e1000e,id=nic1,bus=rp1,romfile="
#define LATER "e1000e,id=nic2,bus=rp2,romfile="

/* As a machine is on which the policy was in audit mode since it started. */
static struct vm *up(void **state, const char *rules)
{
	struct vm *vm = vm_up(state, .kernel = "stock", .init = VM_INIT_SYSTEMD);

	vm_expect_soon(vm, IS_UP);
	vm_expect(vm, 0,
		  STOP "; rm -rf /run/tdx-auth; udevadm settle; "
		       "echo 1 > /sys/bus/virtio/drivers_autoprobe; "
		       "echo 1 > /sys/bus/pnp/drivers_autoprobe; mkdir -p " DIRECTORY
		       " && printf 'version: 1\\nmode: audit\\n' > " MODE
		       " && printf 'version: 1\\nrules:%s\\n%s' > " OWNER
		       " && systemctl start tdx-authd",
		  *rules ? "" : " []", rules);
	vm_expect_soon(vm, IS_UP);
	return vm;
}

static void expect_driver(struct vm *vm, const char *device, const char *driver)
{
	vm_expect_soon(vm, "[ \"$(basename \"$(readlink %s/driver)\")\" = '%s' ]", device, driver);
}

static void expect_status(struct vm *vm, const char *mode)
{
	vm_expect(vm, 0,
		  "tdx-authctl status --json | tr -d ' \\n' | grep -F "
		  "'\"mode\":\"%s\",\"state\":\"ok\"'",
		  mode);
}

static void expect_given(struct vm *vm, const char *bus, const char *gives)
{
	vm_expect_output(vm, gives, "cat /sys/bus/%s/drivers_autoprobe", bus);
}

static void test_a_policy_is_told_then_done_then_told_again(void **state)
{
	struct vm *vm = up(state, DENY_NIC);
	_cleanup_free_ char *nic = vm_plug_pci(vm, NIC, "8086:10d3"), *later = NULL;

	/* udev loads its module, as nobody refuses the device */
	expect_driver(vm, nic, "e1000e");
	expect_given(vm, "virtio", "1");
	expect_status(vm, "audit");
	vm_expect(vm, 0, "tdx-authctl status | grep -F 'NOTHING IS REFUSED'");
	vm_expect_soon(vm, "journalctl -u tdx-authd | grep 'would be \"deny\".*50-owner.yaml:nic'");
	vm_expect(vm, 0, "tdx-authctl list | grep -F 'The policy is in audit mode'");
	vm_expect(vm, 0, "tdx-authctl enable > /run/told");
	vm_expect(vm, 0, "grep \"^pci:$(basename %s) .* e1000e  *50-owner.yaml:nic$\" /run/told",
		  nic);
	expect_driver(vm, nic, "");
	expect_given(vm, "virtio", "0");
	expect_status(vm, "enforce");
	vm_expect(vm, 0, "grep -qx 'mode: enforce' " MODE);
	/* what was refused would not come back by itself, so all is as it was until the next boot
	 */
	vm_expect(vm, 0, "tdx-authctl disable | grep -F 'From the next start of the machine on'");
	vm_expect(vm, 0, "grep -qx 'mode: audit' " MODE " && systemctl restart tdx-authd");
	vm_expect_soon(vm, IS_UP);
	expect_status(vm, "enforce");
	vm_unplug(vm, "nic1");
	later = vm_plug_pci(vm, LATER, "8086:10d3");
	vm_expect(vm, 0, "udevadm settle");
	expect_driver(vm, later, "");
	vm_expect(vm, 0, STOP "; rm -rf /run/tdx-auth; systemctl start tdx-authd");
	vm_expect_soon(vm, IS_UP);
	expect_status(vm, "audit");
}

/* usbguard#122, usbguard#155, usbguard#589, usbguard#634: owners locked themselves out. */
static void test_a_policy_that_refuses_the_root_disk_is_not_enabled(void **state)
{
	struct vm *vm = up(state, "- {name: oops, action: deny, match: {virtio: {device: 2}}}\\n");

	vm_expect(vm, 3, "tdx-authctl enable > /run/told 2>&1");
	vm_expect(vm, 0, "grep -F '50-owner.yaml:oops' /run/told");
	vm_expect(vm, 0, "grep -F 'the root file system is behind it' /run/told");
	vm_expect(vm, 0, "grep -F 'the policy is not enabled' /run/told");
	/* by another name it is the same machine */
	vm_expect(vm, 3, "tdx-authctl enable --root /");
	vm_expect(vm, 0, "grep -qx 'mode: audit' " MODE);
	expect_status(vm, "audit");
	vm_expect(vm, 0, "touch /root/alive && sync");
}

static void test_without_rules_they_are_made_of_the_devices_in_use(void **state)
{
	struct vm *vm = up(state, "");
	_cleanup_free_ char *nic = vm_plug_pci(vm, NIC, "8086:10d3"), *other = NULL;

	expect_driver(vm, nic, "e1000e");
	/* what is there is its owner's */
	vm_expect(vm, 0, "echo 'version: 1' > " DIRECTORY "/50-generated.yaml");
	vm_expect(vm, 1, "tdx-authctl enable");
	vm_expect(vm, 0, "grep -qx 'version: 1' " DIRECTORY "/50-generated.yaml");
	vm_expect(vm, 0, "rm " DIRECTORY "/50-generated.yaml");
	vm_expect(vm, 0, "tdx-authctl enable > /run/told");
	vm_expect(vm, 0, "grep -qx " DIRECTORY "/50-generated.yaml /run/told");
	vm_expect(vm, 0, "grep -qF 'Every device that has a driver keeps it' /run/told");
	expect_status(vm, "enforce");
	expect_driver(vm, nic, "e1000e");
	other = vm_plug_pci(vm, "e1000,id=nic2,bus=rp2,romfile=", "8086:100e");
	vm_expect(vm, 0, "udevadm settle");
	expect_driver(vm, other, "");
}

static void test_after_the_freeze_nothing_is_enabled_or_disabled(void **state)
{
	struct vm *vm = up(state, DENY_NIC);

	vm_expect(vm, 0, "tdx-authctl freeze");
	vm_expect(vm, 3, "tdx-authctl enable");
	vm_expect(vm, 3, "tdx-authctl disable");
	vm_expect(vm, 3, "tdx-authctl disable --root /");
	vm_expect(vm, 0, "grep -qx 'mode: audit' " MODE);
}

static void test_a_later_file_that_says_otherwise_is_told(void **state)
{
	struct vm *vm = up(state, DENY_NIC);

	vm_expect(vm, 0, "printf 'version: 1\\nmode: audit\\n' > " DIRECTORY "/90-own.yaml");
	vm_expect(vm, 1, "tdx-authctl enable 2> /run/told");
	vm_expect(vm, 0, "grep -F 'a file that comes after 00-mode.yaml says so' /run/told");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_a_policy_is_told_then_done_then_told_again),
		vm_test(test_a_policy_that_refuses_the_root_disk_is_not_enabled),
		vm_test(test_without_rules_they_are_made_of_the_devices_in_use),
		vm_test(test_after_the_freeze_nothing_is_enabled_or_disabled),
		vm_test(test_a_later_file_that_says_otherwise_is_told),
	};

	return RUN_TESTS("enable", tests);
}
