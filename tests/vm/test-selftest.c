/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kselftest that the series brings, as it is in the source that the kernel was built from. */

#include "vmtest.h"

#define SELFTEST "/usr/lib/tdx-lab/selftests/device_auth/device_auth.sh"
#define NIC "1af4:1041"	    /* listed, has its driver, and nobody in the guest uses it */
#define UNKNOWN "8086:2918" /* not listed, and no driver of this kernel wants it */

/* All that the selftest may write, and who has which driver. */
#define STATE                                                                                      \
	"grep -s . /sys/bus/*/authorized_default /sys/kernel/device_authorization/lock "           \
	"/sys/bus/*/devices/*/authorized*; ls -d /sys/bus/*/drivers/*/*"

static unsigned int count_lines(const char *text, const char *beginning)
{
	unsigned int n = 0;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (startswith(line, beginning))
			n++;
	}
	return n;
}

/* Every check that was planned was made, and passed. */
static void expect_all_pass(struct vm *vm, const char *environment)
{
	_cleanup_free_ char *output = NULL;
	unsigned int planned = 0;
	const char *plan;
	int status = vm_runf(vm, &output, "%s " SELFTEST, environment);

	if (status < 0)
		vm_fail(vm, "the selftest did not run: %s", strerror(-status));
	plan = strstr(output, "\n1..");
	if (plan)
		planned = (unsigned int)strtoul(plan + 4, NULL, 10);
	if (status != 0 || planned == 0 || count_lines(output, "ok ") != planned ||
	    strstr(output, "# SKIP") || count_lines(output, "not ok ") != 0)
		vm_fail(vm, "the selftest ended with %d:\n%s", status, output);
}

/* Without the lock at first, to see that nothing remains of it; then with it. */
static void expect_passes_and_leaves_nothing_behind(void **state, const char *cmdline)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = cmdline);
	_cleanup_free_ char *nic = vm_find_pci(vm, NIC), *environment = NULL, *before = NULL,
			    *after = NULL, *output = NULL;

	before = vm_output(vm, STATE);
	output = vm_output(vm, "DEVICE_AUTH_DEVICE=%s " SELFTEST, nic);
	if (count_lines(output, "not ok ") != 0)
		vm_fail(vm, "the selftest fails:\n%s", output);
	after = vm_output(vm, STATE);
	assert_string_equal(before, after);
	assert_true(asprintf(&environment, "DEVICE_AUTH_LOCK=1 DEVICE_AUTH_DEVICE=%s", nic) > 0);
	expect_all_pass(vm, environment);
}

static void test_selftest_passes_enforcing(void **state)
{
	expect_passes_and_leaves_nothing_behind(state, "dev_auth=enforce");
}

static void test_selftest_passes_auditing(void **state)
{
	expect_passes_and_leaves_nothing_behind(state, "dev_auth=audit");
}

static void test_selftest_passes_off_and_needs_root(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=off");

	expect_all_pass(vm, "");
	vm_expect(vm, 4, "setpriv --reuid=65534 --clear-groups " SELFTEST);
}

/* What a wrong kernel would show, as far as one can fake it; and a device that does not qualify. */
static void test_selftest_notices_what_is_wrong(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=enforce");
	_cleanup_free_ char *unknown = vm_find_pci(vm, UNKNOWN);

	vm_expect(vm, 0, "echo pci vendor=1af4 > /run/list && echo nobody > /run/by");
	vm_expect(vm, 0, "mount --bind /run/list /sys/kernel/device_authorization/hardened");
	vm_expect(vm, 0, "mount --bind /run/by %s/authorized_by", unknown);
	vm_expect(vm, 0, "chmod 666 %s/authorized_driver", unknown);
	vm_expect_output(vm,
			 "1 global_permissions hardened attributes values uevents "
			 "device_loses_and_gets_driver device_follows_bus_default",
			 "DEVICE_AUTH_DEVICE=%s " SELFTEST " > /run/tap; "
			 "echo $? $(sed -n 's/^not ok [0-9]* //p' /run/tap)",
			 unknown);
}

static void test_selftest_skips_a_kernel_without_the_series(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "stock");
	_cleanup_free_ char *output = NULL;

	assert_int_equal(vm_run(vm, SELFTEST, &output), 4);
	assert_int_equal(count_lines(output, "1..0 # SKIP"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_selftest_passes_enforcing),
		vm_test(test_selftest_passes_auditing),
		vm_test(test_selftest_passes_off_and_needs_root),
		vm_test(test_selftest_notices_what_is_wrong),
		vm_test(test_selftest_skips_a_kernel_without_the_series),
	};

	return RUN_TESTS("selftest", tests);
}
