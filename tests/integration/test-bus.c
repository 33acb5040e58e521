/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "authd.h"
#include "bus-client.h"
#include "log.h"
#include "manager.h"
#include "names.h"
#include "phase.h"
#include "policy-files.h"
#include "system-bus.h"
#include "test.h"

static const char allow_nic[] = "version: 1\n"
				"rules:\n"
				"- name: nic\n"
				"  action: allow\n"
				"  driver: e1000e\n"
				"  match: { pci: { vendor: 0x8086, device: 0x10d3 } }\n";

#define NIC "pci:0000:00:01.0"
#define DISK "pci:0000:00:02.0"
#define MOUSE "usb:1-1"

static void expect_attr(struct Testbed *bed, const char *syspath, const char *attr,
			const char *value)
{
	_cleanup_free_ char *found = testbed_attr(bed, syspath, attr);

	if (!streq(found, value))
		fail_msg("%s/%s is \"%s\" and not \"%s\", the daemon logged:\n%s", syspath, attr,
			 found, value, testbed_log(bed));
}

static void expect_device(sd_bus *bus, const char *object, const char *property, const char *value)
{
	expect_property(bus, object, BUS_DEVICE_INTERFACE, property, value);
}

static void expect_manager(sd_bus *bus, const char *property, const char *value)
{
	expect_property(bus, BUS_PATH, BUS_MANAGER_INTERFACE, property, value);
}

static void stop(pid_t pid)
{
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_SUCCESS);
}

/* A nic that the policy allows, a disk that it does not, and a mouse. */
struct Machine {
	struct Testbed *bed;
	char *nic, *disk, *mouse;
	pid_t pid;
};

static struct Machine start(void **state)
{
	struct Testbed *bed = *state;
	struct Machine machine = {
		.bed = bed,
		.nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3),
		.disk = testbed_add_pci(bed, "0000:00:02.0", 0x1b36, 0x0010),
		.mouse = testbed_add_usb(bed, "1-1", "Mouse\n"),
	};

	testbed_policy(bed, allow_nic);
	machine.pid = testbed_start(bed, authd_main);
	testbed_wait_attr(bed, machine.nic, "authorized", "1");
	return machine;
}

static void end(struct Machine *machine)
{
	stop(machine->pid);
	free(machine->nic);
	free(machine->disk);
	free(machine->mouse);
}

static void wait_for_device(sd_bus *bus, const char *name)
{
	for (int i = 0; i < 1000; i++) {
		if (sd_bus_call_method(bus, BUS_NAME, BUS_PATH, BUS_MANAGER_INTERFACE, "GetDevice",
				       NULL, NULL, "s", name) >= 0)
			return;
		(void)usleep(10000);
	}
	fail_msg("%s is no device", name);
}

/* Until the name is another device's than @former. */
static char *wait_for_another(sd_bus *bus, const char *name, const char *former)
{
	for (int i = 0; i < 1000; i++) {
		char *object = bus_object(bus, name);

		if (!streq(object, former))
			return object;
		free(object);
		(void)usleep(10000);
	}
	fail_msg("%s is still the former device", name);
	return NULL;
}

static void test_devices_are_objects_that_say_how_they_are(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *disk = bus_object(bus, machine.disk);

	expect_device(bus, nic, "Name", NIC);
	expect_device(bus, nic, "Bus", "pci");
	expect_device(bus, nic, "SysfsPath", machine.nic);
	expect_device(bus, nic, "Authorized", "yes");
	expect_device(bus, nic, "AuthorizedDriver", "e1000e");
	expect_device(bus, nic, "OnlyDriver", "e1000e");
	expect_device(bus, nic, "Verdict", "allow");
	expect_device(bus, nic, "ByHand", "no");
	expect_device(bus, nic, "Hot", "no");
	expect_device(bus, nic, "Backend", "kernel");
	expect_device(bus, disk, "Authorized", "no");
	expect_device(bus, disk, "Verdict", "kernel");
	expect_device(bus, disk, "Rule", "default for pci");
	expect_manager(bus, "KernelMode", "none");
	expect_manager(bus, "PolicyState", "ok");
	expect_manager(bus, "PolicyRules", "1");
	expect_manager(bus, "Frozen", "no");
	end(&machine);
}

static void test_a_decision_by_hand_is_carried_out_and_stays(void **state)
{
	struct Machine machine = start(state);
	sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *disk = bus_object(bus, "0000:00:02.0");

	bus_do(bus, disk, BUS_DEVICE_INTERFACE, "Authorize", "a{sv}", 1, "driver", "s", "nvme");
	expect_attr(machine.bed, machine.disk, "authorized", "1");
	expect_attr(machine.bed, machine.disk, "authorized_driver", "nvme");
	expect_device(bus, disk, "ByHand", "yes");
	bus_do(bus, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 0);
	expect_attr(machine.bed, machine.nic, "authorized", "0");
	umockdev_testbed_set_attribute(machine.bed->umockdev, machine.nic, "authorized_by",
				       "user\n");
	umockdev_testbed_set_attribute(machine.bed->umockdev, machine.disk, "authorized_by",
				       "user\n");
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", NULL);
	expect_device(bus, nic, "Authorized", "no");
	(void)sd_bus_flush_close_unref(bus);
	assert_int_equal(testbed_stop(machine.pid, SIGKILL), -SIGKILL);
	machine.pid = testbed_start(machine.bed, authd_main);
	bus = connect_peer(machine.bed);
	expect_attr(machine.bed, machine.nic, "authorized", "0");
	expect_attr(machine.bed, machine.disk, "authorized", "1");
	free(nic);
	nic = bus_object(bus, NIC);
	expect_device(bus, nic, "ByHand", "yes");
	(void)sd_bus_flush_close_unref(bus);
	end(&machine);
}

/* --- calls that take their time --- */

/* The handler of a call's answer, which it keeps. */
static int keep_answer(sd_bus_message *answer, void *userdata, sd_bus_error *error)
{
	(void)error;
	*(sd_bus_message **)userdata = sd_bus_message_ref(answer);
	return 0;
}

static void process(sd_bus *bus)
{
	int r = sd_bus_process(bus, NULL);

	if (r == 0)
		r = sd_bus_wait(bus, 10000);
	assert_true(r >= 0);
}

/* Waits for it: it is an error of this name, or with NULL none. Frees it. */
static void expect_answer(sd_bus *bus, sd_bus_message **answer, const char *error)
{
	const sd_bus_error *found;

	for (int i = 0; !*answer && i < 3000; i++)
		process(bus);
	if (!*answer)
		fail_msg("there is no answer");
	found = sd_bus_message_get_error(*answer);
	if ((found || error) && (!found || !error || !streq(found->name, error)))
		fail_msg("the answer is %s, not %s", found ? found->name : "a success",
			 error ? error : "a success");
	*answer = sd_bus_message_unref(*answer);
}

/* --- access --- */

/* Every method, how it is called, and whether everybody may. What a call does shows in a file,
 * where it changes anything. */
static const struct Method {
	const char *interface, *member, *action;
	const char *option; /* of an a{sv} argument: its only key, a boolean; "" for none */
} methods[] = {
	{BUS_MANAGER_INTERFACE, "GetDevice", NULL, NULL},
	{BUS_MANAGER_INTERFACE, "ListDevices", NULL, NULL},
	{BUS_MANAGER_INTERFACE, "Reload", POLKIT_RELOAD, NULL},
	{BUS_MANAGER_INTERFACE, "Freeze", POLKIT_FREEZE, NULL},
	{BUS_MANAGER_INTERFACE, "Seal", POLKIT_SEAL, NULL},
	{BUS_DEVICE_INTERFACE, "Authorize", POLKIT_AUTHORIZE, ""},
	{BUS_DEVICE_INTERFACE, "Deny", POLKIT_DENY, ""},
	{BUS_DEVICE_INTERFACE, "Deny", POLKIT_DENY, "remove"},
	{BUS_DEVICE_INTERFACE, "Explain", NULL, NULL},
	{BUS_DEVICE_INTERFACE, "GetPersonal", POLKIT_READ_PERSONAL, NULL},
};

