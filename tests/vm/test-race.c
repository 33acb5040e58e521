/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writers that get in each other's way, and in the way of whatever else happens to a device. What
 * is looked for is a hang, which is a command that does not end within the harness's deadline or
 * the kernel's own word of a hung task; and any report of the kernel in its log.
 *
 * CI runs a sample. With TDX_AUTH_LONG=1 there are thousands of rounds, in a kernel with lockdep,
 * KASAN and what else kernel/debug.config asks for. Most races share one guest: lockdep
 * finds two orders of locks also when they come from two races. It knows nothing of device locks,
 * which the driver core exempts: of these a hang is all there is to see. */

#include <errno.h>
#include <limits.h>

#include "agent-protocol.h"
#include "vmtest.h"

#define RACE AGENT_PATH " race"
#define RACERS_MAX 16
#define STALLED_DEADLINE_MS 20000U

#define VIRTIO_NIC "1af4:1041"
#define RNG "1af4:1044"
#define PORTS "1af4:1005" /* a random number generator of old */
#define NVME "1b36:0010"
#define XHCI "1b36:000d"
#define NIC "8086:10d3"

/* The guest outlives a test. One that a test failed in is not used again. */
static void *guest;
static bool failed;
/* The log up to here has been looked at. */
static long log_seen;

static bool is_long(void)
{
	return !isempty(getenv("TDX_AUTH_LONG"));
}

/* Rounds in one go of the racers, which has to end within the harness's deadline. */
static unsigned int batch_max(void)
{
	return is_long() ? 5 : 20;
}

static const char *kernel(void)
{
	return is_long() ? "patched-debug" : "patched";
}

static unsigned int rounds(unsigned int sample, unsigned int full)
{
	return is_long() ? full : sample;
}

/* Devices that nothing names, one in a slot each. The first one, whose driver is quick, is there
 * for many rounds: virtio-pci binds to it if it may, and nothing to what that makes of it. The
 * second one, which has I/O ports and no memory, is there to be removed and found again for many
 * rounds: QEMU's CPUs do not bear it that one changes the map of memory while another uses it. 7.2
 * falls by SIGSEGV or loses a timer, 10.0 falls by an assertion in iotlb_to_section(). */
static const char *const devices[] = {
	"virtio-rng-pci,id=rng1,bus=rp1",
	"virtio-rng-pci,id=rng2,bus=rp6,disable-modern=on,disable-legacy=off,vectors=0",
	"nvme,id=nvme1,bus=rp2,serial=x,drive=null1",
	"qemu-xhci,id=xhci1,bus=rp3", /* and behind it: */
	"usb-kbd,bus=xhci1.0",
	"e1000e,id=nic1,bus=rp5,romfile=",
	NULL,
};

static struct vm *up(void)
{
	if (!guest || failed) {
		vm_up(&guest, .kernel = kernel(), .cpus = 2, .devices = devices,
		      .cmdline = "dev_auth=enforce loglevel=5 "
				 "sysctl.kernel.hung_task_timeout_secs=60");
		log_seen = 0;
		vm_expect(guest, 0, "modprobe e1000e");
	}
	/* Until expect_no_report(). */
	failed = true;
	return guest;
}

