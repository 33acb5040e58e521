/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon in a guest with systemd and udev, against a host that plugs. */

#include <errno.h>

#include "agent-protocol.h"
#include "vmtest.h"

#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define ALLOW_NIC "/usr/share/tdx-lab/allow-e1000e.yaml"
/* Beside a daemon it refuses to, and what it writes would have the socket start one. */
#define APPLY "systemctl stop tdx-authd.socket tdx-authd && tdx-authctl apply"
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"

/* A guest with the daemon up, under the owner's policy: a path in the guest, or NULL for none. */
static struct vm *up(void **state, const char *policy)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");

	vm_expect_soon(vm, IS_UP);
	if (policy)
		vm_expect(vm, 0, "install -D -m 644 %s " OWNER " && systemctl restart tdx-authd",
			  policy);
	vm_expect(vm, 0, "udevadm settle");
	return vm;
}

static void expect_state(struct vm *vm, const char *device, const char *authorized,
			 const char *driver)
{
	vm_expect_output(vm, authorized, "cat %s/authorized", device);
	vm_expect_output(vm, driver, "basename \"$(readlink %s/driver)\"", device);
}

/* Until the daemon has had its say on what came before: it handles events in their order, and
 * this one is the last. */
static void settle(struct vm *vm)
{
	vm_expect(vm, 0, "udevadm settle");
}

static void test_wanted_device_gets_its_driver(void **state)
{
	struct vm *vm = up(state, ALLOW_NIC);
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_state(vm, device, "1", "e1000e");
	vm_expect_output(vm, "user", "cat %s/authorized_by", device);
	vm_expect_output(vm, "e1000e", "cat %s/authorized_driver", device);
	vm_expect(
		vm, 0,
		"journalctl -u tdx-authd -o json | grep -q '\"TDX_AUTH_RULE\":\"[^\"]*lab-nic\"'");
	free(device);
}

static void test_device_that_no_rule_names_stays_refused(void **state)
{
	static const struct {
		const char *device, *ids;
	} strangers[] = {
		{"nvme,id=nvme1,serial=x,drive=null1,bus=rp2", "1b36:0010"},
		{"virtio-balloon-pci,id=balloon1,bus=rp3", "1af4:1045"},
		{"qemu-xhci,id=xhci1,bus=rp4", "1b36:000d"},
		{"e1000,id=nic2,bus=rp5,romfile=", "8086:100e"},
	};
	struct vm *vm = up(state, ALLOW_NIC);

	vm_expect(vm, 0, "modprobe -a nvme e1000");
	for (size_t i = 0; i < ELEMENTSOF(strangers); i++) {
		_cleanup_free_ char *device =
			vm_plug_pci(vm, strangers[i].device, strangers[i].ids);

		settle(vm);
		expect_state(vm, device, "0", "");
	}
	vm_expect(vm, 0, IS_UP);
}

static void test_device_that_was_there_before_the_daemon_is_authorized(void **state)
{
	struct vm *vm = up(state, NULL);
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	settle(vm);
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0,
		  "install -D -m 644 " ALLOW_NIC " " OWNER " && systemctl restart tdx-authd");
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_state(vm, device, "1", "e1000e");
	free(device);
}

static void test_authctl_authorizes_and_denies_by_hand(void **state)
{
	struct vm *vm = up(state, NULL);
	char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	settle(vm);
	vm_expect(vm, 0, "tdx-authctl authorize pci:$(basename %s) --driver e1000e", device);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_state(vm, device, "1", "e1000e");
	vm_expect(vm, 0, "tdx-authctl deny pci:$(basename %s)", device);
	expect_state(vm, device, "0", "");
	free(device);
}

/* The port is there from the start, so the kernel knows what is behind it although it is refused.
 */
static void test_a_device_behind_a_refused_port_waits_for_it(void **state)
{
	static const char *const devices[] = {"pcie-root-port,id=rp90,chassis=90,slot=90",
					      "e1000e,id=nic1,bus=rp90,romfile=", NULL};
	struct vm *vm =
		vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD, .devices = devices,
		      .cmdline = "dev_auth=enforce dev_auth.deny=pci:1b36:000c");
	_cleanup_free_ char *device = NULL;

	vm_expect_soon(vm, IS_UP);
	device = vm_find_pci(vm, NIC);
	vm_expect_output(vm, "0", "cat %s/../authorized", device);
	vm_expect(vm, 0,
		  "install -D -m 644 " ALLOW_NIC " " OWNER " && systemctl restart tdx-authd");
	vm_expect_soon(vm, "journalctl -u tdx-authd | grep -q 'waits for .*, which is refused'");
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, "tdx-authctl authorize pci:$(basename $(dirname %s))", device);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_state(vm, device, "1", "e1000e");
}

