/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the series costs: vm-bench-kernel [RUNS]
 *
 * Boots the kernels with and without the series, in each mode, and counts the instructions from the
 * kernel's entry, decompressed, to the first one of /init. QEMU does the counting, with -icount:
 * what it executed, exactly, and nothing for the time in which the guest was idle. The firmware and
 * the decompressor are not in it: they would make every difference look small. In the same boots
 * /init finds out what an ioremap() costs (bench-init.c).
 *
 * What would make runs differ is fixed: the seed of random numbers, the clock, and that devices
 * serve a request before the guest executes its next instruction. What is left is the disk's time,
 * so each row is run several times, the rows in turn, and its median counts.
 *
 * $TDX_AUTH_LAB is laid out by ./dev; the files that end in .entry have the addresses. Fails if a
 * run does; what is printed is for the reader to judge. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "deadline.h"
#include "gdb.h"
#include "machine.h"
#include "qmp.h"
#include "serial-log.h"

/* For a guest that hangs; a busy machine may take minutes. */
#define RUN_MS 900000U
#define RUNS 5
#define RUNS_MAX 99
#define TAIL_LINES 40

/* What the guest wants: besides the machine's own a card whose ROM can be read. */
#define WANTED "virtio-net-pci,netdev=network2,disable-legacy=on,romfile="
/* Each has memory BARs and is on no list. */
#define HOSTILE                                                                                    \
	"qemu-xhci,bus=rp1", "sdhci-pci,bus=rp2", "ich9-ahci,bus=rp3",                             \
		"virtio-balloon-pci,bus=rp4", "virtio-rng-pci,bus=rp5",                            \
		"nvme,serial=x,drive=null1,bus=rp6", "e1000e,netdev=network3,bus=rp7,romfile=",    \
		"e1000,netdev=network4,bus=rp8,romfile="

/* All that is refused a driver on this machine otherwise: the work is the same as without. */
#define ALLOW_ALL                                                                                  \
	" dev_auth.allow=pci:8086:2922,acpi:PNP0501,acpi:PNP0303,acpi:PNP0F13,"                    \
	"platform:serial8250,platform:i8042"

/* The addresses are those of the images. Nothing is calibrated: the guest would count to some 200
 * million while it waits for a timer, five times what the rest of the boot takes. */
#define COMMON "nokaslr noapictimer tsc_early_khz=1000000"

/* To parse one parameter more takes some 0.1 % of the boot, whatever it says: all rows have one. */
#define NONE "lab.none=off"

struct row {
	const char *name;
	const char *kernel;
	const char *cmdline;
	bool hostile;
	/* What it may be off stock, in percent, as the project set out to; 0: no limit, because
	 * less is done or more is said. It is printed where it is not met, and nothing fails. */
	double limit;
};

static const struct row rows[] = {
	{"stock", "stock", NONE},
	{"patched", "patched", NONE, .limit = 0.1},
	{"dev_auth=off", "patched", "dev_auth=off", .limit = 0.1},
	{"dev_auth=audit", "patched", "dev_auth=audit"},
	{"dev_auth=enforce", "patched", "dev_auth=enforce"},
	{"enforce, all allowed", "patched", "dev_auth=enforce" ALLOW_ALL, .limit = 1},
	{"stock", "stock", NONE, true},
	{"dev_auth=off", "patched", "dev_auth=off", true, .limit = 0.1},
	{"dev_auth=audit", "patched", "dev_auth=audit", true},
	{"dev_auth=enforce", "patched", "dev_auth=enforce", true},
};

struct result {
	int error;
	uint64_t boot; /* instructions from the kernel's entry to /init's */
	/* Instructions, as bench-init.c has them. */
	uint64_t config_one, config_two, rom_refused, rom;
};

/* A read of a ROM without what is not ioremap() and iounmap(). */
static int64_t ioremap_of(const struct result *r)
{
	return (int64_t)(r->rom - r->rom_refused) - 4 * (int64_t)(r->config_two - r->config_one);
}

static const char *lab, *logs;

static uint64_t read_entry(const char *name)
{
	char path[PATH_MAX], line[32];
	_cleanup_fclose_ FILE *f = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s.entry", lab, name);
	f = fopen(path, "re");
	return f && fgets(line, sizeof(line), f) ? strtoull(line, NULL, 16) : 0;
}

/* The sockets of a QEMU, and itself. */
struct run {
	pid_t pid;
	int agent; /* nobody is at the other end */
	struct gdb gdb;
	struct qmp *qmp;
	char log[PATH_MAX];
};

static void run_done(struct run *run)
{
	if (run->pid > 0) {
		(void)kill(run->pid, SIGKILL);
		(void)waitpid(run->pid, NULL, 0);
	}
	qmp_free(run->qmp);
	if (run->gdb.fd >= 0)
		(void)close(run->gdb.fd);
	if (run->agent >= 0)
		(void)close(run->agent);
}

