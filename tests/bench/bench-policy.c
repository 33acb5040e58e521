/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What decisions cost: bench-policy [RUNS]
 *
 * Decides over devices with policies of 10, 1,000 and 20,000 rules, by the index and, beside it,
 * rule after rule, and says how many decisions that makes in a second of one core. What is counted
 * is the time that the process was given, so a busy machine adds little; each row is run several
 * times, all sizes in turn, and the median counts.
 *
 * Then it loads the policies, each in a process of its own, and says how long that takes and by how
 * much the process grows.
 *
 * Before anything is measured each device is decided over both ways: a bench of wrong answers
 * fails. What is printed is for the reader to judge; sample.h says what the policies are. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <sys/wait.h>
#include <time.h>

#include "decide.h"
#include "policy-index.h"
#include "policy-parse.h"
#include "sample.h"

#define RUNS 7
#define RUNS_MAX 99
#define DEVICES 1024
#define MEASURE_NS 20000000 /* of a measurement, at least */

#define RATIO_LIMIT 1.5	   /* 20,000 rules against 10 */
#define SPEED_LIMIT 1000.0 /* thousand decisions a second */
#define GROWTH_LIMIT 6144  /* KiB that 20,000 rules may take more than 10 */

static const size_t sizes[] = {10, 1000, 20000};

#define SIZES ELEMENTSOF(sizes)
#define SMALLEST 0
#define LARGEST (SIZES - 1)

/* --- devices --- */

enum Row {
	HIT_FIRST,
	HIT_LAST,
	HIT_ANY,
	MISS,
	ROWS,
};

static const char *const row_names[ROWS] = {"hit, first rules", "hit, last rules", "hit, any rule",
					    "miss"};

struct Setup {
	struct Policy *policy;
	struct Device *devices[ROWS][DEVICES];
};

/* The rule that device @k of @row is made from. */
static size_t rule_of(enum Row row, size_t n, size_t k)
{
	switch (row) {
	case HIT_FIRST:
		return k % SAMPLE_ENDS;
	case HIT_LAST:
		return n - 1 - k % SAMPLE_ENDS;
	default: /* all over the policy, in no order */
		return sample_like(n, k * 40503 % n, k);
	}
}

static int check(const struct Policy *policy, enum Row row, size_t k, const struct Device *device)
{
	size_t n = policy_n_rules(policy);
	const struct Rule *expected = row == MISS ? NULL : policy_rule(policy, rule_of(row, n, k));
	struct Decision indexed, linear;

	policy_decide(policy, device, NULL, &indexed);
	policy_decide_linear(policy, device, NULL, &linear);
	if (indexed.rule == expected && linear.rule == expected)
		return 0;
	fprintf(stderr, "bench-policy: %zu rules, %s, device %zu: the wrong rule\n", n,
		row_names[row], k);
	return -EINVAL;
}

static int setup(struct Setup *s, size_t n)
{
	s->policy = sample_policy(n);
	if (!s->policy || policy_index(s->policy) < 0)
		return -ENOMEM;
	for (enum Row row = 0; row < ROWS; row++)
		for (size_t k = 0; k < DEVICES; k++) {
			s->devices[row][k] = sample_device(n, rule_of(row, n, k), row == MISS, k);
			if (!s->devices[row][k])
				return -ENOMEM;
			if (check(s->policy, row, k, s->devices[row][k]) < 0)
				return -EINVAL;
		}
	return 0;
}

static void setup_done(struct Setup *s)
{
	for (enum Row row = 0; row < ROWS; row++)
		for (size_t k = 0; k < DEVICES; k++)
			device_free(s->devices[row][k]);
	policy_unref(s->policy);
}

/* --- time --- */

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

typedef void (*decide_t)(const struct Policy *policy, const struct Device *device,
			 const struct Moment *moment, struct Decision *ret);

/* Nanoseconds of a decision. */
static double measure(const struct Setup *s, enum Row row, decide_t decide)
{
	uint64_t begin = now(), elapsed;
	size_t decisions = 0;

	do {
		for (size_t k = 0; k < DEVICES; k++) {
			struct Decision decision;

			decide(s->policy, s->devices[row][k], NULL, &decision);
			/* a decision that nobody looks at would not have to be made */
			__asm__ volatile("" : : "r"(decision.rule) : "memory");
		}
		decisions += DEVICES;
		elapsed = now() - begin;
	} while (elapsed < MEASURE_NS);
	return (double)elapsed / (double)decisions;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

/* --- load --- */

struct Load {
	double parse, index; /* milliseconds */
	double growth, peak; /* KiB of the resident set; the peak since the process began */
};

/* The number behind @key, in KiB, in a file of /proc/self/; 0 where it is not there. */
static double read_kib(const char *file, const char *key)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	unsigned long value;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0 &&
		    sscanf(line + strlen(key), " %lu", &value) == 1)
			return (double)value;
	return 0;
}

static double resident(void)
{
	return read_kib("/proc/self/smaps_rollup", "Rss:");
}

