/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The lab's agent in a guest.
 *
 *   agent                    as PID 1: mounts the API file systems, records what the kernel did
 *                            before init, then serves; otherwise (a systemd service): serves
 *   agent uevents FILE PID   listens to the kernel's uevents from the moment it returns, in the
 *                            background; appends them to FILE and its own pid to PID
 *   agent sight              prints what it records before init, as it is now
 *   agent write FILE TEXT    writes TEXT with one write(2); the exit status is the errno, 0 for
 * none
 *   agent race ROUNDS RACER...  see agent-race.h
 *   agent flood N BUS..., agent forge N  see agent-event.h
 *
 * Kernel parameters: lab.agent=/dev/ttyS1 to serve on that port instead of the virtio-serial port
 * named lab.agent; lab.probe to say that the machine runs, and power off. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "agent-event.h"
#include "agent-protocol.h"
#include "agent-race.h"
#include "util.h"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void nap(void)
{
	(void)poll(NULL, 0, 10);
}

/* The first line of a small file, without its newline; "" where there is none. */
static void read_line(const char *path, char *line, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f || !fgets(line, (int)size, f))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

static _printf_(3, 4) void attribute(char *line, size_t size, const char *format, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	read_line(path, line, size);
}

static void driver_of(const char *device, char *driver, size_t size)
{
	char target[PATH_MAX];
	ssize_t n;

	n = readlink(device, target, sizeof(target) - 1);
	if (n < 0)
		n = 0;
	target[n] = '\0';
	(void)snprintf(driver, size, "%s", n > 0 ? strrchr(target, '/') + 1 : "-");
}

/* The ids that a pnp device lists one a line, with colons between them; "" on other buses. */
static void text_ids(const char *bus, const char *name, char *ids, size_t size)
{
	char path[PATH_MAX];
	_cleanup_fclose_ FILE *f = NULL;
	size_t n;

	(void)snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/id", bus, name);
	f = streq(bus, "pnp") ? fopen(path, "re") : NULL;
	n = f ? fread(ids, 1, size - 1, f) : 0;
	ids[n] = '\0';
	for (char *p = ids; (p = strchr(p, '\n'));)
		*p = p[1] ? ':' : '\0';
}

static void record_device(FILE *out, const char *bus, const char *name)
{
	char path[PATH_MAX], driver[256], authorized[16], by[32], only[256], modalias[512];
	char ids[256];
	_cleanup_free_ char *where = NULL;

	(void)snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/driver", bus, name);
	driver_of(path, driver, sizeof(driver));
	attribute(authorized, sizeof(authorized), "/sys/bus/%s/devices/%s/authorized", bus, name);
	attribute(by, sizeof(by), "/sys/bus/%s/devices/%s/authorized_by", bus, name);
	attribute(only, sizeof(only), "/sys/bus/%s/devices/%s/authorized_driver", bus, name);
	attribute(modalias, sizeof(modalias), "/sys/bus/%s/devices/%s/modalias", bus, name);
	text_ids(bus, name, ids, sizeof(ids));
	(void)snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s", bus, name);
	where = realpath(path, NULL);
	fprintf(out, "%s/%s driver=%s authorized=%s by=%s only=%s modalias=%s ids=%s path=%s\n",
		bus, name, driver, authorized, by, only, modalias, ids, where ? where : "-");
}

static int record_bus(FILE *out, const char *bus)
{
	struct dirent **names = NULL;
	char path[PATH_MAX];
	int n;

	(void)snprintf(path, sizeof(path), "/sys/bus/%s/devices", bus);
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			record_device(out, bus, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return 0;
}

static int record_sight(FILE *out)
{
	static const char *const buses[] = {"pci", "virtio", "acpi", "pnp", "platform", "usb"};
	int r;

	for (size_t i = 0; i < ELEMENTSOF(buses); i++) {
		r = record_bus(out, buses[i]);
		if (r < 0)
			return r;
	}
	return fflush(out) < 0 ? -errno : 0;
}

static int record_first_sight(void)
{
	_cleanup_fclose_ FILE *out = NULL;

	(void)mkdir("/run/lab", 0755);
	out = fopen(AGENT_FIRST_SIGHT, "we");
	return out ? record_sight(out) : -errno;
}

/* The value of a kernel parameter, or false. */
static bool kernel_parameter(const char *name, char *value, size_t size)
{
	char line[4096], *state = NULL;
	const char *rest;

	read_line("/proc/cmdline", line, sizeof(line));
	for (char *word = strtok_r(line, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
		rest = startswith(word, name);
		if (!rest || (*rest != '\0' && *rest != '='))
			continue;
		(void)snprintf(value, size, "%s", *rest == '=' ? rest + 1 : "");
		return true;
	}
	return false;
}

static int become_init(void)
{
	static const struct {
		const char *type, *where;
	} mounts[] = {
		{"sysfs", "/sys"}, {"proc", "/proc"}, {"devtmpfs", "/dev"},
		{"tmpfs", "/run"}, {"tmpfs", "/tmp"}, {"configfs", "/sys/kernel/config"},
	};
	char value[8];
	int r;

	for (size_t i = 0; i < ELEMENTSOF(mounts); i++)
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL) < 0 &&
		    errno != EBUSY)
			return -errno;
	r = record_first_sight();
	if (r < 0)
		return r;
	(void)setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (kernel_parameter("lab.probe", value, sizeof(value))) {
		puts("lab: probe");
		sync();
		(void)reboot(RB_POWER_OFF);
	}
	puts("lab: init runs");
	return 0;
}

