/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Debian 13 with another policy in its initrd, by either generator, or made of packages: what
 * becomes of a machine whose root disk that refuses, or whose policy nobody can read. That the one
 * which is installed holds from there on: test-debian.c.
 */

#include <errno.h>

#include "initrd-file.h"
#include "vmtest.h"

#define POLICY "etc/tdx-auth/policy.d/50-lab.yaml"

#define SHELL_MS 60000U /* after which a guest with a shell has one, and waits for its user */

/* Disks, by what they are behind and by themselves: nothing mounts that. */
#define NO_DISK                                                                                    \
	"version: 1\n"                                                                             \
	"rules:\n"                                                                                 \
	"  - name: no-disk\n"                                                                      \
	"    action: deny\n"                                                                       \
	"    match: { pci: { vendor: 0x1af4, device: 0x1001 } }\n"

/* Boots a guest that is not to come up, with a file more in its initrd, and returns what it said.
 * @error is of vm_start(). */
static char *boot_in_vain(void **state, const char *guest, const char *file, const char *text,
			  const char *cmdline, int error)
{
	_cleanup_free_ char *initrd = initrd_with_file(guest, file, text);
	struct vm *vm;
	char *log;
	int r;

	assert_non_null(initrd);
	(void)vm_down(state);
	r = vm_start(&(struct vm_options){.kernel = guest,
					  .init = VM_INIT_OWN,
					  .initrd = initrd,
					  .cmdline = cmdline,
					  .boot_ms = error == -ETIMEDOUT ? SHELL_MS : 0},
		     &vm);
	(void)unlink(initrd);
	*state = vm;
	if (r != error)
		vm_fail(vm, "the guest ends otherwise: %s", r < 0 ? strerror(-r) : "it is up");
	log = vm_log_text(vm);
	assert_non_null(log);
	return log;
}

/* Boots a guest that is to end by itself, and returns what it said. */
static char *boot_to_the_end(void **state, const char *guest, const char *file, const char *text,
			     const char *cmdline)
{
	return boot_in_vain(state, guest, file, text, cmdline, -ECONNRESET);
}

static void expect_in_log(struct vm *vm, const char *log, const char *text)
{
	if (!strstr(log, text))
		vm_fail(vm, "the console does not say: %s", text);
}

static void expect_power_off_with_reason(void **state, const char *guest, const char *cmdline)
{
	_cleanup_free_ char *log = boot_to_the_end(state, guest, POLICY, NO_DISK, cmdline);
	struct vm *vm = *state;

	expect_in_log(vm, log, "Red Hat");
	expect_in_log(vm, log, "refused by: 50-lab.yaml:no-disk");
	expect_in_log(vm, log, "what would allow it:");
	expect_in_log(vm, log, "match: { pci: { vendor: \"0x1af4\", device: \"0x1001\"");
	expect_in_log(vm, log, "powering off, as a shell on this console would be the host's");
	if (strstr(log, "(initramfs)") || strstr(log, "Emergency Shell") ||
	    strstr(log, "Press Enter for maintenance"))
		vm_fail(vm, "there was a shell");
}

static void test_initramfs_tools_powers_off_where_the_root_disk_is_refused(void **state)
{
	expect_power_off_with_reason(state, "debian13", "");
}

static void test_dracut_powers_off_where_the_root_disk_is_refused(void **state)
{
	expect_power_off_with_reason(state, "debian13-dracut", "rd.retry=5 rd.timeout=40");
}

static void test_an_initrd_of_packages_powers_off_where_the_root_disk_is_refused(void **state)
{
	expect_power_off_with_reason(state, "debian13-uki",
				     "systemd.default_device_timeout_sec=20");
}

