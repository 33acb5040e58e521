/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>

#include "escape.h"
#include "vmtest.h"

/* What the guest may take to come to a state that it will come to. */
#define SOON_MS 60000U

static _printf_(1, 0) char *format_text(const char *format, va_list ap)
{
	char *text;

	if (vasprintf(&text, format, ap) < 0) {
		fprintf(stderr, "out of memory\n");
		abort();
	}
	return text;
}

void vm_fail_at(struct vm *vm, const char *file, int line, const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	text = format_text(format, ap);
	va_end(ap);
	fprintf(stderr, "%s:%d: %s\n", file, line, text);
	free(text);
	vm_explain(vm, stderr);
	_fail(file, line);
	abort();
}

bool vm_has(const char *kernel)
{
	const char *lab = getenv("TDX_AUTH_LAB");
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s/bzImage", lab ? lab : "", kernel);
	return access(path, R_OK) == 0;
}

struct vm *vm_up_at(void **state, const struct vm_options *options, const char *file, int line)
{
	struct vm *vm;
	int r;

	(void)vm_down(state);
	r = vm_start(options, &vm);
	*state = vm;
	if (r < 0)
		vm_fail_at(vm, file, line, "the guest does not come up: %s", strerror(-r));
	return vm;
}

int vm_down(void **state)
{
	vm_free(*state);
	*state = NULL;
	return 0;
}

/* A command and all that can be said of it when it does not do what it should. */
static _Noreturn void fail_command(struct vm *vm, const char *file, int line, const char *command,
				   int r, const char *output, const char *expected)
{
	_cleanup_free_ char *escaped = escape_text(output);

	if (r < 0)
		fprintf(stderr, "  command: %s\n  did not run: %s\n", command, strerror(-r));
	else
		fprintf(stderr, "  command: %s\n  status: %d\n", command, r);
	fprintf(stderr, "  output: %s\n", escaped ? escaped : "");
	vm_fail_at(vm, file, line, "expected %s", expected);
}

void vm_expect_at(struct vm *vm, const char *file, int line, int status, const char *format, ...)
{
	char *command, *output = NULL, expected[32];
	va_list ap;
	int r;

	va_start(ap, format);
	command = format_text(format, ap);
	va_end(ap);
	r = vm_run(vm, command, &output);
	if (r != status) {
		(void)snprintf(expected, sizeof(expected), "status %d", status);
		fail_command(vm, file, line, command, r, output, expected);
	}
	free(command);
	free(output);
}

static void chomp(char *text)
{
	size_t n = strlen(text);

	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
}

static char *output_of(struct vm *vm, const char *file, int line, const char *command)
{
	char *output = NULL;
	int r;

	r = vm_run(vm, command, &output);
	if (r != 0)
		fail_command(vm, file, line, command, r, output, "status 0");
	chomp(output);
	return output;
}

void vm_expect_output_at(struct vm *vm, const char *file, int line, const char *expected,
			 const char *format, ...)
{
	char *command, *output;
	va_list ap;

	va_start(ap, format);
	command = format_text(format, ap);
	va_end(ap);
	output = output_of(vm, file, line, command);
	if (!streq(output, expected))
		fail_command(vm, file, line, command, 0, output, expected);
	free(command);
	free(output);
}

char *vm_output_at(struct vm *vm, const char *file, int line, const char *format, ...)
{
	char *command, *output;
	va_list ap;

	va_start(ap, format);
	command = format_text(format, ap);
	va_end(ap);
	output = output_of(vm, file, line, command);
	free(command);
	return output;
}

void vm_expect_soon_at(struct vm *vm, const char *file, int line, const char *format, ...)
{
	char *command;
	va_list ap;
	int r;

	va_start(ap, format);
	command = format_text(format, ap);
	va_end(ap);
	r = vm_wait_for(vm, command, SOON_MS);
	if (r < 0)
		fail_command(vm, file, line, command, r, NULL, "status 0 before the deadline");
	free(command);
}

void vm_plug_at(struct vm *vm, const char *file, int line, const char *device)
{
	int r;

	r = vm_device_add(vm, device);
	if (r < 0)
		vm_fail_at(vm, file, line, "device_add %s: %s", device, strerror(-r));
}

void vm_unplug_at(struct vm *vm, const char *file, int line, const char *id)
{
	int r;

	r = vm_device_del(vm, id);
	if (r < 0)
		vm_fail_at(vm, file, line, "device_del %s: %s", id, strerror(-r));
}

/* A shell command that prints the directories of the PCI devices with @ids. */
#define FIND_PCI                                                                                   \
	"i=0x%.4s:0x%.4s; for p in /sys/bus/pci/devices/*; do "                                    \
	"read -r v < $p/vendor; read -r d < $p/device; [ $v:$d = $i ] && readlink -f $p; done; :"

char *vm_find_pci_at(struct vm *vm, const char *file, int line, const char *ids)
{
	char *found = vm_output_at(vm, file, line, FIND_PCI, ids, ids + 5);

	if (isempty(found) || strchr(found, '\n'))
		vm_fail_at(vm, file, line, "not one PCI device %s: '%s'", ids, found);
	return found;
}

char *vm_plug_pci_at(struct vm *vm, const char *file, int line, const char *device, const char *ids)
{
	vm_plug_at(vm, file, line, device);
	vm_expect_soon_at(vm, file, line, "[ -n \"$(" FIND_PCI ")\" ]", ids, ids + 5);
	/* It shows before it is offered to a driver. Both happen under the lock that a rescan
	 * takes: once that returns, whatever driver it gets by itself it has. */
	vm_expect_at(vm, file, line, 0, "echo 1 > /sys/bus/pci/rescan");
	return vm_find_pci_at(vm, file, line, ids);
}

char *vm_log_text(struct vm *vm)
{
	_cleanup_fclose_ FILE *file = fopen(vm_log_path(vm), "re");
	char *text = NULL;
	size_t size = 0;

	assert_non_null(file);
	assert_true(getdelim(&text, &size, '\0', file) > 0);
	return text;
}