#define USB "/sys/bus/usb/devices"
#define USB_POLICY                                                                                 \
	"version: 1\\nrules:\\n"                                                                   \
	"- {action: allow, driver: xhci_hcd, match: {pci: {vendor: 0x1b36, device: 0x000d}}}\\n"   \
	"- {action: allow, match: {usb: {product: QEMU USB Keyboard}}}\\n"

/* usbcore gives them to drivers before it tells anybody, unless it is told otherwise before the
 * controller has its driver.
 * usbguard#151, usbguard#447, usbguard#644: what came before the daemon had its driver. */
static void test_a_usb_device_has_no_driver_before_the_decision(void **state)
{
	struct vm *vm = up(state, NULL);
	char *xhci;

	vm_expect_output(vm, "0", "cat /sys/module/usbcore/parameters/authorized_default");
	vm_expect(vm, 0, "printf '" USB_POLICY "' > " OWNER " && systemctl restart tdx-authd");
	xhci = vm_plug_pci(vm, "qemu-xhci,id=xhci1,bus=rp4", "1b36:000d");
	vm_expect_soon(vm, "[ -e " USB "/usb2 ]");
	vm_expect_output(vm, "0", "cat " USB "/usb*/authorized_default | sort -u");
	vm_expect_output(vm, "1", "cat " USB "/usb*/authorized | sort -u");
	vm_plug(vm, "usb-mouse,id=mouse1,bus=xhci1.0,port=1");
	vm_expect_soon(vm, "grep -q Mouse " USB "/1-1/product");
	vm_plug(vm, "usb-kbd,id=kbd1,bus=xhci1.0,port=2");
	vm_expect_soon(vm, "[ -e " USB "/1-2/1-2:1.0/driver ]");
	vm_expect_output(vm, "1", "cat " USB "/1-2/authorized");
	vm_expect_output(vm, "0", "cat " USB "/1-1/authorized");
	vm_expect(vm, 0, "! ls -d " USB "/1-1/1-1:*");
	vm_expect(vm, 0, "dmesg | grep -q 'input: .*Keyboard' && ! dmesg | grep 'input: .*Mouse'");
	vm_expect(vm, 0, "tdx-authctl list | grep '^usb .*a refused device gets no driver'");
	free(xhci);
}

/* Each of them is still as the policy wants it then, or as it was decided by hand.
 * usbguard#543, usbguard#594: devices were blocked after the machine had slept. */
static void test_a_machine_that_slept_is_looked_at_again(void **state)
{
	static const char *const ways[] = {"", "date -s '+1 hour'"};
	struct vm *vm = up(state, ALLOW_NIC);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	vm_expect(vm, 0, "tdx-authctl deny pci:$(basename %s)", device);
	for (size_t i = 0; i < ELEMENTSOF(ways); i++) {
		if (*ways[i])
			vm_expect(vm, 0, "%s", ways[i]);
		else
			assert_int_equal(vm_suspend(vm, 2500), 0); /* the RTC has seconds */
		vm_expect_soon(vm,
			       "[ $(journalctl -u tdx-authd | grep -c 'the machine slept') = %zu ]",
			       i + 1);
		vm_expect_soon(vm,
			       "[ $(journalctl -u tdx-authd | grep -c 'stays refused, as decided "
			       "earlier') = %zu ]",
			       i + 1);
		expect_state(vm, device, "0", "");
	}
}

/* Where a decision by hand changes nothing it is one all the same, and a restart keeps it. */
static void test_decision_by_hand_is_on_record_even_where_it_changes_nothing(void **state)
{
	struct vm *vm = up(state, NULL);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	settle(vm);
	vm_expect(vm, 0, "modprobe e1000e");
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, "tdx-authctl deny pci:$(basename %s)", device);
	vm_expect_output(vm, "user", "cat %s/authorized_by", device);
	vm_expect(vm, 0,
		  "install -D -m 644 " ALLOW_NIC " " OWNER " && systemctl restart tdx-authd");
	expect_state(vm, device, "0", "");
	/* An authorized one: its driver and what it is held to stay. */
	vm_expect(vm, 0,
		  "for d in /sys/bus/virtio/drivers/virtio_blk/virtio*; do "
		  "tdx-authctl authorize virtio:${d##*/} && "
		  "[ \"$(cat $d/authorized_by) $(cat $d/authorized_driver)\" = 'user virtio_blk' ] "
		  "|| exit 1; done; touch /root/alive");
}

