/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The tool and a daemon. */

#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "authctl.h"
#include "authd.h"
#include "mock-daemon.h"
#include "names.h"
#include "test.h"
#include "testbed.h"

#define NIC "0000:00:01.0"
#define run(ret_out, ret_err, ...)                                                                 \
	testbed_run(authctl_main, ret_out, ret_err, "tdx-authctl", __VA_ARGS__, NULL)

/* Not root is served over the system bus alone. */
static int setup(void **state)
{
	(void)unsetenv("MOCK_DAEMON");
	(void)unsetenv("TDX_AUTH_PATIENCE_MSEC");
	(void)setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
	return testbed_setup(state);
}

static pid_t start_mock(struct Testbed *bed, const char *mode)
{
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(setenv("MOCK_DAEMON", mode, 1), 0);
	pid = testbed_start(bed, mock_daemon_main);
	(void)unsetenv("MOCK_DAEMON");
	return pid;
}

/* The real one. */
static pid_t start_daemon(struct Testbed *bed)
{
	if (geteuid() != 0)
		skip();
	return testbed_start(bed, authd_main);
}

static void stop_mock(pid_t pid)
{
	assert_int_equal(testbed_stop(pid, SIGKILL), -SIGKILL);
}

static void expect_attr(struct Testbed *bed, const char *syspath, const char *attr,
			const char *value)
{
	_cleanup_free_ char *found = testbed_attr(bed, syspath, attr);

	assert_string_equal(found, value);
}

static void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

/* Nothing that acts on a terminal, and no line that a device began. */
static void expect_harmless(const char *text)
{
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\xff'));
	assert_null(strstr(text, "\n\\x1b"));
}

static struct json_object *parse(const char *text)
{
	struct json_object *root = json_tokener_parse(text);

	if (!root)
		fail_msg("no JSON: %s", text);
	return root;
}

static const char *string_of(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("no key \"%s\" in %s", key, json_object_to_json_string(object));
	return json_object_get_string(value);
}

/* --- no daemon --- */

static void test_without_a_daemon_what_is_done_is_done_directly_and_said(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	static const char note[] = "tdx-authctl: no daemon runs: written directly\n";
	_cleanup_free_ char *given = NULL, *taken = NULL, *frozen = NULL, *over = NULL;

	assert_int_equal(run(NULL, &given, "authorize", NIC), EXIT_DONE);
	assert_string_equal(given, note);
	expect_attr(bed, nic, "authorized", "1");
	assert_int_equal(run(NULL, &taken, "deny", NIC), EXIT_DONE);
	assert_string_equal(taken, note);
	expect_attr(bed, nic, "authorized", "0");
	assert_int_equal(run(NULL, &frozen, "freeze"), EXIT_DONE);
	assert_string_equal(frozen, note);
	assert_int_equal(run(NULL, &over, "authorize", NIC), EXIT_REFUSED);
	expect_in(over, "after the freeze");
	expect_attr(bed, nic, "authorized", "0");
}

static void test_without_a_daemon_there_is_nothing_to_reload(void **state)
{
	_cleanup_free_ char *err = NULL;

	(void)state;
	assert_int_equal(run(NULL, &err, "reload"), EXIT_FAILED);
	expect_in(err, "no daemon runs");
	expect_in(err, "tdx-authctl apply");
}

static void test_status_without_a_daemon_shows_what_the_machine_shows(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *out = NULL, *err = NULL, *json = NULL;
	struct json_object *root, *value;

	testbed_mode(bed, "enforce");
	assert_int_equal(run(NULL, NULL, "freeze"), EXIT_DONE);
	assert_int_equal(run(&out, &err, "status"), EXIT_FAILED);
	assert_string_equal(err, "");
	expect_in(out, "no daemon runs");
	expect_in(out, "Frozen:   yes\n");
	expect_in(out, "Sealed:   no\n");
	expect_in(out, "enforce: it gives a refused device no driver\n");
	expect_in(out, "pci  kernel   kernel      a refused device gets no driver\n");
	assert_int_equal(run(&json, NULL, "status", "--json"), EXIT_FAILED);
	root = parse(json);
	assert_string_equal(string_of(root, "daemon"), "none");
	assert_string_equal(string_of(root, "kernel_mode"), "enforce");
	assert_true(json_object_get_boolean(json_object_object_get(root, "frozen")));
	assert_true(json_object_object_get_ex(root, "policy", &value) && !value);
	assert_true(json_object_object_get_ex(root, "counts", &value) && !value);
	value = json_object_array_get_idx(json_object_object_get(root, "buses"), 0);
	assert_string_equal(string_of(value, "bus"), "pci");
	assert_string_equal(string_of(value, "backend"), "kernel");
	(void)json_object_put(root);
}

