/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The tool and the daemon in a guest with systemd and udev: status, monitor, decisions by hand. */

#include "vmtest.h"

#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define ALLOW_NIC "/usr/share/tdx-lab/allow-e1000e.yaml"
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define RESTART "systemctl restart tdx-authd && " IS_UP

static struct vm *up(void **state, const char *kernel, const char *cmdline)
{
	struct vm *vm = vm_up(state, .kernel = kernel, .init = VM_INIT_SYSTEMD, .cmdline = cmdline);

	vm_expect_soon(vm, IS_UP);
	vm_expect(vm, 0, "udevadm settle");
	return vm;
}

static void expect_state(struct vm *vm, const char *device, const char *authorized,
			 const char *driver)
{
	vm_expect_output(vm, authorized, "cat %s/authorized", device);
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\"", device);
}

/* The level of each bus as list has it, which looks for itself, and as status has it. */
#define LEVELS_OF_LIST "tdx-authctl list | sed -n '/^BUS /,$ s/  */ /gp'"
#define LEVELS_OF_STATUS                                                                           \
	"tdx-authctl status | sed -n '/^BUS /,$ s/  */ /gp' | sed 's/^\\([^ ]*\\) [^ ]*/\\1/'"

static void expect_honest(struct vm *vm, const char *mode, const char *kernel_line,
			  const char *pci_line)
{
	_cleanup_free_ char *listed = NULL;

	vm_expect(vm, 0, "tdx-authctl status --json | grep -F '\"kernel_mode\":\"%s\"'", mode);
	vm_expect(vm, 0, "tdx-authctl status | grep '^Kernel: *%s'", kernel_line);
	vm_expect(vm, 0, "tdx-authctl status | grep '^pci  *%s'", pci_line);
	listed = vm_output(vm, LEVELS_OF_LIST);
	vm_expect_output(vm, listed, LEVELS_OF_STATUS);
	/* and without the daemon */
	vm_expect(vm, 0, "systemctl stop tdx-authd.socket tdx-authd");
	vm_expect(vm, 1, "tdx-authctl status > /run/status");
	vm_expect(vm, 0, "grep '^Daemon: *no daemon runs' /run/status");
	vm_expect(vm, 0, "grep '^Kernel: *%s' /run/status", kernel_line);
	vm_expect_output(vm, listed, LEVELS_OF_STATUS);
}

static void test_status_says_what_the_kernel_in_enforce_mode_refuses(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");

	vm_expect(vm, 0, "tdx-authctl status > /run/status");
	vm_expect(vm, 0, "grep '^Daemon: *running' /run/status");
	vm_expect(vm, 0, "grep '^Policy: *[0-9]* rules*, loaded' /run/status");
	vm_expect(vm, 0, "grep '^Frozen: *no' /run/status && grep '^Sealed: *no' /run/status");
	vm_expect(vm, 0, "grep '^Counts: .*overflows 0' /run/status");
	expect_honest(vm, "enforce", "enforce: it gives a refused device no driver",
		      "kernel  *kernel  *a refused device gets no driver");
}

static void test_status_says_that_audit_mode_refuses_nothing(void **state)
{
	expect_honest(up(state, "patched", "dev_auth=audit"), "audit", "audit: .*refuses nothing",
		      "kernel  *audit  *the kernel logs what it would refuse, and refuses nothing");
}

static void test_status_says_that_a_stock_kernel_has_no_device_authorization(void **state)
{
	struct vm *vm = up(state, "stock", NULL);

	vm_expect(vm, 0, "tdx-authctl status | grep '^acpi  *none  *none  *UNPROTECTED'");
	expect_honest(vm, "none", "none: it has no device authorization", "");
}

static void test_status_fails_while_the_policy_is_refused(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");

	vm_expect(vm, 0, "tdx-authctl status");
	vm_expect(vm, 0, "mkdir -p /etc/tdx-auth/policy.d; echo 'versoin: 1' > " OWNER);
	vm_expect(vm, 3, "tdx-authctl reload");
	vm_expect(vm, 1, "tdx-authctl status > /run/status");
	vm_expect(vm, 0, "grep '^Policy: *REFUSED, the former one is in force' /run/status");
	vm_expect(vm, 0, RESTART);
	vm_expect(vm, 1, "tdx-authctl status > /run/status");
	vm_expect(vm, 0, "grep '^Policy: *REFUSED, the built-in one is in force' /run/status");
	vm_expect(vm, 0, "rm " OWNER " && tdx-authctl reload && tdx-authctl status");
}

#define MONITOR(options, file)                                                                     \
	"{ tdx-authctl monitor " options " > " file " 2>&1 & echo $! > /run/monitor.pid; }"

