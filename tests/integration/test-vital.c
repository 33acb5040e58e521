/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which devices `policy check` finds behind what a machine runs on. What / is on is asked of the
 * machine that runs the test, and everything about it of the testbed. */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "authctl.h"
#include "authd.h"
#include "test.h"
#include "testbed.h"

#define run(ret_out, ret_err, ...)                                                                 \
	testbed_run(authctl_main, ret_out, ret_err, "tdx-authctl", __VA_ARGS__, NULL)

#define DISK_A "0000:00:01.0"
#define DISK_B "0000:00:02.0"
#define OTHER "0000:00:03.0"
#define VIRTUAL "/sys/devices/virtual"
#define ROOT "the root file system"

/* A pci device with a driver, and a governed device's rights. */
static void add_in_use(struct Testbed *bed, const char *name)
{
	_cleanup_free_ char *path = testbed_add_pci(bed, name, 0x1b36, 0x0010);

	umockdev_testbed_set_attribute(bed->umockdev, path, "authorized", "1\n");
	umockdev_testbed_set_attribute_link(bed->umockdev, path, "driver",
					    "../../bus/pci/drivers/some");
}

/* A block device at @path, below /sys, and the links by its number @dev. */
static void add_block(struct Testbed *bed, const char *path, dev_t dev, bool is_partition)
{
	_cleanup_free_ char *attribute = NULL, *link = NULL;

	assert_true(asprintf(&attribute, "%s/%s", path, is_partition ? "partition" : "size") > 0);
	assert_true(asprintf(&link, "/sys/dev/block/%u:%u", major(dev), minor(dev)) > 0);
	testbed_add_file(bed, attribute, "1\n");
	testbed_add_link(bed, link, path);
}

static dev_t dev_of_root(void)
{
	struct stat st;

	assert_int_equal(stat("/", &st), 0);
	return st.st_dev;
}

/* What / is mounted from, and one line of mountinfo more. */
static void add_mounts(struct Testbed *bed, const char *root, const char *more)
{
	_cleanup_free_ char *text = NULL;
	struct statx st;

	assert_int_equal(statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &st), 0);
	if (!(st.stx_mask & STATX_MNT_ID))
		skip(); /* before Linux 5.8 */
	assert_true(asprintf(&text, "%llu 1 0:99 / / rw shared:1 - %s rw\n%s",
			     (unsigned long long)st.stx_mnt_id, root, more) > 0);
	testbed_add_file(bed, "/proc/self/mountinfo", text);
}

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

/* Fails unless a policy that denies all of pci is refused, for @what with @n devices behind it. */
static char *expect_refused(struct Testbed *bed, const char *what, unsigned n)
{
	_cleanup_free_ char *part = NULL;
	char *err;

	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	assert_int_equal(run(NULL, &err, "policy", "check", bed->policy), EXIT_REFUSED);
	assert_true(asprintf(&part, "would be refused, and %s is behind it", what) > 0);
	if (count(err, part) != n)
		fail_msg("not %u times \"%s\" in:\n%s", n, part, err);
	return err;
}

static void expect_behind(const char *err, const char *device)
{
	_cleanup_free_ char *part = NULL;

	assert_true(asprintf(&part, "default for pci: pci:%s would be refused", device) > 0);
	if (!strstr(err, part))
		fail_msg("no \"%s\" in:\n%s", part, err);
}

static void test_the_disk_of_the_root_partition_is_vital_and_no_other(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL;

	add_in_use(bed, DISK_A);
	add_in_use(bed, OTHER);
	add_block(bed, "/sys/devices/" DISK_A "/block/sda/sda1", dev_of_root(), true);
	err = expect_refused(bed, ROOT, 1);
	expect_behind(err, DISK_A);
}

static void test_each_path_to_an_nvme_disk_is_vital(void **state)
{
	static const char subsystem[] = VIRTUAL "/nvme-subsystem/nvme-subsys0";
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL, *first = NULL, *second = NULL, *partition = NULL;

	add_in_use(bed, DISK_A);
	add_in_use(bed, DISK_B);
	add_in_use(bed, OTHER);
	testbed_add_file(bed, "/sys/devices/" DISK_A "/nvme/nvme0/state", "live\n");
	testbed_add_file(bed, "/sys/devices/" DISK_B "/nvme/nvme1/state", "live\n");
	assert_true(asprintf(&partition, "%s/nvme0n1/nvme0n1p1", subsystem) > 0);
	assert_true(asprintf(&first, "%s/nvme0", subsystem) > 0);
	assert_true(asprintf(&second, "%s/nvme1", subsystem) > 0);
	add_block(bed, partition, dev_of_root(), true);
	testbed_add_link(bed, first, "/sys/devices/" DISK_A "/nvme/nvme0");
	testbed_add_link(bed, second, "/sys/devices/" DISK_B "/nvme/nvme1");
	err = expect_refused(bed, ROOT, 2);
	expect_behind(err, DISK_A);
	expect_behind(err, DISK_B);
}

