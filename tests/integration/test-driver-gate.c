/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kernels without the series, where the driver core is all there is. */

#include <errno.h>
#include <signal.h>

#include "authctl.h"
#include "authd.h"
#include "device-read.h"
#include "driver-core.h"
#include "driver-wait.h"
#include "enforce.h"
#include "sysfs-io.h"
#include "test.h"

#define REFUSED "tdx-auth:refused"
#define NIC "0000:00:01.0"

static void expect_attr(const char *syspath, const char *attr, const char *value)
{
	_cleanup_free_ char *found = testbed_attr(NULL, syspath, attr);

	assert_string_equal(found, value);
}

static void expect_driver(const char *syspath, const char *driver)
{
	_cleanup_free_ char *found = core_driver(syspath);

	assert_string_equal(found, driver);
}

static int setup(void **state)
{
	int r = testbed_setup(state);

	if (r < 0)
		return r;
	core_add_bus(*state, "pci");
	core_add_bus(*state, "virtio");
	core_add_driver(*state, "pci", "e1000");
	core_add_driver(*state, "pci", "e1000e");
	core_add_driver(*state, "virtio", "virtio_net");
	core_add_driver(*state, "virtio", "virtio_balloon");
	return 0;
}

static void stop(pid_t pid)
{
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

/* A pci device that is plugged while the daemon @pid runs, and that a driver which is there probes
 * before anybody hears of it. */
static char *plug_bound(struct Testbed *bed, pid_t pid, const char *name, const char *driver)
{
	char *path;

	(void)kill(pid, SIGSTOP);
	path = core_add_pci(bed, name, 0x8086, 0x100e, driver);
	core_bind(bed, path, "pci", driver);
	testbed_uevent(bed, path, "add");
	(void)kill(pid, SIGCONT);
	return path;
}

/* --- one device --- */

/* Carries out @request on the device as its own process would. */
static void execute(const char *syspath, struct EnforceRequest request, struct EnforceReply *ret)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = -1;

	assert_int_equal(device_open(syspath, NULL, &dirfd, &device), 0);
	enforce_aim(&request, device);
	enforce_execute(dirfd, &request, ret);
}

static const struct EnforceRequest refuse = {.authorize = false}, give = {.authorize = true},
				   give_e1000e = {.authorize = true,
						  .set_driver = true,
						  .driver = "e1000e"};

static void test_a_refused_device_loses_its_driver_and_gets_no_other(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"),
			    *net = core_add_virtio(bed, "virtio0", 1, "virtio_net");
	struct EnforceReply reply;

	core_bind(bed, nic, "pci", "e1000");
	core_bind(bed, net, "virtio", "virtio_net");
	execute(nic, refuse, &reply);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.authorized, 0);
	expect_driver(nic, "");
	expect_attr(nic, "driver_override", REFUSED);
	execute(net, refuse, &reply);
	assert_int_equal(reply.error, 0);
	expect_driver(net, "");
}

static void test_an_authorized_device_is_offered_to_drivers(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"),
			    *net = core_add_virtio(bed, "virtio0", 1, "virtio_net");
	struct EnforceReply reply;

	execute(nic, refuse, &reply);
	execute(nic, give, &reply);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.authorized, 1);
	expect_driver(nic, "e1000");
	expect_attr(nic, "driver_override", "");
	execute(net, give, &reply);
	assert_int_equal(reply.error, 0);
	expect_driver(net, "virtio_net");
}

static void test_a_device_kept_for_a_driver_gets_it_by_its_ids_alone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *fits = core_add_pci(bed, NIC, 0x8086, 0x10d3, "e1000e"),
			    *other = core_add_pci(bed, "0000:00:02.0", 0x8086, 0x100e, "e1000");
	struct EnforceReply reply;

	execute(fits, give_e1000e, &reply);
	assert_int_equal(reply.error, 0);
	assert_string_equal(reply.driver, "e1000e");
	expect_attr(fits, "driver_override", "tdx-auth:only:e1000e");
	/* neither the one that it is kept for, which does not know it, nor the one that does */
	execute(other, give_e1000e, &reply);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.authorized, 1);
	assert_string_equal(reply.authorized_driver, "e1000e");
	expect_driver(other, "");
	expect_attr(other, "driver_override", "tdx-auth:only:e1000e");
}

