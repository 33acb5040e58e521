/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The gate in front of probe, and the attributes that open and close it. No user space of ours
 * has a say here: the agent is init. */

#include <errno.h>

#include "agent-protocol.h"
#include "vmtest.h"

#define WRITE AGENT_PATH " write"
#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define VIRTIO_NIC "1af4:1041"

static struct vm *up(void **state, const char *cmdline)
{
	return vm_up(state, .kernel = "patched", .cmdline = cmdline);
}

/* A guest under dev_auth=enforce with an e1000e that no list knows, and its module loaded. */
static struct vm *up_with_nic(void **state, char **ret_device)
{
	struct vm *vm = up(state, "dev_auth=enforce");

	vm_expect(vm, 0, "modprobe e1000e");
	*ret_device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	return vm;
}

static void expect_driver(struct vm *vm, const char *device, const char *driver)
{
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\"", device);
}

static void expect_state(struct vm *vm, const char *device, const char *authorized, const char *by,
			 const char *driver)
{
	vm_expect_output(vm, authorized, "cat %s/authorized", device);
	vm_expect_output(vm, by, "cat %s/authorized_by", device);
	expect_driver(vm, device, driver);
}

static void listen(struct vm *vm)
{
	vm_expect(vm, 0,
		  "rm -f /run/uevents; " AGENT_PATH " uevents /run/uevents /run/uevents.pid");
}

/* The events of one device since listen(), an "ACTION AUTHORIZED AUTHORIZED_BY" each, joined by
 * ", ". What the listener has not read yet is waited for: an event of its own, at the end. */
static char *events(struct vm *vm, const char *device)
{
	vm_expect(vm, 0, "echo change > /sys/class/mem/null/uevent");
	vm_expect_soon(vm, "grep -q '^DEVPATH=/devices/virtual/mem/null' /run/uevents");
	return vm_output(vm,
			 "awk -v RS= -v path='DEVPATH=%s' -F '\\n' '{"
			 "  mine = 0; action = authorized = by = \"-\";"
			 "  for (i = 1; i <= NF; i++) {"
			 "    if ($i == path) mine = 1;"
			 "    if (sub(/^ACTION=/, \"\", $i)) action = $i;"
			 "    if (sub(/^AUTHORIZED=/, \"\", $i)) authorized = $i;"
			 "    if (sub(/^AUTHORIZED_BY=/, \"\", $i)) by = $i;"
			 "  }"
			 "  if (mine) { printf \"%%s%%s %%s %%s\", sep, action, authorized, by; "
			 "sep = \", \" }"
			 "}' /run/uevents",
			 device + strlen("/sys"));
}

static void expect_events(struct vm *vm, const char *device, const char *expected)
{
	_cleanup_free_ char *seen = events(vm, device);

	if (!streq(seen, expected))
		vm_fail(vm, "events of %s:\n  expected %s\n  seen     %s", device, expected, seen);
}

static void test_refused_device_has_no_driver(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	expect_state(vm, device, "0", "default", "");
	vm_expect_output(vm, "", "cat %s/authorized_driver", device);
	vm_expect_output(vm, "644 444 644",
			 "stat -c %%a %s/authorized %s/authorized_by %s/authorized_driver | "
			 "tr '\\n' ' ' | sed 's/ $//'",
			 device, device, device);
	vm_expect(vm, 0, "dmesg | grep \"$(basename %s)\" | grep -qi authoriz", device);
	free(device);
}

static void test_plug_says_in_its_event_that_it_is_refused(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");
	char *device;

	listen(vm);
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	expect_events(vm, device, "add 0 default");
	free(device);
}

static void test_bind_of_a_refused_device_is_eperm(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, EPERM, WRITE " /sys/bus/pci/drivers/e1000e/bind $(basename %s)", device);
	expect_driver(vm, device, "");
	free(device);
}