static const char *path_for(const struct Method *method, const char *object)
{
	return streq(method->interface, BUS_MANAGER_INTERFACE) ? BUS_PATH : object;
}

static void expect_refused(sd_bus *bus, const struct Method *method, const char *object,
			   const char *error)
{
	const char *path = path_for(method, object);

	if (!method->option)
		bus_call_fails(bus, error, path, method->interface, method->member, NULL);
	else if (!*method->option)
		bus_call_fails(bus, error, path, method->interface, method->member, "a{sv}", 0);
	else
		bus_call_fails(bus, error, path, method->interface, method->member, "a{sv}", 1,
			       method->option, "b", 1);
}

/* Nothing of what the methods do was done. */
static void expect_untouched(struct Machine *machine, sd_bus *bus)
{
	expect_attr(machine->bed, machine->nic, "authorized", "1");
	expect_attr(machine->bed, machine->disk, "authorized", "0");
	expect_attr(machine->bed, machine->nic, "remove", "");
	expect_manager(bus, "Frozen", "no");
	expect_manager(bus, "Sealed", "no");
	expect_manager(bus, "PolicyGeneration", "1");
}

static void start_bus(struct Machine *machine, pid_t *ret)
{
	*ret = start_system_bus(machine->bed);
	wait_for_name(BUS_NAME);
}

static void end_bus(struct Machine *machine, pid_t bus)
{
	end(machine);
	(void)testbed_stop(bus, SIGTERM);
}

static void expect_all_refused(struct Machine *machine, const char *error)
{
	_cleanup_bus_ sd_bus *bus = connect_as_nobody();
	const char *const names[] = {NIC, DISK};

	for (size_t n = 0; n < ELEMENTSOF(names); n++) {
		_cleanup_free_ char *object = bus_object(bus, names[n]);

		for (size_t i = 0; i < ELEMENTSOF(methods); i++)
			if (methods[i].action)
				expect_refused(bus, &methods[i], object, error);
	}
	expect_untouched(machine, bus);
}

/* usbguard#273, usbguard#531 (CVE-2019-25058): its bridge asked nobody. */
static void test_unprivileged_callers_can_use_no_method_that_changes_things(void **state)
{
	static const char *const answers[] = {"no", "error"};
	struct Machine machine = start(state);
	pid_t bus;

	start_bus(&machine, &bus);
	expect_all_refused(&machine, SD_BUS_ERROR_ACCESS_DENIED); /* there is no polkit */
	for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
		pid_t polkit = start_polkit(machine.bed, answers[i]);

		expect_all_refused(&machine, SD_BUS_ERROR_ACCESS_DENIED);
		(void)testbed_stop(polkit, SIGTERM);
	}
	end_bus(&machine, bus);
}

static void test_everybody_may_look(void **state)
{
	struct Machine machine = start(state);
	_cleanup_free_ char *object = NULL;
	sd_bus *bus;
	pid_t pid;

	start_bus(&machine, &pid);
	bus = connect_as_nobody();
	object = bus_object(bus, NIC);
	expect_device(bus, object, "Authorized", "yes");
	expect_manager(bus, "PolicyRules", "1");
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "ListDevices", NULL);
	bus_do(bus, object, BUS_DEVICE_INTERFACE, "Explain", NULL);
	bus_do(bus, object, "org.freedesktop.DBus.Introspectable", "Introspect", NULL);
	bus_do(bus, BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL);
	bus_call_fails(bus, SD_BUS_ERROR_PROPERTY_READ_ONLY, object, PROPERTIES_INTERFACE, "Set",
		       "ssv", BUS_DEVICE_INTERFACE, "Authorized", "s", "no");
	(void)sd_bus_flush_close_unref(bus);
	end_bus(&machine, pid);
}

