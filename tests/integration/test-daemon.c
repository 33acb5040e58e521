/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "authd.h"
#include "log.h"
#include "manager.h"
#include "phase.h"
#include "policy-files.h"
#include "test.h"
#include "testbed.h"

static const char allow_nic[] = "version: 1\n"
				"rules:\n"
				"- name: nic\n"
				"  action: allow\n"
				"  driver: e1000e\n"
				"  match: { pci: { vendor: 0x8086, device: 0x10d3 } }\n";

static void expect_attr(struct Testbed *bed, const char *syspath, const char *attr,
			const char *value)
{
	_cleanup_free_ char *found = testbed_attr(bed, syspath, attr);

	if (!streq(found, value))
		fail_msg("%s/%s is \"%s\" and not \"%s\", the daemon logged:\n%s", syspath, attr,
			 found, value, testbed_log(bed));
}

static pid_t start(struct Testbed *bed)
{
	testbed_policy(bed, allow_nic);
	return testbed_start(bed, authd_main);
}

static void stop(pid_t pid)
{
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

static void test_devices_there_at_start_are_decided_over(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *nvme = testbed_add_pci(bed, "0000:00:02.0", 0x1b36, 0x0010);
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	_cleanup_free_ char *hub = testbed_add_usb(bed, "usb1", "Root Hub\n");
	pid_t pid;

	pid = start(bed);
	testbed_wait_attr(bed, nic, "authorized", "1");
	testbed_wait_attr(bed, nic, "authorized_driver", "e1000e");
	testbed_wait_attr(bed, keyboard, "authorized", "0");
	stop(pid);
	expect_attr(bed, nvme, "authorized", "0");
	expect_attr(bed, hub, "authorized", "1");
}

static void test_a_device_plugged_later_is_decided_over(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL, *other = NULL;
	pid_t pid;

	pid = start(bed);
	other = testbed_add_pci(bed, "0000:01:00.0", 0x8086, 0x100e);
	nic = testbed_add_pci(bed, "0000:02:00.0", 0x8086, 0x10d3);
	testbed_uevent(bed, other, "add");
	testbed_uevent(bed, nic, "add");
	testbed_wait_attr(bed, nic, "authorized", "1");
	expect_attr(bed, other, "authorized", "0");
	stop(pid);
}

/* Of one that cannot be read nobody knows what it told of. */
static void test_a_malformed_message_leads_to_a_look_at_every_device(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL;
	pid_t pid = start(bed);

	nic = testbed_add_pci(bed, "0000:01:00.0", 0x8086, 0x10d3);
	testbed_send(bed, "add@/devices", sizeof("add@/devices"));
	testbed_wait_attr(bed, nic, "authorized", "1");
	testbed_wait_log(bed, "events were lost");
	stop(pid);
}

static void test_an_event_of_no_governed_device_is_dropped(void **state)
{
	static const char message[] = "add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0"
				      "SUBSYSTEM=net\0";
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL;
	pid_t pid = start(bed);

	testbed_send(bed, message, sizeof(message) - 1);
	nic = testbed_add_pci(bed, "0000:01:00.0", 0x8086, 0x10d3);
	testbed_uevent(bed, nic, "add");
	testbed_wait_attr(bed, nic, "authorized", "1");
	testbed_expect_not_logged(bed, "/devices/a");
	testbed_expect_not_logged(bed, "events were lost");
	stop(pid);
}

static void test_a_configuration_that_is_refused_keeps_nothing_from_starting(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	testbed_config(bed, "version: 1\nworkers: 99\n");
	pid = start(bed);
	testbed_wait_attr(bed, nic, "authorized", "1");
	testbed_wait_log(bed, ":2:10: \"workers\" takes a number from 1 to 8, not \"99\"");
	testbed_wait_log(bed, "the default configuration is in force");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_FAILURE);
}

static void test_a_configuration_that_others_may_write_is_refused(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *refusal = NULL;
	pid_t pid;

	testbed_config(bed, "version: 1\nlog-level: error\n");
	assert_int_equal(chmod(bed->config, 0666), 0);
	assert_true(asprintf(&refusal, "configuration refused: %s: writable", bed->config) >= 0);
	pid = start(bed);
	testbed_wait_log(bed, refusal);
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_FAILURE);
}

/* What needs a restart is said, and the level of the log does not. */
static void test_a_reload_reads_the_configuration_again(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x100e);
	pid_t pid = start(bed);

	testbed_expect_not_logged(bed, "stays refused");
	testbed_config(bed, "version: 1\naudit: no\nlog-level: debug\nworkers: 2\n");
	(void)kill(pid, SIGHUP);
	testbed_wait_log(bed, "pci:0000:00:01.0 stays refused");
	testbed_wait_log(bed, "takes a restart of tdx-authd");
	testbed_config(bed, "version: 2\n");
	(void)kill(pid, SIGHUP);
	testbed_wait_log(bed, "the former configuration stays in force");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_FAILURE);
}

static void test_without_metrics_none_are_left(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *path = NULL;
	pid_t pid = start(bed);

	assert_true(asprintf(&path, "%s/metrics.prom", bed->runtime_dir) > 0);
	assert_int_equal(access(path, F_OK), 0);
	stop(pid);
	testbed_config(bed, "version: 1\naudit: no\nmetrics: false\n");
	pid = start(bed);
	assert_int_equal(access(path, F_OK), -1);
	stop(pid);
}

/* usbguard#444: its own write was an event that undid what was decided by hand. */
static void test_own_writes_and_manual_ones_are_not_reverted(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *second = NULL;
	pid_t pid;

	pid = start(bed);
	testbed_wait_attr(bed, nic, "authorized", "1");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized", "0\n");
	testbed_uevent(bed, nic, "change");
	/* events are served in order: when this one was, so was the change */
	second = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	testbed_uevent(bed, second, "add");
	testbed_wait_attr(bed, second, "authorized", "1");
	expect_attr(bed, nic, "authorized", "0");
	stop(pid);
}

static void test_what_user_space_decided_earlier_survives_a_kill_and_restart(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *second = NULL;
	pid_t pid;

	pid = start(bed);
	testbed_wait_attr(bed, nic, "authorized", "1");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized", "0\n");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "user\n");
	assert_int_equal(testbed_stop(pid, SIGKILL), -SIGKILL);
	pid = start(bed);
	second = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	testbed_uevent(bed, second, "add");
	testbed_wait_attr(bed, second, "authorized", "1");
	expect_attr(bed, nic, "authorized", "0");
	stop(pid);
}

/* usb does not say who decided: that is what the former run noted for.
 * usbguard#565, usbguard#609: a restart forgot it, and mounts died. */