static void test_no_parameter_of_the_command_line_opens_a_shell(void **state)
{
	static const struct {
		const char *guest, *cmdline;
	} tries[] = {
		{"debian13", "break=top"},
		{"debian13", "panic= break=premount"},
		{"debian13-dracut", "rd.break=pre-mount"},
		{"debian13-dracut", "rd.systemd.unit=rescue.target"},
		{"debian13-dracut", "rd.systemd.unit=emergency.target"},
		{"debian13-dracut", "rd.systemd.debug_shell"},
		{"debian13-uki", "rd.systemd.unit=rescue.target"},
		{"debian13-uki", "rd.systemd.unit=emergency.target"},
		{"debian13-uki", "rd.systemd.debug_shell"},
	};

	for (size_t i = 0; i < ELEMENTSOF(tries); i++) {
		_cleanup_free_ char *log =
			boot_to_the_end(state, tries[i].guest, "etc/lab", "", tries[i].cmdline);

		expect_in_log(*state, log, "powering off, as a shell on this console would be");
	}
}

static void test_there_is_a_shell_where_the_initrd_was_built_with_one(void **state)
{
	static const struct {
		const char *guest, *cmdline, *prompt;
	} tries[] = {
		{"debian13", "panic= break=premount", "(initramfs) "},
		{"debian13-dracut", "rd.break=pre-mount", "Entering emergency mode"},
	};

	for (size_t i = 0; i < ELEMENTSOF(tries); i++) {
		_cleanup_free_ char *log =
			boot_in_vain(state, tries[i].guest, "etc/tdx-auth/initrd.conf",
				     "emergency-shell=yes\n", tries[i].cmdline, -ETIMEDOUT);

		expect_in_log(*state, log,
			      "tdx-auth: this initrd was built with emergency-shell=yes");
		expect_in_log(*state, log, tries[i].prompt);
	}
}

static void expect_built_in_policy(void **state, const char *guest)
{
	_cleanup_free_ char *initrd = initrd_with_file(guest, POLICY, "version: 1\nrulez: []\n"),
			    *log = NULL;
	struct vm *vm;

	assert_non_null(initrd);
	vm = vm_up(state, .kernel = guest, .init = VM_INIT_OWN, .initrd = initrd,
		   .cmdline = "quiet");
	(void)unlink(initrd);
	log = vm_log_text(vm);
	expect_in_log(vm, log,
		      "policy refused: /etc/tdx-auth/policy.d/50-lab.yaml:2:1: unknown key");
	expect_in_log(vm, log, "THE POLICY IN THE INITRD IS REFUSED");
	expect_in_log(vm, log, "the built-in policy is in force: usb and thunderbolt are denied");
	vm_expect(vm, 0, "systemctl is-system-running --wait");
	vm_expect(vm, 0, "dmesg | grep 'tdx-authctl: THE POLICY IN THE INITRD IS REFUSED'");
	vm_expect(vm, 0, "journalctl -b -o cat | grep 'THE POLICY IN THE INITRD IS REFUSED'");
	vm_expect(vm, 1, "tdx-authctl status > /run/status");
	vm_expect(vm, 0, "grep \"^Initrd: *THE INITRD'S POLICY WAS REFUSED\" /run/status");
	vm_expect(vm, 0, "tdx-authctl status --json | grep '\"policy\": *\"refused-built-in\"'");
}

static void test_a_policy_that_cannot_be_read_boots_by_the_built_in_one(void **state)
{
	expect_built_in_policy(state, "debian13");
}

static void test_the_same_with_dracut(void **state)
{
	expect_built_in_policy(state, "debian13-dracut");
}

int main(void)
{
	const struct CMUnitTest
		all[] =
			{
				vm_test(test_initramfs_tools_powers_off_where_the_root_disk_is_refused),
				vm_test(test_dracut_powers_off_where_the_root_disk_is_refused),
				vm_test(test_an_initrd_of_packages_powers_off_where_the_root_disk_is_refused),
				vm_test(test_a_policy_that_cannot_be_read_boots_by_the_built_in_one),
				vm_test(test_the_same_with_dracut),
				vm_test(test_no_parameter_of_the_command_line_opens_a_shell),
				vm_test(test_there_is_a_shell_where_the_initrd_was_built_with_one),
			},
		sample[] = {
			vm_test(test_initramfs_tools_powers_off_where_the_root_disk_is_refused),
			vm_test(test_dracut_powers_off_where_the_root_disk_is_refused),
			vm_test(test_a_policy_that_cannot_be_read_boots_by_the_built_in_one),
		};

	if (isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS("initrd", sample);
	return RUN_TESTS("initrd", all);
}