static void test_who_could_authenticate_is_told_so(void **state)
{
	struct Machine machine = start(state);
	_cleanup_message_ sd_bus_message *call = NULL;
	_cleanup_free_ char *asked = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t bus, polkit;
	sd_bus *client;

	start_bus(&machine, &bus);
	polkit = start_polkit(machine.bed, "challenge");
	expect_all_refused(&machine, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
	client = connect_as_nobody();
	assert_true(sd_bus_message_new_method_call(client, &call, BUS_NAME, BUS_PATH,
						   BUS_MANAGER_INTERFACE, "Freeze") >= 0);
	assert_true(sd_bus_message_set_allow_interactive_authorization(call, true) >= 0);
	assert_true(sd_bus_call(client, call, 0, &error, NULL) < 0);
	assert_string_equal(error.name, SD_BUS_ERROR_ACCESS_DENIED);
	sd_bus_error_free(&error);
	asked = polkit_was_asked(machine.bed);
	assert_non_null(strstr(asked, POLKIT_FREEZE " "));
	assert_non_null(strstr(asked, POLKIT_FREEZE "! "));
	(void)sd_bus_flush_close_unref(client);
	(void)testbed_stop(polkit, SIGTERM);
	end_bus(&machine, bus);
}

static void test_whom_polkit_lets_may(void **state)
{
	struct Machine machine = start(state);
	_cleanup_free_ char *nic = NULL, *asked = NULL;
	pid_t bus, polkit;
	sd_bus *client;

	start_bus(&machine, &bus);
	polkit = start_polkit(machine.bed, "only " POLKIT_DENY);
	client = connect_as_nobody();
	nic = bus_object(client, NIC);
	bus_do(client, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 0);
	expect_attr(machine.bed, machine.nic, "authorized", "0");
	bus_call_fails(client, SD_BUS_ERROR_ACCESS_DENIED, nic, BUS_DEVICE_INTERFACE, "Authorize",
		       "a{sv}", 0);
	/* for good is asked for beside */
	bus_call_fails(client, SD_BUS_ERROR_ACCESS_DENIED, nic, BUS_DEVICE_INTERFACE, "Deny",
		       "a{sv}", 1, "permanent", "b", 1);
	asked = polkit_was_asked(machine.bed);
	assert_string_equal(asked, POLKIT_DENY " " POLKIT_AUTHORIZE " " POLKIT_DENY
					       " " POLKIT_PERMANENT " ");
	(void)sd_bus_flush_close_unref(client);
	(void)testbed_stop(polkit, SIGTERM);
	end_bus(&machine, bus);
}

static void test_root_needs_no_polkit(void **state)
{
	struct Machine machine = start(state);
	_cleanup_free_ char *nic = NULL;
	sd_bus *bus;
	pid_t pid;

	start_bus(&machine, &pid);
	bus = connect_system();
	nic = bus_object(bus, NIC);
	bus_do(bus, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 0);
	expect_attr(machine.bed, machine.nic, "authorized", "0");
	(void)sd_bus_flush_close_unref(bus);
	end_bus(&machine, pid);
}

static void wait_until_asked(struct Testbed *bed, const char *action)
{
	for (int i = 0; i < 1000; i++) {
		_cleanup_free_ char *asked = polkit_was_asked(bed);

		if (strstr(asked, action))
			return;
		(void)usleep(10000);
	}
	fail_msg("polkit was not asked for %s", action);
}

static void test_a_device_that_was_swapped_while_polkit_thought_is_left_alone(void **state)
{
	struct Machine machine = start(state);
	_cleanup_free_ char *disk = NULL, *other = NULL;
	sd_bus_message *answer = NULL;
	pid_t bus, polkit;
	sd_bus *client;

	start_bus(&machine, &bus);
	polkit = start_polkit(machine.bed, "later");
	client = connect_as_nobody();
	disk = bus_object(client, DISK);
	assert_true(sd_bus_call_method_async(client, NULL, BUS_NAME, disk, BUS_DEVICE_INTERFACE,
					     "Authorize", keep_answer, &answer, "a{sv}", 0) >= 0);
	assert_true(sd_bus_flush(client) >= 0);
	wait_until_asked(machine.bed, POLKIT_AUTHORIZE);
	testbed_displace(machine.bed, machine.disk);
	other = testbed_add_pci(machine.bed, "0000:00:02.0", 0x1b36, 0x0010);
	let_polkit_answer(machine.bed);
	expect_answer(client, &answer, BUS_ERROR("NoSuchDevice"));
	expect_attr(machine.bed, other, "authorized", "0");
	(void)sd_bus_flush_close_unref(client);
	(void)testbed_stop(polkit, SIGTERM);
	end_bus(&machine, bus);
}

static void test_a_freeze_while_polkit_thought_counts(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *peer = connect_peer(machine.bed);
	_cleanup_free_ char *disk = NULL;
	sd_bus_message *answer = NULL;
	pid_t bus, polkit;
	sd_bus *client;

	start_bus(&machine, &bus);
	polkit = start_polkit(machine.bed, "later");
	client = connect_as_nobody();
	disk = bus_object(client, DISK);
	assert_true(sd_bus_call_method_async(client, NULL, BUS_NAME, disk, BUS_DEVICE_INTERFACE,
					     "Authorize", keep_answer, &answer, "a{sv}", 0) >= 0);
	assert_true(sd_bus_flush(client) >= 0);
	wait_until_asked(machine.bed, POLKIT_AUTHORIZE);
	bus_do(peer, BUS_PATH, BUS_MANAGER_INTERFACE, "Freeze", NULL);
	let_polkit_answer(machine.bed);
	expect_answer(client, &answer, BUS_ERROR("Frozen"));
	expect_attr(machine.bed, machine.disk, "authorized", "0");
	(void)sd_bus_flush_close_unref(client);
	(void)testbed_stop(polkit, SIGTERM);
	end_bus(&machine, bus);
}

/* --- limits --- */

/* Answers, and those of them that were errors because of a limit. */
struct Tally {
	unsigned answers, limited;
};

static int count_answer(sd_bus_message *answer, void *userdata, sd_bus_error *error)
{
	struct Tally *tally = userdata;

	(void)error;
	tally->answers++;
	tally->limited += sd_bus_message_is_method_error(answer, SD_BUS_ERROR_LIMITS_EXCEEDED) > 0;
	return 0;
}

static void ask_to_freeze(sd_bus *bus, struct Tally *tally)
{
	assert_true(sd_bus_call_method_async(bus, NULL, BUS_NAME, BUS_PATH, BUS_MANAGER_INTERFACE,
					     "Freeze", count_answer, tally, NULL) >= 0);
}

static void test_only_so_many_calls_wait_for_polkit(void **state)
{
	struct Machine machine = start(state);
	sd_bus *clients[5], *root;
	struct Tally tally[5] = {0};
	_cleanup_free_ char *mouse = NULL;
	pid_t bus, polkit;

	start_bus(&machine, &bus);
	polkit = start_polkit(machine.bed, "never");
	for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
		clients[i] = connect_as_nobody();
		for (unsigned n = 0; n < 9; n++) /* one more than one may have, */
			ask_to_freeze(clients[i], &tally[i]);
		while (tally[i].limited < (i < 4 ? 1 : 9)) /* and no more than its user */
			process(clients[i]);
		assert_int_equal(tally[i].answers, tally[i].limited);
	}
	/* who keeps polkit waiting keeps nobody else from being heard */
	root = connect_system();
	mouse = bus_object(root, MOUSE);
	bus_do(root, mouse, BUS_DEVICE_INTERFACE, "GetPersonal", NULL);
	(void)sd_bus_flush_close_unref(root);
	/* none stays for ever */
	(void)testbed_stop(polkit, SIGKILL);
	for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
		while (tally[i].answers < 9)
			process(clients[i]);
		assert_int_equal(tally[i].limited, i < 4 ? 1 : 9);
	}
	ask_to_freeze(clients[4], &tally[4]);
	while (tally[4].answers < 10)
		process(clients[4]);
	assert_int_equal(tally[4].limited, 9);
	expect_untouched(&machine, clients[4]);
	for (size_t i = 0; i < ELEMENTSOF(clients); i++)
		(void)sd_bus_flush_close_unref(clients[i]);
	end_bus(&machine, bus);
}

static unsigned count_fds(pid_t pid)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	unsigned n = 0;

	assert_true(asprintf(&path, "/proc/%d/fd", (int)pid) > 0);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

/* Connections end after the other end is gone. There may be fewer than before: one that was on its
 * way out was counted. */
static void wait_for_fds(pid_t pid, unsigned n)
{
	for (int i = 0; i < 1000 && count_fds(pid) > n; i++)
		(void)usleep(10000);
	assert_true(count_fds(pid) <= n);
}

static unsigned long resident_kib(pid_t pid)
{
	_cleanup_free_ char *path = NULL, *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long kib = 0;
	size_t size = 0;

	assert_true(asprintf(&path, "/proc/%d/status", (int)pid) > 0);
	f = fopen(path, "re");
	assert_non_null(f);
	while (!kib && getline(&line, &size, f) > 0)
		if (startswith(line, "VmRSS:"))
			kib = strtoul(line + strlen("VmRSS:"), NULL, 10);
	assert_true(kib > 0);
	return kib;
}

/* A sanitizer keeps what is freed. */
static void expect_no_growth(pid_t pid, unsigned long before)
{
	unsigned long now = resident_kib(pid);

	print_message("# resident: %lu KiB before, %lu KiB now\n", before, now);
#ifndef __SANITIZE_ADDRESS__
	assert_true(now <= before + before / 10);
#endif
}

#define CLIENTS 1000

/* All at once; returns how many are served. Each asks for what it may not get on the system bus,
 * and for everything that may be seen. */
static unsigned crowd(sd_bus *clients[static CLIENTS])
{
	unsigned served = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		sd_bus_error error = SD_BUS_ERROR_NULL;

		if (!clients[i]) /* turned away at once */
			continue;
		served += sd_bus_call_method(clients[i], BUS_NAME, BUS_PATH, BUS_MANAGER_INTERFACE,
					     "ListDevices", &error, NULL, NULL) >= 0;
		sd_bus_error_free(&error);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		(void)sd_bus_close_unref(clients[i]);
	return served;
}

static unsigned crowd_of_peers(struct Testbed *bed)
{
	sd_bus *clients[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = connect_peer(bed);
	return crowd(clients);
}

static unsigned crowd_on_bus(void)
{
	sd_bus *clients[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = connect_as_nobody();
		assert_true(sd_bus_call_method_async(clients[i], NULL, BUS_NAME, BUS_PATH,
						     BUS_MANAGER_INTERFACE, "Seal", NULL, NULL,
						     NULL) >= 0);
	}
	return crowd(clients);
}

/* The second thousand costs nothing that the first did not. */
static void test_a_thousand_clients_leave_nothing_behind(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = NULL;
	unsigned long resident = 0;
	unsigned before;
	pid_t pid;

	start_bus(&machine, &pid);
	before = count_fds(machine.pid);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(crowd_of_peers(machine.bed), 32);
		wait_for_fds(machine.pid, before);
		assert_int_equal(crowd_on_bus(), CLIENTS);
		wait_for_fds(machine.pid, before);
		if (i == 0)
			resident = resident_kib(machine.pid);
	}
	expect_no_growth(machine.pid, resident);
	bus = connect_peer(machine.bed);
	expect_untouched(&machine, bus);
	end_bus(&machine, pid);
}