static void test_a_device_with_another_driver_than_it_is_kept_for_loses_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000");
	struct EnforceReply reply;

	core_bind(bed, nic, "pci", "e1000");
	execute(nic, give_e1000e, &reply);
	assert_int_equal(reply.error, 0);
	expect_driver(nic, "");
}

static void fail_write(void)
{
	fail_msg("a device was taken from its driver, or offered to one");
}

static void test_a_device_with_the_driver_that_it_is_kept_for_is_not_disturbed(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x10d3, "e1000e");
	struct EnforceReply reply;

	core_bind(bed, nic, "pci", "e1000e");
	core_on_write = fail_write;
	execute(nic, give_e1000e, &reply);
	core_on_write = NULL;
	assert_int_equal(reply.error, 0);
	expect_attr(nic, "driver_override", "tdx-auth:only:e1000e");
	expect_driver(nic, "e1000e");
}

static void test_an_override_of_others_is_never_written_over(void **state)
{
	static const struct EnforceRequest *const requests[] = {&refuse, &give, &give_e1000e};
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x10d3, "e1000e");
	struct EnforceReply reply;

	umockdev_testbed_set_attribute(bed->umockdev, nic, "driver_override", "vfio-pci\n");
	core_bind(bed, nic, "pci", "e1000e");
	for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
		execute(nic, *requests[i], &reply);
		assert_int_equal(reply.error, -EEXIST);
		expect_attr(nic, "driver_override", "vfio-pci");
		expect_driver(nic, "e1000e");
	}
}

static void test_a_driver_that_cannot_be_taken_away_is_an_error(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x10d3, "fixed");
	struct EnforceReply reply;

	testbed_add_file(bed, "/sys/bus/pci/drivers/fixed/uevent", "");
	core_bind(bed, nic, "pci", "fixed");
	execute(nic, refuse, &reply);
	assert_int_equal(reply.error, -EOPNOTSUPP);
	assert_int_equal(reply.authorized, 1);
}

/* --- another device at the name --- */

static struct Testbed *swapping;
static char *newcomer;

static void swap(void)
{
	testbed_displace(swapping, "/sys/devices/" NIC);
	newcomer = core_add_pci(swapping, NIC, 0x8086, 0x100e, "e1000");
}

static void swap_for_bound(void)
{
	swap();
	core_bind(swapping, newcomer, "pci", "e1000");
}

static void test_what_a_newcomer_got_by_the_name_is_taken_from_it(void **state)
{
	_cleanup_free_ char *nic = core_add_pci(*state, NIC, 0x8086, 0x100e, "e1000");
	struct EnforceReply reply;

	swapping = *state;
	core_on_write = swap;
	execute(nic, give, &reply);
	assert_int_equal(reply.error, -ESTALE);
	expect_driver(newcomer, "");
	expect_attr(newcomer, "driver_override", "(null)");
	free(newcomer);
}

static void test_a_newcomer_that_lost_its_driver_by_the_name_is_told_of(void **state)
{
	_cleanup_free_ char *nic = core_add_pci(*state, NIC, 0x8086, 0x10d3, "e1000e");
	struct EnforceReply reply;

	swapping = *state;
	core_bind(*state, nic, "pci", "e1000e");
	core_on_write = swap_for_bound;
	execute(nic, refuse, &reply);
	assert_int_equal(reply.error, -ESTALE);
	/* its own attributes were not written to: that goes by the directory */
	expect_attr(newcomer, "driver_override", "(null)");
	free(newcomer);
}

static void test_a_newcomer_before_the_write_is_not_written_to(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000");
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = -1;
	struct EnforceRequest request = give;
	struct EnforceReply reply;

	assert_int_equal(device_open(nic, NULL, &dirfd, &device), 0);
	enforce_aim(&request, device);
	swapping = bed;
	swap();
	core_on_write = fail_write;
	enforce_execute(dirfd, &request, &reply);
	core_on_write = NULL;
	assert_int_equal(reply.error, -ENODEV);
	expect_driver(newcomer, "");
	free(newcomer);
}

/* In a worker of a daemon: what the environment says is put in the place of the device, once. */
static void swap_in_worker(void)
{
	const char *root = getenv("SWAP_ROOT");
	char from[512], to[512], away[512];

	(void)snprintf(from, sizeof(from), "%s/sys/devices/newcomer", root);
	(void)snprintf(to, sizeof(to), "%s/sys/devices/" NIC, root);
	(void)snprintf(away, sizeof(away), "%s/sys/devices/" NIC "-away", root);
	if (access(from, F_OK) < 0)
		return;
	if (rename(to, away) < 0 || rename(from, to) < 0)
		abort();
}