/* The first line of a report since the last look, for the caller to free, or NULL. */
static char *find_report(struct vm *vm)
{
	static const char *const signs[] = {"WARNING: ",   "BUG: ",   "INFO: ", "blocked for more",
					    "Call Trace:", "Oops",    "ODEBUG", "refcount_t",
					    "corruption",  "deadlock"};
	_cleanup_fclose_ FILE *f = fopen(vm_log_path(vm), "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	assert_non_null(f);
	(void)fseek(f, log_seen, SEEK_SET);
	while (getline(&line, &size, f) > 0)
		for (size_t i = 0; i < ELEMENTSOF(signs); i++)
			if (strstr(line, signs[i]))
				return TAKE_PTR(line);
	log_seen = ftell(f);
	return NULL;
}

/* And where lockdep is at all, it is on to the end: it gives up at its first report. */
static void expect_no_report(struct vm *vm)
{
	_cleanup_free_ char *report = find_report(vm);

	if (report)
		vm_fail(vm, "the kernel reports: %s", report);
	if (is_long())
		vm_expect(vm, 0, "grep -q 'debug_locks: *1$' /proc/lockdep_stats");
	failed = false;
}

struct tally {
	unsigned int n;
	char names[RACERS_MAX][128];
	unsigned int done[RACERS_MAX], good[RACERS_MAX], refused[RACERS_MAX];
};

/* What the agent prints: "NAME: N rounds, N good, N refused, ...". */
static void add_up(struct tally *t, char *output)
{
	char *state = NULL, *rest;
	unsigned int done, good, refused;

	t->n = 0;
	for (char *line = strtok_r(output, "\n", &state); line;
	     line = strtok_r(NULL, "\n", &state)) {
		rest = strstr(line, ": ");
		if (!rest || t->n == RACERS_MAX ||
		    sscanf(rest, ": %u rounds, %u good, %u refused", &done, &good, &refused) != 3)
			continue;
		(void)snprintf(t->names[t->n], sizeof(t->names[0]), "%.*s", (int)(rest - line),
			       line);
		t->done[t->n] += done;
		t->good[t->n] += good;
		t->refused[t->n++] += refused;
	}
}

/* Who never got anything done was in nobody's way. */
static void expect_all_took_part(struct vm *vm, const struct tally *t)
{
	assert_int_not_equal(t->n, 0);
	for (unsigned int i = 0; i < t->n; i++) {
		if (is_long())
			print_message("#   %s: %u rounds, %u good, %u refused\n", t->names[i],
				      t->done[i], t->good[i], t->refused[i]);
		if (t->good[i] + t->refused[i] == 0)
			vm_fail(vm, "%s: none of %u rounds came to the device", t->names[i],
				t->done[i]);
	}
}

/* @racers as for the agent, quoted for a shell. */
static _printf_(3, 4) void race(struct vm *vm, unsigned int n, const char *format, ...)
{
	_cleanup_free_ char *racers = NULL;
	struct tally tally = {0};
	unsigned int batch;
	va_list ap;

	va_start(ap, format);
	assert_true(vasprintf(&racers, format, ap) > 0);
	va_end(ap);
	for (unsigned int i = 0; i < n; i += batch) {
		_cleanup_free_ char *output = NULL;

		batch = n - i < batch_max() ? n - i : batch_max();
		output = vm_output(vm, RACE " %u %s 2>/dev/null", batch, racers);
		add_up(&tally, output);
	}
	expect_all_took_part(vm, &tally);
}

/* Starts racers that run until end_race(). */
static _printf_(2, 3) void begin_race(struct vm *vm, const char *format, ...)
{
	_cleanup_free_ char *racers = NULL;
	va_list ap;

	va_start(ap, format);
	assert_true(vasprintf(&racers, format, ap) > 0);
	va_end(ap);
	vm_expect(vm, 0,
		  "rm -f /run/stop /run/raced; (" RACE " 1 %s "
		  "'!until [ -e /run/stop ]; do sleep 0.1; done' > /run/races 2>/dev/null; "
		  "mv /run/races /run/raced) > /dev/null 2>&1 &",
		  racers);
}

static void end_race(struct vm *vm)
{
	_cleanup_free_ char *output = NULL;
	struct tally tally = {0};

	vm_expect(vm, 0, "touch /run/stop");
	vm_expect_soon(vm, "[ -e /run/raced ]");
	output = vm_output(vm, "cat /run/raced");
	add_up(&tally, output);
	expect_all_took_part(vm, &tally);
}

/* Authorized with a driver, or neither. */
static void expect_agreement(struct vm *vm, const char *device)
{
	vm_expect(vm, 0, "[ $(cat %s/authorized) = $([ -e %s/driver ] && echo 1 || echo 0) ]",
		  device, device);
}

static void expect_works(struct vm *vm, const char *device)
{
	vm_expect(vm, 0, "echo 0 > %s/authorized && [ ! -e %s/driver ]", device, device);
	vm_expect(vm, 0, "echo 1 > %s/authorized && [ -e %s/driver ]", device, device);
}

static void test_opposite_writes_to_one_device_end_in_one_state(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, VIRTIO_NIC);

	(void)state;
	race(vm, rounds(200, 1000), "%s/authorized=0 %s/authorized=1 %s/authorized=default,0",
	     device, device, device);
	expect_agreement(vm, device);
	expect_works(vm, device);
	expect_no_report(vm);
}

