/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Debian as Debian ships it, with tdx-auth installed and nothing configured: its own kernel, which
 * has no device authorization, the initrd that its own tools made, and all of its units.
 * test-backends.c has more to say of Debian 12. */

#include "vmtest.h"

struct guest {
	const char *name;
	const char *version; /* VERSION_ID of os-release(5) */
	const char *release; /* a pattern for sh(1) */
	bool has_systemd_in_initrd;
};

static void expect_booted(struct vm *vm, const struct guest *guest)
{
	vm_expect_output(vm, "running", "systemctl is-system-running --wait");
	vm_expect_output(vm, guest->version, ". /etc/os-release && echo $VERSION_ID");
	vm_expect(vm, 0, "case $(uname -r) in %s) ;; *) false ;; esac", guest->release);
	/* ext4 and virtio are modules: no initrd, no root */
	vm_expect_output(vm, "/dev/vda ext4", "findmnt -no SOURCE,FSTYPE /");
	vm_expect(vm, 0, "grep -q '^ext4 ' /proc/modules && grep -q '^virtio_blk ' /proc/modules");
	vm_expect(vm, guest->has_systemd_in_initrd ? 0 : 1,
		  "systemd-analyze time | grep '(initrd)'");
}

static void expect_protection(struct vm *vm)
{
	vm_expect_output(vm, "active", "systemctl is-active tdx-authd");
	vm_expect_output(vm, "", "journalctl -b -q -u tdx-authd -p err -o cat");
	vm_expect(vm, 0,
		  "tdx-authctl status > /run/status && grep '^Daemon: *running$' /run/status");
	vm_expect(vm, 0, "grep '^pci  *driver  *modules ' /run/status");
	vm_expect(vm, 0, "grep '^virtio  *driver  *modules ' /run/status");
	vm_expect(vm, 0, "grep '^acpi  *none  *none  *UNPROTECTED' /run/status");
	vm_expect(vm, 0, "grep '^platform  *none  *none  *UNPROTECTED' /run/status");
	/* what it runs on */
	vm_expect(
		vm, 0,
		"tdx-authctl list > /run/list && "
		"grep '^virtio:.* block device  *virtio_blk  *yes  *allow virtio_blk ' /run/list");
}

/* What no list names, with a module for it in the image. */
static void expect_refusal(struct vm *vm)
{
	_cleanup_free_ char *nvme =
		vm_plug_pci(vm, "nvme,id=nvme1,serial=x,drive=null1,bus=rp1", "1b36:0010");

	vm_expect(vm, 0, "modinfo -n nvme");
	vm_expect_soon(vm, "[ \"$(cat %s/driver_override)\" = tdx-auth:refused ]", nvme);
	vm_expect_soon(vm, "! [ -e %s/driver ]", nvme);
	vm_expect(vm, 0, "udevadm settle && ! [ -e %s/driver ]", nvme);
}

static void expect_guest(void **state, const struct guest *guest)
{
	struct vm *vm;

	/* One that is older than the machine that builds cannot run what that builds. */
	if (!vm_has(guest->name))
		skip();
	vm = vm_up(state, .kernel = guest->name, .init = VM_INIT_OWN, .cmdline = "quiet");
	expect_booted(vm, guest);
	expect_protection(vm);
	expect_refusal(vm);
}

static void test_debian_12_boots_and_is_guarded(void **state)
{
	expect_guest(state, &(struct guest){"debian12", "12", "6.1.*-amd64", false});
}

static void test_debian_12_with_dracut_boots_and_is_guarded(void **state)
{
	expect_guest(state, &(struct guest){"debian12-dracut", "12", "6.1.*-amd64", true});
}

static void test_debian_13_boots_and_is_guarded(void **state)
{
	expect_guest(state, &(struct guest){"debian13", "13", "6.12.*+deb13-amd64", false});
}

static void test_debian_13_with_dracut_boots_and_is_guarded(void **state)
{
	expect_guest(state, &(struct guest){"debian13-dracut", "13", "6.12.*+deb13-amd64", true});
}

int main(void)
{
	const struct CMUnitTest all[] =
		{
			vm_test(test_debian_12_boots_and_is_guarded),
			vm_test(test_debian_12_with_dracut_boots_and_is_guarded),
			vm_test(test_debian_13_boots_and_is_guarded),
			vm_test(test_debian_13_with_dracut_boots_and_is_guarded),
		},
				sample[] = {
					vm_test(test_debian_13_boots_and_is_guarded),
					vm_test(test_debian_13_with_dracut_boots_and_is_guarded),
				};

	if (isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS("debian", sample);
	return RUN_TESTS("debian", all);
}