static void test_status_is_honest_about_a_kernel_that_refuses_nothing(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *bare = umockdev_testbed_add_device(
		bed->umockdev, "virtio", "virtio0", NULL, "device", "0x0002\n", NULL, NULL);
	_cleanup_free_ char *out = NULL;

	testbed_mode(bed, "audit");
	assert_int_equal(run(&out, NULL, "status"), EXIT_FAILED);
	expect_in(out, "audit: it logs what it would refuse, and refuses nothing\n");
	expect_in(out, "pci     kernel   audit       the kernel logs what it would refuse");
	expect_in(out, "virtio  none     none        UNPROTECTED but ");
}

static void test_a_device_is_denied_by_taking_it_out_of_the_machine(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *platform = testbed_add_platform(bed, "thing");
	_cleanup_free_ char *path = NULL, *out = NULL, *err = NULL;

	assert_true(asprintf(&path, "%s/remove", nic) >= 0);
	testbed_add_file(bed, path, "");
	assert_int_equal(run(&out, NULL, "deny", "--remove", "pci:" NIC), EXIT_DONE);
	assert_string_equal(out, "pci:" NIC ": removed\n");
	expect_attr(bed, nic, "remove", "1");
	assert_int_equal(run(NULL, &err, "deny", "--remove", "platform:thing"), EXIT_FAILED);
	expect_in(err, "devices of this bus cannot be removed");
}

static void test_options_that_mean_nothing_are_wrong_usage(void **state)
{
	assert_int_equal(run(NULL, NULL, "authorize", NIC, "--remove"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "freeze", "--permanent"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "deny", NIC, "--driver", "e1000e"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "status", "--policy", "x"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "monitor", "now"), EXIT_USAGE);
	assert_int_equal(run(NULL, NULL, "reload", "--json"), EXIT_USAGE);
}

/* --- what is asked of a daemon --- */

static void test_a_daemon_is_asked_for_the_very_device_that_is_meant(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *out = NULL, *err = NULL, *expected = NULL;
	pid_t pid = start_mock(bed, "");
	struct stat st;

	assert_int_equal(stat(nic, &st), 0);
	assert_int_equal(run(&out, &err, "authorize", NIC, "--driver", "e1000e", "--permanent"),
			 EXIT_DONE);
	assert_string_equal(out, "pci:" NIC ": authorized, driver: " MOCK_ESCAPED "\n");
	assert_int_equal(run(NULL, NULL, "authorize", nic, "--driver", ""), EXIT_DONE);
	assert_int_equal(run(NULL, NULL, "authorize", "pci:" NIC), EXIT_DONE);
	assert_int_equal(run(NULL, NULL, "deny", NIC, "--remove", "--permanent"), EXIT_DONE);
	assert_int_equal(run(NULL, NULL, "deny", NIC), EXIT_DONE);
	assert_true(asprintf(&expected,
			     "Authorize /org/tdxauth1/device/%1$llu driver=\"e1000e\" permanent=1\n"
			     "Authorize /org/tdxauth1/device/%1$llu driver=\"\"\n"
			     "Authorize /org/tdxauth1/device/%1$llu\n"
			     "Deny /org/tdxauth1/device/%1$llu remove=1 permanent=1\n"
			     "Deny /org/tdxauth1/device/%1$llu\n",
			     (unsigned long long)st.st_ino) >= 0);
	testbed_wait_log(bed, expected);
	expect_attr(bed, nic, "authorized", "0"); /* nothing beside it */
	stop_mock(pid);
}

