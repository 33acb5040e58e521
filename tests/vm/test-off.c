/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* dev_auth=off, and no dev_auth at all: nothing of the series is to be seen. dev_auth=audit: its
 * attributes, two variables in events, and its log. The same machine, with a hostile host's ACPI
 * tables in it, runs on the patched kernel and on one without the series, and both must look the
 * same. */

#include "agent-protocol.h"
#include "vmtest.h"

static const char *const devices[] = {"virtio-balloon-pci,bus=rp1", "qemu-xhci,id=xhci,bus=rp2",
				      NULL};

struct sight {
	char *attributes; /* names under /sys/devices and /sys/bus */
	char *drivers;	  /* device and driver */
	char *uevents;	  /* what an event of each device would say */
	char *events;	  /* of a plug and an unplug, without sequence and time */
	char *resources;  /* memory and ports, and who uses them; taints */
};

static void sight_done(struct sight *s)
{
	free(s->attributes);
	free(s->drivers);
	free(s->uevents);
	free(s->events);
	free(s->resources);
}

/* Threads and what belongs to them come and go; so do the workqueues and the statistics of block
 * devices. None of them is a device of a bus. */
#define ATTRIBUTES                                                                                 \
	"find /sys/devices /sys/bus /sys/class -path '*/msi_irqs/*' -prune -o "                    \
	"-path '/sys/devices/virtual/workqueue/*' -prune -o -printf '%%p %%M\\n' | LC_ALL=C sort"

#define DRIVERS                                                                                    \
	"find /sys/bus/*/devices/*/ -maxdepth 1 -name driver -printf '%%h %%l\\n' | "              \
	"sed 's, .*/, ,' | LC_ALL=C sort"

#define UEVENTS "find /sys/devices -name uevent | LC_ALL=C sort | xargs grep -H ."

#define EVENTS "grep -vE '^(TIME|SEQNUM|USEC_INITIALIZED)=' /run/uevents"

/* The kernels differ in size. SeaBIOS gives the memory that it keeps for itself, at e8000, the
 * header of an option ROM, and in one boot of 256 its content happens to have the checksum of one.
 */
#define RESOURCES                                                                                  \
	"grep -vE ' : (Kernel |Adapter ROM)' /proc/iomem; cat /proc/ioports; "                     \
	"echo tainted $(cat /proc/sys/kernel/tainted)"

/* What an audit adds, and nothing else does: on each device of a bus that takes part, and on these
 * buses. usb has attributes of some of these names without it. */
static const char *const audit_attributes[] = {
	"/authorized -rw-r--r--",
	"/authorized_by -r--r--r--",
	"/authorized_driver -rw-r--r--",
	"/sys/bus/acpi/authorized_default -rw-r--r--",
	"/sys/bus/pci/authorized_default -rw-r--r--",
	"/sys/bus/platform/authorized_default -rw-r--r--",
	"/sys/bus/pnp/authorized_default -rw-r--r--",
	"/sys/bus/virtio/authorized_default -rw-r--r--",
};

/* In each event of such a device. An audit lets all devices be used and says so. */
static const char *const audit_variables[] = {
	"AUTHORIZED=1",
	"AUTHORIZED_BY=builtin",
	"AUTHORIZED_BY=default",
};

#define OWN_DIRECTORY "echo $(ls /sys/kernel/device_authorization)"

static struct sight look(void **state, const char *kernel, const char *cmdline)
{
	const char *table = getenv("TDX_AUTH_ACPI_TABLE");
	struct sight seen = {0};
	struct vm *vm;
	char *device;

	assert_non_null(table);
	vm = vm_up(state, .kernel = kernel, .cmdline = cmdline, .devices = devices,
		   .acpi_table = table);

	vm_expect(vm, 0, "modprobe e1000e");
	/* The last that the kernel finds out about by itself, in its own time. */
	vm_expect_soon(vm, "grep -q ImExPS /proc/bus/input/devices");
	vm_expect_soon(vm, "[ $(dmesg | grep -c 'SATA link down') = 6 ]");
	seen.attributes = vm_output(vm, ATTRIBUTES);
	seen.drivers = vm_output(vm, DRIVERS);
	seen.uevents = vm_output(vm, UEVENTS);
	seen.resources = vm_output(vm, RESOURCES);
	vm_expect(vm, 0, AGENT_PATH " uevents /run/uevents /run/uevents.pid");
	device = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp3,romfile=", "8086:10d3");
	vm_expect_soon(vm, "[ -e %s/driver ]", device);
	vm_expect(vm, 0, "echo $(basename %s) > /sys/bus/pci/drivers/e1000e/unbind", device);
	vm_expect(vm, 0, "echo $(basename %s) > /sys/bus/pci/drivers/e1000e/bind", device);
	vm_unplug(vm, "nic1");
	vm_expect_soon(vm, "[ ! -e %s ]", device);
	vm_expect(vm, 0, "echo change > /sys/class/mem/null/uevent");
	vm_expect_soon(vm, "grep -q '^DEVPATH=/devices/virtual/mem/null' /run/uevents");
	seen.events = vm_output(vm, EVENTS);
	free(device);
	return seen;
}