#define CALLS 20000 /* more than the socket and the daemon's queue hold answers */

static void test_who_does_not_read_is_dropped(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *reader = connect_peer(machine.bed);
	sd_bus *sleeper = connect_peer(machine.bed);
	struct Tally tally = {0};
	unsigned before;
	int r = 0;

	expect_manager(sleeper, "Frozen", "no");
	expect_manager(reader, "Frozen", "no");
	before = count_fds(machine.pid);
	for (unsigned i = 0; i < CALLS && r >= 0; i++) {
		r = sd_bus_call_method_async(sleeper, NULL, BUS_NAME, BUS_PATH,
					     PROPERTIES_INTERFACE, "Get", count_answer, &tally,
					     "ss", BUS_MANAGER_INTERFACE, "Version");
		if (r >= 0)
			r = sd_bus_flush(sleeper);
	}
	testbed_wait_log(machine.bed, "its other end does not read");
	wait_for_fds(machine.pid, before - 1);
	expect_manager(reader, "Frozen", "no");
	(void)sd_bus_close_unref(sleeper);
	end(&machine);
}

static int connect_raw(struct Testbed *bed)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/" BUS_SOCKET,
		       bed->runtime_dir);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* Neither who says nothing nor who says something else. */
static void test_who_does_not_authenticate_is_dropped(void **state)
{
	struct Machine machine = start(state);
	unsigned before = count_fds(machine.pid);
	int silent = connect_raw(machine.bed), rude = connect_raw(machine.bed);
	char garbage[65536];

	memset(garbage, 'A', sizeof(garbage));
	(void)send(rude, garbage, sizeof(garbage), MSG_NOSIGNAL);
	for (int i = 0; i < 6000 && count_fds(machine.pid) != before; i++)
		(void)usleep(10000);
	assert_int_equal(count_fds(machine.pid), before);
	(void)close(silent);
	(void)close(rude);
	end(&machine);
}

static void test_the_socket_is_for_root_alone(void **state)
{
	struct Machine machine = start(state);
	_cleanup_free_ char *path = NULL;
	unsigned before;
	struct stat st;
	char byte;
	int fd;

	assert_true(asprintf(&path, "%s/" BUS_SOCKET, machine.bed->runtime_dir) > 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(chmod(machine.bed->runtime_dir, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(connect_raw(machine.bed), -1);
	assert_int_equal(seteuid(0), 0);
	/* and were it for all, it is the kernel who says whom it is */
	assert_int_equal(chmod(path, 0666), 0);
	before = count_fds(machine.pid);
	assert_int_equal(seteuid(65534), 0);
	fd = connect_raw(machine.bed);
	assert_int_equal(seteuid(0), 0);
	assert_true(fd >= 0);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	(void)close(fd);
	wait_for_fds(machine.pid, before);
	end(&machine);
}

/* --- bad input --- */

#define LONG ((size_t)1024 * 1024)

static char *long_text(void)
{
	char *text = malloc(LONG + 1);

	assert_non_null(text);
	memset(text, 'x', LONG);
	text[LONG] = '\0';
	return text;
}

static void test_what_is_no_call_is_an_error(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *text = long_text();

	for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
		const struct Method *m = &methods[i];
		const char *path = path_for(m, nic);

		bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, path, m->interface, m->member, "uu",
			       1, 2);
		bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, path, m->interface, m->member, "ss",
			       text, text);
		if (!m->option)
			continue;
		bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, path, m->interface, m->member,
			       "a{sv}", 1, "colour", "s", "red");
		bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, path, m->interface, m->member,
			       "a{sv}", 1, text, "s", text);
		bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, path, m->interface, m->member,
			       "a{sv}", 1, "permanent", "s", "yes");
		bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, path, m->interface, m->member,
			       "a{sv}", 2, "permanent", "b", 0, "permanent", "b", 0);
	}
	bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, nic, BUS_DEVICE_INTERFACE, "Authorize",
		       "a{sv}", 1, "driver", "s", text);
	bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, nic, BUS_DEVICE_INTERFACE, "Authorize",
		       "a{sv}", 1, "driver", "s", "new\nline");
	bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, nic, BUS_DEVICE_INTERFACE, "Authorize",
		       "a{sv}", 1, "remove", "b", 1);
	bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}",
		       1, "driver", "s", "e1000e");
	bus_call_fails(bus, SD_BUS_ERROR_UNKNOWN_METHOD, nic, BUS_DEVICE_INTERFACE, "Format", NULL);
	expect_untouched(&machine, bus);
	end(&machine);
}

static void test_names_that_name_no_device_are_errors(void **state)
{
	static const char *const names[] = {
		"",
		"/",
		"pci:",
		":",
		"pci:0000:00:09.0",
		"usb:0000:00:01.0",
		"/sys",
		"/etc/passwd",
		"/sys/devices/../devices/0000:00:01.0",
		"/proc/self/root",
		"\\x",
		"..",
	};
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *text = long_text(), *same = NULL, *link = NULL, *nic = NULL;

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		bus_call_fails(bus, BUS_ERROR("NoSuchDevice"), BUS_PATH, BUS_MANAGER_INTERFACE,
			       "GetDevice", "s", names[i]);
	bus_call_fails(bus, BUS_ERROR("NoSuchDevice"), BUS_PATH, BUS_MANAGER_INTERFACE, "GetDevice",
		       "s", text);
	*text = '/';
	bus_call_fails(bus, BUS_ERROR("NoSuchDevice"), BUS_PATH, BUS_MANAGER_INTERFACE, "GetDevice",
		       "s", text);
	nic = bus_object(bus, NIC);
	link = bus_object(bus, "/sys/bus/pci/devices/0000:00:01.0");
	assert_string_equal(nic, link);
	same = umockdev_testbed_add_device(machine.bed->umockdev, "platform", "1-1", machine.nic,
					   NULL, NULL);
	testbed_uevent(machine.bed, same, "add");
	wait_for_device(bus, "platform:1-1");
	bus_call_fails(bus, SD_BUS_ERROR_INVALID_ARGS, BUS_PATH, BUS_MANAGER_INTERFACE, "GetDevice",
		       "s", "1-1");
	end(&machine);
}

static void test_paths_of_objects_are_taken_as_they_are_given_out(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC);
	const char *number = nic + strlen(BUS_DEVICES_PATH "/");
	static const char *const before[] = {"0", "00", "18446744073709551616", "x", "_"};

	for (size_t i = 0; i < ELEMENTSOF(before); i++) {
		_cleanup_free_ char *path = NULL;

		assert_true(asprintf(&path, BUS_DEVICES_PATH "/%s%s", before[i], number) > 0);
		bus_call_fails(bus, SD_BUS_ERROR_UNKNOWN_OBJECT, path, BUS_DEVICE_INTERFACE,
			       "Explain", NULL);
	}
	bus_call_fails(bus, SD_BUS_ERROR_UNKNOWN_METHOD, BUS_DEVICES_PATH, BUS_DEVICE_INTERFACE,
		       "Explain", NULL);
	end(&machine);
}

