/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One policy and one host that plugs, on a kernel with the series, on one without, and in Debian as
 * Debian ships it: each keeps what its protection promises. */

#include "agent-protocol.h"
#include "vmtest.h"

#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define IS_UP "[ \"$(systemctl is-active tdx-authd)\" = active ]"
#define USB "/sys/bus/usb/devices"

/* virtio-pci is named as not every transport is on the list. */
#define POLICY                                                                                     \
	"version: 1\\nrules:\\n"                                                                   \
	"- {name: nic, action: allow, driver: e1000e, match: {pci: {vendor: 0x8086, device: "      \
	"0x10d3}}}\\n"                                                                             \
	"- {name: old-nic, action: deny, match: {pci: {vendor: 0x8086, device: 0x100e}}}\\n"       \
	"- {name: edu, action: remove, match: {pci: {vendor: 0x1234, device: 0x11e8}}}\\n"         \
	"- {name: transport, action: allow, driver: virtio-pci, match: {pci: {vendor: "            \
	"0x1af4}}}\\n"                                                                             \
	"- {name: balloon, action: deny, match: {virtio: {device: 5}}}\\n"                         \
	"- {name: rng, action: allow, driver: virtio_rng, match: {virtio: {device: 4}}}\\n"        \
	"- {name: xhci, action: allow, driver: xhci_hcd, match: {pci: {vendor: 0x1b36, device: "   \
	"0x000d}}}\\n"                                                                             \
	"- {name: keyboard, action: allow, match: {usb: {product: QEMU USB Keyboard}}}\\n"         \
	"- {name: tablet, action: remove, match: {usb: {product: QEMU USB Tablet}}}\\n"            \
	"- {name: mouse, action: deny, match: {usb: {product: QEMU USB Mouse}}}\\n"

#define LOGGED(text) "journalctl -u tdx-authd -o cat | grep -qF '" text "'"

struct kernel {
	const char *name, *cmdline;
	bool is_stock;
	enum vm_init init;
};

/* Debian's kernel as its boot loader starts it. A slow console between the announcement of a device
 * and its probe would decide which is first, the probe or the daemon. */
static const struct kernel patched = {"patched", "dev_auth=enforce", false, VM_INIT_SYSTEMD},
			   stock = {"stock", "", true, VM_INIT_SYSTEMD},
			   debian = {"debian12", "quiet", true, VM_INIT_OWN};

static struct vm *up(void **state, const struct kernel *kernel)
{
	struct vm *vm = vm_up(state, .kernel = kernel->name, .init = kernel->init,
			      .cmdline = kernel->cmdline);

	if (kernel->init == VM_INIT_OWN) {
		vm_expect_output(vm, "running", "systemctl is-system-running --wait");
		/* what an initrd has to say is in the kernel's log alone */
		vm_expect(vm, 0, "dmesg | grep -F 'tdx-authctl: the policy was applied before '");
	}
	vm_expect_soon(vm, IS_UP);
	vm_expect(vm, 0,
		  "mkdir -p /etc/tdx-auth/policy.d && printf '" POLICY "' > " OWNER
		  " && systemctl restart tdx-authd");
	vm_expect(vm, 0, "udevadm settle");
	vm_expect(vm, 0, AGENT_PATH " uevents /run/uevents /run/uevents.pid");
	return vm;
}

/* --- what a protection promises of one device --- */

static void expect_driver(struct vm *vm, const char *device, const char *driver)
{
	vm_expect_soon(vm, "[ \"$(basename \"$(readlink %s/driver)\")\" = '%s' ]", device, driver);
}

static void expect_refused(struct vm *vm, const struct kernel *kernel, const char *device)
{
	if (kernel->is_stock)
		vm_expect_soon(vm, "[ \"$(cat %s/driver_override)\" = tdx-auth:refused ]", device);
	else
		vm_expect_output(vm, "0", "cat %s/authorized", device);
	expect_driver(vm, device, "");
}

/* How often the device got a driver, by the events that have come. */
static void expect_bindings(struct vm *vm, const char *device, const char *count)
{
	vm_expect(vm, 0, "udevadm settle");
	vm_expect_output(vm, count,
			 "awk -v RS= '/ACTION=bind/ && index($0, \"DEVPATH=%s\\n\") "
			 "{ n++ } END { print n + 0 }' /run/uevents",
			 device + strlen("/sys"));
}