static int add_arguments(const struct row *row, const char *log, int qmp, int agent, int gdb,
			 struct arguments *a)
{
	static const char *const hostile[] = {HOSTILE, NULL};
	static const char *const transports[] = {"serial", "blk", "net"};
	_cleanup_free_ char *cmdline = NULL;
	struct vm_options options = {.kernel = row->kernel,
				     .init = VM_INIT_INITRAMFS,
				     .devices = row->hostile ? hostile : NULL,
				     .disk = "null-co://,file.read-zeroes=on",
				     .icount = "shift=0,sleep=off"};
	int r;

	if (asprintf(&cmdline, COMMON " %s", row->cmdline) < 0)
		return -ENOMEM;
	options.cmdline = cmdline;
	r = machine_arguments(&(struct machine){.options = &options,
						.lab = lab,
						.log = log,
						.qmp_fd = qmp,
						.agent_fd = agent},
			      a);
	if (r < 0)
		return r;
	for (int i = 2; i <= (row->hostile ? 4 : 2); i++)
		arguments_option(a, "-netdev", "user,id=network%d,restrict=on", i);
	arguments_option(a, "-device", "%s%s/rom", WANTED, lab);
	for (size_t i = 0; i < ELEMENTSOF(transports); i++)
		arguments_option(a, "-global", "virtio-%s-pci.ioeventfd=off", transports[i]);
	arguments_option(a, "-seed", "1");
	arguments_option(a, "-rtc", "base=2026-01-01,clock=vm");
	arguments_option(a, "-chardev", "socket,id=gdb,fd=%d", gdb);
	arguments_option(a, "-gdb", "chardev:gdb");
	arguments_add(a, "-S");
	return a->failed ? -ENOMEM : 0;
}

static int start(const struct row *row, struct run *run)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	int qmp[2], agent[2], gdb[2], r;
	pid_t self = getpid();

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gdb) < 0)
		return -errno;
	run->gdb.fd = gdb[0];
	_cleanup_close_ int gdb_theirs = gdb[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, agent) < 0)
		return -errno;
	run->agent = agent[0];
	_cleanup_close_ int agent_theirs = agent[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp) < 0)
		return -errno;
	_cleanup_close_ int qmp_ours = qmp[0], qmp_theirs = qmp[1];

	r = add_arguments(row, run->log, qmp_theirs, agent_theirs, gdb_theirs, &a);
	if (r < 0)
		return r;
	r = qmp_new(take_fd(&qmp_ours), &run->qmp);
	if (r < 0)
		return r;
	run->pid = fork();
	if (run->pid < 0)
		return -errno;
	if (run->pid == 0)
		machine_become(&a, (const int[]){qmp_theirs, agent_theirs, gdb_theirs}, 3, self);
	return 0;
}

static int count_at(struct run *run, uint64_t address, uint64_t deadline, uint64_t *ret)
{
	json_object *info, *count = NULL;
	int r;

	if (address == 0)
		return -ENOENT;
	r = gdb_run_to(&run->gdb, address, deadline);
	if (r < 0)
		return r;
	/* Record and replay are not used, but this is who tells the count. */
	r = qmp_query(run->qmp, "query-replay", deadline, &info);
	if (r < 0)
		return r;
	if (json_object_object_get_ex(info, "icount", &count))
		*ret = (uint64_t)json_object_get_int64(count);
	json_object_put(info);
	return count ? 0 : -EBADMSG;
}

static int wait_until_ended(struct run *run, uint64_t deadline)
{
	while (waitpid(run->pid, NULL, WNOHANG) == 0) {
		if (ms_until(deadline) == 0)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, 20);
	}
	run->pid = 0;
	return 0;
}

static int read_costs(const struct run *run, struct result *result)
{
	_cleanup_fclose_ FILE *f = fopen(run->log, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0)
		if (sscanf(line, "bench: config %" SCNu64 " %" SCNu64 " rom %" SCNu64 " %" SCNu64,
			   &result->config_one, &result->config_two, &result->rom_refused,
			   &result->rom) == 4)
			return result->config_one && result->config_two && result->rom_refused &&
					       result->rom
				       ? 0
				       : -EIO;
	return -ENODATA;
}

static int measure(const struct row *row, struct run *run, struct result *result)
{
	uint64_t deadline = deadline_in(RUN_MS), from = 0, to = 0;
	int r;

	r = start(row, run);
	if (r >= 0)
		r = qmp_handshake(run->qmp, deadline);
	if (r >= 0)
		r = count_at(run, read_entry(row->kernel), deadline, &from);
	if (r >= 0)
		r = count_at(run, read_entry("init"), deadline, &to);
	if (r < 0)
		return r;
	result->boot = to - from;
	r = gdb_run(&run->gdb, deadline);
	if (r >= 0)
		r = wait_until_ended(run, deadline);
	return r < 0 ? r : read_costs(run, result);
}