static int authd_with_swap(int argc, char **argv)
{
	core_on_write = swap_in_worker;
	return authd_main(argc, argv);
}

/* --- the daemon --- */

#define DENY_ALL "version: 1\ndefaults: { '*': deny }\n"

static void test_the_daemon_takes_drivers_from_what_the_policy_denies(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"), *second = NULL;
	pid_t pid;

	core_bind(bed, nic, "pci", "e1000");
	testbed_policy(bed, DENY_ALL);
	pid = testbed_start(bed, authd_main);
	expect_attr(nic, "driver_override", REFUSED);
	expect_driver(nic, "");
	second = plug_bound(bed, pid, "0000:00:02.0", "e1000");
	testbed_wait_log(bed, "pci:0000:00:02.0 refused");
	expect_driver(second, "");
	stop(pid);
	expect_attr(nic, "driver_override", REFUSED);
}

static void test_buses_wait_for_the_daemon_from_its_start_on(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *net = core_add_virtio(bed, "virtio0", 1, "virtio_net"),
			    *balloon = core_add_virtio(bed, "virtio1", 5, "virtio_balloon");
	pid_t pid;

	core_bind(bed, balloon, "virtio", "virtio_balloon");
	testbed_policy(bed, "version: 1\ndefaults: { virtio: deny }\nrules:\n"
			    "- { action: allow, driver: virtio_net, match: { virtio: { device: 1 "
			    "} } }\n");
	pid = testbed_start(bed, authd_main);
	expect_attr("/sys/bus/virtio", "drivers_autoprobe", "0");
	expect_attr("/sys/bus/pci", "drivers_autoprobe", "1"); /* of no use there */
	expect_driver(net, "virtio_net");
	expect_driver(balloon, "");
	stop(pid);
	expect_attr("/sys/bus/virtio", "drivers_autoprobe", "0");
	expect_driver(net, "virtio_net");
}

static void test_a_bus_that_appears_waits_for_the_daemon(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid;

	testbed_policy(bed, "version: 1\n");
	pid = testbed_start(bed, authd_main);
	core_add_bus(bed, "pnp");
	core_add_driver(bed, "pnp", "serial");
	testbed_uevent(bed, "/sys/bus/pnp/drivers/serial", "add");
	testbed_wait_attr(bed, "/sys/bus/pnp", "drivers_autoprobe", "0");
	stop(pid);
}

static void test_a_driver_that_comes_later_gets_the_devices_it_may_have(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *rng = core_add_virtio(bed, "virtio0", 4, "virtio_rng"),
			    *second = core_add_virtio(bed, "virtio1", 4, "virtio_rng"),
			    *nic = core_add_pci(bed, NIC, 0x10ec, 0x8139, "8139cp");
	pid_t pid;

	testbed_policy(bed,
		       "version: 1\ndefaults: { '*': deny }\nrules:\n"
		       "- { action: allow, match: { virtio: { device: 4 } }, count: { max: 1 } "
		       "}\n"
		       "- { action: allow, driver: 8139cp, match: { pci: { vendor: 0x10ec } } "
		       "}\n");
	pid = testbed_start(bed, authd_main);
	expect_driver(rng, "");
	expect_driver(nic, "");
	core_add_driver(bed, "virtio", "virtio_rng");
	testbed_uevent(bed, "/sys/bus/virtio/drivers/virtio_rng", "add");
	testbed_wait_log(bed, "virtio:virtio0 authorized, driver: virtio_rng");
	expect_driver(rng, "virtio_rng");
	expect_driver(second, "");
	core_add_driver(bed, "pci", "8139cp");
	testbed_uevent(bed, "/sys/bus/pci/drivers/8139cp", "add");
	testbed_wait_log(bed, "pci:" NIC " authorized only for 8139cp, driver: 8139cp");
	stop(pid);
}

/* The kernel tells of a pci device before it offers it to drivers, and then says of each that it
 * does not fit. */