/* Says which line is the first to differ. */
static void expect_same(void **state, const char *what, const char *stock, const char *patched)
{
	size_t n = 0, line;

	if (streq(stock, patched))
		return;
	while (stock[n] && stock[n] == patched[n])
		n++;
	for (line = n; line > 0 && stock[line - 1] != '\n'; line--)
		;
	vm_fail(*state, "%s differ:\n  without the series: %.*s\n  with it: %.*s", what,
		(int)strcspn(stock + line, "\n"), stock + line, (int)strcspn(patched + line, "\n"),
		patched + line);
}

static bool ends_with(const char *line, size_t size, const char *end)
{
	return size >= strlen(end) && memcmp(line + size - strlen(end), end, strlen(end)) == 0;
}

/* Takes the lines out of @patched that @stock has not, and that end in one of @ends. In the order
 * of @stock: where both have a line, it stays. Returns how many. */
static size_t take_out(char *patched, const char *stock, const char *const *ends, size_t n_ends)
{
	char *out = patched;
	size_t taken = 0;

	for (const char *line = patched; *line;) {
		size_t size = strcspn(line, "\n"), whole = size + (line[size] == '\n');
		bool is_same = strncmp(line, stock, size) == 0 &&
			       (stock[size] == '\n' || stock[size] == '\0');
		bool is_added = false;

		for (size_t i = 0; !is_same && i < n_ends; i++)
			is_added = is_added || ends_with(line, size, ends[i]);
		if (is_added)
			taken++;
		else {
			memmove(out, line, whole);
			out += whole;
			stock += strcspn(stock, "\n");
			stock += *stock == '\n';
		}
		line += whole;
	}
	*out = '\0';
	return taken;
}

/* Without the series, looked at once for all tests. */
static struct sight stock;

static int stock_done(void **state)
{
	(void)state;
	sight_done(&stock);
	return 0;
}

static void look_at_stock(void **state)
{
	if (stock.events)
		return;
	stock = look(state, "stock", "");
	/* Or there would be nothing to compare. */
	assert_non_null(strstr(stock.drivers, " virtio_balloon"));
	assert_non_null(strstr(stock.drivers, " xhci_hcd"));
	assert_non_null(strstr(stock.drivers, "platform/devices/PNP0C0B:00 acpi-fan"));
	assert_non_null(strstr(stock.events, "ACTION=bind"));
}

static void expect_like_stock(void **state, const struct sight *patched)
{
	expect_same(state, "drivers", stock.drivers, patched->drivers);
	expect_same(state, "attributes", stock.attributes, patched->attributes);
	expect_same(state, "variables of events", stock.uevents, patched->uevents);
	expect_same(state, "events", stock.events, patched->events);
	expect_same(state, "resources and taints", stock.resources, patched->resources);
}

static void test_off_behaves_as_a_kernel_without_the_series(void **state)
{
	_cleanup_(sight_done) struct sight patched = {0};

	look_at_stock(state);
	patched = look(state, "patched", "dev_auth=off");
	expect_like_stock(state, &patched);
	vm_expect_output(*state, "off", "cat /sys/kernel/device_authorization/mode");
	vm_expect_output(*state, "hardened mode", OWN_DIRECTORY);
}

static void test_no_parameter_behaves_as_a_kernel_without_the_series(void **state)
{
	_cleanup_(sight_done) struct sight patched = {0};

	look_at_stock(state);
	patched = look(state, "patched", "");
	expect_like_stock(state, &patched);
}

static void test_audit_adds_its_attributes_and_variables_and_nothing_else(void **state)
{
	_cleanup_(sight_done) struct sight patched = {0};
	_cleanup_free_ char *text = NULL;
	size_t managed;

	look_at_stock(state);
	patched = look(state, "patched", "dev_auth=audit");
	vm_expect_output(*state, "hardened lock mode", OWN_DIRECTORY);
	/* the device that was plugged is not there any more */
	text = vm_output(*state, "find /sys/devices -name authorized_by | wc -l");
	managed = strtoul(text, NULL, 10);
	assert_true(managed > 50);
	assert_int_equal(take_out(patched.attributes, stock.attributes, audit_attributes,
				  ELEMENTSOF(audit_attributes)),
			 3 * managed + 5);
	assert_int_equal(take_out(patched.uevents, stock.uevents, audit_variables,
				  ELEMENTSOF(audit_variables)),
			 2 * managed);
	/* of the device that is plugged: add, bind, unbind, bind, unbind, remove */
	assert_int_equal(take_out(patched.events, stock.events, audit_variables,
				  ELEMENTSOF(audit_variables)),
			 2 * 6);
	expect_like_stock(state, &patched);
}

static void test_enforce_would_have_been_seen_to_differ(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=enforce",
			      .devices = devices);
	_cleanup_free_ char *attributes = vm_output(vm, ATTRIBUTES),
			    *drivers = vm_output(vm, DRIVERS);

	assert_non_null(strstr(attributes, "/authorized_driver "));
	assert_null(strstr(drivers, " virtio_balloon"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_off_behaves_as_a_kernel_without_the_series),
		vm_test(test_no_parameter_behaves_as_a_kernel_without_the_series),
		vm_test(test_audit_adds_its_attributes_and_variables_and_nothing_else),
		vm_test(test_enforce_would_have_been_seen_to_differ),
	};

	return RUN_TESTS_WITH("off", tests, NULL, stock_done);
}