/* What the host says of a device is shown, and does nothing. */
static void test_words_of_a_hostile_device_are_escaped(void **state)
{
	static const char hostile[] = "pci:\x1b[31m\xe2\x80\xae\xff\xfe<&\"'\tend";
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3),
			    *object = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	pid_t pid;

	umockdev_testbed_set_attribute(bed->umockdev, nic, "modalias", hostile);
	umockdev_testbed_set_attribute(bed->umockdev, nic, "authorized_driver", hostile);
	pid = testbed_start(bed, authd_main);
	bus = connect_peer(bed);
	object = bus_object(bus, NIC);
	expect_device(bus, object, "Modalias", "pci:\\x1b[31m\\u{202e}\\xff\\xfe<&\"'\\tend");
	expect_device(bus, object, "AuthorizedDriver",
		      "pci:\\x1b[31m\\u{202e}\\xff\\xfe<&\"'\\tend");
	bus_do(bus, BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL);
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "ListDevices", NULL);
	stop(pid);
}

/* --- gone, frozen, sealed --- */

static void test_the_object_of_a_device_that_is_gone_says_so(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *disk = bus_object(bus, DISK), *again = NULL;

	testbed_displace(machine.bed, machine.disk);
	free(machine.disk);
	machine.disk = testbed_add_pci(machine.bed, "0000:00:02.0", 0x1b36, 0x0010);
	for (int is_known = 0; is_known < 2; is_known++) {
		for (size_t i = 0; i < ELEMENTSOF(methods); i++)
			if (streq(methods[i].interface, BUS_DEVICE_INTERFACE))
				expect_refused(bus, &methods[i], disk, BUS_ERROR("NoSuchDevice"));
		bus_call_fails(bus, BUS_ERROR("NoSuchDevice"), disk, PROPERTIES_INTERFACE, "Get",
			       "ss", BUS_DEVICE_INTERFACE, "Name");
		testbed_uevent(machine.bed, machine.disk, "add");
		free(again);
		again = wait_for_another(bus, DISK, disk);
	}
	assert_string_not_equal(disk, again);
	expect_attr(machine.bed, machine.disk, "authorized", "0");
	end(&machine);
}

static void test_after_the_freeze_nobody_authorizes_or_reloads(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *disk = bus_object(bus, DISK);

	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Freeze", NULL);
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Freeze", NULL);
	expect_manager(bus, "Frozen", "yes");
	expect_manager(bus, "Sealed", "no");
	bus_call_fails(bus, BUS_ERROR("Frozen"), disk, BUS_DEVICE_INTERFACE, "Authorize", "a{sv}",
		       0);
	bus_call_fails(bus, BUS_ERROR("Frozen"), BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", NULL);
	bus_do(bus, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 0);
	expect_attr(machine.bed, machine.nic, "authorized", "0");
	expect_attr(machine.bed, machine.disk, "authorized", "0");
	/* it outlives the daemon */
	stop(machine.pid);
	machine.pid = testbed_start(machine.bed, authd_main);
	(void)sd_bus_flush_close_unref(bus);
	bus = connect_peer(machine.bed);
	expect_manager(bus, "Frozen", "yes");
	end(&machine);
}

static void test_after_the_seal_nobody_authorizes(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC);

	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Seal", NULL);
	expect_manager(bus, "Frozen", "yes");
	expect_manager(bus, "Sealed", "yes");
	bus_call_fails(bus, BUS_ERROR("Sealed"), nic, BUS_DEVICE_INTERFACE, "Authorize", "a{sv}",
		       0);
	bus_call_fails(bus, BUS_ERROR("Frozen"), BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", NULL);
	bus_do(bus, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 0);
	bus_call_fails(bus, BUS_ERROR("Sealed"), nic, BUS_DEVICE_INTERFACE, "Authorize", "a{sv}",
		       0);
	expect_attr(machine.bed, machine.nic, "authorized", "0");
	end(&machine);
}

static void test_a_seal_closes_the_kernels_lock(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_bus_ sd_bus *bus = NULL;
	pid_t pid;

	testbed_add_file(bed, SYSFS_AUTHORIZATION "/lock", "0\n");
	testbed_mode(bed, "enforce");
	pid = testbed_start(bed, authd_main);
	bus = connect_peer(bed);
	expect_manager(bus, "KernelMode", "enforce");
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Seal", NULL);
	expect_attr(bed, SYSFS_AUTHORIZATION, "lock", "1");
	testbed_make_unreadable(bed, SYSFS_AUTHORIZATION, "lock");
	bus_call_fails(bus, BUS_ERROR("KernelNotLocked"), BUS_PATH, BUS_MANAGER_INTERFACE, "Seal",
		       NULL);
	stop(pid);
}

static void test_what_cannot_be_done_to_a_device_is_told(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *hub = testbed_add_usb(bed, "usb1", "Hub\n"), *hub_object = NULL,
			    *bare_object = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	pid_t pid;

	free(umockdev_testbed_add_device(bed->umockdev, "platform", "bare", NULL, NULL, NULL));
	pid = testbed_start(bed, authd_main);
	bus = connect_peer(bed);
	hub_object = bus_object(bus, "usb:usb1");
	bare_object = bus_object(bus, "platform:bare");
	bus_call_fails(bus, BUS_ERROR("Exempt"), hub_object, BUS_DEVICE_INTERFACE, "Deny", "a{sv}",
		       0);
	bus_call_fails(bus, BUS_ERROR("NotSupported"), bare_object, BUS_DEVICE_INTERFACE, "Deny",
		       "a{sv}", 0);
	bus_call_fails(bus, BUS_ERROR("NotSupported"), bare_object, BUS_DEVICE_INTERFACE, "Deny",
		       "a{sv}", 1, "remove", "b", 1);
	expect_device(bus, bare_object, "Authorized", "-");
	expect_attr(bed, hub, "authorized", "1");
	stop(pid);
}

static void test_a_configuration_that_is_refused_is_told(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_bus_ sd_bus *bus = NULL;
	pid_t pid;

	testbed_config(bed, "version: 2\n");
	pid = testbed_start(bed, authd_main);
	bus = connect_peer(bed);
	expect_manager(bus, "Configuration", "configuration REFUSED, the defaults are in force");
	expect_manager(bus, "Impairment", "");
	assert_int_equal(testbed_stop(pid, SIGTERM), EXIT_FAILURE);
}

static void test_a_reload_says_whether_the_policy_was_taken(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);

	testbed_policy(machine.bed, "version: 1\nrules: [ { action: maybe } ]\n");
	bus_call_fails(bus, BUS_ERROR("PolicyRefused"), BUS_PATH, BUS_MANAGER_INTERFACE, "Reload",
		       NULL);
	expect_manager(bus, "PolicyState", "refused-former");
	expect_manager(bus, "PolicyGeneration", "1");
	/* others may write it: not to be taken for the freeze */
	testbed_policy(machine.bed, "version: 1\n");
	assert_int_equal(chmod(machine.bed->policy, 0666), 0);
	bus_call_fails(bus, BUS_ERROR("PolicyRefused"), BUS_PATH, BUS_MANAGER_INTERFACE, "Reload",
		       NULL);
	assert_int_equal(chmod(machine.bed->policy, 0644), 0);
	testbed_policy(machine.bed, "version: 1\ndefaults: { pci: allow }\n");
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", NULL);
	expect_manager(bus, "PolicyState", "ok");
	expect_manager(bus, "PolicyGeneration", "2");
	testbed_wait_attr(machine.bed, machine.disk, "authorized", "1");
	end(&machine);
}

/* --- signals --- */

/* What was heard, a line for each signal: its member and what it says first. */
struct Heard {
	char text[65536];
	size_t n;
};

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct Heard *heard = userdata;
	const char *member = sd_bus_message_get_member(message), *word;
	char type;
	int n;

	(void)error;
	n = snprintf(heard->text + heard->n, sizeof(heard->text) - heard->n, "%s", member);
	heard->n += (size_t)n;
	/* strings and paths, as long as there are some */
	while (sd_bus_message_peek_type(message, &type, NULL) > 0 && (type == 's' || type == 'o') &&
	       sd_bus_message_read_basic(message, type, &word) > 0) {
		n = snprintf(heard->text + heard->n, sizeof(heard->text) - heard->n, "|%s", word);
		heard->n += (size_t)n;
	}
	heard->text[heard->n++] = '\n';
	heard->text[heard->n] = '\0';
	return 0;
}