/* As the daemon loads it: the text of one file at a time, and what that took given back. */
static int load(size_t n, struct Load *ret)
{
	struct Policy *policy = policy_new();
	double before = resident();
	uint64_t begin;
	size_t next = 0;

	while (policy && next < n) {
		_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
		_cleanup_free_ char *text = NULL;
		size_t size;
		int r;

		text = sample_text(n, next, n, PARSE_SIZE_MAX, &size, &next);
		if (!text)
			return -ENOMEM;
		begin = now();
		r = policy_parse(policy, "/etc/tdx-auth/policy.d/sample.yaml", text, size, &errors);
		if (r < 0)
			return r;
		ret->parse += (double)(now() - begin) / 1e6;
	}
	begin = now();
	if (!policy || policy_index(policy) < 0)
		return -ENOMEM;
	ret->index = (double)(now() - begin) / 1e6;
	(void)malloc_trim(0);
	ret->growth = resident() - before;
	ret->peak = read_kib("/proc/self/status", "VmHWM:") - before;
	return 0;
}

/* In a process of its own: what others freed would be taken for free. */
static int measure_load(size_t n, struct Load *ret)
{
	int fds[2], status;
	ssize_t size;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		struct Load result = {0};

		_exit(load(n, &result) < 0 ||
		      write(fds[1], &result, sizeof(result)) != sizeof(result));
	}
	(void)close(fds[1]);
	size = read(fds[0], ret, sizeof(*ret));
	(void)close(fds[0]);
	if (waitpid(pid, &status, 0) < 0 || status != 0 || size != sizeof(*ret)) {
		fprintf(stderr, "bench-policy: %zu rules: cannot be loaded\n", n);
		return -EIO;
	}
	return 0;
}

/* --- results --- */

static const char *verdict(bool is_met)
{
	return is_met ? "met" : "MISSED";
}

static void print_speeds(const char *title, decide_t decide, bool has_limits,
			 const struct Setup *setups, unsigned runs)
{
	static double values[ROWS][SIZES][RUNS_MAX];

	for (unsigned run = 0; run < runs; run++)
		for (enum Row row = 0; row < ROWS; row++)
			for (size_t i = 0; i < SIZES; i++)
				values[row][i][run] = measure(&setups[i], row, decide);
	printf("%-22s %11s %11s %11s %10s\n", title, "10 RULES", "1,000", "20,000", "20,000/10");
	for (enum Row row = 0; row < ROWS; row++) {
		double ns[SIZES], ratio;

		printf("%-22s", row_names[row]);
		for (size_t i = 0; i < SIZES; i++) {
			ns[i] = median(values[row][i], runs);
			printf(" %11.1f", 1e6 / ns[i]);
		}
		ratio = ns[LARGEST] / ns[SMALLEST];
		printf(" %10.2f", ratio);
		if (has_limits)
			printf("  limit %g: %s, %g: %s", RATIO_LIMIT, verdict(ratio <= RATIO_LIMIT),
			       SPEED_LIMIT, verdict(1e6 / ns[LARGEST] >= SPEED_LIMIT));
		putchar('\n');
	}
	putchar('\n');
}

static int print_loads(unsigned runs)
{
	static double values[4][RUNS_MAX];
	double small = 0;

	printf("%-10s %10s %10s %12s %12s %14s\n", "RULES", "PARSE ms", "INDEX ms", "GROWTH KiB",
	       "PEAK KiB", "BYTES A RULE");
	for (size_t i = 0; i < SIZES; i++) {
		double growth;

		for (unsigned run = 0; run < runs; run++) {
			struct Load load_result = {0};

			if (measure_load(sizes[i], &load_result) < 0)
				return -EIO;
			values[0][run] = load_result.parse;
			values[1][run] = load_result.index;
			values[2][run] = load_result.growth;
			values[3][run] = load_result.peak;
		}
		growth = median(values[2], runs);
		if (i == SMALLEST)
			small = growth;
		printf("%-10zu %10.2f %10.2f %12.0f %12.0f", sizes[i], median(values[0], runs),
		       median(values[1], runs), growth, median(values[3], runs));
		if (i != SMALLEST)
			printf(" %14.0f", (growth - small) * 1024 / (double)(sizes[i] - sizes[0]));
		if (i == LARGEST)
			printf("  limit %d KiB more than 10 rules: %s", GROWTH_LIMIT,
			       verdict(growth - small <= GROWTH_LIMIT));
		putchar('\n');
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct Setup setups[SIZES];
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : RUNS;
	int r;

	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "bench-policy: RUNS is a number from 1 to %d\n", RUNS_MAX);
		return EXIT_FAILURE;
	}
	/* first: what this process has used by then, a child would find in its own memory */
	printf("Loading: YAML in files of less than 1 MiB\n");
	r = print_loads((unsigned)runs);
	for (size_t i = 0; r == 0 && i < SIZES; i++)
		r = setup(&setups[i], sizes[i]);
	if (r == 0) {
		printf("\nDecisions, thousands in a second of one core; the median of %lu runs\n",
		       runs);
		print_speeds("BY THE INDEX", policy_decide, true, setups, (unsigned)runs);
		print_speeds("RULE AFTER RULE", policy_decide_linear, false, setups,
			     (unsigned)runs);
	}
	for (size_t i = 0; i < SIZES; i++)
		setup_done(&setups[i]);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