/* In a process of its own, so that each core has a guest. */
static _Noreturn void work(size_t row, unsigned int number, int out)
{
	struct run run = {.agent = -1, .gdb.fd = -1};
	struct result result = {0};

	(void)snprintf(run.log, sizeof(run.log), "%s/bench-kernel-%zu-%u.log", logs, row, number);
	result.error = measure(&rows[row], &run, &result);
	if (result.error < 0) {
		fprintf(stderr, "bench: %s: %s\nbench: the last lines of %s:\n", rows[row].name,
			strerror(-result.error), run.log);
		serial_log_print_tail(stderr, run.log, TAIL_LINES);
	} else
		fprintf(stderr, "bench: %u: %s%s: %" PRIu64 " instructions, ioremap %" PRId64 "\n",
			number + 1, rows[row].name, rows[row].hostile ? ", eight more" : "",
			result.boot, ioremap_of(&result));
	run_done(&run);
	_exit(write(out, &result, sizeof(result)) == sizeof(result) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* One guest a core, and all that began have ended when this returns. */
static int run_round(unsigned int number, struct result results[][RUNS_MAX])
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int pipes[ELEMENTSOF(rows)][2], r = 0;
	pid_t pids[ELEMENTSOF(rows)];
	size_t next = 0, done = 0;

	if (cores < 1)
		cores = 1;
	while (done < ELEMENTSOF(rows)) {
		if (next < ELEMENTSOF(rows) && next - done < (size_t)cores) {
			if (pipe2(pipes[next], O_CLOEXEC) < 0)
				return -errno;
			pids[next] = fork();
			if (pids[next] < 0)
				return -errno;
			if (pids[next] == 0)
				work(next, number, pipes[next][1]);
			(void)close(pipes[next][1]);
			next++;
			continue;
		}
		if (read(pipes[done][0], &results[done][number], sizeof(struct result)) !=
			    sizeof(struct result) ||
		    results[done][number].error < 0)
			r = -EREMOTEIO;
		(void)close(pipes[done][0]);
		(void)waitpid(pids[done], NULL, 0);
		done++;
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t boot_of(const struct result *r)
{
	return (int64_t)r->boot;
}

static int64_t rom_of(const struct result *r)
{
	return (int64_t)r->rom;
}

struct summary {
	int64_t min, median, max;
};

static struct summary summarize(const struct result *results, unsigned int runs,
				int64_t (*value)(const struct result *))
{
	int64_t values[RUNS_MAX];

	for (unsigned int i = 0; i < runs; i++)
		values[i] = value(&results[i]);
	qsort(values, runs, sizeof(values[0]), compare);
	return (struct summary){values[0], values[runs / 2], values[runs - 1]};
}

/* @base: the stock kernel with the same devices. */
static void print_row(const struct row *row, const struct result *results,
		      const struct result *base, unsigned int runs)
{
	struct summary boot = summarize(results, runs, boot_of);
	struct summary stock = summarize(base, runs, boot_of);
	int64_t map = summarize(results, runs, ioremap_of).median;

	double ratio = 100.0 * (double)boot.median / (double)stock.median;

	printf("%-21s %12" PRId64 " %8.3f %% %7.3f %% %8" PRId64 " %+8" PRId64 " %8" PRId64,
	       row->name, boot.median, ratio,
	       100.0 * (double)(boot.max - boot.min) / (double)boot.median, map,
	       map - summarize(base, runs, ioremap_of).median,
	       summarize(results, runs, rom_of).median);
	if (row->limit > 0 && (ratio > 100 + row->limit || ratio < 100 - row->limit))
		printf("  more than %g %% off", row->limit);
	putchar('\n');
}

static void print_results(struct result results[][RUNS_MAX], unsigned int runs)
{
	size_t base = 0;

	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		if (i == 0 || rows[i].hostile != rows[i - 1].hostile) {
			base = i;
			printf("%s%s\n%-21s %12s %10s %9s %8s %8s %8s\n", i == 0 ? "" : "\n",
			       rows[i].hostile
				       ? "With eight more, which no list names:"
				       : "With the devices that a guest wants, and the chipset's:",
			       "KERNEL", "INSTRUCTIONS", "OF STOCK", "SPREAD", "IOREMAP", "MORE",
			       "ROM READ");
		}
		print_row(&rows[i], results[i], results[base], runs);
	}
	printf("\nInstructions from the kernel's entry to /init's, the median of %u boots; spread: "
	       "largest less\nsmallest. Ioremap: about what an ioremap() with its iounmap() takes, "
	       "and how much more\nthan stock; it is what is left of a read of a ROM (last column) "
	       "without the system call\nand config space.\n",
	       runs);
}

int main(int argc, char **argv)
{
	static struct result results[ELEMENTSOF(rows)][RUNS_MAX];
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : RUNS;

	lab = getenv("TDX_AUTH_LAB");
	logs = getenv("TDX_AUTH_LOGS");
	if (!lab || !logs || runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "vm-bench-kernel: run it as ./dev bench kernel\n");
		return EXIT_FAILURE;
	}
	(void)mkdir(logs, 0755);
	for (unsigned int i = 0; i < runs; i++)
		if (run_round(i, results) < 0)
			return EXIT_FAILURE;
	print_results(results, (unsigned int)runs);
	return EXIT_SUCCESS;
}