static void listen_to(sd_bus *bus, struct Heard *heard)
{
	assert_true(sd_bus_match_signal(bus, NULL, BUS_NAME, NULL, NULL, NULL, on_signal, heard) >=
		    0);
}

static void wait_heard(sd_bus *bus, const struct Heard *heard, const char *text)
{
	for (int i = 0; !strstr(heard->text, text) && i < 100; i++) {
		int r = sd_bus_process(bus, NULL);

		if (r == 0)
			r = sd_bus_wait(bus, 100000);
		assert_true(r >= 0);
	}
	if (!strstr(heard->text, text))
		fail_msg("\"%s\" was not heard, but:\n%s", text, heard->text);
}

static void expect_signals(struct Machine *machine, sd_bus *bus)
{
	static struct Heard heard;
	_cleanup_free_ char *nic = NULL, *line = NULL, *gone = NULL;

	heard = (struct Heard){0};
	listen_to(bus, &heard);
	nic = bus_object(bus, NIC);
	bus_do(bus, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 0);
	wait_heard(bus, &heard, "PropertiesChanged|" BUS_DEVICE_INTERFACE "\n");
	assert_true(asprintf(&line,
			     "Decided|%s|" NIC "|refused|deny||by hand|" NIC " refused (by hand)\n",
			     nic) > 0);
	wait_heard(bus, &heard, line);
	testbed_unplug(machine->bed, machine->pid, machine->disk);
	free(machine->disk);
	machine->disk = NULL;
	wait_heard(bus, &heard, "InterfacesRemoved|");
	assert_true(asprintf(&gone, "DeviceRemoved|%s", BUS_DEVICES_PATH "/") > 0);
	wait_heard(bus, &heard, gone);
	machine->disk = testbed_add_pci(machine->bed, "0000:00:02.0", 0x8086, 0x10d3);
	testbed_uevent(machine->bed, machine->disk, "add");
	wait_heard(bus, &heard, "InterfacesAdded|" BUS_DEVICES_PATH);
	wait_heard(bus, &heard, "DeviceAdded|" BUS_DEVICES_PATH);
	wait_heard(bus, &heard, "|" DISK "|authorized|allow|e1000e|");
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Freeze", NULL);
	wait_heard(bus, &heard, "PropertiesChanged|" BUS_MANAGER_INTERFACE "\n");
}

static void test_what_happens_is_told_to_peers(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);

	expect_signals(&machine, bus);
	end(&machine);
}

static void test_what_happens_is_told_on_the_system_bus(void **state)
{
	struct Machine machine = start(state);
	sd_bus *bus;
	pid_t pid;

	start_bus(&machine, &pid);
	bus = connect_system();
	expect_signals(&machine, bus);
	(void)sd_bus_flush_close_unref(bus);
	end_bus(&machine, pid);
}

/* --- connections --- */

/* usbguard#693: it crashed without the bus. The daemon is up before any bus is. */
static void test_the_bus_may_come_go_and_come_back(void **state)
{
	struct Machine machine = start(state);
	unsigned before;

	testbed_expect_not_logged(machine.bed, "bus");
	before = count_fds(machine.pid);
	for (int i = 0; i < 2; i++) {
		pid_t bus = start_system_bus(machine.bed);
		sd_bus *client;

		wait_for_name(BUS_NAME);
		client = connect_system();
		expect_manager(client, "PolicyState", "ok");
		(void)sd_bus_flush_close_unref(client);
		(void)testbed_stop(bus, i == 0 ? SIGKILL : SIGTERM);
	}
	/* it waits for the next one */
	wait_for_fds(machine.pid, before);
	testbed_unplug(machine.bed, machine.pid, machine.nic);
	free(machine.nic);
	machine.nic = testbed_add_pci(machine.bed, "0000:00:01.0", 0x8086, 0x10d3);
	testbed_uevent(machine.bed, machine.nic, "add");
	testbed_wait_attr(machine.bed, machine.nic, "authorized", "1");
	end(&machine);
}

static void test_the_socket_of_a_killed_daemon_is_replaced_and_that_of_another_is_not(void **state)
{
	struct Machine machine = start(state);
	sd_bus *bus;
	pid_t second;

	assert_int_equal(testbed_stop(machine.pid, SIGKILL), -SIGKILL);
	assert_null(connect_peer(machine.bed));
	machine.pid = testbed_start(machine.bed, authd_main);
	second = testbed_start(machine.bed, authd_main);
	testbed_wait_log(machine.bed, "bus: another tdx-authd does");
	stop(second);
	bus = connect_peer(machine.bed);
	expect_manager(bus, "PolicyState", "ok");
	(void)sd_bus_flush_close_unref(bus);
	end(&machine);
}

/* As another daemon does at its start, and whoever only wants to know. */
static void test_who_looks_whether_somebody_listens_leaves_no_record(void **state)
{
	struct Machine machine = start(state);
	sd_bus *bus;

	for (int i = 0; i < 8; i++) {
		int fd = connect_raw(machine.bed);

		assert_true(fd >= 0);
		if (i % 2) /* and what begins as a client does */
			assert_int_equal(write(fd, "\0AUTH", 5), 5);
		(void)close(fd);
	}
	bus = connect_peer(machine.bed);
	expect_manager(bus, "PolicyState", "ok");
	(void)sd_bus_flush_close_unref(bus);
	testbed_expect_not_logged(machine.bed, "connection");
	end(&machine);
}

/* --- introspection --- */

static char *introspect(sd_bus *bus, const char *path)
{
	_cleanup_message_ sd_bus_message *answer =
		bus_call(bus, path, "org.freedesktop.DBus.Introspectable", "Introspect", NULL);
	const char *xml;

	assert_true(sd_bus_message_read(answer, "s", &xml) >= 0);
	return strdup(xml);
}