/* A mapping on a partition of an array of partitions. */
static void test_all_that_device_mapper_and_md_consist_of_is_vital(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL;

	add_in_use(bed, DISK_A);
	add_in_use(bed, DISK_B);
	add_block(bed, VIRTUAL "/block/dm-0", dev_of_root(), false);
	add_block(bed, VIRTUAL "/block/md0/md0p1", makedev(259, 3), true);
	add_block(bed, "/sys/devices/" DISK_A "/block/sda/sda1", makedev(8, 1), true);
	add_block(bed, "/sys/devices/" DISK_B "/block/sdb/sdb1", makedev(8, 17), true);
	testbed_add_link(bed, VIRTUAL "/block/dm-0/slaves/md0p1", VIRTUAL "/block/md0/md0p1");
	testbed_add_link(bed, VIRTUAL "/block/md0/slaves/sda1",
			 "/sys/devices/" DISK_A "/block/sda/sda1");
	testbed_add_link(bed, VIRTUAL "/block/md0/slaves/sdb1",
			 "/sys/devices/" DISK_B "/block/sdb/sdb1");
	err = expect_refused(bed, ROOT, 2);
	expect_behind(err, DISK_A);
	expect_behind(err, DISK_B);
}

/* A disk of the pci device @parent, with its node in /dev. */
static void add_node(struct Testbed *bed, const char *name, const char *parent, const char *dev)
{
	_cleanup_free_ char *text = NULL;

	assert_true(asprintf(&text,
			     "P: /devices/%s/block/%s\nN: %s\nE: DEVNAME=/dev/%s\n"
			     "E: SUBSYSTEM=block\nA: dev=%s\\n\n",
			     parent, name, name, name, dev) > 0);
	assert_true(umockdev_testbed_add_from_string(bed->umockdev, text, NULL));
}

static void test_all_devices_of_a_btrfs_are_vital(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL;

	add_in_use(bed, DISK_A);
	add_in_use(bed, DISK_B);
	add_in_use(bed, OTHER);
	add_node(bed, "tdx0", DISK_A, "8:161");
	add_node(bed, "tdx1", DISK_B, "8:177");
	add_node(bed, "tdx2", OTHER, "8:193");
	testbed_add_link(bed, "/sys/fs/btrfs/feed/devices/tdx2",
			 "/sys/devices/" OTHER "/block/tdx2");
	testbed_add_link(bed, "/sys/fs/btrfs/cafe/devices/tdx0",
			 "/sys/devices/" DISK_A "/block/tdx0");
	testbed_add_link(bed, "/sys/fs/btrfs/cafe/devices/tdx1",
			 "/sys/devices/" DISK_B "/block/tdx1");
	testbed_add_file(bed, "/sys/fs/btrfs/features/raid56", "0\n");
	add_mounts(bed, "btrfs /dev/tdx0", "");
	err = expect_refused(bed, ROOT, 2);
	expect_behind(err, DISK_A);
	expect_behind(err, DISK_B);
}

static void test_the_disk_of_a_separate_usr_is_vital_and_that_of_boot_is_not(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL;

	add_in_use(bed, DISK_A);
	add_in_use(bed, OTHER);
	add_block(bed, "/sys/devices/" DISK_A "/block/sda", makedev(8, 0), false);
	add_block(bed, "/sys/devices/" OTHER "/block/sdb", makedev(8, 16), false);
	add_mounts(bed, "tmpfs none",
		   "40 1 8:0 / /usr ro - erofs /dev/sda ro\n"
		   "41 1 8:16 / /boot rw - ext4 /dev/sdb rw\n"
		   "42 1 0:77 / /usr rw - tmpfs sysext rw\n");
	err = expect_refused(bed, "the file system of /usr", 1);
	expect_behind(err, DISK_A);
	assert_null(strstr(err, OTHER));
	assert_non_null(strstr(err, "cannot tell which device the root file system is on"));
	assert_null(strstr(err, "cannot tell which device the file system of /usr is on"));
}

static void test_a_device_of_two_default_routes_is_told_once(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL;

	add_in_use(bed, DISK_A);
	testbed_add_file(bed, "/sys/devices/" DISK_A "/net/eth0/mtu", "1500\n");
	testbed_add_link(bed, "/sys/class/net/eth0", "/sys/devices/" DISK_A "/net/eth0");
	testbed_add_file(bed, "/proc/1/net/route",
			 "Iface\tDestination\tGateway\tFlags\n"
			 "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	testbed_add_file(bed, "/proc/1/net/ipv6_route",
			 "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
			 "fe800000000000000000000000000001 00000400 1 0 00000003 eth0\n");
	err = expect_refused(bed, "the default route", 1);
	expect_behind(err, DISK_A);
}

static void test_a_policy_that_keeps_what_the_machine_runs_on_is_not_refused(void **state)
{
	struct Testbed *bed = *state;

	add_in_use(bed, DISK_A);
	add_block(bed, "/sys/devices/" DISK_A "/block/sda", dev_of_root(), false);
	testbed_policy(bed, "version: 1\ndefaults: { usb: deny }\n");
	assert_int_equal(run(NULL, NULL, "policy", "check", bed->policy), EXIT_DONE);
}

