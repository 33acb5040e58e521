/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How fast and how large the daemon is: vm-bench-daemon [RUNS]
 *
 * In one guest for each size of policy it plugs usb devices, and takes the time from the kernel's
 * announcement to the write of `authorized`: with a bare loop, with tdx-authd and with USBGuard, in
 * turn, and the latter two under the same rules. There it also looks at how much memory they take
 * and how long they take to start. In one more guest there are ten thousand devices from the start,
 * for a cold plug against a bare enumeration. bench-guest.c and bench-scan.c are the guest's side;
 * they say what is measured, and how.
 *
 * Time follows instructions (-icount), one a nanosecond, so a busy machine changes nothing: what
 * is printed as microseconds are thousands of instructions, and the milliseconds for which the
 * kernel waits for the bus. Nothing is a cache miss then, and processes take turns on the guest's
 * one processor. While all of them wait, time jumps to what they wait for, so nothing that waits
 * for this machine, as for a disk, may be measured: hence the warm-up of everything.
 *
 * Fails where something could not be measured; what is printed is for the reader to judge. */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "arguments.h"
#include "bench.h"
#include "vm.h"

#define RUNS 3
#define RUNS_MAX 99
#define PLUGS 100	    /* of each, in each run */
#define COMMAND_MS 3600000U /* the guest's time runs ahead of the machine's */
#define COLD_DEVICES 5000   /* of ACPI, each of which makes a platform device, too */
#define TABLE_DEVICES 2500  /* that fit into QEMU's 64 KiB for a table */
#define BOOT_MS 900000U

#define GUEST "/usr/lib/tdx-lab/bench-guest"
#define SCAN "/usr/lib/tdx-lab/bench-scan"
#define SAMPLES "/usr/share/tdx-lab/sample-"
#define POLICY_DIR "/etc/tdx-auth/policy.d"
#define USBGUARD_RULES "/etc/usbguard/rules.conf"
#define USBGUARD "/usr/sbin/usbguard-daemon -f -s -c /etc/usbguard/usbguard-daemon.conf"
#define STOP_UDEV                                                                                  \
	"systemctl stop systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd"
#define DAEMON "/usr/lib/tdx-auth/tdx-authd"
/* The socket as well: with that alone the next event would start the daemon again. */
#define STOP_OURS "systemctl stop tdx-authd.socket tdx-authd"

/* With what is here no time is spent in loops that wait for a clock, nor is the clock taken for a
 * bad one. The gate does not keep the emulated usb controller from its driver. */
#define CMDLINE                                                                                    \
	"dev_auth=enforce dev_auth.allow=platform:dummy_hcd,platform:dummy_udc "                   \
	"tsc=reliable tsc_early_khz=1000000 loglevel=1 "                                           \
	"systemd.default_timeout_start_sec=infinity"

/* --- what is measured --- */

enum Who {
	BARE,
	OURS,
	USBGUARD_,
	_WHO_MAX,
};

static const struct Contender {
	const char *name, *start, *stop, *unit;
} contenders[_WHO_MAX] = {
	[BARE] = {"the bare loop", GUEST " loop > /run/loop.pid", "kill $(cat /run/loop.pid)"},
	[OURS] = {"tdx-authd", "systemctl start tdx-authd", STOP_OURS, "tdx-authd"},
	[USBGUARD_] = {"USBGuard", "systemctl reset-failed; systemctl start usbguard",
		       "systemctl stop usbguard", "usbguard"},
};

enum Mode {
	NOTED,	    /* the kernel has noted the write */
	CONFIGURED, /* the same, and what the kernel does with a device that may be used */
	_MODE_MAX,
};

struct Sizes {
	double rss, pss; /* KiB: of the daemon, and of all its processes, shared pages shared */
};

struct Result {
	int error;
	double us[_MODE_MAX][_WHO_MAX][RUNS_MAX * PLUGS];
	struct Sizes sizes[_WHO_MAX], sample;
	double ready[_WHO_MAX]; /* ms from exec to READY */
	double cold, scan;	/* ms, where ten thousand devices are there */
	unsigned n_devices;
};

static const unsigned rules[] = {10, 1000, 20000};

#define GUESTS (ELEMENTSOF(rules) + 1) /* the last is the one of the cold plug */

/* --- the guest --- */