/* The one of the type, as in its attribute `device`, behind a slot: the machine has some before. */
#define FIND_VIRTIO                                                                                \
	"for d in /sys/devices/pci0000:00/*/0000:*/virtio[0-9]*; do "                              \
	"[ \"$(cat $d/device)\" = %s ] && echo $d; done"

static char *plug_virtio(struct vm *vm, const char *device, const char *type)
{
	vm_plug(vm, device);
	vm_expect_soon(vm, "[ -n \"$(" FIND_VIRTIO ")\" ]", type);
	return vm_output(vm, FIND_VIRTIO " || :", type);
}

static void expect_allowed_pci(struct vm *vm, const struct kernel *kernel)
{
	_cleanup_free_ char *nic = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1,romfile=", "8086:10d3");

	/* its module is loaded by udev, at first sight of it on one kernel, when it is authorized
	 * on the other */
	expect_driver(vm, nic, "e1000e");
	vm_expect_output(vm, kernel->is_stock ? "tdx-auth:only:e1000e" : "e1000e", "cat %s/%s", nic,
			 kernel->is_stock ? "driver_override" : "authorized_driver");
	expect_bindings(vm, nic, "1");
}

/* No module is loaded for the first one. A driver that is loaded may probe the second before
 * anybody hears of it on the one kernel, where only what it is left with is promised. */
static void expect_denied_pci(struct vm *vm, const struct kernel *kernel)
{
	_cleanup_free_ char *first = NULL, *second = NULL;

	first = vm_plug_pci(vm, "e1000,id=old1,bus=rp2,romfile=", "8086:100e");
	expect_refused(vm, kernel, first);
	vm_unplug(vm, "old1");
	vm_expect(vm, 0, "modprobe -a e1000 nvme");
	second = vm_plug_pci(vm, "e1000,id=old2,bus=rp2,romfile=", "8086:100e");
	expect_refused(vm, kernel, second);
	if (!kernel->is_stock)
		vm_expect(vm, 1, "dmesg | grep '^.*e1000 .*: (PCI'");
}

/* No rule names it, and no list. */
static void expect_unlisted_pci(struct vm *vm, const struct kernel *kernel)
{
	_cleanup_free_ char *nvme =
		vm_plug_pci(vm, "nvme,id=nvme1,serial=x,drive=null1,bus=rp3", "1b36:0010");

	expect_refused(vm, kernel, nvme);
	if (!kernel->is_stock)
		expect_bindings(vm, nvme, "0");
}

/* The bus of these is as good as the kernel's own refusal, once the daemon is up. */
static void expect_virtio(struct vm *vm)
{
	_cleanup_free_ char *net = NULL, *balloon = NULL, *rng = NULL;

	net = plug_virtio(vm, "virtio-net-pci,id=net1,bus=rp4,romfile=", "0x0001");
	expect_driver(vm, net, "virtio_net");
	balloon = plug_virtio(vm, "virtio-balloon-pci,id=balloon1,bus=rp5", "0x0005");
	rng = plug_virtio(vm, "virtio-rng-pci,id=rng1,bus=rp6", "0x0004");
	/* a module that comes after the device */
	expect_driver(vm, rng, "virtio_rng");
	expect_driver(vm, balloon, "");
	expect_bindings(vm, balloon, "0");
}

static void expect_usb(struct vm *vm)
{
	_cleanup_free_ char *xhci = vm_plug_pci(vm, "qemu-xhci,id=xhci1,bus=rp7", "1b36:000d");

	expect_driver(vm, xhci, "xhci_hcd");
	vm_expect_soon(vm, "[ -e " USB "/usb2 ]");
	vm_plug(vm, "usb-mouse,id=mouse1,bus=xhci1.0,port=1");
	vm_plug(vm, "usb-kbd,id=kbd1,bus=xhci1.0,port=2");
	vm_expect_soon(vm, "[ -e " USB "/1-2/1-2:1.0/driver ]");
	vm_expect_output(vm, "0", "cat " USB "/1-1/authorized");
	vm_expect(vm, 0, "! ls -d " USB "/1-1/1-1:*");
	vm_plug(vm, "usb-tablet,id=tablet1,bus=xhci1.0,port=3");
	vm_expect_soon(vm, LOGGED("usb:1-3 removed (50-owner.yaml:tablet)"));
	vm_expect(vm, 0, "! [ -e " USB "/1-3 ]");
}

