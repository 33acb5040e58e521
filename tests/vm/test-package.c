/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of a Debian package, in a guest that has nothing else of tdx-auth: installed, booted
 * with the initrd that the package has made, upgraded, taken away, brought back, and purged. The
 * package before is that of the commit before, or where there is none this one under an older
 * version; ./dev says. */

#include <errno.h>

#include "deadline.h"
#include "disk.h"
#include "vmtest.h"

#define RENDERED "/etc/modprobe.d/00-tdx-auth.conf"
#define MODE "/etc/tdx-auth/policy.d/00-mode.yaml"
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define INITRD "/boot/initrd.img-$(uname -r)"

/* An initrd is made by an emulated processor. */
#define DPKG_MS 1500000U

/* All but what is of package management itself, of the journal and of caches; and an empty
 * directory of AppArmor, which debhelper takes away. */
#define FILES                                                                                      \
	"find / -xdev \\( -path /root -o -path /tmp -o -path /var/tmp -o -path /var/cache -o "     \
	"-path /var/log -o -path /var/lib/dpkg -o -path /var/lib/systemd -o -path "                \
	"/etc/apparmor.d/disable \\) -prune -o -print | "                                          \
	"LC_ALL=C sort"

struct life {
	struct disk disk;
	char initrd[PATH_MAX];
};

static void life_done(struct life *life)
{
	disk_done(&life->disk);
	if (!isempty(life->initrd))
		(void)unlink(life->initrd);
}

/* The packages are a disk that has no file system: an archive of old/ and new/. */
static struct vm *boot(void **state, const char *guest, const struct life *life)
{
	_cleanup_free_ char *drive = NULL;
	struct vm *vm;

	assert_true(asprintf(&drive, "file=%s/packages,if=none,id=packages,format=raw,readonly=on",
			     getenv("TDX_AUTH_LAB")) > 0);
	vm = vm_up(state, .kernel = guest, .init = VM_INIT_OWN, .cmdline = "quiet",
		   .disk = life->disk.path, .keeps = true,
		   .initrd = isempty(life->initrd) ? NULL : life->initrd,
		   .arguments = (char *[]){(char *)"-drive", drive, (char *)"-device",
					   (char *)"virtio-blk-pci,drive=packages,serial=packages",
					   NULL});
	vm_expect_output(vm, "running", "systemctl is-system-running --wait");
	vm_expect(vm, 0, "udevadm settle -t 100");
	vm_expect(vm, 0, "tar -C /run -xf /dev/disk/by-id/virtio-packages");
	return vm;
}

static void reboot(void **state, const char *guest, struct life *life)
{
	struct vm *vm = *state;
	_cleanup_free_ char *initrd = vm_output(vm, "echo " INITRD);

	assert_int_equal(vm_end(vm, "systemctl poweroff"), 0);
	(void)snprintf(life->initrd, sizeof(life->initrd), "%s/package-%s-%d.initrd",
		       getenv("TDX_AUTH_LOGS"), guest, (int)getpid());
	assert_int_equal(disk_fetch(&life->disk, initrd, life->initrd), 0);
	(void)boot(state, guest, life);
}

/* dpkg with these arguments, which may be patterns. */
#define dpkg(vm, arguments) dpkg_at(vm, __LINE__, arguments)
static void dpkg_at(struct vm *vm, int line, const char *arguments)
{
	_cleanup_free_ char *command = NULL, *output = NULL;
	uint64_t since = now_ms();
	int r;

	assert_true(asprintf(&command, "DEBIAN_FRONTEND=noninteractive dpkg %s 2>&1", arguments) >
		    0);
	r = vm_run_within(vm, DPKG_MS, command, &output);
	if (r != 0)
		vm_fail_at(vm, __FILE__, line, "dpkg %s: %d\n%s", arguments, r,
			   output ? output : "");
	print_message("# dpkg %s: %llu s\n", arguments,
		      (unsigned long long)(now_ms() - since) / 1000);
}

static void expect_version(struct vm *vm, const char *which)
{
	vm_expect_output(vm, "",
			 "for p in tdx-auth tdx-auth-kernel-patches; do "
			 "a=$(dpkg-query -W -f '${db:Status-Status} ${Version}' $p) && "
			 "b=$(dpkg-deb -W --showformat '${Version}' /run/%s/${p}_*.deb) && "
			 "[ \"$a\" = \"installed $b\" ] || echo \"$a $b\"; done",
			 which);
}

