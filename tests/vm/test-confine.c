/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What Debian's own kernel has beside the unit's sandbox: AppArmor, which holds the daemon to its
 * profile, and an audit system with an auditd(8) that takes its records. */

#include "vmtest.h"

#define NIC "8086:10d3"
#define NIC_DEVICE "e1000e,id=nic1,bus=rp1,romfile="
#define STRANGER "8086:100e"
#define STRANGER_DEVICE "e1000,id=nic2,bus=rp2,romfile="
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define PERMANENT "/etc/tdx-auth/policy.d/00-permanent.yaml"
#define ALLOW_NIC "/usr/share/tdx-lab/allow-e1000e.yaml"
#define PROFILE "/etc/apparmor.d/usr.lib.tdx-auth.tdx-authd"
#define MANAGER "org.tdxauth1 /org/tdxauth1 org.tdxauth1.Manager"
#define AS_NOBODY "setpriv --reuid=65534 --regid=65534 --clear-groups "
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define PIDS "$(cat /sys/fs/cgroup/system.slice/tdx-authd.service/cgroup.procs)"
#define USB "/sys/bus/usb/devices"
#define RULES                                                                                      \
	"  - {action: allow, driver: xhci_hcd, match: {pci: {vendor: 0x1b36, device: 0x000d}}}\\n" \
	"  - {action: allow, match: {usb: {product: QEMU USB Keyboard}}}\\n"                       \
	"  - {name: of gadgets, action: allow, match: {usb: {product: \"evil*\"}}}\\n"

/* The audit system has AppArmor's words too, in records that ausearch(8) takes for malformed. */
#define LOG "/var/log/audit/audit.log"
#define DENIALS "{ cat " LOG "*; journalctl -k -q -o cat; } | grep -a 'apparmor=\"DENIED\"'"

/* The tests share a guest, and come in their order. One that a test failed in is not used again. */
static void *guest;
static bool failed;
static const char *debian = "debian13";

static void confine(struct vm *vm)
{
	/* first, or the kernel's log has some of the records, and drops what is too many for it */
	vm_expect(vm, 0, "systemctl start auditd && auditctl -s | grep '^pid [1-9]'");
	vm_expect(vm, 0, "apparmor_parser --replace " PROFILE);
	vm_expect(vm, 0,
		  "install -D -m 644 " ALLOW_NIC " " OWNER " && printf '" RULES "' >> " OWNER);
	vm_expect(vm, 0, "systemctl restart tdx-authd");
	vm_expect_soon(vm, IS_UP);
}

static struct vm *up(void)
{
	struct vm *vm;

	if (!vm_has(debian)) /* one that is older than the machine that builds */
		skip();
	if (!guest || failed) {
		vm = vm_up(&guest, .kernel = debian, .init = VM_INIT_OWN, .cmdline = "quiet");
		vm_expect_output(vm, "running", "systemctl is-system-running --wait");
		confine(vm);
		free(vm_plug_pci(vm, NIC_DEVICE, NIC));
		free(vm_plug_pci(vm, STRANGER_DEVICE, STRANGER));
	}
	failed = true; /* until it has passed */
	return guest;
}

/* None was lost either. */
static void expect_no_denial(struct vm *vm)
{
	vm_expect(vm, 0, "auditctl -s | grep '^lost 0$'");
	vm_expect_output(vm, "", DENIALS " || :");
}

/* Each of its processes is in the profile, and what the unit forbids is still forbidden. */
static void expect_confined(struct vm *vm)
{
	vm_expect(vm, 0, "set -- " PIDS "; [ $# -gt 2 ]");
	vm_expect_output(vm, "tdx-authd (enforce)",
			 "for pid in " PIDS "; do cat /proc/$pid/attr/current; done | sort -u");
	vm_expect_output(vm, "1 2",
			 "for pid in " PIDS "; do sed -n 's/^\\(NoNewPrivs\\|Seccomp\\):\\t*//p' "
			 "/proc/$pid/status | xargs; done | sort -u");
}

#define NAMED(product, attr) "$(cat $(dirname $(grep -l '" product "' " USB "/*/product))/" attr ")"

/* By what stands for the series: files of drivers and of buses. */
static void expect_devices_decided(struct vm *vm, const char *nic, const char *stranger)
{
	vm_expect_soon(vm, "[ \"$(basename $(readlink %s/driver))\" = e1000e ]", nic);
	vm_expect_soon(vm, "[ \"$(cat %s/driver_override)\" = tdx-auth:refused ]", stranger);
	vm_expect(vm, 0, "! [ -e %s/driver ]", stranger);
	free(vm_plug_pci(vm, "qemu-xhci,id=xhci1,bus=rp4", "1b36:000d"));
	vm_plug(vm, "usb-mouse,id=mouse1,bus=xhci1.0,port=1");
	vm_plug(vm, "usb-kbd,id=kbd1,bus=xhci1.0,port=2");
	vm_expect_soon(vm, "[ " NAMED("USB Keyboard", "authorized") " = 1 ]");
	vm_expect_soon(vm, "[ " NAMED("USB Mouse", "authorized") " = 0 ]");
	/* usbcore's default is a parameter of a module, and of each root hub */
	vm_expect_output(vm, "0", "cat /sys/module/usbcore/parameters/authorized_default");
	vm_expect_output(vm, "0", "cat " USB "/usb*/authorized_default | sort -u");
}