static void test_a_device_that_is_offered_too_early_is_offered_again(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\nrules:\n"
			    "- { action: allow, driver: e1000e, match: { pci: { vendor: 0x8086 } } "
			    "}\n");
	pid = testbed_start(bed, authd_main);
	nic = core_add_pci(bed, NIC, 0x8086, 0x10d3, "");
	testbed_uevent(bed, nic, "add");
	testbed_wait_log(bed, "pci:" NIC " authorized only for e1000e, driver: none yet");
	core_set_fits(bed, nic, "e1000e");
	testbed_wait_log(bed, "pci:" NIC " authorized only for e1000e, driver: e1000e");
	expect_attr(nic, "driver_override", "tdx-auth:only:e1000e");
	stop(pid);
}

/* A module that is loaded anew is nobody's decision. */
static void test_a_device_whose_driver_was_away_has_it_again(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *net = core_add_virtio(bed, "virtio0", 1, "virtio_net");
	pid_t pid;

	core_bind(bed, net, "virtio", "virtio_net");
	testbed_policy(bed, "version: 1\n");
	pid = testbed_start(bed, authd_main);
	stop(pid);
	core_unbind(bed, net);
	core_remove_driver(bed, "virtio", "virtio_net");
	pid = testbed_start(bed, authd_main);
	expect_driver(net, "");
	core_add_driver(bed, "virtio", "virtio_net");
	testbed_uevent(bed, "/sys/bus/virtio/drivers/virtio_net", "add");
	testbed_wait_log(bed, "virtio:virtio0 authorized, driver: virtio_net");
	expect_driver(net, "virtio_net");
	stop(pid);
}

static void test_what_is_decided_by_hand_stays(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"),
			    *net = core_add_virtio(bed, "virtio0", 1, "virtio_net"),
			    *balloon = core_add_virtio(bed, "virtio1", 5, "virtio_balloon");
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { '*': deny }\nrules:\n"
			    "- { action: allow, match: { virtio: { device: 1 } } }\n");
	pid = testbed_start(bed, authd_main);
	expect_driver(net, "virtio_net");
	stop(pid);
	assert_int_equal(
		testbed_run(authctl_main, NULL, NULL, "tdx-authctl", "authorize", NIC, NULL),
		EXIT_DONE);
	assert_int_equal(
		testbed_run(authctl_main, NULL, NULL, "tdx-authctl", "deny", "virtio0", NULL),
		EXIT_DONE);
	core_bind(bed, balloon, "virtio", "virtio_balloon");
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "pci:" NIC " stays authorized, as decided earlier");
	testbed_wait_log(bed, "virtio:virtio0 stays refused, as decided earlier");
	testbed_wait_log(bed, "virtio:virtio1 stays authorized, as decided earlier");
	stop(pid);
	expect_driver(nic, "e1000");
	expect_driver(net, "");
	expect_driver(balloon, "virtio_balloon");
}

/* A daemon that was killed between the two writes of a refusal. */
static void test_a_refusal_cut_short_is_completed(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000");
	pid_t pid;

	core_bind(bed, nic, "pci", "e1000");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "driver_override", REFUSED "\n");
	testbed_policy(bed, DENY_ALL);
	pid = testbed_start(bed, authd_main);
	expect_driver(nic, "");
	stop(pid);
}

static void test_the_daemon_tells_of_an_override_that_it_leaves_alone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"), *out = NULL;
	pid_t pid;

	umockdev_testbed_set_attribute(bed->umockdev, nic, "driver_override", "vfio-pci\n");
	testbed_policy(bed, DENY_ALL);
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "pci:" NIC " not as wanted: somebody else holds the device");
	stop(pid);
	expect_attr(nic, "driver_override", "vfio-pci");
	assert_int_equal(testbed_run(authctl_main, &out, NULL, "tdx-authctl", "list", "--policy",
				     bed->policy, NULL),
			 EXIT_DONE);
	assert_non_null(strstr(out, "somebody else holds it to vfio-pci (driver_override)"));
}

/* Many kernels let who reads it wait for a probe. */
static void test_an_override_that_keeps_readers_waiting_delays_no_other_device(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *slow = NULL, *other = NULL;
	pid_t pid;
	int fd;

	testbed_policy(bed, DENY_ALL);
	pid = testbed_start(bed, authd_main);
	(void)kill(pid, SIGSTOP); /* or it would have read it before */
	slow = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000");
	fd = testbed_make_slow(bed, slow, "driver_override");
	other = core_add_pci(bed, "0000:00:02.0", 0x8086, 0x100e, "e1000");
	(void)kill(pid, SIGCONT);
	testbed_wait_attr(bed, other, "driver_override", REFUSED);
	testbed_expect_not_logged(bed, "pci:" NIC);
	(void)close(fd);
	assert_int_equal(testbed_stop(pid, SIGKILL), -SIGKILL);
}