static void test_the_driver_is_told_where_no_attribute_shows_it(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic =
		umockdev_testbed_add_device(bed->umockdev, "pci", NIC, NULL, "vendor", "0x8086\n",
					    "device", "0x10d3\n", NULL, NULL);
	_cleanup_free_ char *out = NULL, *any = NULL;
	pid_t pid = start_mock(bed, "");

	assert_int_equal(run(&out, NULL, "authorize", NIC, "--driver", "e1000e"), EXIT_DONE);
	expect_in(out, "pci:" NIC ": authorized only for e1000e, driver: ");
	assert_int_equal(run(&any, NULL, "authorize", NIC, "--driver", ""), EXIT_DONE);
	expect_in(any, "pci:" NIC ": authorized, driver: ");
	stop_mock(pid);
}

static void test_errors_of_the_daemon_have_their_exit_statuses(void **state)
{
	static const struct {
		const char *mode, *said;
		int status;
	} errors[] = {
		{"error org.tdxauth1.Error.Frozen it is frozen", "it is frozen", EXIT_REFUSED},
		{"error org.tdxauth1.Error.Sealed it is sealed", "it is sealed", EXIT_REFUSED},
		{"error org.tdxauth1.Error.PolicyRefused no", "no", EXIT_REFUSED},
		{"error org.tdxauth1.Error.NoSuchDevice it went", "it went", EXIT_NO_DEVICE},
		{"error org.freedesktop.DBus.Error.UnknownObject x", "it may be gone",
		 EXIT_NO_DEVICE},
		{"error org.tdxauth1.Error.Stalled stuck", "stuck", EXIT_FAILED},
		{"error org.tdxauth1.Error.NotSaved read-only", "done, but not for good: read-only",
		 EXIT_FAILED},
		{"error org.freedesktop.DBus.Error.AccessDenied no", "not permitted", EXIT_FAILED},
		{"error org.freedesktop.DBus.Error.InteractiveAuthorizationRequired x",
		 "not permitted", EXIT_FAILED},
		{"error org.freedesktop.DBus.Error.LimitsExceeded many", "many", EXIT_FAILED},
		/* what sd-bus takes for ESRCH is not that no daemon runs */
		{"error org.freedesktop.DBus.Error.UnixProcessIdUnknown who", "who", EXIT_FAILED},
		{"error System.Error.ESRCH who", "who", EXIT_FAILED},
		{"error org.example.Unheard of", "of", EXIT_FAILED},
	};
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);

	for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
		pid_t pid = start_mock(bed, errors[i].mode);
		_cleanup_free_ char *err = NULL, *expected = NULL;

		assert_int_equal(run(NULL, &err, "authorize", NIC), errors[i].status);
		assert_true(asprintf(&expected, "tdx-authctl: pci:" NIC ": ") >= 0);
		expect_in(err, expected);
		expect_in(err, errors[i].said);
		stop_mock(pid);
	}
	expect_attr(bed, nic, "authorized", "0");
}

static void test_what_a_daemon_says_is_escaped(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	pid_t pid = start_mock(bed, "error org.tdxauth1.Error.Failed evil\n\x1b[2J");
	_cleanup_free_ char *err = NULL;

	assert_int_equal(run(NULL, &err, "deny", NIC), EXIT_FAILED);
	expect_harmless(err);
	expect_in(err, "pci:" NIC ": evil\\n\\x1b[2J\n");
	stop_mock(pid);
}

/* Its sandbox may keep that from it, but not from root. */
static void test_the_kernels_lock_is_closed_where_the_daemon_may_not(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid = start_mock(bed, "error org.tdxauth1.Error.KernelNotLocked not permitted");
	_cleanup_free_ char *err = NULL, *failed = NULL;

	testbed_mode(bed, "enforce");
	testbed_add_file(bed, SYSFS_AUTHORIZATION "/lock", "0\n");
	assert_int_equal(run(NULL, &err, "seal"), EXIT_DONE);
	assert_string_equal(err, "");
	expect_attr(bed, SYSFS_AUTHORIZATION, "lock", "1");
	testbed_make_unreadable(bed, SYSFS_AUTHORIZATION, "lock");
	assert_int_equal(run(NULL, &failed, "seal"), EXIT_FAILED);
	expect_in(failed, "cannot lock the kernel's device authorization");
	stop_mock(pid);
}

/* --- a daemon that does not answer --- */

static void expect_frozen(struct Testbed *bed, bool is_frozen)
{
	_cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, "%s/frozen", bed->runtime_dir) >= 0);
	assert_int_equal(access(path, F_OK), is_frozen ? 0 : -1);
}