static void test_opposite_writes_to_parent_and_child_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *parent = vm_find_pci(vm, VIRTIO_NIC);

	(void)state;
	race(vm, rounds(200, 1000), "%s/authorized=0,1 '%s/virtio*/authorized=1,0'", parent,
	     parent);
	expect_works(vm, parent);
	vm_expect_soon(vm, "echo 1 > $(echo %s/virtio*/authorized) && [ -e %s/virtio*/net ]",
		       parent, parent);
	expect_no_report(vm);
}

static void test_opposite_writes_to_bridge_and_device_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, RNG);

	(void)state;
	race(vm, rounds(50, 1000), "%s/../authorized=0,1 %s/authorized=1,0", device, device);
	vm_expect(vm, 0, "echo 1 > %s/../authorized", device);
	expect_works(vm, device);
	expect_no_report(vm);
}

/* A child's writer against the driver of its parent, which deletes it. */
static void test_writes_to_a_device_that_is_deleted_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *parent = vm_find_pci(vm, VIRTIO_NIC);
	const char *address = strrchr(parent, '/') + 1;

	(void)state;
	vm_expect(vm, 0, "echo 1 > %s/authorized", parent);
	race(vm, rounds(50, 1000),
	     "'%s/virtio*/authorized=0,1' /sys/bus/pci/drivers/virtio-pci/unbind=%s "
	     "/sys/bus/pci/drivers/virtio-pci/bind=%s",
	     parent, address, address);
	expect_works(vm, parent);
	expect_no_report(vm);
}

static void test_writes_and_bind_leave_no_driver_without_authorization(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, RNG);
	const char *address = strrchr(device, '/') + 1;

	(void)state;
	race(vm, rounds(10, 500),
	     "%s/authorized=1,0 /sys/bus/pci/drivers/virtio-pci/bind=%s "
	     "/sys/bus/pci/drivers/virtio-pci/unbind=%s /sys/bus/pci/drivers_probe=%s "
	     "'/sys/bus/pci/drivers/pcieport/new_id=1af4 1044' "
	     "'/sys/bus/pci/drivers/pcieport/remove_id=1af4 1044' "
	     "'%s/driver_override=virtio-pci,\n' '%s/authorized_driver=virtio-pci,\n'",
	     device, address, address, address, device, device);
	vm_expect(vm, 0, "echo 0 > %s/authorized && [ ! -e %s/driver ]", device, device);
	vm_expect(vm, 0, "echo > %s/driver_override; echo > %s/authorized_driver", device, device);
	expect_works(vm, device);
	expect_no_report(vm);
}

/* Deletes the device and finds it again. */
#define REMOVE                                                                                     \
	"d=%s; echo 1 > $d/remove; for r in ${d%%/*}/pci_bus/*/rescan; do echo 1 > $r; done; "     \
	"[ -e $d/authorized ]"
#define REMOVER "'!" REMOVE "'"

static void test_writes_and_rescan_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, PORTS);

	(void)state;
	race(vm, rounds(20, 500), REMOVER " %s/authorized=1,0 /sys/bus/pci/rescan=1", device,
	     device);
	expect_works(vm, device);
	expect_no_report(vm);
}