static int find_virtio_port(char *path, size_t size)
{
	struct dirent **names = NULL;
	char name[64];
	int n, r = -ENODEV;

	n = scandir("/sys/class/virtio-ports", &names, NULL, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		attribute(name, sizeof(name), "/sys/class/virtio-ports/%s/name", names[i]->d_name);
		if (streq(name, AGENT_PORT)) {
			(void)snprintf(path, size, "/dev/%s", names[i]->d_name);
			r = 0;
		}
		free(names[i]);
	}
	free(names);
	return r;
}

/* Opens the port to the harness; waits for it to appear, however long: the harness has the
 * deadline. */
static int open_port(void)
{
	struct termios raw;
	char path[PATH_MAX];
	bool given;
	int fd;

	given = kernel_parameter("lab.agent", path, sizeof(path));
	for (;;) {
		if (given || find_virtio_port(path, sizeof(path)) >= 0) {
			fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
			if (fd >= 0)
				break;
		}
		nap();
	}
	if (isatty(fd)) {
		tcgetattr(fd, &raw);
		cfmakeraw(&raw);
		cfsetspeed(&raw, B115200);
		tcsetattr(fd, TCSANOW, &raw);
	}
	return fd;
}

/* A port whose other end is not there reads as end of file, again and again. */
static void read_all(int fd, void *buffer, size_t size)
{
	char *p = buffer;
	ssize_t n;

	while (size > 0) {
		n = read(fd, p, size);
		if (n <= 0) {
			nap();
			continue;
		}
		p += n;
		size -= (size_t)n;
	}
}

static void write_all(int fd, const void *buffer, size_t size)
{
	const char *p = buffer;
	ssize_t n;

	while (size > 0) {
		n = write(fd, p, size);
		if (n <= 0) {
			nap();
			continue;
		}
		p += n;
		size -= (size_t)n;
	}
}

static void send_frame(int fd, enum agent_kind kind, uint32_t value, const void *data, size_t size)
{
	struct agent_header header = {
		.magic = AGENT_MAGIC, .kind = kind, .value = value, .length = (uint32_t)size};

	write_all(fd, &header, sizeof(header));
	write_all(fd, data, size);
}

static void run_child(const char *command, int output)
{
	sigset_t none;
	int null;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	null = open("/dev/null", O_RDONLY);
	if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
		_exit(126);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

struct output {
	char *data;
	size_t size;
};

/* What is in the pipe now; false at its end. */
static bool drain(int fd, struct output *out)
{
	char buffer[16384], *bigger;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		if (out->size + (size_t)n > AGENT_LENGTH_MAX)
			continue;
		bigger = realloc(out->data, out->size + (size_t)n);
		if (!bigger)
			continue;
		memcpy(bigger + out->size, buffer, (size_t)n);
		out->data = bigger;
		out->size += (size_t)n;
	}
	return n < 0;
}