/* What gives is not done behind the back of a daemon that may be about to do it; what takes away is
 * not to wait for one that hangs. */
static void test_a_daemon_that_does_not_answer_holds_up_no_refusal(void **state)
{
	static const char *const modes[] = {"mute", "deaf", "hangup"};
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *keyboard = testbed_add_usb(bed, "1-1", "Keyboard\n");

	assert_int_equal(setenv("TDX_AUTH_PATIENCE_MSEC", "300", 1), 0);
	for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
		pid_t pid = start_mock(bed, modes[i]);
		_cleanup_free_ char *given = NULL, *taken = NULL, *mark = NULL;

		umockdev_testbed_set_attribute(bed->umockdev, keyboard, "authorized", "1\n");
		assert_int_equal(run(NULL, &given, "authorize", NIC), EXIT_FAILED);
		expect_in(given, "the daemon");
		expect_attr(bed, nic, "authorized", "0");
		assert_int_equal(run(NULL, NULL, "reload"), EXIT_FAILED);
		assert_int_equal(run(NULL, &taken, "deny", "usb:1-1"), EXIT_DONE);
		expect_in(taken, "the daemon cannot be asked: written directly");
		expect_attr(bed, keyboard, "authorized", "0");
		assert_true(asprintf(&mark, "%s/frozen", bed->runtime_dir) >= 0);
		(void)unlink(mark);
		assert_int_equal(run(NULL, NULL, "freeze"), EXIT_DONE);
		expect_frozen(bed, true);
		(void)unlink(mark);
		stop_mock(pid);
	}
}

static void test_status_of_a_daemon_that_does_not_answer_says_so(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	pid_t pid = start_mock(bed, "mute");
	_cleanup_free_ char *out = NULL, *err = NULL, *json = NULL;
	struct json_object *root;

	assert_int_equal(setenv("TDX_AUTH_PATIENCE_MSEC", "300", 1), 0);
	assert_int_equal(run(&out, &err, "status"), EXIT_FAILED);
	expect_in(out, "Daemon:   UNREACHABLE\n");
	expect_in(out, "pci  kernel ");
	expect_in(err, "the daemon did not answer in time");
	assert_int_equal(run(&json, NULL, "status", "--json"), EXIT_FAILED);
	root = parse(json);
	assert_string_equal(string_of(root, "daemon"), "unreachable");
	(void)json_object_put(root);
	stop_mock(pid);
}

/* --- status --- */

static void test_status_shows_what_the_daemon_says(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid = start_mock(bed, "");
	_cleanup_free_ char *out = NULL, *json = NULL;
	struct json_object *root, *policy, *counts, *bus;

	assert_int_equal(run(&out, NULL, "status"), EXIT_DONE);
	expect_harmless(out);
	expect_in(out, "9.9\n");
	expect_in(out, " 7 rules, loaded 2023-11-1");
	expect_in(out, ", 2 loads since the start\n");
	expect_in(out, "devices 4, overflows 5, ");
	expect_in(out, "evil\\n\\x1b[2J\n");
	assert_int_equal(run(&json, NULL, "status", "--json"), EXIT_DONE);
	expect_harmless(json);
	root = parse(json);
	policy = json_object_object_get(root, "policy");
	counts = json_object_object_get(root, "counts");
	bus = json_object_array_get_idx(json_object_object_get(root, "buses"), 0);
	assert_string_equal(string_of(root, "daemon"), "running");
	assert_string_equal(string_of(root, "version"), "9.9");
	assert_string_equal(string_of(policy, "state"), "ok");
	assert_string_equal(string_of(policy, "rules"), "7");
	assert_string_equal(string_of(policy, "loaded_usec"), "1700000000000000");
	assert_string_equal(string_of(counts, "overflows"), "5");
	assert_string_equal(string_of(bus, "meaning"), "evil\n\x1b[2J");
	(void)json_object_put(root);
	stop_mock(pid);
}