/* The kernel announces a device before it offers it to drivers, and a writer may be quick. */
static void test_write_at_the_announcement_of_a_device_is_not_lost(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, PORTS);

	(void)state;
	begin_race(vm, "+pci=1");
	vm_expect_soon(vm, REMOVE " && sleep 1 && [ $(cat $d/authorized) = 1 ] && [ -e $d/driver ]",
		       device);
	end_race(vm);
	race(vm, rounds(10, 500), "+pci=1 " REMOVER, device);
	expect_works(vm, device);
	expect_no_report(vm);
}

/* Not of a virtio device: of some such rounds QEMU 7.2 ended by a segmentation fault. */
static void test_opposite_writes_at_the_announcement_and_later_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, PORTS);

	(void)state;
	race(vm, rounds(10, 500), "+pci=1,0 %s/authorized=0,default " REMOVER, device, device);
	expect_works(vm, device);
	vm_expect(vm, 0, "echo 0 > %s/authorized", device);
	expect_no_report(vm);
}

static void test_writes_and_asynchronous_probe_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, NVME);

	(void)state;
	/* A driver that asks for it. */
	race(vm, rounds(10, 500), "%s/authorized=1,0 '!modprobe nvme; rmmod nvme'", device);
	vm_expect(vm, 0, "echo 1 > %s/authorized && modprobe nvme", device);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	expect_works(vm, device);
	vm_expect(vm, 0, "echo 0 > %s/authorized", device);
	expect_no_report(vm);
}

#define CHIP "/sys/kernel/config/gpio-sim/lab"
#define AGGREGATOR "/sys/bus/platform/devices/gpio-aggregator.0"

static void test_writes_and_deferred_probe_never_hang(void **state)
{
	struct vm *vm = up();

	(void)state;
	vm_expect(vm, 0, "modprobe gpio-sim && modprobe gpio-aggregator");
	vm_expect(vm, 0,
		  "mkdir -p " CHIP "/bank && echo lab > " CHIP "/bank/label && "
		  "echo 4 > " CHIP "/bank/num_lines");
	vm_expect(vm, 0, "echo 'lab 0-3' > /sys/bus/platform/drivers/gpio-aggregator/new_device");
	vm_expect_output(vm, "0 default",
			 "echo $(cat " AGGREGATOR "/authorized " AGGREGATOR "/authorized_by)");
	race(vm, rounds(0, 500), AGGREGATOR "/authorized=1,0 " CHIP "/live=1,0");
	vm_expect(vm, 0, "echo 1 > " CHIP "/live; echo 1 > " AGGREGATOR "/authorized");
	vm_expect_soon(vm, "[ -e " AGGREGATOR "/driver ]");
	expect_works(vm, AGGREGATOR);
	vm_expect(vm, 0, "echo 0 > " AGGREGATOR "/authorized");
	expect_no_report(vm);
}

static void test_writes_to_faces_of_one_device_end_in_one_state(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *acpi = NULL, *pnp = NULL;

	(void)state;
	acpi = vm_output(vm, "readlink -f /sys/bus/acpi/devices/PNP0501:00");
	pnp = vm_output(vm, "readlink -f %s/physical_node", acpi);
	race(vm, rounds(50, 1000),
	     "%s/authorized=1,0,default %s/authorized=0,1 %s/authorized_driver=serial "
	     "/sys/bus/pnp/drivers/serial/unbind=%s /sys/bus/pnp/drivers/serial/bind=%s",
	     acpi, pnp, pnp, strrchr(pnp, '/') + 1, strrchr(pnp, '/') + 1);
	vm_expect(vm, 0, "[ $(cat %s/authorized) = $(cat %s/authorized) ]", acpi, pnp);
	vm_expect(vm, 0, "echo default > %s/authorized", acpi);
	expect_works(vm, pnp);
	vm_expect(vm, 0, "echo default > %s/authorized && [ ! -e %s/driver ]", acpi, pnp);
	expect_no_report(vm);
}

