/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "permanent.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "decide.h"
#include "device-read.h"
#include "log.h"
#include "names.h"
#include "phase.h"
#include "policy-files.h"
#include "test.h"
#include "testbed.h"

#define OURS POLICY_DIR_OWNER "/" PERMANENT_FILE

/* A system of its own, on a disk: what is in memory is no place for what is to last. */
static char root[] = "./permanent-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	log_set_max_priority(LOG_EMERG); /* what is refused is logged, too */
	(void)snprintf(root, sizeof(root), "./permanent-XXXXXX");
	return mkdtemp(root) ? testbed_setup(state) : -1;
}

static int teardown(void **state)
{
	(void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return testbed_teardown(state);
}

static char *below_root(const char *path)
{
	char *result;

	assert_true(asprintf(&result, "%s%s", root, path) >= 0);
	return result;
}

static void write_file(const char *path, const char *text)
{
	_cleanup_free_ char *real = below_root(path), *dir = strdup(real);
	_cleanup_fclose_ FILE *file = NULL;

	*strrchr(dir, '/') = '\0';
	assert_int_equal(g_mkdir_with_parents(dir, 0755), 0);
	file = fopen(real, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

/* NULL where there is none. */
static char *read_file(const char *path)
{
	_cleanup_free_ char *real = below_root(path);
	char *text = NULL;

	return g_file_get_contents(real, &text, NULL, NULL) ? text : NULL;
}

static struct Device *read_device(const char *syspath)
{
	struct Device *device;

	assert_int_equal(device_open(syspath, NULL, NULL, &device), 0);
	return device;
}

#define UNSAID "-" /* of a driver */
#define FULL "full"

/* In a program of its own, as it forks, and umockdev has threads: "set SYSPATH DEV INO ACTION
 * DRIVER ROOT FULL". Prints the result and the problem. */
static int set_program(int argc, char **argv)
{
	struct Device device = {.syspath = argv[1],
				.dev = strtoull(argv[2], NULL, 10),
				.ino = strtoull(argv[3], NULL, 10)};
	const struct PermanentWish wish = {&device, action_from_string(argv[4]),
					   streq(argv[5], UNSAID) ? NULL : argv[5], argv[6]};
	_cleanup_free_ char *problem = NULL;
	struct rlimit limit, none;
	int r;

	assert_int_equal(argc, 8);
	log_set_max_priority(LOG_EMERG); /* what is refused is logged, too */
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none = (struct rlimit){streq(argv[7], FULL) ? 0 : limit.rlim_cur, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	r = permanent_set(&wish, &problem);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	(void)printf("%d %s", r, problem ? problem : "");
	return EXIT_SUCCESS;
}

static int set_as(const struct Device *device, enum Action action, const char *driver,
		  const char *system, const char *full, const char *problem)
{
	_cleanup_free_ char *out = NULL;
	char dev[32], ino[32];
	int r;

	(void)snprintf(dev, sizeof(dev), "%llu", (unsigned long long)device->dev);
	(void)snprintf(ino, sizeof(ino), "%llu", (unsigned long long)device->ino);
	assert_int_equal(testbed_run(set_program, &out, NULL, "set", device->syspath, dev, ino,
				     action_to_string(action), driver ? driver : UNSAID, system,
				     full, NULL),
			 EXIT_SUCCESS);
	r = atoi(out);
	if (problem ? !strstr(out, problem) : r != 0)
		fail_msg("%s: %s", device->syspath, out);
	return r;
}

static int set(const char *syspath, enum Action action, const char *driver, const char *problem)
{
	_cleanup_device_ struct Device *device = read_device(syspath);

	return set_as(device, action, driver, root, "", problem);
}

/* By the files as they are now, for a device on its own. */
static void expect_decision(const char *syspath, enum Action action, const char *driver)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	_cleanup_device_ struct Device *device = NULL;
	struct Decision decision;

	assert_int_equal(policy_load_from_root(root, &policy), 0);
	assert_int_equal(device_open(syspath, &policy->needs, NULL, &device), 0);
	policy_decide(policy, device, NULL, &decision);
	assert_int_equal(decision.action, action);
	if (!streq_or_null(decision.driver, driver))
		fail_msg("%s is for \"%s\" and not for \"%s\"", syspath,
			 decision.driver ? decision.driver : "any", driver ? driver : "any");
}

static void test_a_decision_becomes_a_rule_for_the_device(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *other = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d4);

	assert_int_equal(set(nic, ACTION_ALLOW, "e1000e", NULL), 0);
	expect_decision(nic, ACTION_ALLOW, "e1000e");
	expect_decision(other, ACTION_KERNEL, NULL);
	assert_int_equal(set(other, ACTION_DENY, NULL, NULL), 0);
	expect_decision(nic, ACTION_ALLOW, "e1000e");
	expect_decision(other, ACTION_DENY, NULL);
}

static void test_a_later_decision_takes_the_place_of_the_former(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *text = NULL;

	assert_int_equal(set(nic, ACTION_ALLOW, "e1000e", NULL), 0);
	assert_int_equal(set(nic, ACTION_REMOVE, NULL, NULL), 0);
	expect_decision(nic, ACTION_REMOVE, NULL);
	text = read_file(OURS);
	assert_non_null(text);
	assert_null(strstr(text, "e1000e"));
	assert_non_null(strstr(text, "name: hand-2\n"));
}

static void test_no_more_devices_are_allowed_than_there_are(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *first = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *text = NULL, *again = NULL;

	assert_int_equal(set(first, ACTION_ALLOW, "e1000e", NULL), 0);
	text = read_file(OURS);
	assert_non_null(strstr(text, "count: { max: 1, over: deny }"));
	write_file(POLICY_DIR_OWNER "/50-nics.yaml",
		   "version: 1\nrules:\n- action: allow\n  driver: e1000e\n"
		   "  match: { pci: { vendor: 0x8086 } }\n");
	free(testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d5));
	free(testbed_add_pci(bed, "0000:00:03.0", 0x8086, 0x10d5));
	assert_int_equal(set("/sys/devices/0000:00:03.0", ACTION_ALLOW, "e1000e", NULL), 0);
	again = read_file(OURS);
	assert_non_null(strstr(again, "count: { max: 2, over: deny }"));
}

/* usbguard#486, usbguard#636, usbguard#588, usbguard#654: comments were lost from the owner's file,
 * and what was decided for now was in it. */
static void test_the_files_of_the_owner_stay_as_they_are(void **state)
{
	static const char mine[] = "# mine\nversion: 1\nrules: [] # none\n";
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *temporary = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d4);
	_cleanup_free_ char *text = NULL, *ours = NULL;

	umockdev_testbed_set_attribute(bed->umockdev, temporary, "authorized", "1\n");
	write_file(POLICY_DIR_OWNER "/50-mine.yaml", mine);
	assert_int_equal(set(nic, ACTION_ALLOW, "e1000e", NULL), 0);
	text = read_file(POLICY_DIR_OWNER "/50-mine.yaml");
	assert_string_equal(text, mine);
	ours = read_file(OURS);
	assert_null(strstr(ours, "10d4"));
}