static void test_status_fails_where_something_keeps_the_daemon_from_its_work(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *impaired = NULL, *json = NULL, *misconfigured = NULL;
	pid_t pid = start_mock(bed, "impaired");
	struct json_object *root;

	assert_int_equal(run(&impaired, NULL, "status"), EXIT_FAILED);
	expect_harmless(impaired);
	expect_in(impaired, "CANNOT evil");
	assert_int_equal(run(&json, NULL, "status", "--json"), EXIT_FAILED);
	root = parse(json);
	expect_in(string_of(root, "impairment"), "CANNOT evil");
	assert_null(json_object_object_get(root, "configuration"));
	(void)json_object_put(root);
	stop_mock(pid);
	pid = start_mock(bed, "misconfigured");
	assert_int_equal(run(&misconfigured, NULL, "status"), EXIT_FAILED);
	expect_in(misconfigured, "configuration REFUSED");
	stop_mock(pid);
}

static void test_status_fails_where_the_policy_is_refused_or_lacks_devices(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *refused = NULL, *degraded = NULL;
	pid_t pid = start_mock(bed, "refused");

	assert_int_equal(run(&refused, NULL, "status"), EXIT_FAILED);
	expect_in(refused, "REFUSED, the former one is in force; 7 rules");
	stop_mock(pid);
	pid = start_mock(bed, "degraded");
	assert_int_equal(run(&degraded, NULL, "status"), EXIT_FAILED);
	expect_in(degraded, "1, DEGRADED");
	stop_mock(pid);
}

/* What is in modprobe.d is not of this machine's policy, which keeps no module out. */
static void test_status_fails_where_the_module_policy_is_not_in_force(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *dir = g_build_filename(bed->runtime_dir, "etc", "modprobe.d", NULL),
			    *path = g_build_filename(dir, MODULE_CONFIG_NAME, NULL);
	_cleanup_free_ char *text = NULL, *json = NULL;
	struct json_object *root, *modules;
	pid_t pid = start_mock(bed, "");

	assert_int_equal(g_mkdir_with_parents(dir, 0755), 0);
	assert_true(g_file_set_contents(path, "# Kernel: 6.1\n# Mode: enforce\n", -1, NULL));
	assert_int_equal(setenv("TDX_AUTH_MODULE_ROOT", bed->runtime_dir, 1), 0);
	assert_int_equal(run(&text, NULL, "status"), EXIT_FAILED);
	assert_int_equal(run(&json, NULL, "status", "--json"), EXIT_FAILED);
	assert_int_equal(setenv("TDX_AUTH_MODULE_ROOT", "/nonexistent", 1), 0);
	expect_in(text, "NOT IN FORCE: the policy says off, and what is rendered says enforce: run "
			"tdx-authctl modules render\n");
	root = parse(json);
	modules = json_object_object_get(root, "modules");
	assert_string_equal(string_of(modules, "rendered"), "other-mode");
	assert_string_equal(string_of(modules, "mode"), "off");
	assert_string_equal(string_of(modules, "rendered_mode"), "enforce");
	assert_string_equal(json_object_to_json_string_ext(
				    json_object_object_get(modules, "rendered_kernels"), 0),
			    "[\"6.1\"]");
	(void)json_object_put(root);
	stop_mock(pid);
}

/* --- the real daemon --- */

static void test_decisions_by_hand_are_the_daemons(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	pid_t pid = start_daemon(bed);
	_cleanup_free_ char *out = NULL, *err = NULL, *denied = NULL, *exempt = NULL;
	_cleanup_free_ char *hub = testbed_add_usb(bed, "usb1", "Root Hub\n");

	testbed_uevent(bed, hub, "add");
	assert_int_equal(run(&out, &err, "authorize", "pci:" NIC), EXIT_DONE);
	assert_string_equal(err, "");
	assert_string_equal(out, "pci:" NIC ": authorized, driver: none\n");
	expect_attr(bed, nic, "authorized", "1");
	assert_int_equal(run(NULL, NULL, "authorize", NIC, "--driver", "e1000e"), EXIT_DONE);
	expect_attr(bed, nic, "authorized_driver", "e1000e");
	assert_int_equal(run(&denied, NULL, "deny", NIC), EXIT_DONE);
	assert_string_equal(denied, "pci:" NIC ": denied\n");
	expect_attr(bed, nic, "authorized", "0");
	assert_int_equal(run(NULL, &exempt, "deny", "usb:usb1"), EXIT_FAILED);
	expect_attr(bed, hub, "authorized", "1");
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_by", "user\n");
	/* a policy that allows it does not get it back, as it would after a write beside the daemon
	 */
	testbed_policy(bed, "version: 1\nrules: [ { action: allow, match: { pci: {} } } ]\n");
	assert_int_equal(run(NULL, NULL, "reload"), EXIT_DONE);
	expect_attr(bed, nic, "authorized", "0");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_DONE);
}