#define HOLD(driver)                                                                               \
	"printf 'version: 1\\nrules: [{action: allow, " driver                                     \
	"match: {pci: {vendor: 0x8086, device: 0x10d3}}}]\\n' > " OWNER " && " APPLY

static void test_apply_lifts_a_restriction_that_the_policy_no_longer_makes(void **state)
{
	struct vm *vm = up(state, NULL);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "modprobe e1000e; mkdir -p /etc/tdx-auth/policy.d");
	settle(vm);
	vm_expect(vm, 0, HOLD("driver: e1000f, "));
	expect_state(vm, device, "1", "");
	vm_expect(vm, 0, HOLD(""));
	expect_state(vm, device, "1", "e1000e");
	vm_expect_output(vm, "", "cat %s/authorized_driver", device);
}

/* What every device of the two buses is and has. */
#define ALL_STATES                                                                                 \
	"for d in /sys/bus/pci/devices/* /sys/bus/virtio/devices/*; do "                           \
	"echo $d $(cat $d/authorized $d/authorized_by) only=$(cat $d/authorized_driver) "          \
	"$(basename \"$(readlink $d/driver)\"); done"

#define MAIN_PID "systemctl show --value -p MainPID tdx-authd"

static void test_killed_daemon_comes_back_and_changes_nothing(void **state)
{
	struct vm *vm = up(state, ALLOW_NIC);
	char *wanted = vm_plug_pci(vm, NIC_DEVICE, NIC), *stranger, *before, *pid, *changes;

	stranger = vm_plug_pci(vm, "nvme,id=nvme1,serial=x,drive=null1,bus=rp2", "1b36:0010");
	vm_expect_soon(vm, "[ -e %s/driver ]", wanted);
	settle(vm);
	expect_state(vm, wanted, "1", "e1000e");
	expect_state(vm, stranger, "0", "");
	before = vm_output(vm, ALL_STATES);
	vm_expect(vm, 0, AGENT_PATH " uevents /run/uevents /run/uevents.pid");
	for (int i = 0; i < 3; i++) {
		pid = vm_output(vm, MAIN_PID);
		vm_expect(vm, 0, "kill -KILL %s", pid);
		vm_expect_soon(vm, IS_UP " && [ \"$(" MAIN_PID ")\" != %s ]", pid);
		free(pid);
		vm_expect_output(vm, before, ALL_STATES);
	}
	/* Not for a moment either. */
	vm_expect(vm, 0, "echo change > /sys/class/mem/null/uevent");
	vm_expect_soon(vm, "grep -q '^DEVPATH=/devices/virtual/mem/null' /run/uevents");
	changes = vm_output(vm, "grep '^AUTHORIZED=' /run/uevents || :");
	assert_string_equal(changes, "");
	free(changes);
	free(before);
	free(stranger);
	free(wanted);
}

#define BUSY_NICS 5

/* Each start has all cards to give or to take, and is killed somewhere on the way; the service
 * manager starts the next. The arguments: the policies' files, how often. */
#define KILL_OFTEN                                                                                 \
	"for i in $(seq %d); do"                                                                   \
	"  [ $((i %% 2)) = 0 ] && cp " ALLOW_NIC " " OWNER " || cp /run/deny.yaml " OWNER ";"      \
	"  until pid=$(" MAIN_PID ") && [ \"$pid\" != 0 ] && [ \"$pid\" != \"$last\" ];"           \
	"  do sleep 0.05; done;"                                                                   \
	"  last=$pid; sleep 0.$((RANDOM %% 7))$((RANDOM %% 10)); kill -KILL $pid;"                 \
	"done"

