/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "deadline.h"
#include "guest.h"
#include "machine.h"
#include "qmp.h"
#include "serial-log.h"
#include "vm.h"

#define TAIL_LINES 40
#define POLL_MS 50
#define QMP_MS 60000U
#define END_MS 5000U

struct vm {
	pid_t pid;  /* 0: none, or reaped */
	int status; /* as waitpid(2) gave it, once reaped */
	int agent;
	struct qmp *qmp;
	unsigned int boot_time;
	char log[PATH_MAX];
	char trace[PATH_MAX + sizeof(".trace")];
};

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	if (isempty(value))
		fprintf(stderr, "lab: %s is not set: run the tests through ./dev test\n", name);
	return isempty(value) ? NULL : value;
}

static int name_log(struct vm *vm)
{
	static unsigned int count;
	const char *directory = environment("TDX_AUTH_LOGS");

	if (!directory)
		return -ENOENT;
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return -errno;
	(void)snprintf(vm->log, sizeof(vm->log), "%s/%s-%d-%u.log", directory,
		       program_invocation_short_name, (int)getpid(), count++);
	(void)snprintf(vm->trace, sizeof(vm->trace), "%s.trace", vm->log);
	return 0;
}

static int spawn(struct vm *vm, const struct vm_options *options)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	const char *lab = environment("TDX_AUTH_LAB");
	int qmp[2], agent[2], r;
	pid_t self = getpid();

	if (!lab)
		return -ENOENT;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp) < 0)
		return -errno;
	_cleanup_close_ int qmp_ours = qmp[0], qmp_theirs = qmp[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, agent) < 0)
		return -errno;
	vm->agent = agent[0];
	_cleanup_close_ int agent_theirs = agent[1];

	r = machine_arguments(&(struct machine){.options = options,
						.lab = lab,
						.log = vm->log,
						.trace = vm->trace,
						.qmp_fd = qmp_theirs,
						.agent_fd = agent_theirs},
			      &a);
	if (r < 0)
		return r;
	r = qmp_new(take_fd(&qmp_ours), &vm->qmp);
	if (r < 0)
		return r;
	vm->pid = fork();
	if (vm->pid < 0)
		return -errno;
	if (vm->pid == 0)
		machine_become(&a, (const int[]){qmp_theirs, agent_theirs}, 2, self);
	return 0;
}

static unsigned int boot_limit(const struct vm_options *options)
{
	if (options->boot_ms)
		return options->boot_ms;
	return options->init == VM_INIT_OWN ? VM_BOOT_OWN_MS : VM_BOOT_MS;
}

int vm_start(const struct vm_options *options, struct vm **ret)
{
	_cleanup_(vm_freep) struct vm *vm = calloc(1, sizeof(*vm));
	uint64_t begin = now_ms();
	uint64_t deadline = deadline_in(boot_limit(options));
	int r;

	*ret = NULL;
	if (!vm)
		return -ENOMEM;
	vm->agent = -1;
	r = name_log(vm);
	if (r < 0)
		return r;
	r = spawn(vm, options);
	if (r < 0)
		return r;
	r = qmp_handshake(vm->qmp, deadline);
	if (r >= 0)
		r = guest_wait_hello(vm->agent, deadline);
	vm->boot_time = (unsigned int)(now_ms() - begin);
	*ret = TAKE_PTR(vm);
	return r;
}

static void reap(struct vm *vm, int flags)
{
	if (vm->pid > 0 && waitpid(vm->pid, &vm->status, flags) == vm->pid)
		vm->pid = 0;
}

/* QEMU's sockets close a moment before QEMU has ended. */
static void reap_if_gone(struct vm *vm)
{
	struct pollfd polled = {.fd = vm->agent, .events = POLLRDHUP};
	uint64_t deadline = deadline_in(END_MS);

	reap(vm, WNOHANG);
	while (vm->pid > 0 && poll(&polled, 1, 0) > 0 && ms_until(deadline) > 0) {
		(void)poll(NULL, 0, POLL_MS);
		reap(vm, WNOHANG);
	}
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	if (vm->pid > 0) {
		(void)kill(vm->pid, SIGKILL);
		reap(vm, 0);
	}
	qmp_free(vm->qmp);
	if (vm->agent >= 0)
		(void)close(vm->agent);
	free(vm);
}

void vm_explain(struct vm *vm, FILE *out)
{
	if (!vm)
		return;
	reap_if_gone(vm);
	if (!isempty(qmp_error(vm->qmp)))
		fprintf(out, "lab: QEMU refused: %s\n", qmp_error(vm->qmp));
	if (vm->pid > 0)
		fprintf(out, "lab: the guest still runs\n");
	else if (WIFSIGNALED(vm->status))
		fprintf(out, "lab: QEMU was ended by signal %d\n", WTERMSIG(vm->status));
	else
		fprintf(out, "lab: QEMU ended with status %d\n", WEXITSTATUS(vm->status));
	fprintf(out, "lab: the last lines of %s:\n", vm->log);
	serial_log_print_tail(out, vm->log, TAIL_LINES);
	(void)fflush(out);
}

const char *vm_log_path(const struct vm *vm)
{
	return vm->log;
}