/* Calls @visit with the name of each element of a kind within one of our interfaces. */
static void for_each_name(const char *xml, const char *element,
			  void (*visit)(const char *interface, const char *name))
{
	_cleanup_free_ char *copy = strdup(xml);
	const char *interface = NULL;

	for (char *rest = NULL, *line = strtok_r(copy, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *start = strchr(line, '<'), *name = start ? strstr(start, "name=\"") : NULL;

		if (!name || strstr(start, "<arg"))
			continue;
		name += strlen("name=\"");
		*strchr(name, '"') = '\0';
		if (startswith(start, "<interface"))
			interface = streq(name, BUS_MANAGER_INTERFACE)	? BUS_MANAGER_INTERFACE
				    : streq(name, BUS_DEVICE_INTERFACE) ? BUS_DEVICE_INTERFACE
									: NULL;
		else if (interface && startswith(start + 1, element))
			visit(interface, name);
	}
}

static unsigned n_seen;

static void expect_method_known(const char *interface, const char *name)
{
	n_seen++;
	for (size_t i = 0; i < ELEMENTSOF(methods); i++)
		if (streq(methods[i].interface, interface) && streq(methods[i].member, name))
			return;
	fail_msg("nobody tests who may call %s.%s", interface, name);
}

/* Which has its name as a heading. */
static void expect_in_manual(const char *interface, const char *name)
{
	_cleanup_fclose_ FILE *f = fopen(getenv("TDX_AUTH_BUS_MANUAL"), "re");
	_cleanup_free_ char *word = NULL, *line = NULL;
	size_t size = 0;

	(void)interface;
	assert_non_null(f);
	assert_true(asprintf(&word, "*%s*", name) > 0);
	n_seen++;
	while (getline(&line, &size, f) > 0)
		if (startswith(line, word))
			return;
	fail_msg("the manual says nothing of %s.%s", interface, name);
}

static void test_every_method_is_tested_and_all_there_is_is_in_the_manual(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *of_manager = introspect(bus, BUS_PATH),
			    *of_device = introspect(bus, nic),
			    *of_devices = introspect(bus, BUS_DEVICES_PATH);
	static const char *const elements[] = {"method", "property", "signal"};

	assert_non_null(strstr(of_devices, nic + strlen(BUS_DEVICES_PATH "/")));
	n_seen = 0;
	for_each_name(of_manager, "method", expect_method_known);
	for_each_name(of_device, "method", expect_method_known);
	assert_int_equal(n_seen, 9);
	for (size_t i = 0; i < ELEMENTSOF(elements); i++) {
		for_each_name(of_manager, elements[i], expect_in_manual);
		for_each_name(of_device, elements[i], expect_in_manual);
	}
	assert_int_equal(n_seen, 9 + 9 + 14 + 15 + 3);
	end(&machine);
}

/* --- explain, and what is personal --- */

static void test_explain_says_which_rules_were_tried(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *disk = bus_object(bus, DISK);
	_cleanup_message_ sd_bus_message *of_nic = bus_call(bus, nic, BUS_DEVICE_INTERFACE,
							    "Explain", NULL),
					 *of_disk = bus_call(bus, disk, BUS_DEVICE_INTERFACE,
							     "Explain", NULL);
	const char *verdict, *driver, *why, *source, *key;
	int fits;

	assert_true(sd_bus_message_read(of_nic, "sss", &verdict, &driver, &why) >= 0);
	assert_string_equal(verdict, "allow");
	assert_string_equal(driver, "e1000e");
	assert_non_null(strstr(why, ":nic"));
	assert_true(sd_bus_message_enter_container(of_nic, 'a', "(sbs)") > 0);
	assert_true(sd_bus_message_read(of_nic, "(sbs)", &source, &fits, &key) > 0);
	assert_non_null(strstr(source, ":nic"));
	assert_true(fits);
	assert_string_equal(key, "");
	assert_true(sd_bus_message_read(of_disk, "sss", &verdict, &driver, &why) >= 0);
	assert_true(sd_bus_message_enter_container(of_disk, 'a', "(sbs)") > 0);
	assert_true(sd_bus_message_read(of_disk, "(sbs)", &source, &fits, &key) > 0);
	assert_false(fits);
	assert_string_equal(key, "vendor");
	end(&machine);
}

static void expect_personal(sd_bus *bus, const char *object, const char *key, const char *value)
{
	_cleanup_message_ sd_bus_message *answer =
		bus_call(bus, object, BUS_DEVICE_INTERFACE, "GetPersonal", NULL);
	const char *found_key, *found;

	assert_true(sd_bus_message_enter_container(answer, 'a', "{ss}") >= 0);
	assert_int_equal(sd_bus_message_read(answer, "{ss}", &found_key, &found), key ? 1 : 0);
	if (!key)
		return;
	assert_string_equal(found_key, key);
	assert_string_equal(found, value);
}

/* A serial number makes who reads it wait for a probe: others do not wait with him. */
static void test_a_serial_number_that_keeps_its_reader_waiting_keeps_no_other(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed), *other = connect_peer(machine.bed);
	_cleanup_free_ char *mouse = bus_object(bus, MOUSE), *nic = bus_object(bus, NIC);
	sd_bus_message *answer = NULL;
	int fd;

	expect_personal(bus, nic, NULL, NULL);
	expect_personal(bus, mouse, NULL, NULL);
	umockdev_testbed_set_attribute(machine.bed->umockdev, machine.mouse, "serial", "ab\x1b\n");
	expect_personal(bus, mouse, "serial", "ab\\x1b");
	fd = testbed_make_slow(machine.bed, machine.mouse, "serial");
	assert_true(sd_bus_call_method_async(bus, NULL, BUS_NAME, mouse, BUS_DEVICE_INTERFACE,
					     "GetPersonal", keep_answer, &answer, NULL) >= 0);
	assert_true(sd_bus_flush(bus) >= 0);
	expect_device(other, mouse, "Authorized", "no");
	expect_personal(other, nic, NULL, NULL);
	assert_int_equal(write(fd, "cd\n", 3), 3);
	(void)close(fd);
	expect_answer(bus, &answer, NULL);
	end(&machine);
}

/* --- the last word --- */

/* What the kernel is told waits for a file, as it would for a probe: to authorize for the one, to
 * refuse for the other. */
static void execute_slowly(int dirfd, const struct EnforceRequest *request,
			   struct EnforceReply *ret)
{
	_cleanup_free_ char *go = runtime_path("go"), *begun = runtime_path("begun");