static void test_kills_at_any_moment_lose_and_loosen_nothing(void **state)
{
	int rounds = isempty(getenv("TDX_AUTH_LONG")) ? 25 : 200;
	struct vm *vm = up(state, ALLOW_NIC);
	char *nics[BUSY_NICS];

	for (int i = 0; i < BUSY_NICS; i++) {
		char device[64];
		_cleanup_free_ char *found = NULL;

		(void)snprintf(device, sizeof(device), "e1000e,id=nic%d,bus=rp%d,romfile=", i + 1,
			       i + 1);
		vm_plug(vm, device);
		vm_expect_soon(vm, "[ -e /sys/bus/pci/devices/0000:0%d:00.0/driver ]", i + 1);
		assert_true(asprintf(&nics[i], "/sys/bus/pci/devices/0000:0%d:00.0", i + 1) > 0);
	}
	vm_expect(vm, 0, "sed s/allow/deny/ " ALLOW_NIC " | grep -v driver: > /run/deny.yaml");
	vm_expect(vm, 0, "tdx-authctl deny %s", nics[0]);
	vm_expect(vm, 0, "cp /run/deny.yaml " OWNER " && systemctl reload tdx-authd");
	vm_expect_soon(vm, "grep -q 0 %s/authorized", nics[1]);
	vm_expect(vm, 0, "tdx-authctl authorize %s --driver e1000e", nics[1]);
	vm_expect(vm, 0, KILL_OFTEN, rounds);
	vm_expect(vm, 0, "cp " ALLOW_NIC " " OWNER);
	vm_expect_soon(vm, IS_UP " && systemctl reload tdx-authd");
	for (int i = 2; i < BUSY_NICS; i++)
		vm_expect_soon(vm, "[ -e %s/driver ]", nics[i]);
	expect_state(vm, nics[0], "0", "");
	expect_state(vm, nics[1], "1", "e1000e");
	vm_expect(vm, 0, "cp /run/deny.yaml " OWNER " && systemctl reload tdx-authd");
	for (int i = 2; i < BUSY_NICS; i++)
		vm_expect_soon(vm, "grep -q 0 %s/authorized", nics[i]);
	expect_state(vm, nics[0], "0", "");
	expect_state(vm, nics[1], "1", "e1000e");
	vm_expect(vm, 0, "! journalctl -u tdx-authd | grep 'set aside'");
	for (int i = 0; i < BUSY_NICS; i++)
		free(nics[i]);
}

static void test_what_is_plugged_while_the_daemon_is_dead_stays_refused(void **state)
{
	struct vm *vm = up(state, ALLOW_NIC);
	_cleanup_free_ char *before = NULL, *wanted = NULL, *stranger = NULL;

	vm_expect(vm, 0, "modprobe -a e1000 e1000e");
	before = vm_output(vm, ALL_STATES);
	vm_expect(vm, 0,
		  "mkdir -p /run/systemd/system/tdx-authd.service.d && "
		  "printf '[Service]\\nRestart=no\\n' > "
		  "/run/systemd/system/tdx-authd.service.d/no-restart.conf && "
		  "systemctl daemon-reload && systemctl kill -s KILL tdx-authd");
	vm_expect_soon(vm, "[ \"$(systemctl is-active tdx-authd)\" = failed ]");
	/* or the next event would start it */
	vm_expect(vm, 0, "systemctl stop tdx-authd.socket");
	vm_expect_output(vm, before, ALL_STATES);

	wanted = vm_plug_pci(vm, NIC_DEVICE, NIC);
	stranger = vm_plug_pci(vm, "e1000,id=nic2,bus=rp2,romfile=", "8086:100e");
	settle(vm);
	expect_state(vm, wanted, "0", "");
	expect_state(vm, stranger, "0", "");

	vm_expect(vm, 0, "systemctl start tdx-authd");
	vm_expect_soon(vm, "[ -e %s/driver ]", wanted);
	expect_state(vm, wanted, "1", "e1000e");
	expect_state(vm, stranger, "0", "");
}

static void test_stopped_daemon_changes_nothing(void **state)
{
	struct vm *vm = up(state, ALLOW_NIC);
	_cleanup_free_ char *wanted = vm_plug_pci(vm, NIC_DEVICE, NIC), *before = NULL;

	vm_expect_soon(vm, "[ -e %s/driver ]", wanted);
	expect_state(vm, wanted, "1", "e1000e");
	before = vm_output(vm, ALL_STATES);
	vm_expect(vm, 0, "systemctl stop tdx-authd");
	vm_expect_output(vm, before, ALL_STATES);
}

/* The host takes away what it plugged before the daemon can have had its say. */
static void test_devices_that_vanish_at_once_do_no_harm(void **state)
{
	struct vm *vm = up(state, ALLOW_NIC);
	_cleanup_free_ char *pid = vm_output(vm, MAIN_PID), *device = NULL;

	for (int i = 0; i < 20; i++) {
		vm_plug(vm, NIC_DEVICE);
		vm_plug(vm, "nvme,id=nvme1,serial=x,drive=null1,bus=rp2");
		vm_unplug(vm, "nic1");
		vm_unplug(vm, "nvme1");
	}
	vm_expect(vm, 0, IS_UP);
	vm_expect_output(vm, pid, MAIN_PID);
	vm_expect_output(vm, "0", "systemctl show --value -p NRestarts tdx-authd");
	/* And it still does its work. */
	device = vm_plug_pci(vm, NIC_DEVICE, NIC);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_state(vm, device, "1", "e1000e");
}

#define GOOD_RULE                                                                                  \
	"rules:\\n  - {name: nic, action: allow, driver: e1000e, match: {pci: {vendor: "           \
	"\"0x8086\", device: \"0x10d3\"}}}\\n"

