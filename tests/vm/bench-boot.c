/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tdx-auth costs a boot: vm-bench-boot [RUNS]
 *
 * Debian's own guest is booted to multi-user.target as it is, with tdx-auth installed, and with the
 * policy over modules in force from the initrd on: one after the other, RUNS times in turn.
 *
 * Time follows instructions (-icount), one a nanosecond, so a busy machine changes little. While
 * the guest waits for a disk, which is this machine's, time jumps to whatever else it waits for; so
 * what counts is the time in which it was not idle, of which the boot of a guest with one processor
 * consists for the most part, and the image is read before, as each timer that rings while it waits
 * takes time, too. Nothing is a cache miss then.
 *
 * Fails where something could not be measured; what is printed is for the reader to judge. */

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#include "bench.h"
#include "vm.h"

#define RUNS 10
#define RUNS_MAX 99
#define BOOT_MS 3600000U
#define LIMIT 1.03

/* The kernel does not take the clock for a bad one. */
#define CMDLINE                                                                                    \
	"quiet tsc=reliable tsc_early_khz=1000000 systemd.default_timeout_start_sec=infinity "     \
	"systemd.default_device_timeout_sec=infinity"

enum Contender {
	PLAIN,
	INSTALLED,
	ENFORCE,
	_CONTENDER_MAX,
};

static const struct {
	const char *guest, *name;
} contenders[_CONTENDER_MAX] = {
	[PLAIN] = {"plain", "Debian"},
	[INSTALLED] = {"installed", "with tdx-auth"},
	[ENFORCE] = {"enforce", "and its module policy"},
};

struct Boot {
	double busy;	/* seconds */
	double modules; /* that are loaded at its end */
};

static int read_boot(struct vm *vm, struct Boot *ret)
{
	_cleanup_free_ char *text = NULL;
	double modules, up, idle, iowait; /* the latter two in hundredths: proc(5) */
	int r = vm_run_within(vm, BOOT_MS,
			      "until [ -e /run/bench-boot ]; do sleep 5; done; "
			      "wc -l </proc/modules && head -n 2 /run/bench-boot",
			      &text);

	if (r != 0)
		return r < 0 ? r : -EREMOTEIO;
	if (sscanf(text, "%lf %lf %*f cpu %*f %*f %*f %lf %lf", &modules, &up, &idle, &iowait) != 4)
		return -EBADMSG;
	*ret = (struct Boot){.busy = up - (idle + iowait) / 100, .modules = modules};
	return 0;
}

/* So that the guest does not wait for it. */
static int read_image(const char *guest)
{
	static char buffer[1 << 20];
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s/rootfs.ext4", getenv("TDX_AUTH_LAB"), guest);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fread(buffer, 1, sizeof(buffer), f) == sizeof(buffer))
		;
	return ferror(f) ? -EIO : 0;
}

/* A boot of each in turn. */
static int run(size_t i, void *userdata)
{
	struct Boot *boots = userdata;
	enum Contender who = (enum Contender)(i % _CONTENDER_MAX);
	struct vm *vm = NULL;
	int r = read_image(contenders[who].guest);

	if (r >= 0)
		r = vm_start(&(struct vm_options){.kernel = contenders[who].guest,
						  .init = VM_INIT_OWN,
						  .cmdline = CMDLINE,
						  .icount = "shift=0,sleep=off",
						  .boot_ms = BOOT_MS},
			     &vm);
	if (r >= 0)
		r = read_boot(vm, &boots[i]);
	if (r < 0) {
		fprintf(stderr, "bench: %s: %s\n", contenders[who].name, strerror(-r));
		vm_explain(vm, stderr);
	} else
		fprintf(stderr, "bench: %zu: %s: %.2f s busy\n", i / _CONTENDER_MAX + 1,
			contenders[who].name, boots[i].busy);
	vm_free(vm);
	return r;
}

struct Summary {
	double min, median, max;
};

/* boots: those of all, in turn. field: the offset of a double in them. */
static struct Summary summarize(const struct Boot *boots, size_t who, unsigned long runs,
				size_t field)
{
	double values[RUNS_MAX];

	for (unsigned long i = 0; i < runs; i++)
		memcpy(&values[i], (const char *)&boots[i * _CONTENDER_MAX + who] + field,
		       sizeof(values[i]));
	qsort(values, runs, sizeof(values[0]), bench_compare_double);
	return (struct Summary){values[0],
				runs % 2 ? values[runs / 2]
					 : (values[runs / 2 - 1] + values[runs / 2]) / 2,
				values[runs - 1]};
}

static void print_results(const struct Boot *boots, unsigned long runs)
{
	double base = 0;

	printf("%-22s %8s %8s %9s %8s\n", "BOOT", "BUSY s", "OF FIRST", "SPREAD", "MODULES");
	for (size_t who = 0; who < _CONTENDER_MAX; who++) {
		struct Summary busy = summarize(boots, who, runs, offsetof(struct Boot, busy));
		struct Summary modules =
			summarize(boots, who, runs, offsetof(struct Boot, modules));

		if (who == PLAIN)
			base = busy.median;
		printf("%-22s %8.2f %8.3f %7.2f %% %8.0f", contenders[who].name, busy.median,
		       busy.median / base, 100 * (busy.max - busy.min) / busy.median,
		       modules.median);
		if (who != PLAIN)
			printf("  limit %.2f: %s", LIMIT,
			       busy.median <= LIMIT * base ? "met" : "MISSED");
		putchar('\n');
	}
	printf("\nGuest time to multi-user.target, in which the processor was busy: the median of "
	       "%lu "
	       "boots in\nturn, against Debian's own; spread: largest less smallest.\n",
	       runs);
}

int main(int argc, char **argv)
{
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : RUNS;
	size_t size = sizeof(struct Boot) * RUNS_MAX * _CONTENDER_MAX;
	struct Boot *boots =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!getenv("TDX_AUTH_LAB") || boots == MAP_FAILED || runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "vm-bench-boot: run it as ./dev bench boot [RUNS]\n");
		return EXIT_FAILURE;
	}
	if (bench_run_each(runs * _CONTENDER_MAX, run, boots) < 0)
		return EXIT_FAILURE;
	print_results(boots, runs);
	return EXIT_SUCCESS;
}