/* Fails where @command does. */
static int must(struct vm *vm, const char *command, char **ret)
{
	_cleanup_free_ char *output = NULL;
	int r = vm_run_within(vm, COMMAND_MS, command, &output);

	if (r != 0)
		fprintf(stderr, "bench: in the guest: %s: %s %d\n%s", command,
			r < 0 ? strerror(-r) : "status", r, output ? output : "");
	if (r > 0)
		r = -EREMOTEIO;
	if (r == 0 && ret)
		*ret = TAKE_PTR(output);
	return r;
}

_printf_(3, 4) static int mustf(struct vm *vm, char **ret, const char *format, ...)
{
	_cleanup_free_ char *command = NULL;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&command, format, ap);
	va_end(ap);
	return r < 0 ? -ENOMEM : must(vm, command, ret);
}

/* What else would react to an event goes, as all share one processor. */
static int prepare(struct vm *vm, unsigned n_rules)
{
	return mustf(vm, NULL,
		     "until [ \"$(systemctl is-active tdx-authd)\" = active ]; do sleep 1; done\n"
		     "set -e; mountpoint -q /sys/kernel/config || "
		     "mount -t configfs configfs /sys/kernel/config\n"
		     "modprobe -a dummy_hcd libcomposite usb_f_ss_lb; udevadm settle\n" STOP_UDEV
		     "\n" STOP_OURS "\n"
		     "mkdir -p " POLICY_DIR "\n" GUEST " rules %u " USBGUARD_RULES " " POLICY_DIR
		     "\n"
		     "for hub in /sys/bus/usb/devices/usb*; do echo 0 > $hub/authorized_default; "
		     "done\n"
		     "echo 0 > /sys/module/usbcore/parameters/authorized_default",
		     n_rules);
}

/* Reads numbers, one a line. Returns how many, or -EBADMSG where there are more than @max. */
static int read_numbers(const char *text, double *values, size_t max)
{
	size_t n = 0;
	char *end;

	for (double value; value = strtod(text, &end), end != text; text = end) {
		if (n == max)
			return -EBADMSG;
		values[n++] = value;
	}
	return (int)n;
}

/* The number that @command prints, in units of @unit. */
static int measure(struct vm *vm, const char *command, double unit, double *ret)
{
	_cleanup_free_ char *output = NULL;
	int r = must(vm, command, &output);

	if (r == 0 && read_numbers(output, ret, 1) != 1)
		r = -EBADMSG;
	*ret /= unit;
	return r;
}

static int plug(struct vm *vm, enum Mode mode, double *us)
{
	_cleanup_free_ char *output = NULL;
	int r = mustf(vm, &output,
		      "echo %d > /sys/bus/usb/drivers_autoprobe && " GUEST
		      " plug %d " USBGUARD_RULES,
		      mode == CONFIGURED, PLUGS);

	if (r == 0 && read_numbers(output, us, PLUGS) != PLUGS)
		r = -EBADMSG;
	for (size_t i = 0; r == 0 && i < PLUGS; i++)
		us[i] /= 1e3;
	return r;
}

static int read_sizes(struct vm *vm, const char *unit, struct Sizes *ret)
{
	_cleanup_free_ char *output = NULL;
	double values[2];
	int r = mustf(
		vm, &output,
		"sed -n 's/^VmRSS: *//p' /proc/$(systemctl show --value -p MainPID %s)/status;"
		"for pid in $(cat /sys/fs/cgroup/system.slice/%s.service/cgroup.procs); do "
		"sed -n 's/^Pss: *//p' /proc/$pid/smaps_rollup; done | "
		"awk '{ n += $1 } END { print n }'",
		unit, unit);
	const char *kib = r == 0 ? strstr(output, "kB") : NULL;

	if (r < 0)
		return r;
	if (!kib || read_numbers(output, &values[0], 1) != 1 ||
	    read_numbers(kib + 2, &values[1], 1) != 1)
		return -EBADMSG;
	*ret = (struct Sizes){values[0], values[1]};
	return 0;
}

/* Whether nobody but @who is there to authorize a device. */
static int check_alone(struct vm *vm, enum Who who)
{
	int r = 0;

	for (enum Who other = 0; r == 0 && other < _WHO_MAX; other++)
		if (other != who && contenders[other].unit)
			r = mustf(vm, NULL, "! systemctl is-active %s", contenders[other].unit);
	return r;
}