/* The rule would be the first one's that came. */
static void test_a_device_with_a_twin_is_not_decided_over_for_good(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *first = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *second = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);

	assert_int_equal(set(second, ACTION_ALLOW, "e1000e", "0000:00:01.0"), -ENOTUNIQ);
	assert_int_equal(set(first, ACTION_DENY, NULL, "0000:00:02.0"), -ENOTUNIQ);
	/* nor where the twin would be refused, but for as long as this one is there */
	write_file(POLICY_DIR_OWNER "/50-deny.yaml", "version: 1\ndefaults: { pci: deny }\n");
	assert_int_equal(set(first, ACTION_ALLOW, "e1000e", "0000:00:02.0"), -ENOTUNIQ);
	assert_null(read_file(OURS));
}

static void test_a_rule_that_comes_first_is_named(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);

	write_file(POLICY_DIR_OWNER "/00-mine.yaml",
		   "version: 1\nrules:\n- name: never\n  action: deny\n"
		   "  match: { pci: { vendor: 0x8086 } }\n");
	assert_int_equal(set(nic, ACTION_ALLOW, "e1000e", "00-mine.yaml:never comes first"),
			 -EEXIST);
	assert_null(read_file(OURS));
}

static void test_a_policy_that_is_broken_is_not_written_to(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	static const char broken[] = "version: 1\nrules: oops\n";
	_cleanup_free_ char *text = NULL;

	write_file(OURS, broken);
	assert_int_equal(set(nic, ACTION_ALLOW, "e1000e", "mend it first"), -EBADMSG);
	text = read_file(OURS);
	assert_string_equal(text, broken);
}