static void expect_protection(struct vm *vm)
{
	vm_expect_output(vm, "active\nactive",
			 "systemctl is-active tdx-authd.service tdx-authd.socket");
	vm_expect_output(vm, "enabled\nenabled",
			 "systemctl is-enabled tdx-authd.service tdx-authd.socket");
	vm_expect_output(vm, "", "journalctl -b -q -u tdx-authd -p err -o cat");
	vm_expect(vm, 0,
		  "tdx-authctl status >/run/status && grep '^Daemon: *running$' /run/status");
	vm_expect_output(vm, "running", "systemctl is-system-running");
}

/* What AppArmor has loaded a profile of when it is executed, which at boot is not so. */
static void expect_confinement(struct vm *vm)
{
	vm_expect_output(vm, "tdx-authd (enforce)",
			 "cat /proc/$(systemctl show -P MainPID tdx-authd)/attr/current");
}

/* What no list names gets its driver all the same. */
static void expect_nothing_to_be_refused(struct vm *vm)
{
	_cleanup_free_ char *nic = NULL;

	vm_expect(vm, 0, "grep -x 'mode: audit' " MODE " && grep 'NOTHING IS REFUSED' /run/status");
	nic = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1,romfile=", "8086:10d3");
	vm_expect_soon(vm, "[ -e %s/driver ]", nic);
	vm_expect(vm, 0, "udevadm settle && [ -e %s/driver ]", nic);
	vm_unplug(vm, "nic1");
	vm_expect(vm, 0, "modprobe -r e1000e");
}

/* The daemon is another one, and its socket is the same. */
static void expect_upgrade(struct vm *vm)
{
	static const char socket[] = "systemctl show -P ActiveEnterTimestampMonotonic "
				     "tdx-authd.socket";
	_cleanup_free_ char *pid = NULL, *since = NULL;

	dpkg(vm, "--no-triggers -i /run/old/*.deb");
	expect_version(vm, "old");
	pid = vm_output(vm, "systemctl show -P MainPID tdx-authd");
	since = vm_output(vm, "%s", socket);
	vm_expect(vm, 0,
		  "rm -f " MODE
		  " && printf 'version: 1\\nmode: audit\\nmodules: { mode: enforce }\\n' "
		  ">" OWNER " && tdx-authctl reload && tdx-authctl modules render");
	vm_expect(vm, 0, "! modprobe e1000e && ! modprobe vmxnet3");
	dpkg(vm, "--no-triggers -i /run/new/*.deb");
	expect_version(vm, "new");
	expect_protection(vm);
	expect_confinement(vm);
	vm_expect(vm, 1, "[ \"$(systemctl show -P MainPID tdx-authd)\" = %s ]", pid);
	vm_expect_output(vm, since, "%s", socket);
	vm_expect(vm, 0, "[ -s " OWNER " ] && ! [ -e " MODE " ] && ! modprobe e1000e");
	vm_expect(vm, 0,
		  "dpkg-query -W -f '${Triggers-Pending}' initramfs-tools | grep -qw "
		  "update-initramfs");
}

static void expect_installation(struct vm *vm)
{
	dpkg(vm, "-i /run/new/*.deb");
	expect_version(vm, "new");
	expect_protection(vm);
	expect_confinement(vm);
	expect_nothing_to_be_refused(vm);
	/* what is in use stays so */
	vm_expect(vm, 0, "tdx-authctl list >/run/list && grep '^virtio:.* virtio_blk ' /run/list");
	vm_expect(vm, 0, "[ -f /usr/src/tdx-auth-kernel-patches/6.12/series ]");
}

static void expect_boot(struct vm *vm)
{
	expect_protection(vm);
	vm_expect(vm, 0,
		  "grep '^Initrd: *the policy that is installed here was applied there' "
		  "/run/status");
	vm_expect_output(vm, "/dev/vda ext4", "findmnt -no SOURCE,FSTYPE /");
	vm_expect_output(vm, "virtio_net",
			 "basename $(readlink -f /sys/class/net/e*/device/driver)");
	expect_nothing_to_be_refused(vm);
}