static void expect_removal(struct vm *vm)
{
	vm_plug(vm, "edu,id=edu1,bus=rp8");
	vm_expect_soon(vm, LOGGED("removed (50-owner.yaml:edu)"));
	vm_expect(vm, 1, "grep -l 0x11e8 /sys/bus/pci/devices/*/device");
}

static void expect_words(struct vm *vm, const struct kernel *kernel)
{
	const char *level = kernel->is_stock ? "modules" : "kernel";

	vm_expect(vm, 0, "tdx-authctl list > /run/list");
	vm_expect(vm, 0, "grep '^pci  *%s ' /run/list && grep '^virtio  *%s ' /run/list", level,
		  level);
	if (!kernel->is_stock) {
		vm_expect(vm, 1, "grep UNPROTECTED /run/list");
		return;
	}
	vm_expect(vm, 0, "grep '^pci .*a driver that is loaded probes it first' /run/list");
	vm_expect(vm, 0, "grep '^virtio .*no driver but from tdx-authd' /run/list");
	vm_expect(vm, 0,
		  "grep '^acpi .*UNPROTECTED' /run/list && "
		  "grep '^platform .*UNPROTECTED' /run/list");
	vm_expect(vm, 0,
		  LOGGED("UNPROTECTED: this kernel cannot refuse a driver to devices of "
			 "acpi, platform;"));
	vm_expect(vm, 0, LOGGED("keep the driver that they had"));
}

static void expect_scenario(void **state, const struct kernel *kernel)
{
	struct vm *vm = up(state, kernel);

	expect_words(vm, kernel);
	expect_allowed_pci(vm, kernel);
	expect_denied_pci(vm, kernel);
	expect_unlisted_pci(vm, kernel);
	expect_virtio(vm);
	expect_removal(vm);
	expect_usb(vm);
	vm_expect(vm, 0,
		  "tdx-authctl list | grep '^usb  *kernel  *a refused device gets no driver'");
	/* what the machine runs on has not suffered */
	vm_expect(vm, 0, "ls /sys/class/net | grep -qvx lo && touch /root/alive && sync");
}

static void test_the_kernel_gives_a_refused_device_no_driver(void **state)
{
	expect_scenario(state, &patched);
}

static void test_without_the_series_a_refused_device_has_none_afterwards(void **state)
{
	expect_scenario(state, &stock);
}

static void test_so_it_is_on_the_kernel_that_debian_ships(void **state)
{
	if (!vm_has(debian.name))
		skip(); /* it is older than the machine that builds */
	expect_scenario(state, &debian);
	vm_expect(*state, 0, "uname -r | grep -- '^6\\.1\\..*-amd64$'");
}

/* --- without the series --- */

#define STATES                                                                                     \
	"for d in /sys/bus/pci/devices/* /sys/bus/virtio/devices/* /sys/bus/pnp/devices/*; do "    \
	"echo $d $(cat $d/driver_override 2>/dev/null) $(basename \"$(readlink $d/driver)\"); "    \
	"done; cat /sys/bus/virtio/drivers_autoprobe /sys/bus/pnp/drivers_autoprobe"

static void test_a_kill_a_stop_and_a_start_change_no_device(void **state)
{
	struct vm *vm = up(state, &stock);
	_cleanup_free_ char *nic = NULL, *old = NULL, *rng = NULL, *before = NULL;

	nic = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1,romfile=", "8086:10d3");
	old = vm_plug_pci(vm, "e1000,id=old1,bus=rp2,romfile=", "8086:100e");
	rng = plug_virtio(vm, "virtio-rng-pci,id=rng1,bus=rp6", "0x0004");
	expect_driver(vm, nic, "e1000e");
	expect_refused(vm, &stock, old);
	expect_driver(vm, rng, "virtio_rng");
	before = vm_output(vm, STATES);
	vm_expect(vm, 0,
		  "pid=$(systemctl show --value -p MainPID tdx-authd); kill -KILL $pid; "
		  "while [ \"$(systemctl show --value -p MainPID tdx-authd)\" = $pid ]; do "
		  "sleep 0.1; done");
	vm_expect_soon(vm, IS_UP);
	vm_expect_output(vm, before, STATES);
	vm_expect(vm, 0, "systemctl stop tdx-authd");
	vm_expect_output(vm, before, STATES);
	vm_expect(vm, 0, "systemctl start tdx-authd");
	vm_expect_output(vm, before, STATES);
}