static void stall_in_worker(void)
{
	(void)pause();
}

static int authd_with_stall(int argc, char **argv)
{
	core_on_write = stall_in_worker;
	return authd_main(argc, argv);
}

/* The probe stalls while nothing keeps the device for the driver, and the worker is given up. */
static void test_a_device_given_by_hand_to_one_driver_that_stalls_is_open_to_no_other(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"), *err = NULL;
	pid_t pid;

	testbed_policy(bed, DENY_ALL);
	testbed_config(bed, "version: 1\naudit: no\nwrite-timeout-sec: 1\n");
	pid = testbed_start(bed, authd_with_stall);
	expect_attr(nic, "driver_override", REFUSED);
	assert_int_equal(testbed_run(authctl_main, NULL, &err, "tdx-authctl", "authorize", NIC,
				     "--driver", "e1000", NULL),
			 EXIT_FAILED);
	assert_non_null(strstr(err, "did not answer in time"));
	testbed_wait_attr(bed, nic, "driver_override", REFUSED);
	stop(pid);
}

/* Its driver was taken from it in the place of another one, and it may have it. */
static void test_a_newcomer_that_lost_its_driver_by_the_name_has_it_again(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"),
			    *other = core_add_pci(bed, "newcomer", 0x8086, 0x10d3, "e1000e"),
			    *root = umockdev_testbed_get_root_dir(bed->umockdev);
	pid_t pid;

	core_bind(bed, nic, "pci", "e1000");
	core_bind(bed, other, "pci", "e1000e");
	testbed_policy(bed, "version: 1\ndefaults: { pci: deny }\nrules:\n"
			    "- { action: allow, match: { pci: { device: 0x10d3 } } }\n");
	assert_int_equal(setenv("SWAP_ROOT", root, 1), 0);
	pid = testbed_start(bed, authd_with_swap);
	testbed_wait_log(bed, "another device took its place meanwhile");
	testbed_wait_log(bed, "pci:" NIC " authorized, driver: e1000e");
	stop(pid);
	expect_driver(nic, "e1000e");
}

/* --- without a word of the owner's --- */

static void test_the_list_decides_but_over_what_had_a_driver_before_the_start(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *bound = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"),
			    *bare = core_add_pci(bed, "0000:00:02.0", 0x8086, 0x100e, "e1000"),
			    *listed = core_add_virtio(bed, "virtio0", 1, "virtio_net"),
			    *balloon = core_add_virtio(bed, "virtio1", 5, "virtio_balloon"),
			    *hot = NULL;
	pid_t pid;

	core_bind(bed, bound, "pci", "e1000");
	core_bind(bed, balloon, "virtio", "virtio_balloon");
	testbed_policy(bed, "version: 1\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "2 devices of before the start, which no rule and no list of "
			      "hardened devices admits, keep the driver that they had: "
			      "pci:" NIC ", virtio:virtio1");
	expect_driver(bound, "e1000");
	expect_attr(bound, "driver_override", "(null)");
	expect_driver(balloon, "virtio_balloon");
	expect_attr(bare, "driver_override", REFUSED);
	expect_driver(listed, "virtio_net");
	hot = plug_bound(bed, pid, "0000:00:03.0", "e1000");
	testbed_wait_log(bed, "pci:0000:00:03.0 refused");
	expect_driver(hot, "");
	stop(pid);
}

static void test_what_a_rule_took_is_given_back_where_the_rule_is_gone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"),
			    *balloon = core_add_virtio(bed, "virtio1", 5, "virtio_balloon");
	pid_t pid;

	core_bind(bed, nic, "pci", "e1000");
	core_bind(bed, balloon, "virtio", "virtio_balloon");
	testbed_policy(bed, DENY_ALL);
	pid = testbed_start(bed, authd_main);
	expect_driver(nic, "");
	expect_driver(balloon, "");
	stop(pid);
	testbed_policy(bed, "version: 1\n");
	pid = testbed_start(bed, authd_main);
	expect_driver(nic, "e1000");
	expect_driver(balloon, "virtio_balloon");
	stop(pid);
}

static void test_a_bus_that_gave_nothing_by_itself_gives_nothing(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *net = core_add_virtio(bed, "virtio0", 1, "virtio_net");
	pid_t pid;

	testbed_add_file(bed, "/sys/bus/virtio/drivers_autoprobe", "0\n");
	testbed_policy(bed, "version: 1\n");
	pid = testbed_start(bed, authd_main);
	expect_driver(net, "");
	stop(pid);
}