static void expect_removal(struct vm *vm)
{
	vm_expect(vm, 0,
		  "rm " MODE " && printf 'version: 1\\nmodules: { mode: enforce }\\n' >" OWNER
		  " && tdx-authctl reload && tdx-authctl modules render");
	vm_expect(vm, 0, "! modprobe vmxnet3");
	dpkg(vm, "-r tdx-auth tdx-auth-kernel-patches");
	vm_expect_output(vm, "inactive\ninactive",
			 "systemctl is-active tdx-authd.service tdx-authd.socket || :");
	vm_expect_output(vm, "", "readlink /proc/[0-9]*/exe | grep tdx-auth || :");
	vm_expect(vm, 1, "[ -e /run/tdx-auth/guarded ]");
	vm_expect_output(vm, "", "systemctl list-units --failed --no-legend");
	vm_expect(vm, 0, "[ -s " OWNER " ] && ! [ -e /usr/lib/tdx-auth/tdx-auth-modgate ]");
	/* the module policy is not in force, and modules are loaded for what is plugged */
	vm_expect(vm, 0, "modprobe vmxnet3 && modprobe -r vmxnet3");
	free(vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1,romfile=", "8086:10d3"));
	vm_expect_soon(vm, "grep -q '^e1000e ' /proc/modules");
	vm_unplug(vm, "nic1");
	vm_expect(vm, 0, "udevadm settle && modprobe -r e1000e");
	/* nor is it in the initrd */
	vm_expect(vm, 0, "lsinitramfs " INITRD " >/run/initrd && grep -q virtio_blk /run/initrd");
	vm_expect(vm, 1, "grep tdx-auth /run/initrd");
}

/* Whoever denied modules finds them denied. */
static void expect_return(struct vm *vm)
{
	dpkg(vm, "--no-triggers -i /run/new/*.deb");
	expect_protection(vm);
	vm_expect(vm, 0, "[ -s " RENDERED " ] && ! [ -e " MODE " ] && ! modprobe vmxnet3");
}

static void expect_nothing_to_be_left(struct vm *vm)
{
	dpkg(vm, "--no-triggers -P tdx-auth tdx-auth-kernel-patches");
	vm_expect(vm, 1, "dpkg-query -W tdx-auth tdx-auth-kernel-patches");
	vm_expect_output(vm, "", FILES " | diff /root/before - || :");
	vm_expect_output(
		vm, "", "find /run /var/lib/systemd /var/cache -name '*tdx-auth*' ! -name '*.deb'");
}

static void expect_life(void **state, const char *guest)
{
	_cleanup_(life_done) struct life life = {0};
	struct vm *vm;

	/* One that is older than the machine that builds cannot run what that builds. */
	if (!vm_has(guest))
		skip();
	assert_int_equal(disk_copy(&life.disk, guest), 0);
	vm = boot(state, guest, &life);
	/* as Debian has it */
	vm_expect(vm, 0, "systemctl enable apparmor");
	/* an emulated processor is long about an initrd for all machines */
	vm_expect(vm, 0,
		  "printf 'MODULES=dep\\nCOMPRESS=zstd\\nCOMPRESSLEVEL=1\\n' "
		  ">/etc/initramfs-tools/conf.d/lab");
	vm_expect(vm, 0, "! [ -e /usr/lib/tdx-auth ] && " FILES " >/root/before");
	expect_upgrade(vm);
	expect_nothing_to_be_left(vm);
	expect_installation(vm);
	reboot(state, guest, &life);
	vm = *state;
	expect_boot(vm);
	expect_removal(vm);
	expect_return(vm);
	expect_nothing_to_be_left(vm);
}

static void test_on_debian_12_the_package_comes_and_goes(void **state)
{
	expect_life(state, "debian12-plain");
}

static void test_on_debian_13_the_package_comes_and_goes(void **state)
{
	expect_life(state, "debian13-plain");
}

int main(void)
{
	const struct CMUnitTest all[] = {
		vm_test(test_on_debian_12_the_package_comes_and_goes),
		vm_test(test_on_debian_13_the_package_comes_and_goes),
	};
	const struct CMUnitTest older[] = {all[0]}, newer[] = {all[1]};

	if (!isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS("package", all);
	/* the cheaper one, where it is there */
	if (vm_has("debian12-plain"))
		return RUN_TESTS("package", older);
	return RUN_TESTS("package", newer);
}