static int measure_contender(struct vm *vm, enum Who who, unsigned run, struct Result *result)
{
	const struct Contender *c = &contenders[who];
	int r = must(vm, c->start, NULL);

	for (enum Mode mode = 0; r == 0 && mode < _MODE_MAX; mode++)
		r = plug(vm, mode, &result->us[mode][who][(size_t)run * PLUGS]);
	if (r == 0)
		r = check_alone(vm, who);
	if (r == 0 && c->unit)
		r = read_sizes(vm, c->unit, &result->sizes[who]);
	return r == 0 ? must(vm, c->stop, NULL) : r;
}

/* The parent of a daemon that forks ends when the daemon is ready: systemd goes by that, too. */
static int measure_ready(struct vm *vm, struct Result *result)
{
	int r = measure(vm, GUEST " ready " DAEMON, 1e6, &result->ready[OURS]);

	if (r == 0)
		r = measure(vm, GUEST " end " USBGUARD, 1e6, &result->ready[USBGUARD_]);
	return r == 0 ? must(vm, "kill $(cat /run/usbguard.pid)", NULL) : r;
}

/* The memory that a policy as owners write it takes. */
static int measure_sample(struct vm *vm, unsigned n_rules, struct Sizes *ret)
{
	int r = mustf(vm, NULL,
		      "rm " POLICY_DIR "/*.yaml && cp " SAMPLES "%u/*.yaml " POLICY_DIR
		      " && systemctl start tdx-authd",
		      n_rules);

	if (r == 0)
		r = read_sizes(vm, "tdx-authd", ret);
	return r == 0 ? must(vm, STOP_OURS, NULL) : r;
}

static int measure_events(struct vm *vm, unsigned n_rules, unsigned runs, struct Result *result)
{
	int r = prepare(vm, n_rules);

	for (unsigned run = 0; r == 0 && run < runs; run++) {
		for (enum Who who = 0; r == 0 && who < _WHO_MAX; who++)
			r = measure_contender(vm, who, run, result);
		fprintf(stderr, "bench: %u rules, run %u of %u: %s\n", n_rules, run + 1, runs,
			r < 0 ? strerror(-r) : "done");
	}
	if (r == 0)
		r = measure_ready(vm, result);
	return r == 0 ? measure_sample(vm, n_rules, &result->sample) : r;
}

/* Each as if nobody had looked at a device before, but with itself in memory. */
#define AFRESH(program) "echo 2 > /proc/sys/vm/drop_caches; " program " --version > /dev/null; "

static int measure_cold(struct vm *vm, struct Result *result)
{
	double n = 0;
	int r = must(vm,
		     STOP_UDEV "; mkdir -p /run/tdx-auth " POLICY_DIR " && " GUEST
			       " rules 10 /dev/null " POLICY_DIR,
		     NULL);

	if (r == 0)
		r = measure(vm, "ls -d /sys/bus/*/devices/*/authorized | wc -l", 1, &n);
	if (r == 0)
		r = measure(vm, AFRESH(SCAN) GUEST " end " SCAN, 1e6, &result->scan);
	if (r == 0)
		r = measure(vm, AFRESH(DAEMON) GUEST " ready " DAEMON, 1e6, &result->cold);
	result->n_devices = (unsigned)n;
	fprintf(stderr, "bench: cold plug of %u devices: %s\n", result->n_devices,
		r < 0 ? strerror(-r) : "done");
	return r;
}

/* --- ten thousand devices --- */

static void put(FILE *f, uint64_t value, unsigned size)
{
	for (; size > 0; size--, value >>= 8)
		fputc((int)(value & 0xff), f);
}

/* ACPI Specification 6.5, section 20.2: Device (Xnnn) { Name (_HID, "ACMExxxx") } */
static void put_device(FILE *f, unsigned table, unsigned i)
{
	fprintf(f, "%c%c%c%c%03X%c_HID%cACME%04X%c", 0x5b, 0x82, 20, 'D' + (int)table, i, 0x08,
		0x0d, table * TABLE_DEVICES + i, 0);
}

/* Scope (\_SB) { the devices } */
static void put_scope(FILE *f, unsigned table)
{
	size_t length = 3 + strlen("\\_SB_") + (size_t)TABLE_DEVICES * 22;

	put(f, 0x10, 1);
	put(f, 0x80 | (length & 0xf), 1);
	put(f, length >> 4, 2);
	fputs("\\_SB_", f);
	for (unsigned i = 0; i < TABLE_DEVICES; i++)
		put_device(f, table, i);
}