static void test_a_decision_by_hand_outlives_a_restart(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = NULL, *mouse = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { usb: deny }\nrules:\n"
			    "- { action: allow, match: { usb: { product: Keyboard } } }\n");
	keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	mouse = testbed_add_usb(bed, "1-2", "Mouse\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, mouse, "authorized", "0");
	stop(pid);
	umockdev_testbed_set_attribute(bed->umockdev, keyboard, "authorized", "0\n");
	umockdev_testbed_set_attribute(bed->umockdev, mouse, "authorized", "1\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "usb:1-1 stays refused, as decided earlier");
	testbed_wait_log(bed, "usb:1-2 stays authorized, as decided earlier");
	expect_attr(bed, keyboard, "authorized", "0");
	expect_attr(bed, mouse, "authorized", "1");
	stop(pid);
}

/* What the policy decided is the policy's to change, also where the kernel says that user space
 * did, and where the former run was killed. */
static void test_a_restart_decides_by_the_policy_of_now(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid = start(bed);

	testbed_wait_attr(bed, nic, "authorized", "1");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "user\n");
	assert_int_equal(testbed_stop(pid, SIGKILL), -SIGKILL);
	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, nic, "authorized", "0");
	stop(pid);
}

/* --- the file of state, where another process has it --- */

static const char deny_pci[] = "version: 1\ndefaults: { pci: deny }\n";

static int keep_state(struct Testbed *bed)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_free_ char *path = g_build_filename(bed->runtime_dir, "state", NULL);
	int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETLK, &all), 0);
	return fd;
}

/* What whoever has the file notes of a device: @how is the rest of its line. */
static void note_in_state(int fd, const char *syspath, const char *how)
{
	_cleanup_free_ char *line = NULL;
	struct stat st;

	assert_int_equal(stat(syspath, &st), 0);
	assert_true(asprintf(&line, "+ %s %ju %ju %s\n", syspath, (uintmax_t)st.st_dev,
			     (uintmax_t)st.st_ino, how) >= 0);
	assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
}

static char *add_given(struct Testbed *bed, const char *name, unsigned device)
{
	char *path = testbed_add_pci(bed, name, 0x8086, device);

	umockdev_testbed_set_attribute(bed->umockdev, path, "authorized", "1\n");
	umockdev_testbed_set_attribute(bed->umockdev, path, "authorized_by", "user\n");
	return path;
}

static void test_without_the_file_of_state_a_start_goes_by_what_it_says(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid = start(bed);
	int fd;

	testbed_wait_attr(bed, nic, "authorized", "1");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "user\n");
	stop(pid);
	fd = keep_state(bed);
	testbed_policy(bed, deny_pci);
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "decisions are not noted until it is done");
	testbed_wait_attr(bed, nic, "authorized", "0");
	stop(pid);
	(void)close(fd);
}

/* What the other one decided was by policy, and is the policy's to change; what somebody did by
 * hand stays. */
static void test_a_file_of_state_that_is_free_at_last_is_taken_over(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *others = NULL, *by_hand = NULL, *later = NULL;
	pid_t pid = start(bed);
	int fd;

	testbed_wait_attr(bed, nic, "authorized", "1");
	stop(pid);
	fd = keep_state(bed);
	others = add_given(bed, "0000:00:02.0", 1);
	by_hand = add_given(bed, "0000:00:03.0", 2);
	testbed_policy(bed, deny_pci);
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "pci:0000:00:02.0 stays authorized, as decided earlier");
	testbed_wait_log(bed, "pci:0000:00:03.0 stays authorized, as decided earlier");
	note_in_state(fd, others, "0 1 o  allow x");
	note_in_state(fd, by_hand, "0 0 o  deny x");
	(void)close(fd);
	testbed_wait_log(bed, "decisions are noted in /run/tdx-auth from now on");
	testbed_wait_attr(bed, others, "authorized", "0");
	expect_attr(bed, by_hand, "authorized", "1");
	/* from now on it is this one's */
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "user\n");
	later = testbed_add_pci(bed, "0000:00:04.0", 0x8086, 0x10d3);
	assert_int_equal(testbed_stop(pid, SIGKILL), -SIGKILL);
	pid = start(bed);
	testbed_wait_attr(bed, later, "authorized", "1");
	testbed_wait_attr(bed, nic, "authorized", "1");
	expect_attr(bed, by_hand, "authorized", "1");
	stop(pid);
}

#define KILLED_DEVICES 24

/* Every other device is a mouse. */
static const char only_keyboards[] = "version: 1\ndefaults: { usb: deny }\nrules:\n"
				     "- { action: allow, match: { usb: { product: Key } } }\n",
		  only_mice[] = "version: 1\ndefaults: { usb: deny }\nrules:\n"
				"- { action: allow, match: { usb: { product: Mouse } } }\n";

/* One run after the other has everything to change, and is killed in the midst of it. The first two
 * devices were decided over by hand. */
static void test_kills_at_any_moment_lose_no_decision_and_loosen_none(void **state)
{
	struct Testbed *bed = *state;
	char *paths[KILLED_DEVICES];
	pid_t pid;

	for (int i = 0; i < KILLED_DEVICES; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "1-%d", i + 1);
		paths[i] = testbed_add_usb(bed, name, i % 2 ? "Mouse\n" : "Key\n");
	}
	testbed_policy(bed, only_keyboards);
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, paths[1], "authorized", "0");
	stop(pid);
	umockdev_testbed_set_attribute(bed->umockdev, paths[0], "authorized", "0\n");
	umockdev_testbed_set_attribute(bed->umockdev, paths[1], "authorized", "1\n");
	srand(1);
	for (int i = 0; i < 200; i++) {
		testbed_policy(bed, i % 2 ? only_keyboards : only_mice);
		pid = testbed_start_at_once(bed, authd_main);
		(void)usleep((useconds_t)rand() % 60000);
		assert_int_equal(testbed_stop(pid, SIGKILL), -SIGKILL);
	}
	testbed_policy(bed, only_keyboards);
	pid = testbed_start(bed, authd_main);
	for (int i = 2; i < KILLED_DEVICES; i++)
		testbed_wait_attr(bed, paths[i], "authorized", i % 2 ? "0" : "1");
	expect_attr(bed, paths[0], "authorized", "0");
	expect_attr(bed, paths[1], "authorized", "1");
	testbed_expect_not_logged(bed, "set aside");
	stop(pid);
	for (int i = 0; i < KILLED_DEVICES; i++)
		free(paths[i]);
}

static void reload(struct Testbed *bed, pid_t pid, const char *policy)
{
	testbed_policy(bed, policy);
	(void)kill(pid, SIGHUP);
}

/* --- usbcore's default --- */

#define USBCORE "/sys/module/usbcore/parameters"