#define GADGET "/sys/kernel/config/usb_gadget/g1"

/* A name that would make up fields of a record, or one of its own. */
static void plug_gadget(struct vm *vm)
{
	vm_expect(vm, 0,
		  "modprobe -a dummy_hcd libcomposite && { mountpoint -q /sys/kernel/config || "
		  "mount -t configfs none /sys/kernel/config; }");
	vm_expect(vm, 0,
		  "mkdir " GADGET " && cd " GADGET " && echo 0x1d6b > idVendor && "
		  "echo 0x0104 > idProduct && mkdir strings/0x409 configs/c.1 "
		  "functions/SourceSink.0 && ln -s functions/SourceSink.0 configs/c.1/ && "
		  "printf 'evil\" res=failed\\ntype=USER_DEVICE msg=audit(1.0:1): op=remove' > "
		  "strings/0x409/product && ls /sys/class/udc > UDC");
}

/* Not what is on its standard input. */
#define RECORDS "ausearch --input-logs -m USER_DEVICE "

static void expect_record_of_hostile_name(struct vm *vm)
{
	plug_gadget(vm);
	vm_expect_soon(vm, RECORDS "-i | grep -F 'name=evil\" res=failed\\012type=USER_DEVICE "
				   "msg=audit(1.0:1): op=remove product='");
	vm_expect_output(vm, "1", RECORDS "-i | grep -c 'device=/sys/devices/.*/dummy_hcd'");
	vm_expect(vm, 0,
		  RECORDS "-i | grep 'op=authorize bus=usb device=/sys/devices/.*/dummy_hcd"
			  ".* rule=\"50-owner.yaml:of-gadgets\" .* res=success'");
	vm_expect(vm, 0, "! " RECORDS "| grep op=remove");
	vm_expect(vm, 0, "! " RECORDS "--success no");
	/* a record, a line */
	vm_expect(vm, 0, "! grep -av '^type=[A-Z_0-9]* msg=audit([0-9]*[.]' " LOG);
}

static void test_auditd_has_each_decision_as_its_tools_read_it(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *nic = vm_find_pci(vm, NIC), *stranger = vm_find_pci(vm, STRANGER);

	(void)state;
	vm_expect_soon(vm,
		       RECORDS "-i | grep 'subj=tdx-authd .*op=authorize bus=pci device=%s "
			       ".* rule=\"50-owner.yaml:lab-nic\" driver=\"e1000e\" .* "
			       "res=success'",
		       nic);
	vm_expect_soon(vm,
		       RECORDS "-i | grep 'op=refuse bus=pci device=%s .* rule=\"default-for-pci\" "
			       ".* res=success'",
		       stranger);
	vm_expect(vm, 0, "tdx-authctl deny pci:$(basename %s)", nic);
	vm_expect_soon(vm,
		       RECORDS "-i | grep 'op=refuse bus=pci device=%s .* rule=\"by-hand\" .* "
			       "res=success'",
		       nic);
	vm_expect(vm, 0, "tdx-authctl authorize pci:$(basename %s)", nic);
	vm_expect_soon(vm,
		       RECORDS "-i | grep 'op=authorize bus=pci device=%s .* rule=\"by-hand\" .* "
			       "res=success'",
		       nic);
	expect_record_of_hostile_name(vm);
	expect_no_denial(vm);
	failed = false;
}

/* --- what else it does --- */

static void expect_decisions_by_hand(struct vm *vm, const char *stranger)
{
	_cleanup_free_ char *object = vm_output(
		vm, "busctl call " MANAGER " GetDevice s pci:$(basename %s) | cut -d'\"' -f2",
		stranger);

	/* else udev loads it afterwards */
	vm_expect(vm, 0, "modprobe e1000");
	vm_expect_output(vm, "s \"e1000\"",
			 "busctl call org.tdxauth1 %s org.tdxauth1.Device Authorize 'a{sv}' 1 "
			 "driver s e1000",
			 object);
	vm_expect_output(vm, "e1000", "basename \"$(readlink %s/driver)\"", stranger);
	vm_expect(vm, 0,
		  "busctl call org.tdxauth1 %s org.tdxauth1.Device Deny 'a{sv}' 1 permanent b true",
		  object);
	vm_expect(vm, 0, "! [ -e %s/driver ]", stranger);
	vm_expect(vm, 0, "grep 'action: deny' " PERMANENT);
	vm_expect(vm, 0, "busctl call org.tdxauth1 %s org.tdxauth1.Device Explain", object);
	/* polkit is asked, and answers */
	vm_expect(vm, 0,
		  AS_NOBODY "busctl call --allow-interactive-authorization=no " MANAGER
			    " Freeze 2>&1 | grep 'somebody has to authenticate'");
}