/* A secondary table, section 5.2.11.2, whose bytes add up to 0. */
static int write_table(const char *path, unsigned table)
{
	_cleanup_free_ char *data = NULL;
	_cleanup_fclose_ FILE *out = fopen(path, "we");
	unsigned char sum = 0;
	size_t size = 0;
	FILE *f = open_memstream(&data, &size);

	if (!f || !out)
		return -errno;
	fputs("SSDT", f);
	put(f, 0, 4); /* the length */
	put(f, 2, 1);
	put(f, 0, 1); /* what makes the sum 0 */
	fprintf(f, "TDXATHBENCH%03u", table);
	put(f, 1, 4);
	fputs("TDXA", f);
	put(f, 1, 4);
	put_scope(f, table);
	if (fclose(f) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < 4; i++)
		data[4 + i] = (char)(size >> (8 * i));
	for (size_t i = 0; i < size; i++)
		sum = (unsigned char)(sum + (unsigned char)data[i]);
	data[9] = (char)-sum;
	return fwrite(data, 1, size, out) == size && fflush(out) == 0 ? 0 : -EIO;
}

/* --- guests --- */

#define TABLES (COLD_DEVICES / TABLE_DEVICES)

/* With ten thousand devices udev would be busy for minutes, and what is to be measured is not to
 * have run before. */
#define COLD_CMDLINE                                                                               \
	CMDLINE " systemd.mask=systemd-udev-trigger.service systemd.mask=tdx-authd.service"

static int add_tables(struct arguments *a)
{
	char path[PATH_MAX];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < TABLES; i++) {
		(void)snprintf(path, sizeof(path), "%s/bench-%u.aml", getenv("TDX_AUTH_LOGS"), i);
		r = write_table(path, i);
		arguments_option(a, "-acpitable", "file=%s", path);
	}
	return r;
}

/* A string instruction counts once for each of its steps. The kernel uses those that go by bytes
 * only where the processor says that it takes many bytes at a time: here it does not say so. */
static int start(bool is_cold, struct vm **ret)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	int r = is_cold ? add_tables(&a) : 0;

	arguments_option(&a, "-cpu", "max,erms=off,fsrm=off");
	arguments_option(&a, "-global", "virtio-blk-pci.ioeventfd=off");
	arguments_option(&a, "-global", "virtio-serial-pci.ioeventfd=off");
	*ret = NULL;
	if (r < 0 || a.failed)
		return r < 0 ? r : -ENOMEM;
	return vm_start(&(struct vm_options){.kernel = "patched",
					     .init = VM_INIT_SYSTEMD,
					     .memory = "1024",
					     .icount = "shift=0,sleep=off",
					     .cmdline = is_cold ? COLD_CMDLINE : CMDLINE,
					     .arguments = a.v,
					     .boot_ms = BOOT_MS},
			ret);
}

struct Bench {
	unsigned runs;
	struct Result *results; /* of each guest, shared with the processes that measure */
};

static int run_guest(size_t guest, void *userdata)
{
	const struct Bench *bench = userdata;
	struct Result *result = &bench->results[guest];
	bool is_cold = guest == ELEMENTSOF(rules);
	struct vm *vm = NULL;
	int r = start(is_cold, &vm);

	if (r >= 0)
		r = must(
			vm,
			"until [ \"$(systemctl is-active tdx-authd)\" = active ]; do sleep 1; done",
			NULL);
	if (r >= 0)
		r = is_cold ? measure_cold(vm, result)
			    : measure_events(vm, rules[guest], bench->runs, result);
	if (r < 0) {
		fprintf(stderr, "bench: guest %zu: %s\n", guest, strerror(-r));
		vm_explain(vm, stderr);
	}
	vm_free(vm);
	return r;
}

/* --- results --- */

static double percentile(const double *values, size_t n, double which)
{
	static double sorted[RUNS_MAX * PLUGS];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), bench_compare_double);
	return sorted[(size_t)((double)(n - 1) * which + 0.5)];
}

static void print_number(double value)
{
	if (isnan(value))
		printf(" %9s", "-");
	else
		printf(" %9.*f", value < 100 ? 1 : 0, value);
}

/* "<= 2" or ">= 5", and whether it is so. */
static void print_limit(double value, double limit, bool at_least)
{
	char text[32];

	if (isnan(limit)) {
		printf(" %-14s", "-");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s %g %s", at_least ? ">=" : "<=", limit,
		       (at_least ? value >= limit : value <= limit) ? "met" : "MISSED");
	printf(" %-14s", text);
}