/* usbcore, and a root hub, which give devices to drivers by themselves, or do not. */
static char *add_usbcore(struct Testbed *bed, const char *parameter, const char *of_hub)
{
	testbed_add_file(bed, USBCORE "/authorized_default", parameter);
	return umockdev_testbed_add_device(bed->umockdev, "usb", "usb1", NULL, "authorized", "1\n",
					   "authorized_default", of_hub, NULL, "DEVTYPE",
					   "usb_device", NULL);
}

static char *plug(struct Testbed *bed, const char *hub, const char *name, const char *product)
{
	return umockdev_testbed_add_device(bed->umockdev, "usb", name, hub, "idVendor", "1d6b\n",
					   "idProduct", "0104\n", "product", product, "authorized",
					   "0\n", NULL, "DEVTYPE", "usb_device", NULL);
}

static const char all_but_mice[] = "version: 1\ndefaults: { usb: kernel }\nrules:\n"
				   "- { action: deny, match: { usb: { product: Mouse } } }\n";

/* Else they had drivers before the first event tells of them. */
static void test_usb_devices_wait_for_a_decision(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *hub = add_usbcore(bed, "-1\n", "1\n"), *later = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { usb: deny }\n");
	pid = testbed_start(bed, authd_main);
	expect_attr(bed, USBCORE, "authorized_default", "0");
	expect_attr(bed, hub, "authorized_default", "0");
	expect_attr(bed, hub, "authorized", "1");
	later = umockdev_testbed_add_device(bed->umockdev, "usb", "usb2", NULL, "authorized", "1\n",
					    "authorized_default", "1\n", NULL, "DEVTYPE",
					    "usb_device", NULL);
	testbed_uevent(bed, later, "add");
	testbed_wait_attr(bed, later, "authorized_default", "0");
	stop(pid);
	expect_attr(bed, hub, "authorized_default", "0");
}

static void test_a_policy_without_a_word_on_usb_leaves_its_default_alone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *hub = add_usbcore(bed, "1\n", "1\n");
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { usb: kernel }\nrules:\n"
			    "- { action: deny, match: { pci: {} } }\n");
	pid = testbed_start(bed, authd_main);
	expect_attr(bed, USBCORE, "authorized_default", "1");
	expect_attr(bed, hub, "authorized_default", "1");
	reload(bed, pid, all_but_mice);
	testbed_wait_attr(bed, hub, "authorized_default", "0");
	expect_attr(bed, USBCORE, "authorized_default", "0");
	stop(pid);
}

/* Also after a restart, which finds that nothing is given. */
static void test_what_usbcore_would_have_given_is_given_where_no_rule_fits(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *hub = add_usbcore(bed, "1\n", "1\n"), *before = NULL, *mouse = NULL,
			    *key = NULL, *other = NULL;
	pid_t pid;

	before = plug(bed, hub, "1-1", "Key\n"); /* somebody refused it */
	testbed_policy(bed, all_but_mice);
	pid = testbed_start(bed, authd_main);
	mouse = plug(bed, hub, "1-2", "Mouse\n");
	key = plug(bed, hub, "1-3", "Key\n");
	testbed_uevent(bed, key, "add");
	testbed_wait_attr(bed, key, "authorized", "1");
	assert_int_equal(testbed_stop(pid, SIGKILL), -SIGKILL);
	pid = testbed_start(bed, authd_main);
	other = plug(bed, hub, "1-4", "Key\n");
	testbed_uevent(bed, other, "add");
	testbed_wait_attr(bed, other, "authorized", "1");
	expect_attr(bed, mouse, "authorized", "0");
	expect_attr(bed, before, "authorized", "0");
	stop(pid);
}

/* An owner's, by a udev rule. */
static void test_a_root_hub_that_gave_nothing_gives_nothing(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *hub = add_usbcore(bed, "1\n", "0\n"), *key = NULL, *nic = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { usb: kernel }\nrules:\n"
			    "- { action: deny, match: { usb: { product: Mouse } } }\n"
			    "- { action: allow, match: { pci: {} } }\n");
	pid = testbed_start(bed, authd_main);
	key = plug(bed, hub, "1-1", "Key\n");
	testbed_uevent(bed, key, "add");
	nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	testbed_uevent(bed, nic, "add");
	testbed_wait_attr(bed, nic, "authorized", "1");
	expect_attr(bed, key, "authorized", "0");
	stop(pid);
}

/* A child that is seen before its parent must neither be lost nor be given first.
 * usbguard#315, usbguard#316, usbguard#689: a child that came first was rejected. */
static void test_a_device_behind_a_refused_one_waits_for_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *port = testbed_add_pci(bed, "0000:00:01.0", 0x1b36, 0x000c);
	_cleanup_free_ char *nic =
		testbed_add_pci_behind(bed, port, "0000:01:00.0", 0x8086, 0x10d3);
	pid_t pid = start(bed);

	testbed_wait_log(bed, "pci:0000:01:00.0 waits for ");
	expect_attr(bed, nic, "authorized", "0");
	umockdev_testbed_set_attribute(bed->umockdev, port, "authorized", "1\n");
	testbed_uevent(bed, port, "change");
	testbed_wait_attr(bed, nic, "authorized", "1");
	stop(pid);
}

/* The case that a firewall is there for. */
static void test_a_device_that_is_plugged_and_stays_refused_is_told_of(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *cold = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x100e);
	_cleanup_free_ char *hot = NULL;
	pid_t pid = start(bed);

	hot = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x100e);
	testbed_uevent(bed, hot, "add");
	testbed_wait_log(bed, "pci:0000:00:02.0 stays refused");
	testbed_expect_not_logged(bed, "pci:0000:00:01.0 stays");
	stop(pid);
}

static void test_a_device_behind_one_that_is_given_comes_after_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *port = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *nic =
		testbed_add_pci_behind(bed, port, "0000:01:00.0", 0x8086, 0x10d3);
	pid_t pid = start(bed);

	testbed_wait_attr(bed, nic, "authorized", "1");
	expect_attr(bed, port, "authorized", "1");
	stop(pid);
}

static void test_a_device_plugged_again_is_decided_over_anew(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *path = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *other = NULL;
	pid_t pid;

	pid = start(bed);
	testbed_wait_attr(bed, path, "authorized", "1");
	testbed_unplug(bed, pid, path);
	other = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	testbed_wait_attr(bed, other, "authorized", "1");
	free(path);
	path = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	testbed_uevent(bed, path, "add");
	testbed_wait_attr(bed, path, "authorized", "1");
	stop(pid);
}

/* No event told that the first one went: the path is the same, the device is not. */
static void test_another_device_at_the_same_path_is_decided_over(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *path = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	pid = start(bed);
	testbed_wait_attr(bed, path, "authorized", "1");
	testbed_displace(bed, path);
	free(path);
	path = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	testbed_uevent(bed, path, "change");
	testbed_wait_attr(bed, path, "authorized", "1");
	stop(pid);
}