static void expect_what_is_kept(struct vm *vm, const char *nic)
{
	vm_expect(vm, 0, "grep %s /run/tdx-auth/state", nic);
	vm_expect_soon(vm, "grep 'devices{bus=\"usb\",verdict=\"deny\"} [1-9]' "
			   "/run/tdx-auth/metrics.prom");
	vm_expect_output(vm, "0", "sed -n 's/^tdx_auth_impaired //p' /run/tdx-auth/metrics.prom");
	vm_expect(vm, 0, "tdx-authctl status | grep '^Daemon: *running$'");
	vm_expect_output(vm, "", "journalctl -b -q -u tdx-authd -p err -o cat");
}

/* Killed and started again, it knows what was; and nothing loosens the freeze. */
static void expect_reload_and_freeze(struct vm *vm, const char *nic, const char *stranger)
{
	vm_expect(vm, 0, "busctl call " MANAGER " Reload && systemctl reload tdx-authd");
	vm_expect(vm, 0, "systemctl kill --kill-whom=main -s KILL tdx-authd");
	vm_expect_soon(vm, IS_UP " && busctl get-property " MANAGER " Frozen");
	vm_expect(vm, 0, "busctl call " MANAGER " Freeze && systemctl restart tdx-authd");
	vm_expect_soon(vm, "[ \"$(busctl get-property " MANAGER " Frozen)\" = 'b true' ]");
	vm_expect(vm, 1, "busctl call " MANAGER " Reload");
	vm_expect_output(vm, "e1000e", "basename \"$(readlink %s/driver)\"", nic);
	vm_expect(vm, 0, "! [ -e %s/driver ]", stranger);
}

static void test_everything_works_in_the_profile(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *nic = vm_find_pci(vm, NIC), *stranger = vm_find_pci(vm, STRANGER);

	(void)state;
	expect_confined(vm);
	expect_devices_decided(vm, nic, stranger);
	expect_decisions_by_hand(vm, stranger);
	expect_what_is_kept(vm, nic);
	expect_reload_and_freeze(vm, nic, stranger);
	expect_confined(vm);
	expect_no_denial(vm);
	failed = false;
}

/* --- what it does not do --- */

/* A shell with nothing but its own words, in the profile: what it opens is what a daemon that was
 * taken over could open, were there no sandbox. */
#define CONFINED "(echo changeprofile tdx-authd > /proc/self/attr/current && %s)"

static void test_the_profile_refuses_what_the_daemon_has_no_use_for(void **state)
{
	static const char *const refused[] = {
		"echo x > /root/x",
		"echo x > /usr/lib/tdx-auth/policy.d/00-default.yaml",
		"echo x > /etc/tdx-auth/tdx-authd.yaml",
		"echo x > /etc/systemd/system/x.service",
		"echo x > /run/x",
		"echo x > /sys/kernel/profiling",
		"echo x > /sys/module/usbcore/parameters/quirks",
		"echo x > /proc/sys/kernel/core_pattern",
		"read x < /etc/shadow",
		"read x < /proc/1/environ",
		"/bin/true",
		"/usr/lib/tdx-auth/tdx-authd --version",
		"kill -WINCH 1",
	};
	struct vm *vm = up();

	(void)state;
	vm_expect(vm, 0, "modprobe usbcore");
	vm_expect(vm, 0, CONFINED, "echo x > /run/tdx-auth/x && echo x > " OWNER ".new");
	for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
		vm_expect(vm, 0,
			  ": > /run/said; " CONFINED " > /run/said 2>&1; [ $? != 0 ] && "
			  "grep -e 'Permission denied' -e 'not permitted' /run/said",
			  refused[i]);
	}
	vm_expect(vm, 0, DENIALS " | grep 'name=\"/root/x\".* requested_mask=\"c\"'");
	vm_expect(vm, 0, DENIALS " | grep 'operation=\"signal\"'");
	failed = false;
}

static void test_so_it_is_on_debian_12(void **state)
{
	(void)vm_down(&guest);
	debian = "debian12";
	test_auditd_has_each_decision_as_its_tools_read_it(state);
	test_everything_works_in_the_profile(state);
	test_the_profile_refuses_what_the_daemon_has_no_use_for(state);
}

static int end_guest(void **state)
{
	(void)state;
	return vm_down(&guest);
}

#define ON_DEBIAN_13                                                                               \
	cmocka_unit_test(test_auditd_has_each_decision_as_its_tools_read_it),                      \
		cmocka_unit_test(test_everything_works_in_the_profile),                            \
		cmocka_unit_test(test_the_profile_refuses_what_the_daemon_has_no_use_for)

int main(void)
{
	const struct CMUnitTest sample[] = {ON_DEBIAN_13},
				all[] = {ON_DEBIAN_13,
					 cmocka_unit_test(test_so_it_is_on_debian_12)};

	if (isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS_WITH("confine", sample, NULL, end_guest);
	return RUN_TESTS_WITH("confine", all, NULL, end_guest);
}