static void test_monitor_shows_a_plug_and_an_unplug_live(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");
	_cleanup_free_ char *device = NULL;

	vm_expect(vm, 0, "install -D -m 644 " ALLOW_NIC " " OWNER " && tdx-authctl reload");
	vm_expect(vm, 0, MONITOR("--json", "/run/lines"));
	vm_expect_soon(vm, "grep -F '\"state\":\"running\"' /run/lines");
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_soon(vm,
		       "grep -F '\"event\":\"added\",\"device\":\"pci:'$(basename %s)'\"' "
		       "/run/lines",
		       device);
	vm_expect_soon(vm,
		       "grep -F '\"event\":\"decided\",\"device\":\"pci:'$(basename %s)'\"' "
		       "/run/lines | grep -F '\"outcome\":\"authorized\"' | grep -F "
		       "'\"driver\":\"e1000e\"'",
		       device);
	vm_unplug(vm, "nic1");
	vm_expect_soon(vm,
		       "grep -F '\"event\":\"removed\",\"device\":\"pci:'$(basename %s)'\"' "
		       "/run/lines",
		       device);
	/* it outlives the daemon, and goes with a signal */
	vm_expect(vm, 0, "kill -KILL $(systemctl show --value -p MainPID tdx-authd)");
	vm_expect_soon(vm, "grep -F '\"state\":\"gone\"' /run/lines");
	vm_expect_soon(vm, "[ $(grep -cF '\"state\":\"running\"' /run/lines) = 2 ]");
	vm_expect(vm, 0, "tdx-authctl freeze");
	vm_expect_soon(vm, "grep -F '\"event\":\"changed\",\"frozen\":true' /run/lines");
	vm_expect(vm, 0, "kill $(cat /run/monitor.pid)");
	vm_expect_soon(vm, "[ ! -e /proc/$(cat /run/monitor.pid) ]");
}

/* Nothing on standard error: not that it was done without the daemon. */
#define BY_HAND(what)                                                                              \
	"tdx-authctl " what " 2>/run/error; r=$?; cat /run/error; [ $r = 0 ] && [ ! -s "           \
	"/run/error ]"

static void test_decisions_by_hand_survive_a_restart_and_a_reload(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "modprobe e1000e; udevadm settle");
	vm_expect(vm, 0, BY_HAND("authorize pci:$(basename %s) --driver e1000e"), device);
	expect_state(vm, device, "1", "e1000e");
	vm_expect(vm, 0, RESTART);
	expect_state(vm, device, "1", "e1000e");
	vm_expect(vm, 0, "tdx-authctl reload");
	expect_state(vm, device, "1", "e1000e");
	vm_expect(vm, 0, "install -D -m 644 " ALLOW_NIC " " OWNER " && tdx-authctl reload");
	vm_expect(vm, 0, BY_HAND("deny pci:$(basename %s)"), device);
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, RESTART);
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, "tdx-authctl reload");
	expect_state(vm, device, "0", "");
	vm_expect(vm, 1, "tdx-authctl apply");
	expect_state(vm, device, "0", "");
}

static void test_without_the_daemon_it_is_written_directly_and_the_daemon_keeps_to_it(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "modprobe e1000e; systemctl stop tdx-authd.socket tdx-authd");
	vm_expect(vm, 1, "tdx-authctl reload");
	vm_expect(vm, 0, "tdx-authctl authorize %s 2>/run/error", device);
	vm_expect(vm, 0, "grep -F 'no daemon runs: written directly' /run/error");
	expect_state(vm, device, "1", "e1000e");
	vm_expect(vm, 0, "systemctl start tdx-authd && tdx-authctl reload");
	expect_state(vm, device, "1", "e1000e");
}

static void test_the_freeze_and_the_seal_of_the_daemon_bind_the_tool(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, BY_HAND("freeze"));
	vm_expect(vm, 3, "tdx-authctl authorize %s", device);
	vm_expect(vm, 3, "tdx-authctl reload");
	vm_expect(vm, 0, BY_HAND("seal"));
	vm_expect_output(vm, "1", "cat /sys/kernel/device_authorization/lock");
	vm_expect(vm, 3, "tdx-authctl authorize %s", device);
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, "tdx-authctl status | grep '^Sealed: *yes'");
	vm_expect(vm, 0, "tdx-authctl deny %s", device);
}

#define AS_NOBODY "setpriv --reuid 65534 --regid 65534 --clear-groups "
#define POLKIT_RULE                                                                                \
	"mkdir -p /etc/polkit-1/rules.d && "                                                       \
	"echo 'polkit.addRule(function(action, subject) { "                                        \
	"if (action.id == \"org.tdxauth1.authorize\") return polkit.Result.YES; });' "             \
	"> /etc/polkit-1/rules.d/00-lab.rules"

