/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The module policy on Debian's own kernels, with all of their modules and no series: from the boot
 * after it was rendered on it is all that keeps a host from choosing what is loaded. */

#include "disk.h"
#include "vmtest.h"

#define GATE "/usr/lib/tdx-auth/tdx-auth-modgate"
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define LOADED(module) "grep -q '^" module " ' /proc/modules"
#define RECORD(module, text) "journalctl -q -b TDX_AUTH_MODULE=" module " | grep -q '" text "'"
#define HAS_RUN_GSMI "journalctl -q -b -k | grep -q gsmi || " LOADED("gsmi")

/* What a firmware of that vendor has gsmi loaded for. The rest is for a shell, if one got it: dmi
 * has no blanks in its modaliases. */
#define HOSTILE_FIRMWARE "type=0,vendor=coreboot$(>/owned);>/owned"

/* Devices are not what is asked about: the host plugs what it likes, and modules are the wall. What
 * the machine has when the policy is rendered is allowed. */
#define POLICY                                                                                     \
	"version: 1\\n"                                                                            \
	"defaults: { pci: allow, usb: allow }\\n"                                                  \
	"modules: { %s }\\n"                                                                       \
	"rules:\\n"                                                                                \
	"- { action: allow, driver: xhci_hcd, match: { pci: { vendor: 0x1b36, device: 0x000d, "    \
	"class: 0x0c0330 } } "                                                                     \
	"}\\n"

static struct vm *boot(void **state, const char *guest, const struct disk *disk)
{
	char *arguments[] = {(char *)"-smbios", (char *)HOSTILE_FIRMWARE, NULL};
	struct vm *vm = vm_up(state, .kernel = guest, .init = VM_INIT_OWN, .cmdline = "quiet",
			      .disk = disk->path, .keeps = true, .arguments = arguments);

	vm_expect_output(vm, "running", "systemctl is-system-running --wait");
	vm_expect(vm, 0, "udevadm settle -t 100");
	return vm;
}

static void render(struct vm *vm, const char *modules)
{
	vm_expect(vm, 0,
		  "mkdir -p /etc/tdx-auth/policy.d && printf '" POLICY "' >" OWNER
		  " && tdx-authctl modules render",
		  modules);
}

/* As shipped: of all modules that a device, or what the host says of the machine, may have loaded,
 * those that the policy lets pass. What the machine has is hardened, or denied. */
#define COUNT                                                                                      \
	"cd /run && tdx-authctl modules list >list && awk '$2 == \"allowed\" { print $1 }' list "  \
	"| "                                                                                       \
	"sort >allowed && awk '$2 ~ "                                                              \
	"/^(acpi|cpu|dmi|hdaudio|hid|i2c|input|mdio|mei|pci|platform|pnp|scsi|serio|spi|usb|"      \
	"virtio|vmbus|wmi|x86cpu|xen)[:*]/ { print $3 }' /lib/modules/$(uname -r)/modules.alias "  \
	"| "                                                                                       \
	"sort -u >bound && comm -12 allowed bound >open && "

static void expect_few_that_a_host_could_choose(struct vm *vm)
{
	_cleanup_free_ char *text = vm_output(
		vm, COUNT "echo $(wc -l <open) of $(wc -l <bound) that devices have loaded, "
			  "$(wc -l <allowed) of $(awk '$2 != \"built-in\"' list | "
			  "grep -cE ' (allowed|denied) ') allowed in all: $(cat open)");

	print_message("# as shipped, a host can have these loaded: %s\n", text);
	vm_expect_output(vm, "",
			 "grep -E '^(gsmi|vboxguest|hv_vmbus|ccp|e1000e?|nvme|usb_storage|"
			 "snd_.*)$' /run/open || :");
}

static void expect_hot_plug_loads_nothing_denied(struct vm *vm)
{
	static const char *const devices[][2] = {
		{"e1000e,id=nic1,bus=rp1,romfile=", "8086:10d3"},
		{"nvme,id=disk1,bus=rp2,serial=x,drive=null1", "1b36:0010"},
		{"qemu-xhci,id=xhci1,bus=rp3", "1b36:000d"}};

	for (size_t i = 0; i < ELEMENTSOF(devices); i++)
		free(vm_plug_pci(vm, devices[i][0], devices[i][1]));
	vm_plug(vm, "usb-storage,id=stick,bus=xhci1.0,drive=null2");
	vm_expect_soon(vm, RECORD("e1000e", "by .*udev.* is denied: "));
	/* what it needs comes first, and is denied */
	vm_expect_soon(vm, "journalctl -q -b -t tdx-auth-modgate | grep -q 'module nvme_[a-z]* (by "
			   ".*udev.* is denied: '");
	/* the one behind which the stick is was allowed */
	vm_expect_soon(vm, LOADED("xhci_pci"));
	vm_expect_soon(vm, RECORD("usb_storage", "by .*udev.* is denied: "));
	vm_expect(vm, 0, "udevadm settle");
	vm_expect(vm, 1, LOADED("\\(e1000e\\|nvme\\|nvme_core\\|usb_storage\\|uas\\)"));
}