/* A face that a module's driver comes and goes on, and that is taken and given meanwhile. */
static void test_writes_to_faces_and_modules_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *acpi = NULL, *platform = NULL;

	(void)state;
	acpi = vm_output(vm, "readlink -f /sys/bus/acpi/devices/QEMU0002:00");
	platform = vm_output(vm, "readlink -f %s/physical_node", acpi);
	race(vm, rounds(0, 500),
	     "%s/authorized=1,0 %s/authorized=0,1 '!modprobe qemu_fw_cfg; rmmod qemu_fw_cfg'", acpi,
	     platform);
	/* Once taken from a device, this driver takes none before it is loaded again. */
	vm_expect(vm, 0, "echo 1 > %s/authorized && modprobe qemu_fw_cfg && [ -e %s/driver ]", acpi,
		  platform);
	vm_expect(vm, 0, "echo 0 > %s/authorized && [ ! -e %s/driver ]", platform, platform);
	expect_no_report(vm);
}

/* Scan handlers run in a work item, and what they have taken they do not give back: once for each
 * of the devices that the command line denies. */
static void test_writes_and_late_enumeration_never_hang(void **state)
{
	struct vm *vm = vm_up(&guest, .kernel = kernel(), .cpus = 2,
			      .cmdline = "dev_auth=enforce dev_auth.deny=acpi:PNP0C0F loglevel=5");

	(void)state;
	log_seen = 0;
	failed = true;
	vm_expect(vm, 0, "grep -q 0 /sys/bus/acpi/devices/PNP0C0F:*/authorized");
	race(vm, rounds(20, 500),
	     "'/sys/bus/acpi/devices/PNP0C0F:*/authorized=1,0,default' "
	     "'/sys/bus/acpi/devices/PNP0C0F:*/authorized=0,1'");
	/* Whoever was enumerated stays authorized. */
	vm_expect_soon(vm,
		       "for d in /sys/bus/acpi/devices/PNP0C0F:*; do echo 1 > $d/authorized; done; "
		       "! (echo 0 > /sys/bus/acpi/devices/PNP0C0F:00/authorized)");
	expect_no_report(vm);
}

/* Each write that loosens a bus is a warning: on a serial line that is all that would go on. They
 * stay off the console meanwhile, and reports of that level are asked for instead: a WARN(), a bad
 * page, an oops and a lockup taint the kernel (Documentation/admin-guide/tainted-kernels.rst: 32,
 * 128, 512 and 16384), and lockdep is off after its first one. */
static void test_defaults_of_the_bus_and_of_devices_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, PORTS);

	(void)state;
	vm_expect(vm, 0, "dmesg -n 4");
	race(vm, rounds(10, 500),
	     "/sys/bus/pci/authorized_default=0,builtin,1 "
	     "/sys/bus/pci/authorized_default=1,0 /sys/kernel/device_authorization/lock=0 "
	     "%s/authorized=default /sys/kernel/device_authorization/hardened " REMOVER,
	     device, device);
	vm_expect(vm, 0, "echo builtin > /sys/bus/pci/authorized_default");
	vm_expect(vm, 0, "echo default > %s/authorized", device);
	vm_expect(vm, 0, "dmesg -n 5");
	vm_expect(vm, 0, "[ $(($(cat /proc/sys/kernel/tainted) & 0x42a0)) = 0 ]");
	vm_expect_output(vm, "0 default", "echo $(cat %s/authorized %s/authorized_by)", device,
			 device);
	expect_works(vm, device);
	expect_no_report(vm);
}