static void test_a_device_that_vanished_is_logged_and_harmless(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *gone = NULL, *nic = NULL;
	pid_t pid;

	pid = start(bed);
	gone = testbed_add_pci(bed, "0000:01:00.0", 0x8086, 0x10d3);
	(void)kill(pid, SIGSTOP); /* so that it sees the event after the device went */
	testbed_uevent(bed, gone, "add");
	umockdev_testbed_remove_device(bed->umockdev, gone);
	(void)kill(pid, SIGCONT);
	testbed_wait_log(bed, "0000:01:00.0: vanished before it was decided over");
	nic = testbed_add_pci(bed, "0000:02:00.0", 0x8086, 0x10d3);
	testbed_uevent(bed, nic, "add");
	testbed_wait_attr(bed, nic, "authorized", "1");
	stop(pid);
}

#define OF_NOBODY "version: 1\ndefaults: { \"*\": deny }\n"

static void expect_mark(const struct Testbed *bed, const char *mark, bool is_there)
{
	_cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", bed->runtime_dir, mark) > 0);
	assert_int_equal(access(path, F_OK) == 0, is_there);
}

static void test_a_policy_in_audit_mode_is_told_and_not_done(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *mouse = testbed_add_usb(bed, "1-1", "Mouse\n"), *keyboard = NULL,
			    *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized", "1");
	testbed_policy(bed, OF_NOBODY "mode: audit\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "policy is in audit mode: what it would refuse is told");
	testbed_wait_log(bed, "usb:1-1 would be \"deny\"; the policy is in audit mode");
	testbed_wait_log(bed, "pci:0000:00:01.0 would be \"deny\"");
	keyboard = testbed_add_usb(bed, "1-2", "Keyboard\n");
	testbed_uevent(bed, keyboard, "add");
	testbed_wait_log(bed, "usb:1-2 would be \"deny\"");
	expect_attr(bed, nic, "authorized", "1");
	expect_attr(bed, mouse, "authorized", "1");
	expect_attr(bed, keyboard, "authorized", "1");
	expect_mark(bed, "audit", true);
	expect_mark(bed, "enforced", false);
	/* and then it is done */
	reload(bed, pid, OF_NOBODY);
	testbed_wait_attr(bed, nic, "authorized", "0");
	testbed_wait_attr(bed, keyboard, "authorized", "0");
	expect_mark(bed, "enforced", true);
	stop(pid);
}

/* What was refused has no driver, and nobody would give it one. */
static void test_a_boot_that_began_with_enforcing_goes_on_so(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *mouse = NULL, *keyboard = NULL, *late = NULL;
	pid_t pid;

	testbed_policy(bed, OF_NOBODY);
	pid = testbed_start(bed, authd_main);
	mouse = testbed_add_usb(bed, "1-1", "Mouse\n");
	testbed_uevent(bed, mouse, "add");
	testbed_wait_attr(bed, mouse, "authorized", "0");
	reload(bed, pid, OF_NOBODY "mode: audit\n");
	testbed_wait_log(bed, "one was enforced in this boot: this one is, too");
	keyboard = testbed_add_usb(bed, "1-2", "Keyboard\n");
	testbed_uevent(bed, keyboard, "add");
	testbed_wait_attr(bed, keyboard, "authorized", "0");
	stop(pid);
	pid = testbed_start(bed, authd_main);
	late = testbed_add_usb(bed, "1-3", "Key\n");
	testbed_uevent(bed, late, "add");
	testbed_wait_attr(bed, late, "authorized", "0");
	stop(pid);
}

static void test_in_audit_mode_nothing_is_written(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	pid_t pid;

	testbed_mode(bed, "audit");
	testbed_policy(bed, "version: 1\ndefaults: { \"*\": allow, usb: deny }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, keyboard, "authorized", "0"); /* usb's own attribute has no modes */
	stop(pid);
	expect_attr(bed, nic, "authorized", "0");
}

#define N_DEVICES 400
#define N_DESCRIPTORS 200

static int short_daemon(int argc, char **argv)
{
	const struct rlimit limit = {N_DESCRIPTORS, N_DESCRIPTORS};

	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? EXIT_FAILURE : authd_main(argc, argv);
}

/* More devices than the daemon may have descriptors. */
static void test_no_device_is_forgotten_in_a_crowd(void **state)
{
	struct Testbed *bed = *state;
	char *devices[N_DEVICES];
	pid_t pid;

	for (int i = 0; i < N_DEVICES; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "0000:%02x:00.%d", i / 8, i % 8);
		devices[i] = testbed_add_pci(bed, name, 0x8086, 0x10d3);
	}
	testbed_policy(bed, allow_nic);
	pid = testbed_start(bed, short_daemon);
	for (int i = 0; i < N_DEVICES; i++) {
		expect_attr(bed, devices[i], "authorized", "1"); /* by READY=1 */
		free(devices[i]);
	}
	stop(pid);
}

static void test_a_reload_decides_over_every_device_anew(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *other = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x100e);
	pid_t pid = start(bed);

	expect_attr(bed, nic, "authorized", "1");
	reload(bed, pid,
	       "version: 1\nrules:\n"
	       "- { action: deny, match: { pci: { device: 0x10d3 } } }\n"
	       "- { action: allow, match: { pci: { device: 0x100e } } }\n");
	testbed_wait_attr(bed, nic, "authorized", "0");
	testbed_wait_attr(bed, other, "authorized", "1");
	testbed_wait_log(bed, "policy loaded: 2 rules");
	stop(pid);
}

static void test_a_reload_with_an_error_leaves_the_former_policy_in_force(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *second = NULL;
	pid_t pid = start(bed);

	reload(bed, pid, "version: 1\ndefaults: { pci: allow }\nrules: deny\n");
	testbed_wait_log(bed, "the former one stays in force");
	second = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	testbed_uevent(bed, second, "add");
	testbed_wait_attr(bed, second, "authorized", "1");
	testbed_wait_attr(bed, second, "authorized_driver", "e1000e");
	expect_attr(bed, nic, "authorized", "1");
	stop(pid);
}

static void test_a_decision_by_hand_outlives_a_reload(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	pid_t pid = start(bed);

	testbed_wait_attr(bed, keyboard, "authorized", "0");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized", "0\n");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "user\n");
	/* usb does not say who */
	umockdev_testbed_set_attribute(bed->umockdev, keyboard, "authorized", "1\n");
	(void)kill(pid, SIGHUP);
	testbed_wait_log(bed, "pci:0000:00:01.0 stays refused, as decided earlier");
	testbed_wait_log(bed, "usb:1-1 stays authorized, as decided earlier");
	expect_attr(bed, nic, "authorized", "0");
	expect_attr(bed, keyboard, "authorized", "1");
	stop(pid);
}