static void expect_modprobe_to_tell_why(struct vm *vm)
{
	vm_expect(vm, 0,
		  "! modprobe vmxnet3 2>/run/out && grep -q 'module vmxnet3 (by modprobe) is "
		  "denied: nothing "
		  "in the policy needs it' /run/out");
	vm_expect_soon(
		vm, RECORD("vmxnet3", "(by modprobe) is denied: nothing in the policy needs it"));
	vm_expect(vm, 0,
		  "! modprobe pci:v00008086d0000100Esv0sd0bc02sc00i00 2>/run/out && "
		  "grep -q 'e1000 (wanted as pci:v00008086d0000100E.*, by modprobe) is denied' "
		  "/run/out");
	/* what needs it is not loaded either, and says which */
	vm_expect(
		vm, 0,
		"! modprobe vboxsf 2>/run/out && grep -q 'module vboxguest .*is denied' /run/out");
	vm_expect(vm, 1, LOADED("\\(vmxnet3\\|e1000\\|vboxsf\\|vboxguest\\)"));
}

/* As z-own.conf: systemd has a line on dummy, and the last word on a parameter stands. */
static void expect_options_and_soft_dependencies(struct vm *vm)
{
	vm_expect(vm, 0,
		  "printf 'options dummy numdummies=3\\nsoftdep dummy pre: nbd\\n' "
		  ">/etc/modprobe.d/z-own.conf");
	render(vm, "mode: enforce");
	vm_expect(vm, 0, "modprobe dummy");
	vm_expect_output(vm, "3", "ls -d /sys/class/net/dummy* | wc -l");
	vm_expect(vm, 0, LOADED("nbd"));
	/* the kernel's own */
	vm_expect(vm, 0, "! " LOADED("blake2b_generic") " && modprobe btrfs");
	vm_expect(vm, 0, LOADED("blake2b_generic"));
	/* a denied one with a soft dependency is none that gets past the gate by it */
	vm_expect(vm, 0, "! modprobe cxl_mem && ! " LOADED("cxl_mem"));
}

static void expect_a_new_module_to_be_denied_until_it_is_allowed(struct vm *vm)
{
	vm_expect(vm, 0,
		  "cd /lib/modules/$(uname -r) && f=$(find kernel -name 'e1000.ko*') && "
		  "mkdir -p updates && cp $f updates/fresh.ko${f#*.ko} && depmod && modinfo fresh");
	vm_expect(
		vm, 0,
		"! modprobe fresh 2>/run/out && grep -q 'fresh (by modprobe) is denied: unknown to "
		"the policy that was rendered' /run/out");
	vm_expect(vm, 3, "tdx-authctl modules check >/run/out");
	vm_expect(vm, 0, "grep '^fresh: was unknown, is denied' /run/out");
	render(vm, "mode: enforce, allow: [fresh]");
	/* the kernel goes by the name within */
	vm_expect(vm, 0, "modprobe fresh && " LOADED("e1000") " && rmmod e1000");
	vm_expect(vm, 0, "rm /lib/modules/$(uname -r)/updates/fresh.ko* && depmod");
	render(vm, "mode: enforce");
	vm_expect(vm, 0, "tdx-authctl modules check");
}

static void expect_the_denying_command_to_be_needed_for_words_alone(struct vm *vm)
{
	vm_expect(vm, 0, "cp " GATE " /run/gate && rm " GATE " && ! modprobe vmxnet3");
	vm_expect(vm, 0, "cp /run/gate " GATE " && chmod 644 " GATE " && ! modprobe vmxnet3");
	vm_expect(vm, 0,
		  "printf '#!/bin/sh\\nkill -SEGV $$\\n' >" GATE " && chmod 755 " GATE
		  " && ! modprobe vmxnet3");
	vm_expect(vm, 1, LOADED("vmxnet3"));
	vm_expect(vm, 0,
		  "cp /run/gate " GATE " && ! modprobe vmxnet3 2>/run/out && [ -s /run/out ]");
}