static void test_the_freeze_and_the_seal_bind_what_goes_to_the_daemon(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *frozen = NULL, *sealed = NULL, *status = NULL, *reload = NULL;
	pid_t pid;

	testbed_mode(bed, "enforce");
	testbed_add_file(bed, SYSFS_AUTHORIZATION "/lock", "0\n");
	pid = start_daemon(bed);
	assert_int_equal(run(NULL, &frozen, "freeze"), EXIT_DONE);
	assert_string_equal(frozen, "");
	expect_frozen(bed, true);
	assert_int_equal(run(NULL, NULL, "authorize", NIC), EXIT_REFUSED);
	assert_int_equal(run(NULL, &reload, "reload"), EXIT_REFUSED);
	expect_in(reload, "tdx-authctl: reload: ");
	expect_in(reload, "after the freeze");
	assert_int_equal(run(NULL, NULL, "apply"), EXIT_REFUSED);
	assert_int_equal(run(NULL, &sealed, "seal"), EXIT_DONE);
	assert_string_equal(sealed, "");
	expect_attr(bed, SYSFS_AUTHORIZATION, "lock", "1");
	assert_int_equal(run(NULL, NULL, "authorize", NIC), EXIT_REFUSED);
	expect_attr(bed, nic, "authorized", "0");
	assert_int_equal(run(NULL, NULL, "deny", NIC), EXIT_DONE);
	assert_int_equal(run(&status, NULL, "status"), EXIT_DONE);
	expect_in(status, "Frozen:                        yes\n");
	expect_in(status, "Sealed:                        yes\n");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_DONE);
}

static void test_a_reload_tells_whether_the_policy_was_accepted(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	pid_t pid = start_daemon(bed);
	_cleanup_free_ char *status = NULL;

	testbed_policy(bed, "version: 1\nruels: []\n");
	assert_int_equal(run(NULL, NULL, "reload"), EXIT_REFUSED);
	assert_int_equal(run(&status, NULL, "status"), EXIT_FAILED);
	expect_in(status, "REFUSED, the former one is in force; 0 rules");
	testbed_policy(bed, "version: 1\nrules: [ { action: allow, match: { pci: {} } } ]\n");
	assert_int_equal(run(NULL, NULL, "reload"), EXIT_DONE);
	testbed_wait_attr(bed, nic, "authorized", "1");
	assert_int_equal(run(NULL, NULL, "status"), EXIT_DONE);
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_DONE);
}

static void test_apply_does_not_decide_beside_a_daemon(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, NIC, 0x8086, 0x10d3);
	_cleanup_free_ char *err = NULL, *warning = NULL;
	pid_t pid = start_daemon(bed);

	testbed_policy(bed, "version: 1\n"
			    "rules: [ { action: allow, match: { pci: { vendor: 0x8086 } } } ]\n");
	assert_int_equal(run(NULL, &err, "apply"), EXIT_FAILED);
	expect_in(err, "nothing was applied");
	expect_in(err, "tdx-authctl reload");
	expect_attr(bed, nic, "authorized", "0");
	assert_int_equal(run(NULL, &warning, "apply", "--policy", bed->policy), EXIT_DONE);
	expect_in(warning, "decided by hand");
	expect_attr(bed, nic, "authorized", "1");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_DONE);
}

/* --- monitor --- */

/* What they print goes where testbed_wait_log() looks. */
static int monitor(const char *option)
{
	char *argv[] = {(char *)"tdx-authctl", (char *)"monitor", (char *)option, NULL};

	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	return authctl_main(option ? 3 : 2, argv);
}

static int text_monitor_main(int argc, char **argv)
{
	return monitor(NULL);
}

static int json_monitor_main(int argc, char **argv)
{
	return monitor("--json");
}

/* Its standard output is a pipe whose reader goes away once it has read something. */
static int piped_monitor_main(int argc, char **argv)
{
	char *words[] = {(char *)"tdx-authctl", (char *)"monitor", NULL};
	int fds[2];
	char byte;

	if (pipe(fds) < 0)
		return EXIT_FAILURE;
	if (fork() == 0) {
		(void)close(fds[1]);
		_exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
	}
	(void)close(fds[0]);
	(void)dup2(fds[1], STDOUT_FILENO);
	(void)close(fds[1]);
	return authctl_main(2, words);
}