static void test_others_than_root_do_what_polkit_lets_them(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	/* no bus, no polkit: whether a daemon runs it cannot tell, and nothing is done */
	vm_expect(vm, 1, AS_NOBODY "tdx-authctl authorize %s 2>/run/error", device);
	vm_expect(vm, 0, "grep -F 'only root can tell' /run/error");
	vm_expect(vm, 0, "modprobe e1000e; systemctl start dbus.socket && " RESTART);
	vm_expect_soon(vm, AS_NOBODY "tdx-authctl status");
	vm_expect(vm, 1, AS_NOBODY "tdx-authctl authorize %s 2>/run/error", device);
	vm_expect(vm, 0, "grep -F 'not permitted: root may' /run/error");
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, POLKIT_RULE);
	vm_expect_soon(vm, AS_NOBODY "tdx-authctl authorize %s", device);
	expect_state(vm, device, "1", "e1000e");
	vm_expect(vm, 1, AS_NOBODY "tdx-authctl freeze");
	vm_expect(vm, 1, AS_NOBODY "tdx-authctl authorize --permanent %s", device);
	vm_expect(vm, 0, "[ ! -e /run/tdx-auth/frozen ]");
	/* over the bus it sees what happens, too */
	vm_expect(vm, 0, "touch /run/lines && chmod 666 /run/lines");
	vm_expect(vm, 0, "{ " AS_NOBODY "tdx-authctl monitor > /run/lines 2>&1 & }");
	vm_expect_soon(vm, "grep -F 'the daemon runs' /run/lines");
	vm_expect(vm, 0, "tdx-authctl deny %s", device);
	vm_expect_soon(vm, "grep \"^pci:$(basename %s) \" /run/lines", device);
	vm_expect(vm, 0, "systemctl stop tdx-authd.socket tdx-authd");
	vm_expect_soon(vm, "grep -F 'the daemon is gone' /run/lines");
	vm_expect(vm, 0, "systemctl start tdx-authd");
	vm_expect_soon(vm, "[ $(grep -cF 'the daemon runs' /run/lines) = 2 ]");
}

#define PERMANENT "/etc/tdx-auth/policy.d/00-permanent.yaml"

/* What is plugged again is another device, of which only the policy knows. */
static char *plug_again(struct vm *vm, char *device)
{
	free(device);
	vm_unplug(vm, "nic1");
	return vm_plug_pci(vm, NIC_DEVICE, NIC);
}

static void test_a_permanent_decision_is_the_policys_from_then_on(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "tdx-authctl authorize %s --driver e1000e --permanent", device);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	vm_expect(vm, 0, "grep -q 'action: allow' " PERMANENT " && tdx-authctl policy check");
	device = plug_again(vm, device);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_state(vm, device, "1", "e1000e");
	vm_expect(vm, 0, "systemctl stop tdx-authd.socket tdx-authd");
	vm_expect(vm, 0, "tdx-authctl deny %s --permanent", device);
	vm_expect(vm, 0, "systemctl start tdx-authd.socket tdx-authd");
	device = plug_again(vm, device);
	vm_expect(vm, 0, "udevadm settle; tdx-authctl reload");
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, "tdx-authctl explain %s | grep -q '00-permanent.yaml:hand-'", device);
	free(device);
}

static void test_a_permanent_removal_is_written_down_before_the_device_goes(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, BY_HAND("deny --remove --permanent %s"), device);
	vm_expect(vm, 0, "[ ! -e %s ] && grep -q 'action: remove' " PERMANENT, device);
	vm_expect(vm, 0, "echo 1 > /sys/bus/pci/rescan");
	vm_expect_soon(vm, "[ ! -e %s ]", device);
	vm_expect(vm, 0, "systemctl stop tdx-authd.socket tdx-authd && rm " PERMANENT);
	vm_expect(vm, 0, "echo 1 > /sys/bus/pci/rescan && [ -e %s ]", device);
	vm_expect(vm, 0, "tdx-authctl deny --remove --permanent %s", device);
	vm_expect(vm, 0, "[ ! -e %s ] && grep -q 'action: remove' " PERMANENT, device);
	free(device);
}

static void test_a_decision_that_cannot_be_saved_is_in_force_and_said_so(void **state)
{
	struct vm *vm = up(state, "patched", "dev_auth=enforce");
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "mount -o remount,ro /");
	vm_expect(vm, 1, "tdx-authctl authorize %s --driver e1000e --permanent 2> /run/said",
		  device);
	vm_expect(vm, 0, "grep 'read-only' /run/said");
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	vm_expect(vm, 0, "[ ! -e " PERMANENT " ]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_status_says_what_the_kernel_in_enforce_mode_refuses),
		vm_test(test_status_says_that_audit_mode_refuses_nothing),
		vm_test(test_status_says_that_a_stock_kernel_has_no_device_authorization),
		vm_test(test_status_fails_while_the_policy_is_refused),
		vm_test(test_monitor_shows_a_plug_and_an_unplug_live),
		vm_test(test_decisions_by_hand_survive_a_restart_and_a_reload),
		vm_test(test_without_the_daemon_it_is_written_directly_and_the_daemon_keeps_to_it),
		vm_test(test_the_freeze_and_the_seal_of_the_daemon_bind_the_tool),
		vm_test(test_others_than_root_do_what_polkit_lets_them),
		vm_test(test_a_permanent_decision_is_the_policys_from_then_on),
		vm_test(test_a_permanent_removal_is_written_down_before_the_device_goes),
		vm_test(test_a_decision_that_cannot_be_saved_is_in_force_and_said_so),
	};

	return RUN_TESTS("status", tests);
}
