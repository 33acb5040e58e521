/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What holds before init runs, and what the harness does when nothing runs. */

#include <errno.h>
#include <limits.h>

#include "agent-protocol.h"
#include "serial-log.h"
#include "vmtest.h"

/* Devices of a hostile host that are there from the start, all with drivers in the kernel's
 * image, which would bind them long before init. */
static const char *const hostile_devices[] = {
	"virtio-balloon-pci,bus=rp1", "qemu-xhci,bus=rp2",	 "ich9-usb-uhci1,addr=1d.0",
	"sdhci-pci,bus=rp3",	      "e1000e,bus=rp4,romfile=", NULL,
};

static void expect_first_sight(struct vm *vm, const char *ids, const char *rest)
{
	vm_expect(vm, 0,
		  "grep -q '^pci/[^ ]* %s modalias=pci:v0000%.4sd0000%.4s' " AGENT_FIRST_SIGHT,
		  rest, ids, ids + 5);
}

static void test_built_in_list_holds_before_init(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=enforce",
			      .devices = hostile_devices);

	vm_expect_output(vm, "enforce", "cat /sys/kernel/device_authorization/mode");
	/* What the list names has its driver, and may have no other. */
	expect_first_sight(vm, "1AF4:1001",
			   "driver=virtio-pci authorized=1 by=builtin only=virtio-pci");
	expect_first_sight(vm, "1AF4:1041",
			   "driver=virtio-pci authorized=1 by=builtin only=virtio-pci");
	expect_first_sight(vm, "1AF4:1003",
			   "driver=virtio-pci authorized=1 by=builtin only=virtio-pci");
	expect_first_sight(vm, "1B36:000C",
			   "driver=pcieport authorized=1 by=builtin only=pcieport");
	/* What it does not name has none: balloon, xhci, uhci, sdhci, e1000e, q35's own ahci. */
	expect_first_sight(vm, "1AF4:1045", "driver=- authorized=0 by=default only=");
	expect_first_sight(vm, "1B36:000D", "driver=- authorized=0 by=default only=");
	expect_first_sight(vm, "8086:2934", "driver=- authorized=0 by=default only=");
	expect_first_sight(vm, "1B36:0007", "driver=- authorized=0 by=default only=");
	expect_first_sight(vm, "8086:10D3", "driver=- authorized=0 by=default only=");
	expect_first_sight(vm, "8086:2922", "driver=- authorized=0 by=default only=");
	/* And no exceptions: authorized or without a driver. */
	vm_expect(vm, 1,
		  "grep -E '^(pci|virtio)/' " AGENT_FIRST_SIGHT
		  " | grep ' authorized=0 ' | grep -v ' driver=- '");
	vm_expect(vm, 1,
		  "grep -E '^(pci|virtio)/' " AGENT_FIRST_SIGHT " | grep -v ' authorized=[01] '");
	vm_expect(vm, 1, "grep '^usb/' " AGENT_FIRST_SIGHT);
	/* The virtio devices behind them: network, block, console, each bound. */
	vm_expect_output(vm, "3",
			 "grep -c '^virtio/.* driver=virtio_.* authorized=1 by=builtin "
			 "' " AGENT_FIRST_SIGHT);
}

static void test_every_device_would_have_been_bound_without_the_list(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .cmdline = "dev_auth=off",
			      .devices = hostile_devices);

	expect_first_sight(vm, "1AF4:1045", "driver=virtio-pci authorized= by= only=");
	expect_first_sight(vm, "1B36:000D", "driver=xhci_hcd authorized= by= only=");
	expect_first_sight(vm, "8086:2934", "driver=uhci_hcd authorized= by= only=");
	expect_first_sight(vm, "1B36:0007", "driver=sdhci-pci authorized= by= only=");
	expect_first_sight(vm, "8086:2922", "driver=ahci authorized= by= only=");
}

static char *read_file(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!f || getdelim(&text, &size, '\0', f) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void test_virtio_console_is_the_console_before_init(void **state)
{
	struct vm *vm =
		vm_up(state, .kernel = "patched", .cmdline = "dev_auth=enforce", .no_serial = true);
	_cleanup_free_ char *log = read_file(vm_log_path(vm));
	const char *kernel, *handover, *init;

	if (!log)
		vm_fail(vm, "no log");
	kernel = strstr(log, "VFS: Mounted root");
	handover = strstr(log, "Run " AGENT_PATH " as init process");
	init = strstr(log, "lab: init runs");
	if (!kernel || !handover || !init || kernel > handover || handover > init)
		vm_fail(vm, "the console has not the kernel's messages, then init's");
	vm_expect(vm, 0, "grep -q '^hvc0 ' /proc/consoles");
	vm_expect(vm, 0,
		  "[ ! -e /sys/class/tty/ttyS0/device/driver ] || ! grep ttyS0 /proc/consoles");
}

/* Without an early console, and with the virtio console there as well: what a serial console gets
 * it gets from its driver, for a port that the command line allows. */
static void test_serial_console_that_is_allowed_has_the_log_before_init(void **state)
{
	char option[] = "-serial", backend[64], path[] = "/tmp/tdx-auth-ttyS0.XXXXXX";
	int fd = mkstemp(path);
	_cleanup_free_ char *log = NULL;
	const char *first, *mode, *init;

	assert_true(fd >= 0);
	(void)close(fd);
	(void)snprintf(backend, sizeof(backend), "file:%s", path);
	struct vm *vm = vm_up(state, .kernel = "patched",
			      .cmdline = "console=ttyS0 dev_auth=enforce "
					 "dev_auth.allow=acpi:PNP0501",
			      .no_serial = true, .arguments = (char *[]){option, backend, NULL});
	log = read_file(path);
	(void)unlink(path);
	first = log ? strstr(log, "Linux version ") : NULL;
	mode = log ? strstr(log, "dev_auth: mode enforce") : NULL;
	init = log ? strstr(log, "Run " AGENT_PATH " as init process") : NULL;
	if (!first || !mode || !init || first > mode || mode > init)
		vm_fail(vm, "ttyS0 has not the kernel's messages from the first on");
	vm_expect(vm, 0, "grep -q '^ttyS0 ' /proc/consoles");
}

/* What the harness would print of a guest that did not come up. */
static char *explanation(struct vm *vm)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	vm_explain(vm, f);
	(void)fclose(f);
	return text;
}