/* NAN: there is none. */
struct Row {
	double ours, bare, theirs;
	double limit;	     /* of ours to the bare loop's; of ours itself where that is NAN */
	double theirs_limit; /* of theirs to ours, at least */
};

static void print_row(const char *what, struct Row row)
{
	double ratio = row.ours / row.bare, theirs = row.theirs / row.ours;

	printf("%-32s", what);
	print_number(row.ours);
	print_number(row.bare);
	print_number(ratio);
	print_limit(isnan(row.bare) ? row.ours : ratio, row.limit, false);
	print_number(row.theirs);
	print_number(theirs);
	print_limit(theirs, row.theirs_limit, true);
	putchar('\n');
}

static void print_latency(const char *what, const struct Result *result, enum Mode mode,
			  double which, double limit, double theirs_limit, size_t n)
{
	print_row(what, (struct Row){.ours = percentile(result->us[mode][OURS], n, which),
				     .bare = percentile(result->us[mode][BARE], n, which),
				     .theirs = percentile(result->us[mode][USBGUARD_], n, which),
				     .limit = limit,
				     .theirs_limit = theirs_limit});
}

static void print_size(const char *what, double ours, double theirs, double limit)
{
	print_row(what, (struct Row){ours, NAN, theirs, limit, NAN});
}

static void print_events(unsigned n_rules, const struct Result *result, unsigned runs)
{
	double limit = n_rules == rules[0] ? 6144 : 12288;
	size_t n = (size_t)runs * PLUGS;

	printf("%-32s %9s %9s %9s %-14s %9s %9s %-14s\n", "", "TDX-AUTHD", "BARE LOOP", "RATIO",
	       "LIMIT", "USBGUARD", "RATIO", "LIMIT");
	printf("%u rules\n", n_rules);
	print_latency("event to write noted, us, p50", result, NOTED, 0.5, 2, 5, n);
	print_latency("  p99", result, NOTED, 0.99, 3, NAN, n);
	print_latency("event to write done, us, p50", result, CONFIGURED, 0.5, 2, NAN, n);
	print_latency("  p99", result, CONFIGURED, 0.99, 3, NAN, n);
	print_size("resident, KiB", result->sizes[OURS].rss, result->sizes[USBGUARD_].rss, limit);
	print_size("  with its workers, Pss", result->sizes[OURS].pss, result->sizes[USBGUARD_].pss,
		   limit);
	print_size("  rules for all buses", result->sample.rss, NAN, limit);
	print_size("  with its workers, Pss", result->sample.pss, NAN, limit);
	print_size("exec to READY, ms", result->ready[OURS], result->ready[USBGUARD_], NAN);
}

static void print_results(const struct Result *results, unsigned runs)
{
	const struct Result *cold = &results[ELEMENTSOF(rules)];
	char what[64];

	for (size_t i = 0; i < ELEMENTSOF(rules); i++)
		print_events(rules[i], &results[i], runs);
	(void)snprintf(what, sizeof(what), "cold plug of %u devices, ms", cold->n_devices);
	print_row(what, (struct Row){cold->cold, cold->scan, NAN, 1.5, NAN});
	printf("\nOne nanosecond is one instruction, of kernel and processes, on one processor. "
	       "%u devices\neach, of which any rule may be the one that allows it. Noted: the "
	       "kernel has the write;\ndone: and has set up the device.\n",
	       runs * PLUGS);
}

int main(int argc, char **argv)
{
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : RUNS;
	const char *logs = getenv("TDX_AUTH_LOGS");
	struct Result *results = mmap(NULL, GUESTS * sizeof(*results), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct Bench bench = {.runs = (unsigned)runs, .results = results};

	if (!getenv("TDX_AUTH_LAB") || !logs || results == MAP_FAILED || runs < 1 ||
	    runs > RUNS_MAX) {
		fprintf(stderr, "vm-bench-daemon: run it as ./dev bench daemon [RUNS]\n");
		return EXIT_FAILURE;
	}
	(void)mkdir(logs, 0755);
	if (bench_run_each(GUESTS, run_guest, &bench) < 0)
		return EXIT_FAILURE;
	print_results(results, (unsigned)runs);
	return EXIT_SUCCESS;
}