/* What user space does with a device by itself, while it is taken and given. */
static void test_revocation_and_use_by_user_space_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, RNG), *proc = NULL;

	(void)state;
	proc = vm_output(vm, "echo %s | sed -E 's,.*/0000:(..):(.*),/proc/bus/pci/\\1/\\2,'",
			 device);
	race(vm, rounds(10, 500),
	     "%s/authorized=1,0 @%s/resource4 %s/config %s '%s/enable=1,0' %s/reset=1 "
	     "/sys/bus/pci/rescan=1 %s/resource %s/config=x",
	     device, device, device, proc, device, device, device, device);
	vm_expect(vm, 0, "while [ $(cat %s/enable) -gt 0 ]; do echo 0 > %s/enable || break; done",
		  device, device);
	expect_works(vm, device);
	expect_no_report(vm);
}

static void test_revocation_and_enumeration_of_usb_never_hang(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, XHCI);

	(void)state;
	race(vm, rounds(5, 500),
	     "'!echo 1 > %s/authorized; sleep 0.$(($$ %% 10))' '!echo 0 > %s/authorized; "
	     "sleep 0.$(($$ %% 10))' '/sys/bus/usb/devices/*/authorized=0,1'",
	     device, device);
	expect_works(vm, device);
	vm_expect_soon(vm, "ls -d %s/usb*/*/*:* | grep -q .", device);
	vm_expect(vm, 0, "echo 0 > %s/authorized", device);
	expect_no_report(vm);
}

static void test_device_that_is_pulled_while_it_is_written_never_hangs(void **state)
{
	struct vm *vm = up();

	(void)state;
	begin_race(vm, "'+pci=1,0' '/sys/bus/pci/drivers/pcieport/0*/0*/authorized=1,0'");
	for (unsigned int i = 0; i < rounds(5, 500); i++) {
		vm_plug(vm, "e1000e,id=nic2,bus=rp4,romfile=");
		vm_expect_soon(vm, "[ $(cat /sys/bus/pci/devices/*/device | grep -c 0x10d3) = 2 ]");
		vm_unplug(vm, "nic2");
		vm_expect_soon(vm, "[ $(cat /sys/bus/pci/devices/*/device | grep -c 0x10d3) = 1 ]");
	}
	end_race(vm);
	expect_no_report(vm);
}

#define LOCK "/sys/kernel/device_authorization/lock"

/* The last one in this guest: it stays locked. */
static void test_locked_in_the_middle_of_it_nothing_becomes_authorized(void **state)
{
	struct vm *vm = up();
	_cleanup_free_ char *device = vm_find_pci(vm, RNG), *other = vm_find_pci(vm, VIRTIO_NIC);

	(void)state;
	begin_race(vm, "%s/authorized=1,0 %s/authorized=default,0 %s/authorized=1,0", device,
		   device, other);
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	vm_expect(vm, 0, "echo 1 > " LOCK);
	end_race(vm);
	vm_expect_output(vm, "0 0", "echo $(cat %s/authorized %s/authorized)", device, other);
	vm_expect(vm, 0, "[ ! -e %s/driver ] && [ ! -e %s/driver ]", device, other);
	expect_no_report(vm);
}

#define DISK "/sys/block/vdb"
/* One request that the host does not answer. */
#define STILL_STALLED "grep -qE '^ *[1-9]' " DISK "/inflight"

/* The probe of a disk reads its partition table. It is for the host to answer that. */
static struct vm *up_with_stalled_probe(char **ret_disk)
{
	static const char *const arguments[] = {
		"-blockdev",
		"driver=blkdebug,node-name=stall,image.driver=null-co,image.size=67108864",
		"-blockdev", "driver=raw,node-name=stalled,file=stall", NULL};
	struct vm *vm =
		vm_up(&guest, .kernel = kernel(), .cpus = 2, .arguments = (char *const *)arguments,
		      .cmdline = "dev_auth=enforce loglevel=5");