static void test_guest_without_root_fails_with_the_end_of_its_log(void **state)
{
	struct vm *vm;
	char *text;
	int r;

	r = vm_start(&(struct vm_options){.kernel = "patched", .cmdline = "root=/dev/nowhere"},
		     &vm);
	*state = vm;
	assert_int_equal(r, -ECONNRESET);
	text = explanation(vm);
	assert_non_null(strstr(text, "QEMU ended"));
	assert_non_null(strstr(text, "  | "));
	assert_non_null(strstr(text, "Unable to mount root fs"));
	free(text);
}

/* The root disk is one that ahci would drive. Quiet: what is said then is what an owner sees. */
static int boot_from_ahci(void **state, const char *parameter, struct vm **ret)
{
	char option[] = "-drive", drive[PATH_MAX];
	static const char *const disk[] = {"ide-hd,drive=second,bus=ide.0", NULL};
	_cleanup_free_ char *cmdline = NULL;
	const char *lab = getenv("TDX_AUTH_LAB");

	assert_non_null(lab);
	assert_true(asprintf(&cmdline, "dev_auth=enforce quiet root=/dev/sda %s", parameter) > 0);
	(void)snprintf(drive, sizeof(drive),
		       "file=%s/rootfs.ext4,format=raw,if=none,id=second,snapshot=on", lab);
	(void)vm_down(state);
	int r = vm_start(&(struct vm_options){.kernel = "patched",
					      .cmdline = cmdline,
					      .devices = disk,
					      .arguments = (char *[]){option, drive, NULL}},
			 ret);
	*state = *ret;
	return r;
}

static void test_missing_root_says_which_device_was_refused_and_what_would_allow_it(void **state)
{
	static const char said[] = "0000:00:1f.2: has no driver because ahci was refused "
				   "(default), which may have it with ";
	_cleanup_free_ char *log = NULL, *parameter = NULL;
	const char *p;
	struct vm *vm;

	assert_int_equal(boot_from_ahci(state, "", &vm), -ECONNRESET);
	log = vm_log_text(vm);
	p = strstr(log, said);
	if (!p)
		vm_fail(vm, "the log does not say '%s'", said);
	p += strlen(said);
	parameter = strndup(p, strcspn(p, " \r\n"));
	assert_non_null(parameter);
	assert_string_equal(parameter, "dev_auth.allow=pci:8086:2922");

	/* as it is, and the machine boots */
	assert_int_equal(boot_from_ahci(state, parameter, &vm), 0);
	vm_expect_output(vm, "sda", "basename $(readlink -f /sys/dev/block/$(mountpoint -d /))");
}

static void test_guest_whose_init_hangs_fails_at_its_deadline(void **state)
{
	struct vm *vm;
	char *text;
	int r;

	r = vm_start(&(struct vm_options){.kernel = "patched",
					  .cmdline = "init=/bin/cat",
					  .boot_ms = 20000},
		     &vm);
	*state = vm;
	assert_int_equal(r, -ETIMEDOUT);
	text = explanation(vm);
	assert_non_null(strstr(text, "the guest still runs"));
	assert_non_null(strstr(text, "Run /bin/cat as init process"));
	free(text);
}

static void test_end_of_the_log_is_40_lines_and_escaped(void **state)
{
	char path[] = "/tmp/tdx-auth-log.XXXXXX", *text = NULL;
	int fd = mkstemp(path);
	size_t size, lines = 0;
	FILE *f;

	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	for (int i = 0; i < 100; i++)
		fprintf(f, "line %d \033[2J\a\r\n", i);
	(void)fclose(f);
	f = open_memstream(&text, &size);
	serial_log_print_tail(f, path, 40);
	(void)fclose(f);
	(void)unlink(path);
	for (const char *p = text; *p; p++) {
		assert_true(*p == '\n' || (unsigned char)*p >= ' ');
		lines += *p == '\n';
	}
	assert_int_equal(lines, 40);
	assert_non_null(strstr(text, "line 60 "));
	assert_null(strstr(text, "line 59 "));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_built_in_list_holds_before_init),
		vm_test(test_every_device_would_have_been_bound_without_the_list),
		vm_test(test_virtio_console_is_the_console_before_init),
		vm_test(test_serial_console_that_is_allowed_has_the_log_before_init),
		vm_test(test_guest_without_root_fails_with_the_end_of_its_log),
		vm_test(test_missing_root_says_which_device_was_refused_and_what_would_allow_it),
		vm_test(test_guest_whose_init_hangs_fails_at_its_deadline),
		vm_test(test_end_of_the_log_is_40_lines_and_escaped),
	};

	return RUN_TESTS("boot", tests);
}