const char *vm_trace_path(const struct vm *vm)
{
	return vm->trace;
}

const char *vm_refusal(const struct vm *vm)
{
	return qmp_error(vm->qmp);
}

unsigned int vm_boot_time(const struct vm *vm)
{
	return vm->boot_time;
}

int vm_run_within(struct vm *vm, unsigned int timeout_ms, const char *command, char **ret)
{
	_cleanup_free_ char *output = NULL;
	size_t size;
	int r;

	r = guest_run(vm->agent, command, timeout_ms, &output, &size);
	if (ret && output)
		*ret = TAKE_PTR(output);
	return r;
}

int vm_run(struct vm *vm, const char *command, char **ret)
{
	return vm_run_within(vm, VM_COMMAND_MS, command, ret);
}

int vm_runf(struct vm *vm, char **ret, const char *format, ...)
{
	_cleanup_free_ char *command = NULL;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&command, format, ap);
	va_end(ap);
	if (r < 0) {
		command = NULL;
		return -ENOMEM;
	}
	return vm_run(vm, command, ret);
}

int vm_wait_for(struct vm *vm, const char *condition, unsigned int timeout_ms)
{
	uint64_t deadline = deadline_in(timeout_ms);
	int r;

	for (;;) {
		r = vm_run(vm, condition, NULL);
		if (r <= 0)
			return r;
		if (ms_until(deadline) == 0)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, POLL_MS);
	}
}

/* QEMU wants numbers as numbers and truth values as such. */
static json_object *typed(const char *value)
{
	char *end;
	long long number;

	if (streq(value, "true") || streq(value, "false"))
		return json_object_new_boolean(streq(value, "true"));
	errno = 0;
	number = strtoll(value, &end, 0);
	if (!isempty(value) && *end == '\0' && errno == 0)
		return json_object_new_int64(number);
	return json_object_new_string(value);
}

int vm_device_add(struct vm *vm, const char *device)
{
	_cleanup_free_ char *copy = strdup(device);
	json_object *arguments = json_object_new_object();
	char *state = NULL, *value;

	if (!copy || !arguments) {
		json_object_put(arguments);
		return -ENOMEM;
	}
	for (char *key = strtok_r(copy, ",", &state); key; key = strtok_r(NULL, ",", &state)) {
		value = strchr(key, '=');
		if (value) {
			*value++ = '\0';
			json_object_object_add(arguments, key, typed(value));
		} else
			json_object_object_add(arguments, "driver", json_object_new_string(key));
	}
	return qmp_execute(vm->qmp, "device_add", arguments, deadline_in(QMP_MS));
}

int vm_device_del(struct vm *vm, const char *id)
{
	uint64_t deadline = deadline_in(QMP_MS);
	json_object *arguments = json_object_new_object();
	int r;

	if (!arguments)
		return -ENOMEM;
	json_object_object_add(arguments, "id", json_object_new_string(id));
	r = qmp_execute(vm->qmp, "device_del", arguments, deadline);
	if (r < 0)
		return r;
	return qmp_wait_deleted(vm->qmp, id, deadline);
}

int vm_suspend(struct vm *vm, int msec)
{
	_cleanup_free_ char *output = NULL;
	size_t size;
	int r;

	r = guest_send(vm->agent, "echo mem > /sys/power/state", VM_COMMAND_MS);
	if (r >= 0)
		r = qmp_wait_event(vm->qmp, "SUSPEND", deadline_in(VM_COMMAND_MS));
	if (r >= 0)
		(void)poll(NULL, 0, msec);
	if (r >= 0)
		r = qmp_execute(vm->qmp, "system_wakeup", NULL, deadline_in(QMP_MS));
	if (r >= 0)
		r = guest_receive(vm->agent, VM_COMMAND_MS, &output, &size);
	return r;
}

int vm_end(struct vm *vm, const char *command)
{
	uint64_t deadline = deadline_in(VM_COMMAND_MS);
	int r;

	r = guest_send(vm->agent, command, VM_COMMAND_MS);
	while (r >= 0 && vm->pid > 0) {
		if (ms_until(deadline) == 0)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, POLL_MS);
		reap(vm, WNOHANG);
	}
	return r;
}

int vm_monitor(struct vm *vm, const char *line)
{
	json_object *arguments = json_object_new_object();

	if (!arguments)
		return -ENOMEM;
	json_object_object_add(arguments, "command-line", json_object_new_string(line));
	return qmp_execute(vm->qmp, "human-monitor-command", arguments, deadline_in(QMP_MS));
}

int vm_device_set(struct vm *vm, const char *id, const char *property, bool value)
{
	json_object *arguments = json_object_new_object();
	char path[128];

	if (!arguments)
		return -ENOMEM;
	(void)snprintf(path, sizeof(path), "/machine/peripheral/%s", id);
	json_object_object_add(arguments, "path", json_object_new_string(path));
	json_object_object_add(arguments, "property", json_object_new_string(property));
	json_object_object_add(arguments, "value", json_object_new_boolean(value));
	return qmp_execute(vm->qmp, "qom-set", arguments, deadline_in(QMP_MS));
}