	log_seen = 0;
	failed = true;
	assert_int_equal(vm_monitor(vm, "qemu-io stall \"break read_aio lab\""), 0);
	/* With a geometry, or QEMU would read the disk to guess one. */
	vm_plug(vm, "virtio-blk-pci,id=disk1,bus=rp1,drive=stalled,cyls=64,heads=16,secs=63");
	vm_expect_soon(vm, STILL_STALLED);
	*ret_disk = vm_output(vm, "readlink -f " DISK "/device");
	return vm;
}

static void test_stalled_probe_holds_up_neither_denial_nor_lock(void **state)
{
	char *disk;
	struct vm *vm = up_with_stalled_probe(&disk);
	_cleanup_free_ char *nic = vm_find_pci(vm, VIRTIO_NIC);

	(void)state;
	/* Another device loses its driver, and the bus and the whole machine close. */
	vm_expect(vm, 0, "echo 0 > %s/authorized && [ ! -e %s/driver ]", nic, nic);
	vm_expect(vm, 0, "echo 1 > %s/authorized && [ -e %s/driver ]", nic, nic);
	vm_expect(vm, 0, "echo 0 > /sys/bus/pci/authorized_default");
	vm_expect(vm, 0, "echo 0 > %s/authorized", nic);
	vm_expect(vm, 0, "echo 1 > " LOCK);
	/* The device itself: the decision stands, though its driver cannot go before it came. */
	vm_expect(vm, 0, "(echo 0 > %s/authorized; touch /run/denied) > /dev/null 2>&1 &", disk);
	vm_expect_soon(vm, "[ $(cat %s/authorized) = 0 ]", disk);
	vm_expect(vm, 0, STILL_STALLED);
	vm_expect(vm, 0, "[ ! -e /run/denied ]");

	assert_int_equal(vm_monitor(vm, "qemu-io stall \"resume lab\""), 0);
	vm_expect_soon(vm, "[ -e /run/denied ]");
	vm_expect(vm, 0, "[ ! -e %s/driver ] && [ ! -e " DISK " ]", disk);
	free(disk);
	expect_no_report(vm);
}

static int end_guest(void **state)
{
	(void)state;
	return vm_down(&guest);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		/* The kernels of the sample have no drivers for these. */
		cmocka_unit_test(test_writes_and_deferred_probe_never_hang),
		cmocka_unit_test(test_writes_to_faces_and_modules_never_hang),
		cmocka_unit_test(test_opposite_writes_to_one_device_end_in_one_state),
		cmocka_unit_test(test_opposite_writes_to_parent_and_child_never_hang),
		cmocka_unit_test(test_opposite_writes_to_bridge_and_device_never_hang),
		cmocka_unit_test(test_writes_to_a_device_that_is_deleted_never_hang),
		cmocka_unit_test(test_writes_and_bind_leave_no_driver_without_authorization),
		cmocka_unit_test(test_writes_and_rescan_never_hang),
		cmocka_unit_test(test_write_at_the_announcement_of_a_device_is_not_lost),
		cmocka_unit_test(test_opposite_writes_at_the_announcement_and_later_never_hang),
		cmocka_unit_test(test_writes_and_asynchronous_probe_never_hang),
		cmocka_unit_test(test_writes_to_faces_of_one_device_end_in_one_state),
		cmocka_unit_test(test_defaults_of_the_bus_and_of_devices_never_hang),
		cmocka_unit_test(test_revocation_and_use_by_user_space_never_hang),
		cmocka_unit_test(test_revocation_and_enumeration_of_usb_never_hang),
		cmocka_unit_test(test_device_that_is_pulled_while_it_is_written_never_hangs),
		cmocka_unit_test(test_locked_in_the_middle_of_it_nothing_becomes_authorized),
		cmocka_unit_test(test_writes_and_late_enumeration_never_hang),
		cmocka_unit_test(test_stalled_probe_holds_up_neither_denial_nor_lock),
	};

	const size_t skipped = is_long() ? 0 : 2;

	return _cmocka_run_group_tests("race", tests + skipped, ELEMENTSOF(tests) - skipped, NULL,
				       end_guest);
}