static void expect_no_shell_to_see_a_name(struct vm *vm)
{
	vm_expect(vm, 0, "mkdir /run/hostile");
	vm_expect(vm, 0, "cd /run/hostile; ! modprobe 'a;touch x' && ! modprobe '$(touch x)'");
	vm_expect(vm, 0,
		  "cd /run/hostile; ! modprobe 'pci:v00008086d0000100Esv$(touch "
		  "x);touch${IFS}xsd0bc02sc00i00' 2>/run/out && grep -q 'e1000 (wanted as ' "
		  "/run/out");
	vm_expect(vm, 0, "cd /run/hostile; ! modprobe vmxnet3 'x=$(touch x);touch x' '`touch x`'");
	/* and of a file's name, too, which is that of no glob */
	vm_expect(vm, 0,
		  "cd /lib/modules/$(uname -r) && cp $(find kernel -name 'nbd.ko*') "
		  "'updates/a$(touch${IFS}x);touch${IFS}x.ko' && depmod");
	vm_expect(vm, 0, "cd /run/hostile; ! modprobe 'a$(touch${IFS}x);touch${IFS}x' 2>/run/out");
	vm_expect(vm, 0, "grep 'is denied' /run/out");
	render(vm, "mode: enforce");
	vm_expect(vm, 0, "cd /run/hostile; ! modprobe 'a$(touch${IFS}x);touch${IFS}x'");
	vm_expect(vm, 0, "rm /lib/modules/$(uname -r)/updates/a* && depmod");
	vm_expect_output(vm, "", "ls -A /run/hostile && ls /owned 2>/dev/null || :");
}

/* An unusual file system, and what nobody has a socket of: AF_CAN, by socket(2). There is nothing
 * to mount. */
#define MOUNT "mount -t befs none /mnt"
#define SOCKET "perl -e 'exit(socket(my $s, 29, 3, 1) ? 0 : 1)'"

static void expect_requests_of_the_kernel_to_be_as_strict_says(struct vm *vm)
{
	vm_expect(vm, 1, LOADED("\\(befs\\|can\\)"));
	render(vm, "mode: enforce, strict: true");
	vm_expect(vm, 0, "! " MOUNT "; ! " SOCKET);
	vm_expect_soon(vm, RECORD("befs", "wanted as fs-befs, by modprobe"));
	vm_expect_soon(vm, RECORD("can", "wanted as net-pf-29, by modprobe"));
	vm_expect(vm, 1, LOADED("\\(befs\\|can\\)"));
	render(vm, "mode: enforce");
	vm_expect(vm, 0, "! " MOUNT "; " SOCKET);
	vm_expect(vm, 0, LOADED("befs") " && " LOADED("can"));
}

static void expect_policy_to_hold(void **state, const char *guest)
{
	_cleanup_(disk_done) struct disk disk = {{0}};
	struct vm *vm;

	/* One that is older than the machine that builds cannot run what that builds. */
	if (!vm_has(guest))
		skip();
	assert_int_equal(disk_copy(&disk, guest), 0);
	vm = boot(state, guest, &disk);
	vm_expect(vm, 0, HAS_RUN_GSMI);
	expect_few_that_a_host_could_choose(vm);
	render(vm, "mode: enforce");
	assert_int_equal(vm_end(vm, "systemctl poweroff"), 0);

	vm = boot(state, guest, &disk);
	vm_expect(vm, 1, HAS_RUN_GSMI);
	vm_expect(vm, 0, RECORD("gsmi", "by .*udev.* is denied: "));
	expect_hot_plug_loads_nothing_denied(vm);
	expect_modprobe_to_tell_why(vm);
	expect_options_and_soft_dependencies(vm);
	expect_a_new_module_to_be_denied_until_it_is_allowed(vm);
	expect_the_denying_command_to_be_needed_for_words_alone(vm);
	expect_no_shell_to_see_a_name(vm);
	expect_requests_of_the_kernel_to_be_as_strict_says(vm);
}

static void test_on_debian_12_nothing_loads_that_the_policy_does_not_allow(void **state)
{
	expect_policy_to_hold(state, "debian12");
}

static void test_on_debian_13_nothing_loads_that_the_policy_does_not_allow(void **state)
{
	expect_policy_to_hold(state, "debian13");
}

int main(void)
{
	const struct CMUnitTest all[] =
		{
			vm_test(test_on_debian_12_nothing_loads_that_the_policy_does_not_allow),
			vm_test(test_on_debian_13_nothing_loads_that_the_policy_does_not_allow),
		},
				sample[] = {vm_test(
					test_on_debian_13_nothing_loads_that_the_policy_does_not_allow)};

	if (isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS("debian-modules", sample);
	return RUN_TESTS("debian-modules", all);
}
