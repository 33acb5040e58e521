/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An image as mkosi makes one: its initrd is of packages, with systemd, and in one file with the
 * kernel and the command line, which firmware starts. debian-uki.sh made it by the manual, with the
 * module policy in force in both of its file systems. */

#include <errno.h>

#include "vmtest.h"

#define GUEST "debian13-uki"

/* What a firmware of that vendor has gsmi loaded for. */
#define HOSTILE_FIRMWARE "type=0,vendor=coreboot$(>/owned);>/owned"

/* Of the journal, what came before the root file system. */
#define IN_INITRD(pattern)                                                                         \
	"journalctl -q -b -o cat | sed '/^Switching root/,$d' | grep -q '" pattern "'"

static struct vm *boot(void **state)
{
	static const char *const devices[] = {"nvme,id=disk1,serial=x,drive=null1", NULL};
	char *arguments[] = {(char *)"-smbios", (char *)HOSTILE_FIRMWARE, NULL};
	struct vm *vm = vm_up(state, .kernel = GUEST, .init = VM_INIT_OWN, .firmware = true,
			      .devices = devices, .arguments = arguments);

	vm_expect_output(vm, "running", "systemctl is-system-running --wait");
	vm_expect(vm, 0, "udevadm settle -t 100");
	return vm;
}

/* By firmware and the stub, and with no other initrd. */
static void expect_booted(struct vm *vm)
{
	vm_expect(vm, 0, "ls /sys/firmware/efi/efivars/StubInfo-*");
	vm_expect(vm, 0, "systemd-analyze time | grep '(initrd)'");
	vm_expect_output(vm, "ext4", "findmnt -no FSTYPE /");
	vm_expect(vm, 0, "grep -q '^ext4 ' /proc/modules && grep -q '^virtio_blk ' /proc/modules");
	vm_expect(vm, 0, "dmesg | grep 'Running in initrd' && ! ls /boot/initrd*");
}

/* By the one command, and not by a daemon that is enabled there, too: its start is the system's. */
static void expect_policy_from_the_initrd_on(struct vm *vm)
{
	vm_expect(vm, 0, "dmesg >/run/dmesg && grep -n . /run/dmesg >/run/lines");
	vm_expect(vm, 0,
		  "a=$(sed -n 's/:.*tdx-authctl: the policy was applied before udev.*//p' "
		  "/run/lines) && "
		  "b=$(sed -n 's/:.*virtio_blk virtio[0-9]*: .*//p' /run/lines | head -n 1) && "
		  "[ \"$a\" -lt \"$b\" ]");
	vm_expect(vm, 0, "journalctl -q -b -o cat | grep '^Switching root'");
	vm_expect(vm, 0, IN_INITRD("tdx-authd.service.*skipped, unmet condition"));
	vm_expect(vm, 1, IN_INITRD("Start.* tdx-authd.s"));
	vm_expect_output(vm, "active", "systemctl is-active tdx-authd");
	vm_expect_output(vm, "", "journalctl -b -q -u tdx-authd -p err -o cat");
	vm_expect(vm, 0, "tdx-authctl status >/run/status");
	vm_expect(vm, 0,
		  "grep '^Initrd: *the policy that is installed here was applied there' "
		  "/run/status");
	vm_expect(vm, 0, "grep '^Before any decision: ' /run/status > /run/first");
	vm_expect(vm, 1, "grep -E 'virtio_blk|nvme' /run/first");
}

static void expect_early_refusal(struct vm *vm)
{
	_cleanup_free_ char *nvme = vm_find_pci(vm, "1b36:0010");

	vm_expect_output(vm, "tdx-auth:refused", "cat %s/driver_override", nvme);
	vm_expect(vm, 1, "grep 'nvme nvme[0-9]' /run/dmesg || grep '^nvme' /proc/modules");
	vm_expect(vm, 0, "tdx-authctl list --refused | grep '^pci:%s'", strrchr(nvme, '/') + 1);
}

/* PID 1 asks for the first before there is any unit, and udev for the second as the host's firmware
 * says; debian-uki.sh put both into the initrd. */
static void expect_modules_to_be_held_in_the_initrd(struct vm *vm)
{
	vm_expect(vm, 0,
		  "a=$(sed -n 's/:.*tdx-auth-modgate: module qemu_fw_cfg (by systemd) is denied: "
		  ".*//p' /run/lines | head -n 1) && "
		  "b=$(sed -n 's/:.*tdx-authctl: the policy was applied before udev.*//p' "
		  "/run/lines) && "
		  "[ \"$a\" -lt \"$b\" ]");
	vm_expect(vm, 0, IN_INITRD("^module gsmi (by .*udev.*) is denied: nothing in the policy"));
	vm_expect(vm, 1, "grep -q gsmi /run/dmesg");
}

static void expect_modules_to_be_held_in_the_system(struct vm *vm)
{
	vm_expect(vm, 0,
		  "! modprobe e1000e 2>/run/out && grep 'module e1000e (by modprobe) is denied: "
		  "nothing in the policy needs it' /run/out");
	vm_expect(vm, 1, "grep -E '^(e1000e|gsmi|qemu_fw_cfg) ' /proc/modules");
	vm_expect(vm, 0, "! ls /owned");
}

static void test_an_image_that_firmware_starts_is_guarded_from_its_initrd_on(void **state)
{
	struct vm *vm = boot(state);

	expect_booted(vm);
	expect_policy_from_the_initrd_on(vm);
	expect_early_refusal(vm);
	expect_modules_to_be_held_in_the_initrd(vm);
	expect_modules_to_be_held_in_the_system(vm);
}

/* The stub lets a host add to the command line, where the guest is not a confidential one. */
static void test_a_host_that_adds_to_the_command_line_gets_no_shell(void **state)
{
	_cleanup_free_ char *log = NULL;
	struct vm *vm;
	int r;

	r = vm_start(&(struct vm_options){.kernel = GUEST,
					  .init = VM_INIT_OWN,
					  .firmware = true,
					  .cmdline = "rd.systemd.unit=emergency.target"},
		     &vm);
	*state = vm;
	if (r != -ECONNRESET)
		vm_fail(vm, "the guest does not go off: %s", r < 0 ? strerror(-r) : "it is up");
	log = vm_log_text(vm);
	if (!strstr(log, "tdx-auth: the initrd cannot go on") ||
	    !strstr(log, "powering off, as a shell on this console would be the host's"))
		vm_fail(vm, "it does not say why");
	if (strstr(log, "Press Enter for maintenance"))
		vm_fail(vm, "there was a shell");
}

int main(void)
{
	const struct CMUnitTest
		all[] =
			{
				vm_test(test_an_image_that_firmware_starts_is_guarded_from_its_initrd_on),
				vm_test(test_a_host_that_adds_to_the_command_line_gets_no_shell),
			},
		sample[] = {
			vm_test(test_an_image_that_firmware_starts_is_guarded_from_its_initrd_on),
		};

	if (isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS("uki", sample);
	return RUN_TESTS("uki", all);
}