static const char one_nic[] = "version: 1\nrules:\n"
			      "- name: nic\n"
			      "  action: allow\n"
			      "  driver: e1000e\n"
			      "  match: { pci: { vendor: 0x8086, device: 0x10d3 } }\n"
			      "  count: { min: 1, max: 1 }\n";

static void test_a_device_that_leaves_makes_room_for_one_over_the_count(void **state)
{
	struct Testbed *bed = *state;
	char *first = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *second = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	_cleanup_free_ char *third = testbed_add_pci(bed, "0000:00:03.0", 0x8086, 0x10d3);
	pid_t pid;

	testbed_policy(bed, one_nic);
	pid = testbed_start(bed, authd_main);
	expect_attr(bed, first, "authorized", "1");
	expect_attr(bed, second, "authorized", "0");
	testbed_unplug(bed, pid, first);
	free(first);
	testbed_wait_attr(bed, second, "authorized", "1");
	expect_attr(bed, third, "authorized", "0");
	stop(pid);
}

/* A scan is faster than the events that are on their way: another device may be at the path by
 * then. */
static void test_a_late_goodbye_of_one_device_is_not_another_ones(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *first = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *second = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	_cleanup_free_ char *last = NULL;
	pid_t pid;

	testbed_policy(bed, one_nic);
	pid = testbed_start(bed, authd_main);
	expect_attr(bed, first, "authorized", "1");
	testbed_uevent(bed, first, "remove");
	last = testbed_add_usb(bed, "1-1", "Keyboard\n");
	testbed_uevent(bed, last, "add"); /* served in their order */
	testbed_wait_attr(bed, last, "authorized", "0");
	expect_attr(bed, first, "authorized", "1");
	expect_attr(bed, second, "authorized", "0");
	stop(pid);
}

static void test_a_rule_without_the_devices_it_needs_is_reported(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	testbed_policy(bed, one_nic);
	pid = testbed_start(bed, authd_main);
	testbed_unplug(bed, pid, nic);
	testbed_wait_log(bed, "nic: needs 1 device and admits 0");
	stop(pid);
}

static void test_a_rule_for_the_start_admits_no_device_that_is_plugged(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *cold = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *hot = NULL, *last = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\nrules:\n"
			    "- { action: allow, match: { pci: { device: 0x10d3 } }, when: cold }\n"
			    "- { action: allow, match: { pci: { device: 0x100e } }, when: hot }\n");
	pid = testbed_start(bed, authd_main);
	expect_attr(bed, cold, "authorized", "1");
	hot = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	testbed_uevent(bed, hot, "add");
	last = testbed_add_pci(bed, "0000:00:03.0", 0x8086, 0x100e);
	testbed_uevent(bed, last, "add");
	testbed_wait_attr(bed, last, "authorized", "1");
	expect_attr(bed, hot, "authorized", "0");
	stop(pid);
}

/* All devices came after this freeze: which did before is for guests, where numbers grow. */
static void test_after_the_freeze_only_marked_rules_admit_and_no_policy_is_loaded(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL, *volume = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\nrules:\n"
			    "- { action: allow, match: { pci: { device: 0x10d3 } } }\n"
			    "- { action: allow, match: { pci: { device: 0x1042 } }, after-freeze: "
			    "true }\n");
	pid = testbed_start(bed, authd_main);
	assert_int_equal(phase_freeze(0), 0);
	nic = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	testbed_uevent(bed, nic, "add");
	volume = testbed_add_pci(bed, "0000:00:03.0", 0x1af4, 0x1042);
	testbed_uevent(bed, volume, "add");
	testbed_wait_attr(bed, volume, "authorized", "1");
	expect_attr(bed, nic, "authorized", "0");
	reload(bed, pid, "version: 1\ndefaults: { pci: allow }\n");
	testbed_wait_log(bed, "it does not change after the freeze");
	/* nor by a restart */
	stop(pid);
	pid = testbed_start(bed, authd_main);
	expect_attr(bed, nic, "authorized", "0");
	stop(pid);
}

/* The directory stands for one that is full. */
static void
test_a_policy_that_cannot_be_noted_leaves_no_former_one_for_after_the_freeze(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL, *temporary = NULL;
	pid_t pid = start(bed);

	assert_true(asprintf(&temporary, "%s/in-force.yaml.%d", bed->runtime_dir, (int)pid) > 0);
	assert_int_equal(mkdir(temporary, 0700), 0);
	reload(bed, pid, "version: 1\ndefaults: { pci: deny }\n");
	testbed_wait_log(bed, "a start after the freeze will not find it");
	testbed_wait_log(bed, "policy loaded");
	stop(pid);
	assert_int_equal(rmdir(temporary), 0);
	assert_int_equal(phase_freeze(INT64_MAX), 0); /* no device comes after it */
	nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "the built-in policy is in force");
	expect_attr(bed, nic, "authorized", "0");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_FAILURE);
}

static char *read_metrics(struct Testbed *bed)
{
	_cleanup_free_ char *path = NULL;
	char *text = NULL;

	assert_true(asprintf(&path, "%s/metrics.prom", bed->runtime_dir) > 0);
	return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static void wait_for_metric(struct Testbed *bed, const char *line)
{
	_cleanup_free_ char *text = NULL;

	for (int i = 0; i < 100; i++) {
		free(TAKE_PTR(text));
		text = read_metrics(bed);
		if (text && strstr(text, line))
			return;
		g_usleep(100000);
	}
	fail_msg("no \"%s\" in the metrics:\n%s", line, text ? text : "none");
}

static void test_a_start_and_a_reload_tell_where_modules_are_not_rendered(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid = start(bed);

	testbed_expect_not_logged(bed, "modules: ");
	reload(bed, pid, "version: 1\nmodules: { mode: audit }\n");
	testbed_wait_log(bed, "modules: NOT IN FORCE: the policy says audit, and nothing is "
			      "rendered: run tdx-authctl modules render");
	testbed_policy(bed, "version: 1\nmodules: { mode: enforce }\n");
	stop(pid);
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "modules: NOT IN FORCE: the policy says enforce");
	stop(pid);
}