static void test_monitor_prints_a_line_each_and_nothing_a_device_began(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid = start_mock(bed, ""), tool = testbed_start_at_once(bed, text_monitor_main);
	_cleanup_free_ char *log = NULL;

	testbed_wait_log(bed, "the daemon runs\n");
	assert_int_equal(kill(pid, SIGUSR1), 0);
	testbed_wait_log(bed, "added usb:" MOCK_ESCAPED "\n"
			      "usb:" MOCK_ESCAPED " refused (a.yaml:r)\n"
			      "removed usb:" MOCK_ESCAPED "\n");
	testbed_wait_log(bed, "cannot make out a signal of the daemon's");
	testbed_wait_log(bed, "frozen: yes\npolicy state: refused-former\n"
			      "policy loaded: 2023-11-1");
	log = testbed_log(bed);
	expect_harmless(log);
	assert_int_equal(testbed_stop(tool, SIGINT), EXIT_DONE);
	stop_mock(pid);
}

/* The first one of the kind. */
static struct json_object *event_in(const char *log, const char *event)
{
	_cleanup_free_ char *start = NULL, *line = NULL;
	const char *found;

	assert_true(asprintf(&start, "{\"event\":\"%s\"", event) >= 0);
	found = strstr(log, start);
	if (!found) {
		fail_msg("no event \"%s\" in:\n%s", event, log);
		return NULL;
	}
	line = strndup(found, strcspn(found, "\n"));
	return parse(line);
}

static void test_monitor_prints_one_object_a_line(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid = start_mock(bed, ""), tool = testbed_start_at_once(bed, json_monitor_main);
	_cleanup_free_ char *log = NULL;
	struct json_object *decided, *changed, *value;

	testbed_wait_log(bed, "{\"event\":\"daemon\",\"state\":\"running\"}\n");
	assert_int_equal(kill(pid, SIGUSR1), 0);
	testbed_wait_log(bed, "\"event\":\"changed\"");
	log = testbed_log(bed);
	expect_harmless(log);
	decided = event_in(log, "decided");
	assert_string_equal(string_of(decided, "device"), "usb:evil\n\x1b[2J\"\\xff");
	assert_string_equal(string_of(decided, "bus"), "usb");
	assert_string_equal(string_of(decided, "outcome"), "refused");
	assert_string_equal(string_of(decided, "rule"), "a.yaml:r");
	assert_null(string_of(decided, "driver"));
	assert_null(string_of(decided, "syspath"));
	expect_in(log, "\"device\":null,\"bus\":null,\"name\":null,"
		       "\"syspath\":\"/sys/devices/pci0000:00/x\",\"outcome\":\"vanished\"");
	changed = event_in(log, "changed");
	assert_string_equal(string_of(json_object_object_get(changed, "policy"), "state"),
			    "refused-former");
	assert_true(json_object_get_boolean(json_object_object_get(changed, "frozen")));
	assert_true(json_object_object_get_ex(changed, "sealed", &value) && !value);
	assert_null(string_of(json_object_object_get(changed, "policy"), "rules"));
	(void)json_object_put(decided);
	(void)json_object_put(changed);
	assert_int_equal(testbed_stop(tool, SIGTERM), EXIT_DONE);
	stop_mock(pid);
}

/* Where daemon and tool both log: waits for @text after @earlier. */
static void wait_log_after(struct Testbed *bed, const char *earlier, const char *text)
{
	for (int waited = 0; waited < 10000; waited += 10) {
		_cleanup_free_ char *log = testbed_log(bed);
		const char *found = strstr(log, earlier);

		if (found && strstr(found, text))
			return;
		(void)poll(NULL, 0, 10);
	}
	fail_msg("no \"%s\" after \"%s\" in:\n%s", text, earlier, testbed_log(bed));
}