static void test_what_is_in_memory_is_no_place_for_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_device_ struct Device *device = read_device(nic);
	char memory[] = "/dev/shm/permanent-XXXXXX";

	assert_non_null(mkdtemp(memory));
	assert_int_equal(set_as(device, ACTION_DENY, NULL, memory, "", "in memory"), -EROFS);
	(void)nftw(memory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_nothing_is_written_after_the_freeze(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);

	assert_int_equal(phase_freeze(1), 0);
	assert_int_equal(set(nic, ACTION_DENY, NULL, "after the freeze"), -EPERM);
	assert_null(read_file(OURS));
}

struct Freezer {
	int fd, result;
};

static void *freeze_later(void *userdata)
{
	struct Freezer *freezer = userdata;

	(void)usleep(500000);
	freezer->result = phase_freeze(1);
	(void)close(freezer->fd);
	return NULL;
}

/* Looking at what the machine runs on lasts for as long as a host likes. */
static void test_a_freeze_while_it_is_looked_at_counts(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	struct Freezer freezer = {-1, -1};
	pthread_t thread;

	testbed_add_file(bed, "/sys/class/tty/console/active", "tty0\n");
	freezer.fd = testbed_make_slow(bed, "/sys/class/tty/console", "active");
	assert_int_equal(pthread_create(&thread, NULL, freeze_later, &freezer), 0);
	assert_int_equal(set(nic, ACTION_DENY, NULL, "after the freeze"), -EPERM);
	assert_null(read_file(OURS));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(freezer.result, 0);
}

/* As anybody can who may read it. */
static void test_who_locks_the_drop_ins_keeps_nobody_waiting(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3),
			    *dir = below_root(POLICY_DIR_OWNER);
	_cleanup_close_ int fd = -1;

	assert_int_equal(g_mkdir_with_parents(dir, 0755), 0);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(set(nic, ACTION_DENY, NULL, NULL), 0);
}

static void test_another_device_at_the_path_is_not_decided_over(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_device_ struct Device *device = read_device(nic);

	umockdev_testbed_remove_device(bed->umockdev, nic);
	free(testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3));
	assert_int_equal(set_as(device, ACTION_DENY, NULL, root, "", "gone"), -ENODEV);
	assert_null(read_file(OURS));
}

static void test_a_file_that_cannot_be_written_leaves_the_former(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *before = NULL, *after = NULL;
	_cleanup_device_ struct Device *device = read_device(nic);

	assert_int_equal(set(nic, ACTION_ALLOW, "e1000e", NULL), 0);
	before = read_file(OURS);
	assert_int_equal(set_as(device, ACTION_DENY, NULL, root, FULL, "File too large"), -EFBIG);
	after = read_file(OURS);
	assert_string_equal(before, after);
}

static void test_a_device_that_shows_nothing_is_not_named(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb_in_use(bed, "1-1", "Keyboard\n", "");
	_cleanup_free_ char *broken = testbed_add_usb(bed, "1-2", "Keyboard\n");

	assert_int_equal(set(keyboard, ACTION_ALLOW, NULL, "no rule can name it"), -EINVAL);
	assert_int_equal(set(broken, ACTION_ALLOW, NULL, "can be read"), -EIO);
}

#define PERMANENT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PERMANENT_TEST(test_a_decision_becomes_a_rule_for_the_device),
		PERMANENT_TEST(test_a_later_decision_takes_the_place_of_the_former),
		PERMANENT_TEST(test_no_more_devices_are_allowed_than_there_are),
		PERMANENT_TEST(test_the_files_of_the_owner_stay_as_they_are),
		PERMANENT_TEST(test_a_device_with_a_twin_is_not_decided_over_for_good),
		PERMANENT_TEST(test_a_rule_that_comes_first_is_named),
		PERMANENT_TEST(test_a_policy_that_is_broken_is_not_written_to),
		PERMANENT_TEST(test_what_is_in_memory_is_no_place_for_it),
		PERMANENT_TEST(test_nothing_is_written_after_the_freeze),
		PERMANENT_TEST(test_a_freeze_while_it_is_looked_at_counts),
		PERMANENT_TEST(test_who_locks_the_drop_ins_keeps_nobody_waiting),
		PERMANENT_TEST(test_another_device_at_the_path_is_not_decided_over),
		PERMANENT_TEST(test_a_file_that_cannot_be_written_leaves_the_former),
		PERMANENT_TEST(test_a_device_that_shows_nothing_is_not_named),
	};

	return RUN_TESTS("permanent", tests);
}