static void test_the_metrics_tell_what_became_of_devices(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *keyboard = NULL, *text = NULL;
	pid_t pid = start(bed);

	text = read_metrics(bed); /* from the start on */
	assert_non_null(text);
	wait_for_metric(bed, "tdx_auth_devices{bus=\"pci\",verdict=\"allow\"} 1\n");
	wait_for_metric(bed, "tdx_auth_authorizations_total 1\n");
	keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	testbed_uevent(bed, keyboard, "add");
	wait_for_metric(bed, "tdx_auth_devices{bus=\"usb\",verdict=\"deny\"} 1\n");
	wait_for_metric(bed, "tdx_auth_refusals_total 1\n");
	wait_for_metric(bed, "tdx_auth_policy_generation 1\n");
	reload(bed, pid, "version: 1\nrules: x\n");
	wait_for_metric(bed, "tdx_auth_policy_refused 1\n");
	reload(bed, pid, allow_nic);
	wait_for_metric(bed, "tdx_auth_policy_generation 2\n");
	wait_for_metric(bed, "tdx_auth_policy_refused 0\n");
	stop(pid);
}

/* All devices came after this seal, too. */
static void test_after_the_seal_no_rule_admits_a_device(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL, *keyboard = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\nrules:\n"
			    "- { action: allow, match: { pci: {} }, after-freeze: true }\n"
			    "- { action: allow, match: { usb: {} }, after-freeze: true }\n");
	pid = testbed_start(bed, authd_main);
	assert_int_equal(phase_seal(0), 0);
	nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	testbed_uevent(bed, nic, "add");
	keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	testbed_uevent(bed, keyboard, "add");
	testbed_wait_attr(bed, keyboard, "authorized", "0");
	expect_attr(bed, nic, "authorized", "0");
	stop(pid);
}

static void test_a_device_of_usb_that_cannot_be_read_is_refused(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { usb: kernel }\nrules:\n"
			    "- { action: deny, match: { usb: { interfaces: { one-of: "
			    "\"03:*:*\" } } } }\n");
	/* no descriptors to read */
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, keyboard, "authorized", "0");
	testbed_wait_log(bed, "could not be read");
	stop(pid);
}

static const char by_serial[] = "version: 1\ndefaults: { usb: deny }\nrules:\n"
				"- { action: allow, match: { usb: { serial: good } } }\n"
				"- { action: allow, driver: e1000e,\n"
				"    match: { pci: { device: 0x10d3 } } }\n";

/* usbcore makes who reads a string wait for a probe, and a host that for ever. */
static void test_a_text_that_keeps_readers_waiting_delays_no_other_device(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *good = NULL, *bad = NULL, *nic = NULL;
	int good_serial, bad_serial;
	pid_t pid;

	testbed_policy(bed, by_serial);
	pid = testbed_start(bed, authd_main);
	(void)kill(pid, SIGSTOP); /* it sees them as they are at the end */
	good = testbed_add_usb(bed, "1-1", "Keyboard\n");
	bad = testbed_add_usb(bed, "1-2", "Keyboard\n");
	umockdev_testbed_set_attribute(bed->umockdev, good, "authorized", "0\n");
	good_serial = testbed_make_slow(bed, good, "serial");
	bad_serial = testbed_make_slow(bed, bad, "serial");
	nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	(void)kill(pid, SIGCONT);
	testbed_wait_attr(bed, nic, "authorized", "1");
	expect_attr(bed, bad, "authorized", "1");
	assert_int_equal(write(bad_serial, "bad\n", 4), 4);
	assert_int_equal(write(good_serial, "good\n", 5), 5);
	(void)close(bad_serial);
	(void)close(good_serial);
	testbed_wait_attr(bed, bad, "authorized", "0");
	testbed_wait_attr(bed, good, "authorized", "1");
	stop(pid);
}

/* What a daemon that was killed in the midst of a decision by hand has in its file. */
static void note_cut_short(const char *syspath)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;

	assert_int_equal(stat(syspath, &st), 0);
	assert_true(asprintf(&text, "tdx-auth-state 1\n+ %s %lu %lu 1 - h \n", syspath,
			     (unsigned long)st.st_dev, (unsigned long)st.st_ino) > 0);
	assert_int_equal(runtime_write("state", text, strlen(text), RUNTIME_REPLACE), 0);
}

