/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "authd.h"
#include "bus-client.h"
#include "names.h"
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

/* CVE-2019-25058: USBGuard's bridge asked nobody (USBGuard #273, #531). */
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
	_cleanup_free_ char *object = NULL, *asked = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t bus, polkit;
	sd_bus *client;

	start_bus(&machine, &bus);
	polkit = start_polkit(machine.bed, "challenge");
	expect_all_refused(&machine, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
	client = connect_as_nobody();
	object = bus_object(client, NIC);
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
	};

	return RUN_TESTS("bus", tests);
}