/* The daemon refuses what it cannot read. */
static void test_a_disk_that_cannot_be_read_is_not_kept(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL;

	add_in_use(bed, DISK_A);
	add_in_use(bed, OTHER);
	add_block(bed, "/sys/devices/" DISK_A "/block/sda", dev_of_root(), false);
	testbed_make_unreadable(bed, "/sys/devices/" DISK_A, "class");
	testbed_make_unreadable(bed, "/sys/devices/" OTHER, "class");
	testbed_policy(bed, "version: 1\n");
	assert_int_equal(run(NULL, &err, "policy", "check", bed->policy), EXIT_REFUSED);
	assert_non_null(strstr(err, DISK_A ": cannot be read, so it would be refused, and " ROOT));
	assert_null(strstr(err, OTHER ": cannot be read, so"));
}

/* As a probe that the host stalls does. */
static void test_a_device_that_keeps_readers_waiting_is_not_waited_for(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL;
	int slow;

	add_in_use(bed, DISK_A);
	slow = testbed_make_slow(bed, "/sys/devices/" DISK_A, "driver_override");
	testbed_policy(bed, "version: 1\nrules:\n- { action: deny, match: { pci: {}, "
			    "attrs: { driver_override: vfio-pci } } }\n");
	assert_int_equal(run(NULL, &err, "policy", "check", bed->policy), EXIT_FAILED);
	assert_non_null(strstr(err, "keeps who looks waiting"));
	(void)close(slow);
}

/* --- the daemon at its start --- */

static void add_root_disk(struct Testbed *bed)
{
	add_in_use(bed, DISK_A);
	add_block(bed, "/sys/devices/" DISK_A "/block/sda", dev_of_root(), false);
}

static void test_a_daemon_that_starts_says_what_it_takes_and_takes_it(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid;

	add_root_disk(bed);
	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "default for pci: pci:" DISK_A " would be refused, and " ROOT);
	testbed_wait_log(bed, "the policy is in force all the same");
	testbed_wait_attr(bed, "/sys/devices/" DISK_A, "authorized", "0");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

static void test_a_daemon_that_starts_says_nothing_of_what_it_keeps(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid;

	add_root_disk(bed);
	umockdev_testbed_set_attribute(bed->umockdev, "/sys/devices/" DISK_A, "authorized_by",
				       "user\n");
	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	pid = testbed_start(bed, authd_main);
	testbed_expect_not_logged(bed, "would be refused");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
	testbed_wait_attr(bed, "/sys/devices/" DISK_A, "authorized", "1");
}

/* That is the policy's to change. */
static void test_a_daemon_that_starts_says_what_it_takes_of_what_it_gave(void **state)
{
	static const char disk[] = "/sys/devices/" DISK_A;
	struct Testbed *bed = *state;
	pid_t pid;

	add_root_disk(bed);
	umockdev_testbed_set_attribute(bed->umockdev, disk, "authorized", "0\n");
	testbed_policy(bed, "version: 1\ndefaults: { pci: allow }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, disk, "authorized", "1");
	umockdev_testbed_set_attribute(bed->umockdev, disk, "authorized_by", "user\n");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
	testbed_expect_not_logged(bed, "would be refused");
	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "pci:" DISK_A " would be refused, and " ROOT);
	testbed_wait_attr(bed, disk, "authorized", "0");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

static void test_a_daemon_starts_where_it_cannot_tell_what_the_machine_runs_on(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid;

	add_root_disk(bed);
	/* a stack of disks without end */
	testbed_add_link(bed, "/sys/devices/" DISK_A "/block/sda/slaves/sda",
			 "/sys/devices/" DISK_A "/block/sda");
	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "cannot tell what the machine runs on");
	testbed_wait_attr(bed, "/sys/devices/" DISK_A, "authorized", "0");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

#define VITAL_TEST(f) cmocka_unit_test_setup_teardown(f, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VITAL_TEST(test_the_disk_of_the_root_partition_is_vital_and_no_other),
		VITAL_TEST(test_each_path_to_an_nvme_disk_is_vital),
		VITAL_TEST(test_all_that_device_mapper_and_md_consist_of_is_vital),
		VITAL_TEST(test_all_devices_of_a_btrfs_are_vital),
		VITAL_TEST(test_the_disk_of_a_separate_usr_is_vital_and_that_of_boot_is_not),
		VITAL_TEST(test_a_device_of_two_default_routes_is_told_once),
		VITAL_TEST(test_a_policy_that_keeps_what_the_machine_runs_on_is_not_refused),
		VITAL_TEST(test_a_disk_that_cannot_be_read_is_not_kept),
		VITAL_TEST(test_a_device_that_keeps_readers_waiting_is_not_waited_for),
		VITAL_TEST(test_a_daemon_that_starts_says_what_it_takes_and_takes_it),
		VITAL_TEST(test_a_daemon_that_starts_says_nothing_of_what_it_keeps),
		VITAL_TEST(test_a_daemon_that_starts_says_what_it_takes_of_what_it_gave),
		VITAL_TEST(test_a_daemon_starts_where_it_cannot_tell_what_the_machine_runs_on),
	};

	return RUN_TESTS("vital", tests);
}