/* The former run found the bus giving, whatever it does since. */
static void test_what_a_bus_did_before_outlives_a_restart(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *net = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\n");
	pid = testbed_start(bed, authd_main);
	assert_int_equal(testbed_stop(pid, SIGKILL), -SIGKILL);
	pid = testbed_start(bed, authd_main);
	net = core_add_virtio(bed, "virtio0", 1, "virtio_net");
	testbed_uevent(bed, net, "add");
	testbed_wait_log(bed, "virtio:virtio0 authorized only for virtio_net, driver: virtio_net");
	stop(pid);
}

/* --- what is said of it --- */

static void test_each_bus_says_what_holds_its_devices_and_how_far(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *json = NULL, *later = NULL;
	pid_t pid;

	free(core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"));
	free(core_add_virtio(bed, "virtio0", 1, "virtio_net"));
	free(umockdev_testbed_add_device(bed->umockdev, "platform", "thing", NULL, NULL, NULL));
	testbed_policy(bed, "version: 1\n");
	assert_int_equal(testbed_run(authctl_main, &out, NULL, "tdx-authctl", "list", NULL),
			 EXIT_DONE);
	assert_non_null(strstr(out, "a driver that is loaded probes it first: keep modules out"));
	assert_non_null(strstr(out, "tdx-authd does not keep the bus"));
	assert_non_null(strstr(out, "UNPROTECTED but for modules that are not loaded"));
	assert_int_equal(
		testbed_run(authctl_main, &json, NULL, "tdx-authctl", "list", "--json", NULL),
		EXIT_DONE);
	assert_non_null(strstr(json, "\"backend\":\"driver\""));
	assert_non_null(strstr(json, "\"pci\":\"modules\""));
	assert_non_null(strstr(json, "\"virtio\":\"modules\""));
	assert_non_null(strstr(json, "\"platform\":\"none\""));
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "UNPROTECTED: this kernel cannot refuse a driver to devices of "
			      "platform;");
	assert_int_equal(testbed_run(authctl_main, &later, NULL, "tdx-authctl", "list", NULL),
			 EXIT_DONE);
	assert_non_null(strstr(later, "a device gets no driver but from tdx-authd"));
	stop(pid);
}

static void test_a_snapshot_holds_what_stands_for_authorization(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000"),
			    *other = core_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3, "e1000e"),
			    *snapshot = NULL, *out = NULL;
	char file[] = "/tmp/tdx-auth-snapshot-XXXXXX";
	int fd = mkstemp(file);

	umockdev_testbed_set_attribute(bed->umockdev, nic, "driver_override", "vfio-pci\n");
	umockdev_testbed_set_attribute(bed->umockdev, other, "driver_override",
				       "tdx-auth:only:e1000e\n");
	assert_int_equal(
		testbed_run(authctl_main, &snapshot, NULL, "tdx-authctl", "snapshot", NULL),
		EXIT_DONE);
	assert_int_equal(write(fd, snapshot, strlen(snapshot)), strlen(snapshot));
	(void)close(fd);
	assert_int_equal(testbed_run(authctl_main, &out, NULL, "tdx-authctl", "list", "--json",
				     "--snapshot", file, NULL),
			 EXIT_DONE);
	(void)unlink(file);
	assert_non_null(strstr(out, "\"backend\":\"driver\""));
	assert_null(strstr(out, "\"backend\":\"vendor\""));
	assert_non_null(strstr(out, "\"authorized_driver\":\"e1000e\""));
	assert_non_null(strstr(out, "somebody else holds it to vfio-pci (driver_override)"));
}

/* Its owner has switched that off. */
static void test_a_kernel_with_the_series_switched_off_is_left_alone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x100e, "e1000");
	pid_t pid;

	testbed_mode(bed, "off");
	core_bind(bed, nic, "pci", "e1000");
	testbed_policy(bed, DENY_ALL);
	pid = testbed_start(bed, authd_main);
	testbed_wait_log(bed, "UNPROTECTED: this kernel cannot refuse a driver to devices of pci;");
	stop(pid);
	expect_driver(nic, "e1000");
	expect_attr("/sys/bus/virtio", "drivers_autoprobe", "1");
}

/* --- the older vendor ABI --- */