static void test_policy_with_an_error_authorizes_nothing(void **state)
{
	static const struct {
		const char *text, *where;
	} broken[] = {
		{"version: 1\\nruels: []\\n" GOOD_RULE, ":2:1"},
		{"version: 1\\nrules: yes\\n", ":2:8"},
		{"version: 1\\n" GOOD_RULE "rules: []\\n", ":4:1"},
		{"version: 1\\n" GOOD_RULE "\\tdefaults: {}\\n", ":4:1"},
	};
	struct vm *vm = up(state, NULL);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	settle(vm);
	for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
		vm_expect(vm, 0, "mkdir -p /etc/tdx-auth/policy.d; printf '%s' > " OWNER,
			  broken[i].text);
		vm_expect(vm, 1, APPLY " 2>/run/error");
		vm_expect(vm, 0, "grep -qF '" OWNER "%s' /run/error", broken[i].where);
		expect_state(vm, device, "0", "");
		/* Nor by the daemon; and what the kernel's list admits has not suffered. */
		vm_expect(vm, 0, "systemctl restart tdx-authd && " IS_UP);
		settle(vm);
		expect_state(vm, device, "0", "");
		vm_expect(vm, 0, "ls /sys/class/net | grep -qvx lo && touch /root/alive");
	}
	vm_expect(vm, 0, "printf 'version: 1\\n" GOOD_RULE "' > " OWNER " && " APPLY);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
}

static void test_policy_that_others_may_write_authorizes_nothing(void **state)
{
	struct vm *vm = up(state, NULL);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	vm_expect(vm, 0, "install -D -m 666 " ALLOW_NIC " " OWNER);
	vm_expect(vm, 1, APPLY);
	vm_expect(vm, 0, "systemctl restart tdx-authd && " IS_UP);
	settle(vm);
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, "chmod 644 " OWNER " && chown 1000 " OWNER);
	vm_expect(vm, 1, APPLY);
	expect_state(vm, device, "0", "");
	vm_expect(vm, 0, "chown 0 " OWNER " && " APPLY);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
}

static void test_apply_gives_back_to_the_kernel_what_no_rule_allows(void **state)
{
	struct vm *vm = up(state, NULL);
	_cleanup_free_ char *device = vm_plug_pci(vm, NIC_DEVICE, NIC);

	settle(vm);
	vm_expect(vm, 0, "modprobe e1000e && tdx-authctl authorize pci:$(basename %s)", device);
	expect_state(vm, device, "1", "e1000e");
	vm_expect(vm, 0, APPLY);
	expect_state(vm, device, "0", "");
	vm_expect_output(vm, "default", "cat %s/authorized_by", device);
}

static void test_daemon_that_refused_its_policy_ends_as_failed(void **state)
{
	struct vm *vm = up(state, NULL);

	vm_expect(vm, 0, "mkdir -p /etc/tdx-auth/policy.d; echo 'versoin: 1' > " OWNER);
	vm_expect(vm, 0, "systemctl restart tdx-authd && " IS_UP);
	vm_expect(vm, 0, "systemctl stop tdx-authd");
	vm_expect_output(vm, "1", "systemctl show --value -p ExecMainStatus tdx-authd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_wanted_device_gets_its_driver),
		vm_test(test_device_that_no_rule_names_stays_refused),
		vm_test(test_device_that_was_there_before_the_daemon_is_authorized),
		vm_test(test_authctl_authorizes_and_denies_by_hand),
		vm_test(test_a_device_behind_a_refused_port_waits_for_it),
		vm_test(test_a_usb_device_has_no_driver_before_the_decision),
		vm_test(test_a_machine_that_slept_is_looked_at_again),
		vm_test(test_decision_by_hand_is_on_record_even_where_it_changes_nothing),
		vm_test(test_apply_lifts_a_restriction_that_the_policy_no_longer_makes),
		vm_test(test_killed_daemon_comes_back_and_changes_nothing),
		vm_test(test_kills_at_any_moment_lose_and_loosen_nothing),
		vm_test(test_what_is_plugged_while_the_daemon_is_dead_stays_refused),
		vm_test(test_stopped_daemon_changes_nothing),
		vm_test(test_devices_that_vanish_at_once_do_no_harm),
		vm_test(test_policy_with_an_error_authorizes_nothing),
		vm_test(test_policy_that_others_may_write_authorizes_nothing),
		vm_test(test_apply_gives_back_to_the_kernel_what_no_rule_allows),
		vm_test(test_daemon_that_refused_its_policy_ends_as_failed),
	};

	return RUN_TESTS("daemon", tests);
}
