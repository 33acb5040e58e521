/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.tdxauth1(5) with the system bus, polkit and systemd of a distribution. */

#include "agent-protocol.h"
#include "vmtest.h"

#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define MANAGER "org.tdxauth1 /org/tdxauth1 org.tdxauth1.Manager"
#define AS_NOBODY "setpriv --reuid=65534 --regid=65534 --clear-groups "
#define SAYS(text) " 2>&1 | tee /dev/stderr | grep -q '" text "'"
#define SAYS_NO SAYS("Access denied") /* which busctl says for our words */

/* A guest with the daemon and a bus, which came after it, and the object of a device that no policy
 * allows. */
static struct vm *up(void **state, char **ret_sysfs, char **ret_object)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");

	vm_expect_soon(vm, "[ \"$(systemctl is-active tdx-authd)\" = active ]");
	vm_expect(vm, 0, "systemctl start dbus.socket");
	vm_expect_soon(vm, "busctl get-property " MANAGER " PolicyState");
	*ret_sysfs = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect(vm, 0, "udevadm settle");
	vm_expect_soon(vm, "busctl call " MANAGER " GetDevice s %s", *ret_sysfs);
	*ret_object = vm_output(vm,
				"busctl call " MANAGER " GetDevice s pci:$(basename %s) | cut "
				"-d'\"' -f2",
				*ret_sysfs);
	return vm;
}

static void test_root_decides_over_the_bus(void **state)
{
	char *sysfs, *object;
	struct vm *vm = up(state, &sysfs, &object);

	vm_expect(vm, 0, "modprobe e1000e");
	vm_expect_output(vm, "s \"e1000e\"",
			 "busctl call org.tdxauth1 %s org.tdxauth1.Device Authorize 'a{sv}' 1 "
			 "driver s e1000e",
			 object);
	vm_expect_output(vm, "1", "cat %s/authorized", sysfs);
	vm_expect_output(vm, "e1000e", "basename \"$(readlink %s/driver)\"", sysfs);
	vm_expect_output(vm, "b true",
			 "busctl get-property org.tdxauth1 %s org.tdxauth1.Device ByHand", object);
	vm_expect(vm, 0, "busctl call " MANAGER " Reload");
	vm_expect_output(vm, "1", "cat %s/authorized", sysfs);
	vm_expect(vm, 0, "busctl call org.tdxauth1 %s org.tdxauth1.Device Deny 'a{sv}' 0", object);
	vm_expect_output(vm, "0", "cat %s/authorized", sysfs);
	vm_expect(vm, 0, "[ ! -e %s/driver ]", sysfs);
	/* the kernel's lock takes CAP_SYS_ADMIN, which the unit leaves the daemon not */
	vm_expect(vm, 0,
		  "gdbus call --system --dest org.tdxauth1 --object-path /org/tdxauth1 --method "
		  "org.tdxauth1.Manager.Seal" SAYS("Error.KernelNotLocked"));
	vm_expect_output(vm, "b true", "busctl get-property " MANAGER " Sealed");
	vm_expect(vm, 1, "busctl call org.tdxauth1 %s org.tdxauth1.Device Authorize 'a{sv}' 0",
		  object);
	free(sysfs);
	free(object);
}

/* usbguard#273, usbguard#531 (CVE-2019-25058): nobody is asked by nobody. */
static void test_polkit_lets_nobody_change_anything(void **state)
{
	static const char *const of_manager[] = {"Reload", "Freeze", "Seal"};
	static const char *const of_device[] = {
		"Authorize a{sv} 0", "Deny a{sv} 0", "Deny a{sv} 1 remove b true",
		"Authorize a{sv} 1 permanent b true", "GetPersonal"};
	char *sysfs, *object;
	struct vm *vm = up(state, &sysfs, &object);

	vm_expect(vm, 0, "systemctl start polkit");
	for (size_t i = 0; i < ELEMENTSOF(of_manager); i++)
		vm_expect(vm, 0, AS_NOBODY "busctl call " MANAGER " %s" SAYS_NO, of_manager[i]);
	for (size_t i = 0; i < ELEMENTSOF(of_device); i++)
		vm_expect(vm, 0,
			  AS_NOBODY "busctl call org.tdxauth1 %s org.tdxauth1.Device %s" SAYS_NO,
			  object, of_device[i]);
	/* it is polkit's word, and not its absence */
	vm_expect(vm, 0, "systemctl is-active polkit");
	vm_expect(vm, 0,
		  AS_NOBODY "busctl call --allow-interactive-authorization=no " MANAGER
			    " Freeze" SAYS("somebody has to authenticate"));
	vm_expect_output(vm, "0", "cat %s/authorized", sysfs);
	vm_expect_output(vm, "b false", AS_NOBODY "busctl get-property " MANAGER " Frozen");
	vm_expect(vm, 0, "! " AS_NOBODY "ls /run/tdx-auth/frozen /run/tdx-auth/sealed");
	vm_expect(vm, 0, AS_NOBODY "busctl call " MANAGER " ListDevices | grep -q '%s'", object);
	free(sysfs);
	free(object);
}

static void test_tools_show_the_interface(void **state)
{
	char *sysfs, *object;
	struct vm *vm = up(state, &sysfs, &object);

	vm_expect(vm, 0,
		  AS_NOBODY "busctl introspect org.tdxauth1 %s | grep -q '^.Authorize  *method  "
			    "*a{sv}  *s'",
		  object);
	vm_expect(vm, 0, "busctl tree org.tdxauth1 | grep -q '%s'", object);
	vm_expect(vm, 0,
		  AS_NOBODY
		  "gdbus introspect --system --dest org.tdxauth1 --object-path %s | grep -q "
		  "'Authorize(in  a{sv} options,'",
		  object);
	vm_expect(vm, 0,
		  "gdbus call --system --dest org.tdxauth1 --object-path /org/tdxauth1 "
		  "--method org.freedesktop.DBus.ObjectManager.GetManagedObjects | grep -q "
		  "org.tdxauth1.Device");
	free(sysfs);
	free(object);
}

static void test_a_call_starts_the_daemon(void **state)
{
	char *sysfs, *object;
	struct vm *vm = up(state, &sysfs, &object);

	vm_expect(vm, 0, "systemctl stop tdx-authd");
	vm_expect(vm, 0, "busctl call " MANAGER " ListDevices | grep -q '%s'", object);
	vm_expect_output(vm, "active", "systemctl is-active tdx-authd");
	free(sysfs);
	free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_root_decides_over_the_bus),
		vm_test(test_polkit_lets_nobody_change_anything),
		vm_test(test_tools_show_the_interface),
		vm_test(test_a_call_starts_the_daemon),
	};

	return RUN_TESTS("bus", tests);
}