static const char *const vendor_buses[] = {"pci", "virtio", "acpi", "pnp", "platform"};

/* `authorized` on a device of any bus, and nothing else. */
static char *add_vendor(struct Testbed *bed, const char *bus, const char *what,
			const char *authorized)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s-%s", what, bus);
	return umockdev_testbed_add_device(bed->umockdev, bus, name, NULL, "authorized", authorized,
					   "driver_override", "(null)\n", NULL, NULL);
}

static void test_the_vendor_attribute_takes_either_verdict_on_every_bus(void **state)
{
	struct Testbed *bed = *state;
	char *denied[ELEMENTSOF(vendor_buses)], *allowed[ELEMENTSOF(vendor_buses)];
	pid_t pid;

	for (size_t i = 0; i < ELEMENTSOF(vendor_buses); i++) {
		denied[i] = add_vendor(bed, vendor_buses[i], "denied", "1\n");
		allowed[i] = add_vendor(bed, vendor_buses[i], "allowed", "0\n");
	}
	testbed_policy(bed, "version: 1\ndefaults: { '*': deny }\nrules:\n"
			    "- { action: allow, match: { address: 'allowed-*' } }\n");
	pid = testbed_start(bed, authd_main);
	for (size_t i = 0; i < ELEMENTSOF(vendor_buses); i++) {
		expect_attr(denied[i], "authorized", "0");
		expect_attr(denied[i], "driver_override", "(null)");
		expect_attr(allowed[i], "authorized", "1");
		free(denied[i]);
		free(allowed[i]);
	}
	expect_attr("/sys/bus/virtio", "drivers_autoprobe", "1");
	stop(pid);
}

static void test_without_authorized_driver_an_allow_for_one_refuses(void **state)
{
	struct Testbed *bed = *state;
	char *devices[ELEMENTSOF(vendor_buses)];
	_cleanup_free_ char *out = NULL;
	pid_t pid;

	for (size_t i = 0; i < ELEMENTSOF(vendor_buses); i++)
		devices[i] = add_vendor(bed, vendor_buses[i], "held", "1\n");
	testbed_policy(bed, "version: 1\nrules:\n"
			    "- { action: allow, driver: one, match: { address: 'held-*' } }\n");
	pid = testbed_start(bed, authd_main);
	for (size_t i = 0; i < ELEMENTSOF(vendor_buses); i++) {
		expect_attr(devices[i], "authorized", "0");
		free(devices[i]);
	}
	stop(pid);
	assert_int_equal(testbed_run(authctl_main, &out, NULL, "tdx-authctl", "list", "--json",
				     "--policy", bed->policy, NULL),
			 EXIT_DONE);
	assert_non_null(strstr(out, "\"backend\":\"vendor\""));
	assert_non_null(strstr(out, "cannot hold the device to one driver"));
}

/* --- what udev asks --- */

static int is_waited_for(int argc, char **argv)
{
	return argc == 2 && driver_is_waited_for(argv[1]) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void expect_waited_for(const char *driver, bool expected)
{
	_cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, "/sys/bus/%s", driver) > 0);
	assert_int_equal(testbed_run(is_waited_for, NULL, NULL, "udev", path, NULL),
			 expected ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Notes what was decided over the devices, as "DRIVER VERDICT SOURCE". */
static void note(const struct Testbed *bed, const char *nic, const char *of_nic, const char *net,
		 const char *of_net, char authorized)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *file = NULL;
	const char *const devices[][2] = {{nic, of_nic}, {net, of_net}};

	assert_true(asprintf(&path, "%s/state", bed->runtime_dir) > 0);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fprintf(file, "tdx-auth-state 2\n");
	for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
		_cleanup_close_ int dirfd = sysfs_open(devices[i][0]);
		dev_t dev;
		ino_t ino;

		assert_int_equal(sysfs_identity(dirfd, &dev, &ino), 0);
		(void)fprintf(file, "+ %s %ju %ju - %c o %s\n", devices[i][0], (uintmax_t)dev,
			      (uintmax_t)ino, authorized, devices[i][1]);
	}
}

