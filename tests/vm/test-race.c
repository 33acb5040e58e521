/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writers that get in each other's way. A hang is a command that does not end within the harness's
 * deadline, or the kernel's own word of a hung task. */

#include "agent-protocol.h"
#include "vmtest.h"

static struct vm *up(void **state)
{
	return vm_up(state, .kernel = "patched", .cpus = 2,
		     .cmdline = "dev_auth=enforce sysctl.kernel.hung_task_timeout_secs=30");
}

/* Runs two shell loops against each other to their ends. */
static void race(struct vm *vm, const char *one, const char *other)
{
	vm_expect(vm, 0,
		  "( %s ) 2>/dev/null & first=$!; ( %s ) 2>/dev/null & second=$!; "
		  "wait $first $second; :",
		  one, other);
	vm_expect(vm, 1, "dmesg | grep -E 'blocked for more than|deadlock|WARNING: |BUG: |Oops'");
}

static void test_opposite_writes_to_parent_and_child_never_hang(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *parent = vm_find_pci(vm, "1af4:1041"), *one = NULL, *other = NULL;

	assert_true(asprintf(&one,
			     "for i in $(seq 150); do echo 0 > %s/authorized; "
			     "echo 1 > %s/authorized; done",
			     parent, parent) > 0);
	assert_true(asprintf(&other,
			     "for i in $(seq 300); do for c in %s/virtio*/authorized; do "
			     "echo 1 > $c; echo 0 > $c; done; done",
			     parent) > 0);
	race(vm, one, other);
	/* And all of it still works. */
	vm_expect(vm, 0, "echo 0 > %s/authorized && echo 1 > %s/authorized", parent, parent);
	vm_expect_soon(vm, "echo 1 > $(echo %s/virtio*/authorized) && [ -e %s/virtio*/net ]",
		       parent, parent);
}

static void test_opposite_writes_to_bridge_and_device_never_hang(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = NULL, *one = NULL, *other = NULL;

	vm_expect(vm, 0, "modprobe e1000e");
	device = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1,romfile=", "8086:10d3");
	assert_true(asprintf(&one,
			     "for i in $(seq 60); do echo 0 > %s/../authorized; "
			     "echo 1 > %s/../authorized; done",
			     device, device) > 0);
	assert_true(asprintf(&other,
			     "for i in $(seq 60); do echo 1 > %s/authorized; "
			     "echo 0 > %s/authorized; done",
			     device, device) > 0);
	race(vm, one, other);
	vm_expect(vm, 0, "echo 1 > %s/../authorized && echo 1 > %s/authorized && [ -e %s/driver ]",
		  device, device, device);
}

static void test_opposite_writes_to_one_device_end_in_one_state(void **state)
{
	struct vm *vm = up(state);
	_cleanup_free_ char *device = vm_find_pci(vm, "1af4:1041"), *one = NULL, *other = NULL;

	assert_true(asprintf(&one, "for i in $(seq 150); do echo 0 > %s/authorized; done", device) >
		    0);
	assert_true(asprintf(&other, "for i in $(seq 150); do echo 1 > %s/authorized; done",
			     device) > 0);
	race(vm, one, other);
	/* Authorized with a driver, or neither. */
	vm_expect(vm, 0, "[ $(cat %s/authorized) = $([ -e %s/driver ] && echo 1 || echo 0) ]",
		  device, device);
}

static void test_device_that_is_pulled_while_it_is_written_never_hangs(void **state)
{
	struct vm *vm = up(state);

	vm_expect(vm, 0, "modprobe e1000e");
	vm_expect(
		vm, 0,
		"(while [ ! -e /run/stop ]; do for d in /sys/bus/pci/drivers/pcieport/0*/0*; do "
		"echo 1 > $d/authorized; echo 0 > $d/authorized; done; done) >/dev/null 2>&1 & :");
	for (int i = 0; i < 8; i++) {
		free(vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1,romfile=", "8086:10d3"));
		vm_unplug(vm, "nic1");
	}
	vm_expect(vm, 0, "touch /run/stop");
	vm_expect(vm, 1, "dmesg | grep -E 'blocked for more than|deadlock|WARNING: |BUG: |Oops'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_opposite_writes_to_parent_and_child_never_hang),
		vm_test(test_opposite_writes_to_bridge_and_device_never_hang),
		vm_test(test_opposite_writes_to_one_device_end_in_one_state),
		vm_test(test_device_that_is_pulled_while_it_is_written_never_hangs),
	};

	return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