static void test_a_driver_that_is_loaded_anew_has_its_devices_again(void **state)
{
	struct vm *vm = up(state, &stock);
	_cleanup_free_ char *nic = NULL, *rng = NULL;

	nic = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1,romfile=", "8086:10d3");
	rng = plug_virtio(vm, "virtio-rng-pci,id=rng1,bus=rp6", "0x0004");
	expect_driver(vm, nic, "e1000e");
	expect_driver(vm, rng, "virtio_rng");
	vm_expect(vm, 0, "modprobe -r e1000e virtio_rng");
	expect_driver(vm, nic, "");
	expect_driver(vm, rng, "");
	vm_expect(vm, 0, "modprobe -a e1000e virtio_rng");
	expect_driver(vm, nic, "e1000e");
	expect_driver(vm, rng, "virtio_rng");
}

static void test_what_others_override_stays_theirs(void **state)
{
	struct vm *vm = up(state, &stock);
	_cleanup_free_ char *old = NULL;

	vm_expect(vm, 0, "systemctl stop tdx-authd.socket tdx-authd && modprobe e1000");
	old = vm_plug_pci(vm, "e1000,id=old1,bus=rp2,romfile=", "8086:100e");
	expect_driver(vm, old, "e1000");
	vm_expect(vm, 0, "echo vfio-pci > %s/driver_override && systemctl start tdx-authd", old);
	vm_expect_soon(vm, LOGGED("not as wanted: somebody else holds the device"));
	vm_expect_output(vm, "vfio-pci", "cat %s/driver_override", old);
	expect_driver(vm, old, "e1000");
	vm_expect(vm, 1, "tdx-authctl deny pci:$(basename %s)", old);
	/* it is decided over once that is gone */
	vm_expect(vm, 0, "echo > %s/driver_override && systemctl restart tdx-authd", old);
	expect_refused(vm, &stock, old);
}

static void test_an_owner_decides_by_hand(void **state)
{
	struct vm *vm = up(state, &stock);
	_cleanup_free_ char *old = vm_plug_pci(vm, "e1000,id=old1,bus=rp2,romfile=", "8086:100e"),
			    *balloon = NULL;

	balloon = plug_virtio(vm, "virtio-balloon-pci,id=balloon1,bus=rp5", "0x0005");
	expect_refused(vm, &stock, old);
	expect_driver(vm, balloon, "");
	vm_expect(vm, 0, "tdx-authctl authorize pci:$(basename %s) --driver e1000", old);
	expect_driver(vm, old, "e1000");
	vm_expect(vm, 0, "tdx-authctl authorize virtio:$(basename %s)", balloon);
	expect_driver(vm, balloon, "virtio_balloon");
	vm_expect(vm, 0, "systemctl restart tdx-authd");
	vm_expect_soon(vm, LOGGED("stays authorized, as decided earlier"));
	expect_driver(vm, old, "e1000");
	expect_driver(vm, balloon, "virtio_balloon");
	vm_expect(vm, 0, "tdx-authctl deny pci:$(basename %s)", old);
	vm_expect(vm, 0, "tdx-authctl deny virtio:$(basename %s)", balloon);
	expect_refused(vm, &stock, old);
	expect_driver(vm, balloon, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_the_kernel_gives_a_refused_device_no_driver),
		vm_test(test_without_the_series_a_refused_device_has_none_afterwards),
		vm_test(test_so_it_is_on_the_kernel_that_debian_ships),
		vm_test(test_a_kill_a_stop_and_a_start_change_no_device),
		vm_test(test_a_driver_that_is_loaded_anew_has_its_devices_again),
		vm_test(test_what_others_override_stays_theirs),
		vm_test(test_an_owner_decides_by_hand),
	};

	return RUN_TESTS("backends", tests);
}