static void test_a_driver_is_waited_for_by_devices_that_may_have_it_alone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = core_add_pci(bed, NIC, 0x8086, 0x10d3, "e1000e"),
			    *net = core_add_virtio(bed, "virtio0", 1, "virtio_net");

	expect_waited_for("pci/drivers/e1000e", true); /* nobody has decided */
	note(bed, nic, "e1000e allow rule", net, " deny rule", '1');
	expect_waited_for("pci/drivers/e1000e", true);
	expect_waited_for("pci/drivers/e1000", false);
	expect_waited_for("virtio/drivers/virtio_net", false);
	/* the kernel gives it to any: of pci by itself, of virtio where nobody closed the bus */
	note(bed, nic, " allow rule", net, " kernel default\\x20for\\x20virtio", '1');
	expect_waited_for("pci/drivers/e1000e", false);
	expect_waited_for("virtio/drivers/virtio_net", false);
	testbed_add_file(bed, "/sys/bus/virtio/drivers_autoprobe", "0\n");
	expect_waited_for("virtio/drivers/virtio_net", true);
	note(bed, nic, " allow rule", net, "virtio_balloon allow rule", '1');
	expect_waited_for("virtio/drivers/virtio_net", false);
	/* a write is on its way, or was cut short: what comes of it nobody knows */
	note(bed, nic, " allow rule", net, " allow rule", '-');
	expect_waited_for("pci/drivers/e1000e", true);
	expect_waited_for("virtio/drivers/virtio_net", true);
	note(bed, nic, "", net, "", '1');
	expect_waited_for("virtio/drivers/virtio_net", true);
	core_bind(bed, nic, "pci", "e1000e");
	expect_waited_for("pci/drivers/e1000", false);
	expect_waited_for("mei/drivers/x", true);
}

#define GATE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GATE_TEST(test_a_refused_device_loses_its_driver_and_gets_no_other),
		GATE_TEST(test_a_driver_is_waited_for_by_devices_that_may_have_it_alone),
		GATE_TEST(test_an_authorized_device_is_offered_to_drivers),
		GATE_TEST(test_a_device_kept_for_a_driver_gets_it_by_its_ids_alone),
		GATE_TEST(test_a_device_with_another_driver_than_it_is_kept_for_loses_it),
		GATE_TEST(test_a_device_with_the_driver_that_it_is_kept_for_is_not_disturbed),
		GATE_TEST(test_an_override_of_others_is_never_written_over),
		GATE_TEST(test_a_driver_that_cannot_be_taken_away_is_an_error),
		GATE_TEST(test_what_a_newcomer_got_by_the_name_is_taken_from_it),
		GATE_TEST(test_a_newcomer_that_lost_its_driver_by_the_name_is_told_of),
		GATE_TEST(test_a_newcomer_before_the_write_is_not_written_to),
		GATE_TEST(test_the_daemon_takes_drivers_from_what_the_policy_denies),
		GATE_TEST(test_buses_wait_for_the_daemon_from_its_start_on),
		GATE_TEST(test_a_bus_that_appears_waits_for_the_daemon),
		GATE_TEST(test_a_driver_that_comes_later_gets_the_devices_it_may_have),
		GATE_TEST(test_a_device_that_is_offered_too_early_is_offered_again),
		GATE_TEST(test_a_device_whose_driver_was_away_has_it_again),
		GATE_TEST(test_what_is_decided_by_hand_stays),
		GATE_TEST(test_a_refusal_cut_short_is_completed),
		GATE_TEST(test_the_daemon_tells_of_an_override_that_it_leaves_alone),
		GATE_TEST(test_an_override_that_keeps_readers_waiting_delays_no_other_device),
		GATE_TEST(test_a_newcomer_that_lost_its_driver_by_the_name_has_it_again),
		GATE_TEST(
			test_a_device_given_by_hand_to_one_driver_that_stalls_is_open_to_no_other),
		GATE_TEST(test_the_list_decides_but_over_what_had_a_driver_before_the_start),
		GATE_TEST(test_what_a_rule_took_is_given_back_where_the_rule_is_gone),
		GATE_TEST(test_a_bus_that_gave_nothing_by_itself_gives_nothing),
		GATE_TEST(test_what_a_bus_did_before_outlives_a_restart),
		GATE_TEST(test_each_bus_says_what_holds_its_devices_and_how_far),
		GATE_TEST(test_a_snapshot_holds_what_stands_for_authorization),
		GATE_TEST(test_a_kernel_with_the_series_switched_off_is_left_alone),
		GATE_TEST(test_the_vendor_attribute_takes_either_verdict_on_every_bus),
		GATE_TEST(test_without_authorized_driver_an_allow_for_one_refuses),
	};

	return RUN_TESTS("driver-gate", tests);
}