static void test_driver_override_does_not_pass_the_gate(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, 0, "modprobe nvme");
	vm_expect(vm, 0, WRITE " %s/driver_override nvme", device);
	vm_expect(vm, EPERM, WRITE " /sys/bus/pci/drivers/nvme/bind $(basename %s)", device);
	vm_expect(vm, 0, WRITE " /sys/bus/pci/drivers_probe $(basename %s); :", device);
	expect_driver(vm, device, "");
	free(device);
}

static void test_new_id_does_not_pass_the_gate(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, 0, "modprobe nvme");
	vm_expect(vm, 0, WRITE " /sys/bus/pci/drivers/nvme/new_id '8086 10d3'");
	expect_driver(vm, device, "");
	vm_expect(vm, EPERM, WRITE " /sys/bus/pci/drivers/nvme/bind $(basename %s)", device);
	free(device);
}

static void test_module_that_comes_later_does_not_pass_the_gate(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "modprobe e1000e");
	expect_driver(vm, device, "");
	free(device);
}

static void test_write_1_binds_with_a_change_event(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	listen(vm);
	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	expect_state(vm, device, "1", "user", "e1000e");
	expect_events(vm, device, "change 1 user, bind 1 user");
	free(device);
}

static void test_write_0_unbinds_with_a_change_event(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	expect_driver(vm, device, "e1000e");
	listen(vm);
	vm_expect(vm, 0, WRITE " %s/authorized 0", device);
	expect_state(vm, device, "0", "user", "");
	expect_events(vm, device, "unbind 0 user, change 0 user");
	free(device);
}

static void test_writing_what_is_there_sends_no_event(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	listen(vm);
	vm_expect(vm, 0, WRITE " %s/authorized 1 && " WRITE " %s/authorized y", device, device);
	expect_events(vm, device, "");
	expect_state(vm, device, "1", "user", "e1000e");
	free(device);
}

static void test_default_returns_the_decision_to_the_kernel(void **state)
{
	char *device, *wanted;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	vm_expect(vm, 0, WRITE " %s/authorized default", device);
	expect_state(vm, device, "0", "default", "");

	wanted = vm_find_pci(vm, VIRTIO_NIC);
	vm_expect(vm, 0, WRITE " %s/authorized 0", wanted);
	expect_state(vm, wanted, "0", "user", "");
	vm_expect(vm, 0, WRITE " %s/authorized default", wanted);
	expect_state(vm, wanted, "1", "builtin", "virtio-pci");
	free(wanted);
	free(device);
}

static void test_other_words_are_einval(void **state)
{
	static const char *const words[] = {"2", "-1", "maybe", "kernel"};
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	for (size_t i = 0; i < ELEMENTSOF(words); i++)
		vm_expect(vm, EINVAL, WRITE " %s/authorized %s", device, words[i]);
	expect_state(vm, device, "0", "default", "");
	free(device);
}

static void test_nobody_but_root_may_write(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, EACCES, "setpriv --reuid 65534 --clear-groups " WRITE " %s/authorized 1",
		  device);
	expect_state(vm, device, "0", "default", "");
	free(device);
}

static void test_authorized_driver_admits_that_driver_only(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, 0, WRITE " %s/authorized_driver nvme", device);
	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	expect_state(vm, device, "1", "user", "");
	vm_expect(vm, EPERM, WRITE " /sys/bus/pci/drivers/e1000e/bind $(basename %s)", device);
	vm_expect(vm, EBUSY, WRITE " %s/authorized_driver e1000e", device);
	vm_expect_output(vm, "nvme", "cat %s/authorized_driver", device);

	vm_expect(vm, 0, WRITE " %s/authorized 0", device);
	vm_expect(vm, 0, WRITE " %s/authorized_driver 'e1000e\n'", device);
	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	expect_state(vm, device, "1", "user", "e1000e");
	free(device);
}