/* The kill may have come before a denial was written. */
static void test_a_decision_by_hand_that_was_cut_short_loosens_nothing(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	pid_t pid;

	note_cut_short(keyboard);
	testbed_policy(bed, "version: 1\ndefaults: { usb: deny }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, keyboard, "authorized", "0");
	stop(pid);
	note_cut_short(keyboard);
	testbed_policy(bed, "version: 1\ndefaults: { usb: allow }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "stays refused, as decided earlier");
	expect_attr(bed, keyboard, "authorized", "0");
	stop(pid);
}

/* By a tool that the daemon did not hear of, while it waited for what the policy goes by. */
static void test_a_seal_while_a_device_is_being_read_counts(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = NULL, *nic = NULL;
	pid_t pid;
	int fd;

	testbed_policy(bed, by_serial);
	pid = testbed_start(bed, authd_main);
	(void)kill(pid, SIGSTOP);
	keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	umockdev_testbed_set_attribute(bed->umockdev, keyboard, "authorized", "0\n");
	fd = testbed_make_slow(bed, keyboard, "serial");
	nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	(void)kill(pid, SIGCONT);
	testbed_wait_attr(bed, nic, "authorized", "1");
	assert_int_equal(phase_seal(0), 0);
	assert_int_equal(write(fd, "good\n", 5), 5);
	(void)close(fd);
	testbed_wait_log(bed, "nothing is authorized after the seal");
	expect_attr(bed, keyboard, "authorized", "0");
	stop(pid);
}

/* The kernel gave it to drivers, the policy would not. */
static void test_a_device_that_cannot_be_read_is_refused_until_it_can(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized", "1\n");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "builtin\n");
	testbed_make_unreadable(bed, nic, "class");
	pid = start(bed);
	expect_attr(bed, nic, "authorized", "0");
	testbed_wait_log(bed, "could not be read");
	/* what the kernel says of that write is no decision by hand */
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "user\n");
	testbed_make_readable(bed, nic, "class", "0x020000\n");
	testbed_uevent(bed, nic, "change");
	testbed_wait_attr(bed, nic, "authorized", "1");
	stop(pid);
}

/* acpi shows the ids of a device only while that is present.
 * usbguard#493, usbguard#502: an attribute was not there yet when the event came. */
static void test_a_device_that_shows_its_ids_later_is_decided_over_anew(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *port = umockdev_testbed_add_device(
		bed->umockdev, "acpi", "PNP0501:00", NULL, "modalias", "", "authorized", "0\n",
		"authorized_by", "default\n", "authorized_driver", "\n", NULL, NULL);
	pid_t pid;

	testbed_policy(bed,
		       "version: 1\nrules:\n"
		       "- { action: allow, driver: serial, match: { acpi: { hid: PNP0501 } } }\n");
	pid = testbed_start(bed, authd_main);
	expect_attr(bed, port, "authorized", "0");
	umockdev_testbed_set_attribute(bed->umockdev, port, "modalias", "acpi:PNP0501:\n");
	testbed_uevent(bed, port, "change");
	testbed_wait_attr(bed, port, "authorized", "1");
	stop(pid);
}

/* A kernel whose probes never come back. */
static void never_execute(int dirfd, const struct EnforceRequest *request, struct EnforceReply *ret)
{
	(void)dirfd;
	(void)request;
	(void)ret;
	(void)pause();
}

/* A daemon of one worker, in which @execute is done. */
static int run_daemon(const char *policy_file, uint64_t deadline_usec,
		      void (*execute)(int, const struct EnforceRequest *, struct EnforceReply *))
{
	_cleanup_manager_ struct Manager *manager = NULL;
	struct ManagerOptions options = manager_defaults;
	struct Policy *policy;

	log_open("daemon", false);
	options.n_workers = 1;
	options.deadline_usec = deadline_usec;
	options.execute = execute;
	return policy_load(policy_file, &policy) < 0 ||
	       manager_new(policy, &options, &manager) < 0 || manager_run(manager) < 0;
}

static int impatient_daemon(int argc, char **argv)
{
	assert_true(argc >= 3);
	return run_daemon(argv[2], 1000000, never_execute); /* of which a start lasts three */
}

#define GIVEN "given" /* a file of the devices that drivers were given */
#define WAITING 2     /* devices for which there is no worker any more */

/* A host that keeps each probe waiting until there is a file "go". */
static void execute_when_told(int dirfd, const struct EnforceRequest *request,
			      struct EnforceReply *ret)
{
	_cleanup_free_ char *go = runtime_path("go"), *given = runtime_path(GIVEN), *link = NULL;
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	if (request->authorize) {
		fd = open(given, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
		assert_true(asprintf(&link, "/proc/self/fd/%d", dirfd) > 0);
		n = readlink(link, path, sizeof(path) - 1);
		path[n++] = '\n';
		assert_int_equal(write(fd, path, (size_t)n), n);
		(void)close(fd);
		while (access(go, F_OK) < 0)
			(void)usleep(1000);
	}
	enforce_execute(dirfd, request, ret);
}

static const char *policy_to_load;

static int load_policy(struct Policy **ret, void *userdata)
{
	return policy_load(policy_to_load, ret);
}

static void ignore_policy(const struct Policy *policy, void *userdata)
{
}

static int daemon_of_a_stalling_host(int argc, char **argv)
{
	_cleanup_manager_ struct Manager *manager = NULL;
	struct ManagerOptions options = manager_defaults;
	struct Policy *policy;

	assert_true(argc >= 3);
	log_open("daemon", false);
	policy_to_load = argv[2];
	options.deadline_usec = 600 * UINT64_C(1000000);
	options.execute = execute_when_told;
	options.load = load_policy;
	options.loaded = ignore_policy;
	return policy_load(argv[2], &policy) < 0 || manager_new(policy, &options, &manager) < 0 ||
	       manager_run(manager) < 0;
}

/* How often @what is in the file. */
static unsigned count_in(struct Testbed *bed, const char *name, const char *what)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	unsigned n = 0;

	assert_true(asprintf(&path, "%s/%s", bed->runtime_dir, name) > 0);
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void wait_for_given(struct Testbed *bed, unsigned n)
{
	for (int i = 0; i < 3000 && count_in(bed, GIVEN, "\n") < n; i++)
		(void)usleep(10000);
	assert_int_equal(count_in(bed, GIVEN, "\n"), n);
}

/* As many probes as there may be at once hang: what waits behind them is decided over anew. */
static void test_what_a_former_policy_gives_and_no_worker_has_is_taken_back(void **state)
{
	struct Testbed *bed = *state;
	char *nics[WORKERS_AUTHORIZING_MAX + WAITING];
	_cleanup_free_ char *go = NULL;
	pid_t pid;

	for (unsigned i = 0; i < ELEMENTSOF(nics); i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "0000:00:%02x.0", i);
		nics[i] = testbed_add_pci(bed, name, 0x8086, 0x10d3);
	}
	testbed_policy(bed, allow_nic);
	pid = testbed_start_at_once(bed, daemon_of_a_stalling_host);
	wait_for_given(bed, WORKERS_AUTHORIZING_MAX);
	reload(bed, pid, "version: 1\ndefaults: { pci: deny }\n");
	testbed_wait_log(bed, "policy loaded");
	assert_true(asprintf(&go, "%s/go", bed->runtime_dir) > 0);
	(void)close(open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	for (unsigned i = 0; i < WORKERS_AUTHORIZING_MAX; i++) {
		_cleanup_free_ char *line = NULL;

		assert_true(asprintf(&line, "%s refused", strrchr(nics[i], '/') + 1) > 0);
		testbed_wait_log(bed, line);
	}
	for (unsigned i = 0; i < ELEMENTSOF(nics); i++) {
		expect_attr(bed, nics[i], "authorized", "0");
		free(nics[i]);
	}
	assert_int_equal(count_in(bed, GIVEN, "\n"), WORKERS_AUTHORIZING_MAX);
	(void)testbed_stop(pid, SIGKILL);
}

/* A kernel that refuses the first device only after another one: a bridge, say, in front of it. */
static void execute_second_first(int dirfd, const struct EnforceRequest *request,
				 struct EnforceReply *ret)
{
	static bool has_failed; /* there is one worker */

	if (has_failed) {
		enforce_execute(dirfd, request, ret);
		return;
	}
	has_failed = true;
	*ret = (struct EnforceReply){.error = -EBUSY, .step = STEP_DEAUTHORIZE, .authorized = 1};
}

static int daemon_behind_a_bridge(int argc, char **argv)
{
	assert_true(argc >= 3);
	return run_daemon(argv[2], manager_defaults.deadline_usec, execute_second_first);
}

static void test_a_device_that_could_not_be_refused_is_tried_after_another(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *bridge = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *behind = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	pid_t pid;

	umockdev_testbed_set_attribute(bed->umockdev, bridge, "authorized", "1\n");
	umockdev_testbed_set_attribute(bed->umockdev, behind, "authorized", "1\n");
	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	pid = testbed_start(bed, daemon_behind_a_bridge);
	expect_attr(bed, bridge, "authorized", "0");
	expect_attr(bed, behind, "authorized", "0");
	stop(pid);
}

static void test_a_decision_by_hand_outlives_a_device_that_cannot_be_read(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\n");
	pid = testbed_start(bed, authd_main);
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized", "1\n");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "user\n");
	testbed_make_unreadable(bed, nic, "class");
	(void)kill(pid, SIGHUP);
	testbed_wait_log(bed, "could not be read, so it was not decided over");
	stop(pid);
	expect_attr(bed, nic, "authorized", "1");
}

static void test_devices_that_keep_workers_waiting_do_not_keep_it_from_starting(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid;

	/* more than as many as may hang at once, for each of the deadlines that a start lasts */
	for (int i = 0; i < 4 * WORKERS_AUTHORIZING_MAX; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "0000:%02x:00.0", i);
		free(testbed_add_pci(bed, name, 0x8086, 0x10d3));
	}
	testbed_policy(bed, allow_nic);
	pid = testbed_start(bed, impatient_daemon);
	testbed_wait_log(bed, "those that come from now on are plugged");
	stop(pid);
}

static void test_the_kernels_default_gives_back_what_the_policy_took(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");
	pid_t pid = start(bed);

	testbed_wait_attr(bed, keyboard, "authorized", "0");
	reload(bed, pid, "version: 1\ndefaults: { usb: kernel }\n");
	testbed_wait_attr(bed, keyboard, "authorized", "1");
	stop(pid);
}

/* usbguard#367, usbguard#472: devices were dead when the daemon had stopped. */
static void test_stopping_changes_no_device(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	pid = start(bed);
	testbed_wait_attr(bed, nic, "authorized", "1");
	stop(pid);
	expect_attr(bed, nic, "authorized", "1");
	expect_attr(bed, nic, "authorized_driver", "e1000e");
}

static void test_a_bad_policy_authorizes_nothing_and_fails(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *err = NULL;

	testbed_policy(bed, "version: 1\ndefaults: { pci: allow }\nrules: { }\n");
	assert_int_equal(
		testbed_run(authd_main, NULL, &err, "tdx-authd", "--policy", bed->policy, NULL),
		EXIT_FAILURE);
	assert_non_null(strstr(err, ":3:8: \"rules\" takes a list of rules"));
	expect_attr(bed, nic, "authorized", "0");
}

#define DAEMON_TEST(f) cmocka_unit_test_setup_teardown(f, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DAEMON_TEST(test_devices_there_at_start_are_decided_over),
		DAEMON_TEST(test_a_device_plugged_later_is_decided_over),
		DAEMON_TEST(test_a_malformed_message_leads_to_a_look_at_every_device),
		DAEMON_TEST(test_an_event_of_no_governed_device_is_dropped),
		DAEMON_TEST(test_a_configuration_that_is_refused_keeps_nothing_from_starting),
		DAEMON_TEST(test_a_configuration_that_others_may_write_is_refused),
		DAEMON_TEST(test_a_reload_reads_the_configuration_again),
		DAEMON_TEST(test_without_metrics_none_are_left),
		DAEMON_TEST(test_own_writes_and_manual_ones_are_not_reverted),
		DAEMON_TEST(test_what_user_space_decided_earlier_survives_a_kill_and_restart),
		DAEMON_TEST(test_a_decision_by_hand_outlives_a_restart),
		DAEMON_TEST(test_a_restart_decides_by_the_policy_of_now),
		DAEMON_TEST(test_without_the_file_of_state_a_start_goes_by_what_it_says),
		DAEMON_TEST(test_a_file_of_state_that_is_free_at_last_is_taken_over),
		DAEMON_TEST(test_kills_at_any_moment_lose_no_decision_and_loosen_none),
		DAEMON_TEST(test_usb_devices_wait_for_a_decision),
		DAEMON_TEST(test_a_policy_without_a_word_on_usb_leaves_its_default_alone),
		DAEMON_TEST(test_what_usbcore_would_have_given_is_given_where_no_rule_fits),
		DAEMON_TEST(test_a_root_hub_that_gave_nothing_gives_nothing),
		DAEMON_TEST(test_a_device_behind_a_refused_one_waits_for_it),
		DAEMON_TEST(test_a_device_that_is_plugged_and_stays_refused_is_told_of),
		DAEMON_TEST(test_a_device_behind_one_that_is_given_comes_after_it),
		DAEMON_TEST(test_a_device_plugged_again_is_decided_over_anew),
		DAEMON_TEST(test_another_device_at_the_same_path_is_decided_over),
		DAEMON_TEST(test_a_device_that_vanished_is_logged_and_harmless),
		DAEMON_TEST(test_in_audit_mode_nothing_is_written),
		DAEMON_TEST(test_a_policy_in_audit_mode_is_told_and_not_done),
		DAEMON_TEST(test_a_boot_that_began_with_enforcing_goes_on_so),
		DAEMON_TEST(test_no_device_is_forgotten_in_a_crowd),
		DAEMON_TEST(test_a_reload_decides_over_every_device_anew),
		DAEMON_TEST(test_a_reload_with_an_error_leaves_the_former_policy_in_force),
		DAEMON_TEST(test_a_decision_by_hand_outlives_a_reload),
		DAEMON_TEST(test_a_device_that_leaves_makes_room_for_one_over_the_count),
		DAEMON_TEST(test_a_late_goodbye_of_one_device_is_not_another_ones),
		DAEMON_TEST(test_a_rule_without_the_devices_it_needs_is_reported),
		DAEMON_TEST(test_a_rule_for_the_start_admits_no_device_that_is_plugged),
		DAEMON_TEST(test_after_the_freeze_only_marked_rules_admit_and_no_policy_is_loaded),
		DAEMON_TEST(test_a_start_and_a_reload_tell_where_modules_are_not_rendered),
		DAEMON_TEST(test_the_metrics_tell_what_became_of_devices),
		DAEMON_TEST(test_after_the_seal_no_rule_admits_a_device),
		DAEMON_TEST(
			test_a_policy_that_cannot_be_noted_leaves_no_former_one_for_after_the_freeze),
		DAEMON_TEST(test_a_seal_while_a_device_is_being_read_counts),
		DAEMON_TEST(test_a_decision_by_hand_that_was_cut_short_loosens_nothing),
		DAEMON_TEST(test_a_device_of_usb_that_cannot_be_read_is_refused),
		DAEMON_TEST(test_a_text_that_keeps_readers_waiting_delays_no_other_device),
		DAEMON_TEST(test_a_device_that_cannot_be_read_is_refused_until_it_can),
		DAEMON_TEST(test_a_device_that_shows_its_ids_later_is_decided_over_anew),
		DAEMON_TEST(test_a_device_that_could_not_be_refused_is_tried_after_another),
		DAEMON_TEST(test_a_decision_by_hand_outlives_a_device_that_cannot_be_read),
		DAEMON_TEST(test_devices_that_keep_workers_waiting_do_not_keep_it_from_starting),
		DAEMON_TEST(test_what_a_former_policy_gives_and_no_worker_has_is_taken_back),
		DAEMON_TEST(test_the_kernels_default_gives_back_what_the_policy_took),
		DAEMON_TEST(test_stopping_changes_no_device),
		DAEMON_TEST(test_a_bad_policy_authorizes_nothing_and_fails),
	};

	return RUN_TESTS("daemon", tests);
}
