/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The machine's own modprobe.d as the daemon and the tool heed it. */

#include <fcntl.h>
#include <signal.h>
#include <sys/utsname.h>

#include "../unit/module-tree.h"
#include "authctl.h"
#include "authd.h"
#include "testbed.h"

#define run(ret_out, ret_err, ...)                                                                 \
	testbed_run(authctl_main, ret_out, ret_err, "tdx-authctl", __VA_ARGS__, NULL)
#define BLACKLIST "/etc/modprobe.d/own.conf"

static const char kernel_decides[] = "version: 1\ndefaults: { pci: allow }\n";
static const char rule_allows[] =
	"version: 1\nrules: [ { name: nic, action: allow, match: { pci: { device: 0x10d3 } } } ]\n";

static int setup(void **state)
{
	_cleanup_free_ char *path = NULL;
	struct utsname running;

	if (tree_make(state) < 0 || uname(&running) < 0 ||
	    setenv("TDX_AUTH_MODULE_ROOT", tree_root, 1) < 0 ||
	    asprintf(&path, "/lib/modules/%s/modules.alias", running.release) < 0)
		return -1;
	tree_put(path, "alias pci:v00008086d000010D3* e1000e\nalias pci:v00001B36d* other\n"
		       "alias usb:v*p*d*dc*dsc*dp*ic03isc01ip01in* usbkbd\n");
	return testbed_setup(state);
}

static int teardown(void **state)
{
	int r = testbed_teardown(state);

	return tree_remove(state) < 0 ? -1 : r;
}

static void stop(pid_t pid)
{
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

static void test_the_daemon_refuses_what_modprobe_d_does(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *other = testbed_add_pci(bed, "0000:00:02.0", 0x1b36, 0x0010);
	pid_t pid;

	tree_put(BLACKLIST, "# x\nblacklist e1000e\n");
	testbed_policy(bed, kernel_decides);
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, other, "authorized", "1");
	stop(pid);
	assert_string_equal(testbed_attr(bed, nic, "authorized"), "0");
}

static void test_a_change_is_heeded_at_once(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *path = NULL;
	pid_t pid;

	testbed_policy(bed, kernel_decides);
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, nic, "authorized", "1");
	/* not even the directory was there */
	tree_put(BLACKLIST, "install e1000e /bin/true\n");
	testbed_wait_attr(bed, nic, "authorized", "0");
	tree_put(BLACKLIST, "install e1000e modprobe -i e1000e\n");
	testbed_wait_attr(bed, nic, "authorized", "1");
	tree_put(BLACKLIST, "blacklist e1000e\n");
	testbed_wait_attr(bed, nic, "authorized", "0");
	assert_true(asprintf(&path, "%s%s", tree_root, BLACKLIST) > 0);
	assert_int_equal(unlink(path), 0);
	testbed_wait_attr(bed, nic, "authorized", "1");
	stop(pid);
}

static void test_a_rule_allows_what_modprobe_d_refuses(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	tree_put(BLACKLIST, "blacklist e1000e\n");
	testbed_policy(bed, rule_allows);
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, nic, "authorized", "1");
	stop(pid);
}

static void test_usb_interfaces_are_read_for_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *keyboard = testbed_add_usb_in_use(bed, "1-1", "Keyboard\n", "1");
	_cleanup_free_ char *mouse = testbed_add_usb_in_use(bed, "1-2", "Mouse\n", "2");
	pid_t pid;

	tree_put(BLACKLIST, "blacklist usbkbd\n");
	testbed_policy(bed, "version: 1\ndefaults: { usb: allow }\n");
	pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, keyboard, "authorized", "0");
	stop(pid);
	assert_string_equal(testbed_attr(bed, mouse, "authorized"), "1");
}

static void test_the_tool_names_file_and_line(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *list = NULL, *explained = NULL, *allowed = NULL, *json = NULL;

	tree_put(BLACKLIST, "\n\nblacklist e1000e\n");
	testbed_policy(bed, "version: 1\nrules: [ { action: kernel, match: { pci: {} } } ]\n");
	assert_int_equal(run(&list, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	assert_non_null(
		strstr(list, BLACKLIST ":3: no module that knows the device may be loaded"));
	assert_int_equal(run(&explained, NULL, "explain", "0000:00:01.0", "--policy", bed->policy),
			 EXIT_DONE);
	assert_non_null(strstr(explained, BLACKLIST ":3: "));
	assert_non_null(strstr(explained, "modprobe.d refuses the modules that know the device"));
	assert_int_equal(
		run(&json, NULL, "show", "0000:00:01.0", "--json", "--policy", bed->policy),
		EXIT_DONE);
	assert_non_null(strstr(json, BLACKLIST ":3"));
	testbed_policy(bed, rule_allows);
	assert_int_equal(run(&allowed, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	assert_null(strstr(allowed, BLACKLIST));
}

static void test_after_the_freeze_a_change_has_no_effect(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	pid_t pid;

	tree_put(BLACKLIST, "blacklist e1000e\n");
	testbed_policy(bed, kernel_decides);
	pid = testbed_start(bed, authd_main);
	assert_int_equal(run(NULL, NULL, "freeze"), EXIT_DONE);
	tree_put(BLACKLIST, "\n");
	testbed_wait_log(bed, "modprobe.d changed, which has no effect");
	stop(pid);
	assert_string_equal(testbed_attr(bed, nic, "authorized"), "0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_daemon_refuses_what_modprobe_d_does),
		TEST(test_a_change_is_heeded_at_once),
		TEST(test_a_rule_allows_what_modprobe_d_refuses),
		TEST(test_usb_interfaces_are_read_for_it),
		TEST(test_the_tool_names_file_and_line),
		TEST(test_after_the_freeze_a_change_has_no_effect),
	};

	return RUN_TESTS("modprobe", tests);
}