static void test_authorized_driver_takes_driver_names_only(void **state)
{
	static const char *const names[] = {
		"\"$(printf 'a\\tb')\"", "\"$(printf 'a\\033b')\"", "a/b", "../e1000e",
		"'e1000e\nx'",		 "$(printf %0300d 0)"};
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		vm_expect(vm, EINVAL, WRITE " %s/authorized_driver %s", device, names[i]);
	vm_expect_output(vm, "", "cat %s/authorized_driver", device);
	free(device);
}

static void test_authorizing_again_does_not_widen_to_any_driver(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce");
	char *device = vm_find_pci(vm, VIRTIO_NIC);

	vm_expect(vm, 0, WRITE " %s/authorized 0", device);
	expect_state(vm, device, "0", "user", "");
	vm_expect(vm, 1, "ls -d %s/virtio* 2>/dev/null | grep .", device);
	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	expect_state(vm, device, "1", "user", "virtio-pci");
	vm_expect_output(vm, "virtio-pci", "cat %s/authorized_driver", device);
	vm_expect_soon(vm, "[ -e %s/virtio*/net ]", device);
	free(device);
}

static void test_revoking_a_bridge_with_a_bound_device_is_ebusy(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	vm_expect(vm, EBUSY, WRITE " %s/../authorized 0", device);
	expect_state(vm, device, "1", "user", "e1000e");
	vm_expect(vm, 0, WRITE " %s/authorized 0", device);
	vm_expect(vm, 0, WRITE " %s/../authorized 0", device);
	vm_expect_output(vm, "0", "cat %s/../authorized", device);
	free(device);
}

static void test_removed_and_plugged_again_is_refused_again(void **state)
{
	char *device;
	struct vm *vm = up_with_nic(state, &device);

	vm_expect(vm, 0, WRITE " %s/authorized 1", device);
	vm_unplug(vm, "nic1");
	vm_expect_soon(vm, "[ ! -e %s ]", device);
	free(device);
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	expect_state(vm, device, "0", "default", "");
	free(device);
}

static void test_audit_refuses_nothing_and_logs(void **state)
{
	char *device;
	struct vm *vm = up(state, "dev_auth=audit");

	vm_expect_output(vm, "audit", "cat /sys/kernel/device_authorization/mode");
	vm_expect(vm, 0, "modprobe e1000e");
	listen(vm);
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	vm_expect_output(vm, "1", "cat %s/authorized", device);
	expect_driver(vm, device, "e1000e");
	expect_events(vm, device, "add 1 default, bind 1 default");
	vm_expect(vm, 0, "dmesg | grep \"$(basename %s)\" | grep -i authoriz | grep -q e1000e",
		  device);
	/* What the list admits is no news. */
	vm_expect(vm, 1, "dmesg | grep \"$(basename %s)\" | grep -i authoriz", "/virtio-pci");
	free(device);
}

static void test_deny_on_the_command_line_beats_the_list(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.deny=pci:1af4:1041");
	char *device = vm_find_pci(vm, VIRTIO_NIC);

	expect_state(vm, device, "0", "cmdline", "");
	vm_expect(vm, EPERM, WRITE " /sys/bus/pci/drivers/virtio-pci/bind $(basename %s)", device);
	free(device);
}

static void test_deny_of_a_virtio_device_leaves_its_transport(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.deny=virtio:1");
	char *device = vm_find_pci(vm, VIRTIO_NIC);

	expect_state(vm, device, "1", "builtin", "virtio-pci");
	vm_expect_output(vm, "0 cmdline",
			 "echo $(cat %s/virtio*/authorized %s/virtio*/authorized_by)", device,
			 device);
	vm_expect(vm, 1, "ls -d %s/virtio*/driver 2>/dev/null | grep .", device);
	free(device);
}

static void test_deny_on_the_command_line_beats_allow(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.allow=pci:8086:10d3,pci:1b36:0010 "
				  "dev_auth.deny=pci:8086:10d3");
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "modprobe e1000e");
	expect_state(vm, device, "0", "cmdline", "");
	free(device);
}