	if (!request->by_hand && access(begun, F_OK) < 0) {
		(void)close(open(begun, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		while (access(go, F_OK) < 0)
			(void)usleep(1000);
	}
	enforce_execute(dirfd, request, ret);
}

static const char *policy_file;

static int load(struct Policy **ret, void *userdata)
{
	(void)userdata;
	return policy_load(policy_file, ret);
}

static void loaded(const struct Policy *policy, void *userdata)
{
	(void)policy;
	(void)userdata;
}

static int slow_daemon(int argc, char **argv)
{
	_cleanup_manager_ struct Manager *manager = NULL;
	struct ManagerOptions options = manager_defaults;
	struct Policy *policy;

	assert_true(argc >= 3);
	log_open("daemon", false);
	policy_file = argv[2];
	options.execute = execute_slowly;
	options.has_files = true;
	options.root = getenv("TEST_ROOT");
	options.load = load;
	options.loaded = loaded;
	return policy_load(policy_file, &policy) < 0 ||
	       manager_new(policy, &options, &manager) < 0 || manager_run(manager) < 0;
}

static void touch(struct Testbed *bed, const char *name)
{
	_cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", bed->runtime_dir, name) > 0);
	(void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

static void wait_file(struct Testbed *bed, const char *name)
{
	_cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", bed->runtime_dir, name) > 0);
	for (int i = 0; i < 1000 && access(path, F_OK) < 0; i++)
		(void)usleep(10000);
	assert_int_equal(access(path, F_OK), 0);
}

static void decide_while_a_worker_is_busy(struct Testbed *bed, const char *syspath,
					  const char *name, const char *member)
{
	bool is_refusal = streq(member, "Deny");
	_cleanup_bus_ sd_bus *bus = connect_peer(bed);
	_cleanup_free_ char *object = NULL;
	sd_bus_message *answer = NULL;

	testbed_uevent(bed, syspath, "add");
	wait_file(bed, "begun");
	if (is_refusal) /* the write is out, and its probe lasts */
		umockdev_testbed_set_attribute(bed->umockdev, syspath, "authorized", "1\n");
	object = bus_object(bus, name);
	assert_true(sd_bus_call_method_async(bus, NULL, BUS_NAME, object, BUS_DEVICE_INTERFACE,
					     member, keep_answer, &answer, "a{sv}", 0) >= 0);
	assert_true(sd_bus_flush(bus) >= 0);
	expect_manager(bus, "Frozen", "no");
	if (is_refusal) /* it waits for nobody */
		testbed_wait_attr(bed, syspath, "authorized", "0");
	touch(bed, "go");
	expect_answer(bus, &answer, NULL);
	expect_attr(bed, syspath, "authorized", is_refusal ? "0" : "1");
	expect_device(bus, object, "ByHand", "yes");
	/* as the kernel would have it */
	if (is_refusal)
		umockdev_testbed_set_attribute(bed->umockdev, syspath, "authorized_by", "user\n");
	testbed_uevent(bed, syspath, "change");
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", NULL);
	expect_attr(bed, syspath, "authorized", is_refusal ? "0" : "1");
}

static void test_a_denial_by_hand_is_the_last_word_over_an_authorization(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { pci: allow }\n");
	pid = testbed_start(bed, slow_daemon);
	nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	decide_while_a_worker_is_busy(bed, nic, NIC, "Deny");
	stop(pid);
}

static void test_an_authorization_by_hand_is_the_last_word_over_a_denial(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *mouse = NULL;
	pid_t pid;

	testbed_policy(bed, "version: 1\ndefaults: { usb: deny }\n");
	pid = testbed_start(bed, slow_daemon);
	mouse = testbed_add_usb(bed, "1-1", "Mouse\n");
	decide_while_a_worker_is_busy(bed, mouse, MOUSE, "Authorize");
	stop(pid);
}

/* On a disk: what is in memory is no place for what is to last. */
static char root[] = "./bus-root-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void expect_permanent(const char *rule, bool is_there)
{
	_cleanup_free_ char *path = NULL, *text = NULL;

	assert_true(asprintf(&path, "%s" POLICY_DIR_OWNER "/" PERMANENT_FILE, root) > 0);
	(void)g_file_get_contents(path, &text, NULL, NULL);
	if (!text || !strstr(text, rule) == is_there)
		fail_msg("\"%s\" is %s:\n%s", rule, is_there ? "missing" : "there", text);
}

/* A host that calls another device as it likes, which is in the way. */
static void expect_safe_problem(struct Testbed *bed, sd_bus *bus, const char *nic)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	free(testbed_add_pci(bed, "\033[2J", 0x8086, 0x10d3));
	assert_true(sd_bus_call_method(bus, BUS_NAME, nic, BUS_DEVICE_INTERFACE, "Authorize",
				       &error, NULL, "a{sv}", 1, "permanent", "b", 1) < 0);
	assert_string_equal(error.name, BUS_ERROR("NotSaved"));
	assert_non_null(strstr(error.message, "pci:\\x1b[2J"));
	sd_bus_error_free(&error);
}

static void test_what_is_permanent_is_written_down_or_said_not_to_be(void **state)
{
	struct Machine machine = start(state);
	_cleanup_bus_ sd_bus *bus = connect_peer(machine.bed);
	_cleanup_free_ char *nic = bus_object(bus, NIC), *mouse = bus_object(bus, MOUSE),
			    *disk = bus_object(bus, DISK);

	/* a daemon whose policy is one file, named on its command line, has no drop-ins */
	bus_call_fails(bus, BUS_ERROR("NotSupported"), nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}",
		       1, "permanent", "b", 1);
	expect_attr(machine.bed, machine.nic, "authorized", "1");
	stop(machine.pid);
	touch(machine.bed, "begun");
	assert_non_null(mkdtemp(root));
	assert_int_equal(setenv("TEST_ROOT", root, 1), 0);
	machine.pid = testbed_start(machine.bed, slow_daemon);
	(void)sd_bus_flush_close_unref(bus);
	bus = connect_peer(machine.bed);
	bus_do(bus, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 1, "permanent", "b", 1);
	expect_permanent("action: deny", true);
	bus_do(bus, disk, BUS_DEVICE_INTERFACE, "Authorize", "a{sv}", 2, "permanent", "b", 1,
	       "driver", "s", "nvme");
	expect_permanent("driver: \"nvme\"", true);
	expect_permanent("action: deny", true);
	bus_call_fails(bus, BUS_ERROR("NotSaved"), mouse, BUS_DEVICE_INTERFACE, "Authorize",
		       "a{sv}", 1, "permanent", "b", 1);
	expect_attr(machine.bed, machine.mouse, "authorized", "1");
	expect_permanent("usb", false);
	umockdev_testbed_set_attribute(machine.bed->umockdev, machine.nic, "remove", "");
	umockdev_testbed_set_attribute(machine.bed->umockdev, machine.mouse, "remove", "");
	bus_do(bus, nic, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 2, "permanent", "b", 1, "remove",
	       "b", 1);
	expect_permanent("action: remove", true);
	testbed_wait_attr(machine.bed, machine.nic, "remove", "1");
	bus_call_fails(bus, BUS_ERROR("NotSaved"), mouse, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 2,
		       "permanent", "b", 1, "remove", "b", 1);
	testbed_wait_attr(machine.bed, machine.mouse, "remove", "1");
	expect_safe_problem(machine.bed, bus, nic);
	bus_do(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "Freeze", NULL);
	bus_call_fails(bus, BUS_ERROR("Frozen"), disk, BUS_DEVICE_INTERFACE, "Deny", "a{sv}", 1,
		       "permanent", "b", 1);
	expect_attr(machine.bed, machine.disk, "authorized", "1");
	end(&machine);
	(void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define BUS_TEST(name) cmocka_unit_test_setup_teardown(name, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUS_TEST(test_devices_are_objects_that_say_how_they_are),
		BUS_TEST(test_a_decision_by_hand_is_carried_out_and_stays),
		BUS_TEST(test_unprivileged_callers_can_use_no_method_that_changes_things),
		BUS_TEST(test_everybody_may_look),
		BUS_TEST(test_who_could_authenticate_is_told_so),
		BUS_TEST(test_whom_polkit_lets_may),
		BUS_TEST(test_root_needs_no_polkit),
		BUS_TEST(test_a_device_that_was_swapped_while_polkit_thought_is_left_alone),
		BUS_TEST(test_a_freeze_while_polkit_thought_counts),
		BUS_TEST(test_only_so_many_calls_wait_for_polkit),
		BUS_TEST(test_a_thousand_clients_leave_nothing_behind),
		BUS_TEST(test_who_does_not_read_is_dropped),
		BUS_TEST(test_who_does_not_authenticate_is_dropped),
		BUS_TEST(test_the_socket_is_for_root_alone),
		BUS_TEST(test_what_is_no_call_is_an_error),
		BUS_TEST(test_names_that_name_no_device_are_errors),
		BUS_TEST(test_paths_of_objects_are_taken_as_they_are_given_out),
		BUS_TEST(test_words_of_a_hostile_device_are_escaped),
		BUS_TEST(test_the_object_of_a_device_that_is_gone_says_so),
		BUS_TEST(test_after_the_freeze_nobody_authorizes_or_reloads),
		BUS_TEST(test_after_the_seal_nobody_authorizes),
		BUS_TEST(test_a_seal_closes_the_kernels_lock),
		BUS_TEST(test_what_cannot_be_done_to_a_device_is_told),
		BUS_TEST(test_a_configuration_that_is_refused_is_told),
		BUS_TEST(test_a_reload_says_whether_the_policy_was_taken),
		BUS_TEST(test_what_happens_is_told_to_peers),
		BUS_TEST(test_what_happens_is_told_on_the_system_bus),
		BUS_TEST(test_the_bus_may_come_go_and_come_back),
		BUS_TEST(test_who_looks_whether_somebody_listens_leaves_no_record),
		BUS_TEST(test_the_socket_of_a_killed_daemon_is_replaced_and_that_of_another_is_not),
		BUS_TEST(test_every_method_is_tested_and_all_there_is_is_in_the_manual),
		BUS_TEST(test_explain_says_which_rules_were_tried),
		BUS_TEST(test_a_serial_number_that_keeps_its_reader_waiting_keeps_no_other),
		BUS_TEST(test_a_denial_by_hand_is_the_last_word_over_an_authorization),
		BUS_TEST(test_an_authorization_by_hand_is_the_last_word_over_a_denial),
		BUS_TEST(test_what_is_permanent_is_written_down_or_said_not_to_be),
	};

	return RUN_TESTS("bus", tests);
}