/* Until the command's shell has ended: what it left in the background may keep the pipe. */
static bool collect(int pidfd, int fd, uint64_t deadline, struct output *out)
{
	struct pollfd polled[] = {{.fd = pidfd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
	uint64_t now;

	while ((now = now_ms()) < deadline) {
		(void)poll(polled, ELEMENTSOF(polled), (int)(deadline - now));
		if (polled[1].revents && !drain(fd, out))
			polled[1].fd = -1;
		if (polled[0].revents) {
			(void)drain(fd, out);
			return true;
		}
	}
	return false;
}

static uint32_t exit_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		return 126;
	return (uint32_t)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static uint32_t run(const char *command, uint32_t timeout_ms, struct output *out)
{
	_cleanup_close_ int pidfd = -1, reader = -1;
	uint32_t status;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return 126;
	reader = fds[0];
	(void)fcntl(reader, F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid == 0)
		run_child(command, fds[1]);
	(void)close(fds[1]);
	if (pid < 0)
		return 126;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (collect(pidfd, reader, now_ms() + timeout_ms, out))
		return exit_status(pid);
	/* A process stuck in the kernel does not die of it: it is left behind. */
	(void)kill(-pid, SIGKILL);
	status = AGENT_TIMED_OUT;
	(void)drain(reader, out);
	return status;
}

static void serve(int fd)
{
	struct agent_header header;
	struct output out;
	uint32_t status;
	char *command;

	send_frame(fd, AGENT_HELLO, 0, NULL, 0);
	for (;;) {
		read_all(fd, &header, sizeof(header));
		if (header.magic != AGENT_MAGIC || header.kind != AGENT_RUN ||
		    header.length > AGENT_LENGTH_MAX)
			abort();
		command = calloc(1, (size_t)header.length + 1);
		if (!command)
			abort();
		read_all(fd, command, header.length);
		out = (struct output){0};
		status = run(command, header.value, &out);
		send_frame(fd, AGENT_RESULT, status, out.data, out.size);
		free(out.data);
		free(command);
		if (getpid() == 1)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
	}
}

/* One event: its time in milliseconds, then the kernel's own lines, then an empty line. */
static void write_event(FILE *out, const char *message, size_t size)
{
	fprintf(out, "TIME=%llu\n", (unsigned long long)now_ms());
	for (const char *p = message; p < message + size; p += strlen(p) + 1)
		fprintf(out, "%s\n", p);
	fputc('\n', out);
	(void)fflush(out);
}

static int listen_uevents(const char *file, const char *pid_file)
{
	static char message[65536];
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	_cleanup_fclose_ FILE *out = NULL, *pid = NULL;
	int buffer = 64 << 20;
	ssize_t n;
	int fd;

	out = fopen(file, "ae");
	pid = fopen(pid_file, "we");
	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	if (!out || !pid || fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* Bound: from here on no event is missed, so the caller may go on. */
	if (daemon(0, 0) < 0)
		return -errno;
	fprintf(pid, "%d\n", (int)getpid());
	(void)fflush(pid);
	for (;;) {
		n = recv(fd, message, sizeof(message) - 1, 0);
		if (n < 0 && errno == ENOBUFS)
			fputs("OVERRUN\n\n", out);
		if (n <= 0)
			continue;
		message[n] = '\0';
		write_event(out, message, (size_t)n);
	}
}

/* A shell's echo says "I/O error" for everything. */
static int write_once(const char *file, const char *text)
{
	_cleanup_close_ int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return errno;
	return 0;
}

/* Holds the lock of @file until it is killed. Where it returns from, the file is locked. */
static int hold_lock(const char *file, const char *pid_file)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_fclose_ FILE *pid = fopen(pid_file, "we");
	int ready[2];
	char byte;
	pid_t child;

	if (!pid || pipe(ready) < 0)
		return EXIT_FAILURE;
	/* such a lock is not inherited: the child takes it */
	child = fork();
	if (child == 0) {
		int fd = open(file, O_RDWR | O_CLOEXEC);

		if (setsid() < 0 || fd < 0 || fcntl(fd, F_SETLKW, &all) < 0 ||
		    write(ready[1], "", 1) != 1)
			_exit(EXIT_FAILURE);
		(void)close(ready[1]);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	fprintf(pid, "%d\n", (int)child);
	return child > 0 && read(ready[0], &byte, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && streq(argv[1], "uevents")) {
		r = listen_uevents(argv[2], argv[3]);
		fprintf(stderr, "lab: uevents: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	if (argc == 2 && streq(argv[1], "sight"))
		return record_sight(stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (argc == 4 && streq(argv[1], "write"))
		return write_once(argv[2], argv[3]);
	if (argc >= 4 && streq(argv[1], "flood"))
		return agent_flood(argv[2], argv + 3);
	if (argc == 3 && streq(argv[1], "forge"))
		return agent_forge(argv[2]);
	if (argc == 4 && streq(argv[1], "lock"))
		return hold_lock(argv[2], argv[3]);
	if (argc >= 4 && streq(argv[1], "race"))
		return race((unsigned int)atoi(argv[2]), argv + 3, (unsigned int)argc - 3);
	if (getpid() == 1) {
		r = become_init();
		if (r < 0) {
			printf("lab: init: %s\n", strerror(-r));
			return EXIT_FAILURE;
		}
	}
	serve(open_port());
}