static void test_allow_on_the_command_line_adds_to_the_list(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.allow=pci:1b36:0010 "
				  "dev_auth.allow=pci:8086:10d3");
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "modprobe e1000e");
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_state(vm, device, "1", "cmdline", "e1000e");
	/* Looser than built: said so, for a bug report to show (TAINT_USER, bit 6). */
	vm_expect(vm, 0, "[ $(($(cat /proc/sys/kernel/tainted) >> 6 & 1)) = 1 ]");
	vm_expect(vm, 0, "dmesg | grep -q 'the command line authorizes devices'");
	free(device);
}

static void test_unknown_mode_fails_closed(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforced");

	vm_expect_output(vm, "enforce", "cat /sys/kernel/device_authorization/mode");
	vm_expect(vm, 0, "dmesg | grep -q \"unknown mode 'enforced'\"");
}

#define DENIED "dev_auth.deny cannot be obeyed: every device is denied"

static void test_malformed_deny_denies_everything(void **state)
{
	_cleanup_free_ char *log = NULL;
	const char *reason;
	struct vm *vm;
	int r = vm_start(&(struct vm_options){.kernel = "patched",
					      .cmdline = "dev_auth=enforce "
							 "dev_auth.deny=pci:rubbish"},
			 &vm);

	/* Not even a root disk, nor anything to talk to the guest through but its early console. */
	*state = vm;
	assert_int_equal(r, -ECONNRESET);
	log = vm_log_text(vm);
	assert_non_null(strstr(log, "malformed: 'pci:rubbish'"));
	assert_null(strstr(log, "virtio_blk"));
	/* Again where somebody looks for a reason. */
	reason = strstr(log, DENIED);
	assert_non_null(reason);
	assert_non_null(strstr(reason + strlen(DENIED), DENIED));
	assert_non_null(strstr(log, "Unable to mount root fs"));
}

static void test_malformed_allow_admits_the_rest(void **state)
{
	struct vm *vm = up(state, "dev_auth=enforce dev_auth.allow=pci:rubbish,pci:8086:10d3");
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	expect_state(vm, device, "1", "cmdline", "");
	vm_expect(vm, 0, "dmesg | grep -q 'malformed.*rubbish'");
	free(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_refused_device_has_no_driver),
		vm_test(test_plug_says_in_its_event_that_it_is_refused),
		vm_test(test_bind_of_a_refused_device_is_eperm),
		vm_test(test_driver_override_does_not_pass_the_gate),
		vm_test(test_new_id_does_not_pass_the_gate),
		vm_test(test_module_that_comes_later_does_not_pass_the_gate),
		vm_test(test_write_1_binds_with_a_change_event),
		vm_test(test_write_0_unbinds_with_a_change_event),
		vm_test(test_writing_what_is_there_sends_no_event),
		vm_test(test_default_returns_the_decision_to_the_kernel),
		vm_test(test_other_words_are_einval),
		vm_test(test_nobody_but_root_may_write),
		vm_test(test_authorized_driver_admits_that_driver_only),
		vm_test(test_authorized_driver_takes_driver_names_only),
		vm_test(test_authorizing_again_does_not_widen_to_any_driver),
		vm_test(test_revoking_a_bridge_with_a_bound_device_is_ebusy),
		vm_test(test_removed_and_plugged_again_is_refused_again),
		vm_test(test_audit_refuses_nothing_and_logs),
		vm_test(test_deny_on_the_command_line_beats_the_list),
		vm_test(test_deny_of_a_virtio_device_leaves_its_transport),
		vm_test(test_deny_on_the_command_line_beats_allow),
		vm_test(test_allow_on_the_command_line_adds_to_the_list),
		vm_test(test_unknown_mode_fails_closed),
		vm_test(test_malformed_deny_denies_everything),
		vm_test(test_malformed_allow_admits_the_rest),
	};

	return RUN_TESTS("gate", tests);
}