static void test_monitor_outlives_the_daemon_and_finds_the_next(void **state)
{
	struct Testbed *bed = *state;
	pid_t tool = testbed_start_at_once(bed, json_monitor_main), pid;
	_cleanup_free_ char *platform = NULL, *log = NULL;
	struct json_object *decided;

	testbed_wait_log(bed, "{\"event\":\"daemon\",\"state\":\"none\"}\n");
	pid = start_daemon(bed);
	testbed_wait_log(bed, "{\"event\":\"daemon\",\"state\":\"running\"}\n");
	stop_mock(pid);
	testbed_wait_log(bed, "{\"event\":\"daemon\",\"state\":\"gone\"}\n");
	testbed_policy(bed, "version: 1\nrules: [ { action: allow, match: { platform: {} } } ]\n");
	pid = start_daemon(bed);
	wait_log_after(bed, "\"state\":\"gone\"}\n", "\"state\":\"running\"}\n");
	platform = testbed_add_platform(bed, "ev\x1b[2Jil");
	testbed_uevent(bed, platform, "add");
	testbed_wait_log(bed, "\"event\":\"decided\"");
	testbed_unplug(bed, pid, platform);
	testbed_wait_log(bed, "\"event\":\"removed\"");
	assert_int_equal(run(NULL, NULL, "freeze"), EXIT_DONE);
	testbed_wait_log(bed, "\"event\":\"changed\",\"frozen\":true");
	log = testbed_log(bed);
	expect_harmless(log);
	decided = event_in(log, "decided");
	assert_string_equal(string_of(decided, "device"), "platform:ev\x1b[2Jil");
	assert_string_equal(string_of(decided, "outcome"), "authorized");
	(void)json_object_put(decided);
	assert_int_equal(testbed_stop(tool, SIGINT), EXIT_DONE);
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_DONE);
}

static void test_monitor_ends_when_nobody_reads_it(void **state)
{
	struct Testbed *bed = *state;
	pid_t pid = start_mock(bed, "");

	/* while nothing happens */
	assert_int_equal(testbed_run(piped_monitor_main, NULL, NULL, "piped", NULL), EXIT_DONE);
	stop_mock(pid);
	/* and while it waits for a daemon */
	assert_int_equal(testbed_run(piped_monitor_main, NULL, NULL, "piped", NULL), EXIT_DONE);
}

#define CLIENT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENT_TEST(test_without_a_daemon_what_is_done_is_done_directly_and_said),
		CLIENT_TEST(test_without_a_daemon_there_is_nothing_to_reload),
		CLIENT_TEST(test_status_without_a_daemon_shows_what_the_machine_shows),
		CLIENT_TEST(test_status_is_honest_about_a_kernel_that_refuses_nothing),
		CLIENT_TEST(test_a_device_is_denied_by_taking_it_out_of_the_machine),
		CLIENT_TEST(test_options_that_mean_nothing_are_wrong_usage),
		CLIENT_TEST(test_a_daemon_is_asked_for_the_very_device_that_is_meant),
		CLIENT_TEST(test_the_driver_is_told_where_no_attribute_shows_it),
		CLIENT_TEST(test_errors_of_the_daemon_have_their_exit_statuses),
		CLIENT_TEST(test_what_a_daemon_says_is_escaped),
		CLIENT_TEST(test_the_kernels_lock_is_closed_where_the_daemon_may_not),
		CLIENT_TEST(test_a_daemon_that_does_not_answer_holds_up_no_refusal),
		CLIENT_TEST(test_status_of_a_daemon_that_does_not_answer_says_so),
		CLIENT_TEST(test_status_shows_what_the_daemon_says),
		CLIENT_TEST(test_status_fails_where_the_policy_is_refused_or_lacks_devices),
		CLIENT_TEST(test_status_fails_where_the_module_policy_is_not_in_force),
		CLIENT_TEST(test_status_fails_where_something_keeps_the_daemon_from_its_work),
		CLIENT_TEST(test_decisions_by_hand_are_the_daemons),
		CLIENT_TEST(test_the_freeze_and_the_seal_bind_what_goes_to_the_daemon),
		CLIENT_TEST(test_a_reload_tells_whether_the_policy_was_accepted),
		CLIENT_TEST(test_apply_does_not_decide_beside_a_daemon),
		CLIENT_TEST(test_monitor_prints_a_line_each_and_nothing_a_device_began),
		CLIENT_TEST(test_monitor_prints_one_object_a_line),
		CLIENT_TEST(test_monitor_outlives_the_daemon_and_finds_the_next),
		CLIENT_TEST(test_monitor_ends_when_nobody_reads_it),
	};

	return RUN_TESTS("client", tests);
}
