/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Debian as Debian ships it, with tdx-auth installed and nothing configured: its own kernel, which
 * has no device authorization, the initrd that its own tools made, by our hooks as well, and all of
 * its units; in the long form with an encrypted root, too. test-backends.c has more to say of
 * Debian 12. */

#include "vmtest.h"

#define PLAIN "/dev/vda ext4"
#define LUKS "/dev/mapper/root ext4"

struct guest {
	const char *name;
	const char *version; /* VERSION_ID of os-release(5) */
	const char *release; /* a pattern for sh(1) */
	bool has_systemd_in_initrd;
	const char *root;
};

static void expect_booted(struct vm *vm, const struct guest *guest)
{
	vm_expect_output(vm, "running", "systemctl is-system-running --wait");
	vm_expect_output(vm, guest->version, ". /etc/os-release && echo $VERSION_ID");
	vm_expect(vm, 0, "case $(uname -r) in %s) ;; *) false ;; esac", guest->release);
	/* ext4 and virtio are modules: no initrd, no root */
	vm_expect_output(vm, guest->root, "findmnt -no SOURCE,FSTYPE /");
	if (startswith(guest->root, "/dev/mapper/"))
		vm_expect(vm, 0, "dmsetup table root | grep ' crypt aes-xts-plain64 '");
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

/* Before anything was loaded, and what came later knows it for its own. */
static void expect_initrd(struct vm *vm)
{
	vm_expect(vm, 0, "dmesg | grep -n . > /run/dmesg");
	vm_expect(vm, 0, "grep 'tdx-authctl: the policy was applied before udev: ' /run/dmesg");
	/* the first module for a device */
	vm_expect(vm, 0,
		  "a=$(sed -n 's/:.*tdx-authctl: the policy was applied.*//p' /run/dmesg) && "
		  "b=$(sed -n 's/:.*virtio_blk virtio[0-9]*: .*//p' /run/dmesg | head -n 1) && "
		  "[ \"$a\" -lt \"$b\" ]");
	vm_expect(vm, 0,
		  "grep '^Initrd: *the policy that is installed here was applied there' "
		  "/run/status");
	vm_expect(vm, 0,
		  "grep '^Before any decision: ' /run/status > /run/first && "
		  "grep 'pcieport (pci, 8 devices)' /run/first && ! grep -E 'virtio_blk|nvme' "
		  "/run/first");
	vm_expect(vm, 0, "journalctl -b -o cat | grep 'drivers that had devices before the first'");
	/* a change is seen */
	vm_expect(vm, 0,
		  "echo 'version: 1' > /etc/tdx-auth/policy.d/60-new.yaml && "
		  "echo 'rules: [ { name: x, action: deny, match: { pci: { vendor: 0x1234 } } } ]' "
		  ">> "
		  "/etc/tdx-auth/policy.d/60-new.yaml");
	vm_expect(vm, 0, "tdx-authctl status | grep \"^Initrd: *THE INITRD'S POLICY DIFFERS\"");
	vm_expect(vm, 0, "tdx-authctl status --json | grep '\"policy\": *\"differs\"'");
	vm_expect(vm, 0, "rm /etc/tdx-auth/policy.d/60-new.yaml");
}

/* One that was there from the start, too: its driver's module is in the initrd. */
static void expect_early_refusal(struct vm *vm)
{
	_cleanup_free_ char *nvme = vm_find_pci(vm, "1b36:0010");

	vm_expect_output(vm, "tdx-auth:refused", "cat %s/driver_override", nvme);
	vm_expect(vm, 1, "grep -q 'nvme nvme[0-9]' /run/dmesg");
	/* the daemon found it so, and took it for its own doing */
	vm_expect(vm, 1, "journalctl -b -u tdx-authd -o cat | grep '^pci:.* refused '");
	vm_expect(vm, 1, "grep 'by hand' /run/list");
	vm_expect(vm, 0, "tdx-authctl list --refused > /run/refused");
	vm_expect(vm, 0, "grep -A 3 '^pci:%s' /run/refused | grep 'refused by: '",
		  strrchr(nvme, '/') + 1);
	vm_expect(vm, 0,
		  "grep 'match: { pci: { vendor: \"0x1b36\", device: \"0x0010\"' /run/refused");
}

/* What no list names, with a module for it in the image. */
static void expect_refusal(struct vm *vm)
{
	_cleanup_free_ char *nic = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1", "8086:10d3");

	vm_expect(vm, 0, "modinfo -n e1000e");
	vm_expect_soon(vm, "[ \"$(cat %s/driver_override)\" = tdx-auth:refused ]", nic);
	vm_expect_soon(vm, "! [ -e %s/driver ]", nic);
	vm_expect(vm, 0, "udevadm settle && ! [ -e %s/driver ]", nic);
}

static void expect_guest(void **state, const struct guest *guest)
{
	static const char *const devices[] = {"nvme,id=nvme2,serial=y,drive=null2", NULL};
	struct vm *vm;

	/* One that is older than the machine that builds cannot run what that builds. */
	if (!vm_has(guest->name))
		skip();
	vm = vm_up(state, .kernel = guest->name, .init = VM_INIT_OWN, .cmdline = "quiet",
		   .devices = devices);
	expect_booted(vm, guest);
	expect_protection(vm);
	expect_initrd(vm);
	expect_early_refusal(vm);
	vm_expect(vm, 0, "systemctl is-active tdx-authd");
	expect_refusal(vm);
}

static void test_debian_12_boots_and_is_guarded(void **state)
{
	expect_guest(state, &(struct guest){"debian12", "12", "6.1.*-amd64", false, PLAIN});
}

static void test_debian_12_with_dracut_boots_and_is_guarded(void **state)
{
	expect_guest(state, &(struct guest){"debian12-dracut", "12", "6.1.*-amd64", true, PLAIN});
}

static void test_debian_13_boots_and_is_guarded(void **state)
{
	expect_guest(state, &(struct guest){"debian13", "13", "6.12.*+deb13-amd64", false, PLAIN});
}

static void test_debian_13_with_dracut_boots_and_is_guarded(void **state)
{
	expect_guest(state,
		     &(struct guest){"debian13-dracut", "13", "6.12.*+deb13-amd64", true, PLAIN});
}

static void test_debian_13_with_an_encrypted_root_boots_and_is_guarded(void **state)
{
	expect_guest(state,
		     &(struct guest){"debian13-luks", "13", "6.12.*+deb13-amd64", false, LUKS});
}

static void test_debian_13_with_dracut_and_an_encrypted_root_boots_and_is_guarded(void **state)
{
	expect_guest(state, &(struct guest){"debian13-dracut-luks", "13", "6.12.*+deb13-amd64",
					    true, LUKS});
}

/* All that it runs on is on the list: expect_booted(). From the initrd on, which has modules that
 * are not. */
static void expect_strict(struct vm *vm)
{
	vm_expect(vm, 0, "tdx-authctl status > /run/status");
	vm_expect(vm, 0, "grep '^Modules: *enforce$' /run/status");
	vm_expect(vm, 0, "tdx-authctl modules list > /run/modules");
	vm_expect_output(vm, "",
			 "while read -r name rest; do grep -q \"^$name  *allowed \" /run/modules "
			 "|| echo $name; done < /proc/modules");
	vm_expect(vm, 0,
		  "dmesg | sed '/EXT4-fs (dm-0): mounted/,$d' | "
		  "grep 'tdx-auth-modgate: module .* is denied'");
	vm_expect(vm, 0, "! mount -t befs none /mnt; ! modprobe btrfs");
	vm_expect_soon(vm, "journalctl -q -b TDX_AUTH_MODULE=befs | grep 'wanted as fs-befs'");
	vm_expect(vm, 1, "grep -E '^(befs|btrfs) ' /proc/modules");
}

/* By the unit that comes before whatever a host steers. */
static void expect_frozen(struct vm *vm)
{
	_cleanup_free_ char *disk = NULL;

	vm_expect_output(vm, "active", "systemctl is-active tdx-auth-freeze.service");
	vm_expect(vm, 0, "grep '^Frozen: *yes$' /run/status");
	vm_expect(vm, 3, "tdx-authctl reload");
	/* a hardened one, which only a rule with after-freeze would let in */
	disk = vm_plug_pci(vm, "virtio-blk-pci,id=disk1,bus=rp1,drive=null1", "1af4:1042");
	vm_expect_soon(vm, "[ \"$(cat %s/driver_override)\" = tdx-auth:refused ]", disk);
	vm_expect(vm, 0, "udevadm settle && ! [ -e %s/driver ]", disk);
}

static void test_debian_13_boots_by_the_examples_of_the_manuals(void **state)
{
	static const struct guest guest = {"debian13-strict", "13", "6.12.*+deb13-amd64", false,
					   LUKS};
	struct vm *vm;

	if (!vm_has(guest.name))
		skip();
	vm = vm_up(state, .kernel = guest.name, .init = VM_INIT_OWN, .cmdline = "quiet");
	expect_booted(vm, &guest);
	expect_protection(vm);
	expect_strict(vm);
	expect_frozen(vm);
}

int main(void)
{
	const struct CMUnitTest all[] =
		{
			vm_test(test_debian_12_boots_and_is_guarded),
			vm_test(test_debian_12_with_dracut_boots_and_is_guarded),
			vm_test(test_debian_13_boots_and_is_guarded),
			vm_test(test_debian_13_with_dracut_boots_and_is_guarded),
			vm_test(test_debian_13_with_an_encrypted_root_boots_and_is_guarded),
			vm_test(test_debian_13_with_dracut_and_an_encrypted_root_boots_and_is_guarded),
			vm_test(test_debian_13_boots_by_the_examples_of_the_manuals),
		},
				sample[] = {
					vm_test(test_debian_13_boots_and_is_guarded),
					vm_test(test_debian_13_with_dracut_boots_and_is_guarded),
				};

	if (isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS("debian", sample);
	return RUN_TESTS("debian", all);
}
