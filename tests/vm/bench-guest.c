/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The guest's side of bench-daemon.c.
 *
 *   bench-guest rules N FILE DIR      writes N rules as USBGuard's FILE and as policies in DIR
 *   bench-guest plug COUNT FILE       plugs COUNT usb devices that rules of USBGuard's FILE name,
 *                                     one after another, and prints of each the nanoseconds until
 *                                     whoever is there has authorized it
 *   bench-guest loop                  the bare loop: authorizes each usb device that comes, in the
 *                                     background; prints its pid
 *   bench-guest ready COMMAND...      starts it and prints the nanoseconds until it said READY=1;
 *                                     then ends it with SIGTERM
 *   bench-guest end COMMAND...        the same until it ended; one that goes into the background
 *                                     is left there
 *
 * The guest has one processor, and what measures is a realtime process there: when the kernel has
 * announced a device, it runs before all others that wait for the same. So it can have the device's
 * `authorized` watched and then take the time, and only then the daemon comes to run. The end is
 * the inotify event that vfs_write() sends when the kernel has taken the write (fs/read_write.c).
 * That event wakes it alone, so between the two times it takes nothing from the daemon.
 *
 * Where usb devices get the driver that each of them has (drivers_autoprobe is 1), the kernel sets
 * up the device's configuration before it returns from the write, over a bus with frames of a
 * millisecond: that is how long it takes. Without, it only notes the write: that is what a daemon
 * takes of it. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "util.h"

#define GADGET "/sys/kernel/config/usb_gadget/bench"
#define STRINGS GADGET "/strings/0x409"
#define UDC "dummy_udc.0" /* drivers/usb/gadget/udc/dummy_hcd.c */
#define WARM 20		  /* devices before those that count */
#define REST_MS 50	  /* between two devices, for what a daemon does afterwards */
#define RULES_MAX 65536

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench-guest: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static _printf_(2, 3) void write_file(const char *path, const char *format, ...)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	char text[256];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
}

/* --- events --- */

struct Event {
	char buffer[8192];
	const char *action, *devpath;
	bool is_device; /* a usb device */
};

static int listen_events(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int size = 16 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("netlink");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static void receive_event(int fd, struct Event *event)
{
	ssize_t n;

	do
		n = recv(fd, event->buffer, sizeof(event->buffer) - 1, 0);
	while (n < 0 && (errno == EINTR || errno == ENOBUFS));
	if (n < 0)
		die("netlink");
	event->buffer[n] = '\0';
	event->action = event->devpath = "";
	event->is_device = false;
	for (const char *p = event->buffer; p < event->buffer + n; p += strlen(p) + 1) {
		if (startswith(p, "ACTION="))
			event->action = p + strlen("ACTION=");
		else if (startswith(p, "DEVPATH="))
			event->devpath = p + strlen("DEVPATH=");
		else if (streq(p, "DEVTYPE=usb_device"))
			event->is_device = true;
	}
}

static void wait_for_event(int fd, const char *action, struct Event *event)
{
	do
		receive_event(fd, event);
	while (!event->is_device || !streq(event->action, action));
}

/* --- the bare loop --- */

static ssize_t read_attribute(const char *devpath, const char *name, char *buffer, size_t size)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;

	(void)snprintf(path, sizeof(path), "/sys%s/%s", devpath, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : read(fd, buffer, size);
}

static void authorize(const char *devpath)
{
	static const char *const names[] = {"idVendor", "idProduct", "serial"};
	char path[PATH_MAX], buffer[4096];
	_cleanup_close_ int fd = -1;

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		if (read_attribute(devpath, names[i], buffer, sizeof(buffer)) < 0)
			return;
	(void)snprintf(path, sizeof(path), "/sys%s/authorized", devpath);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

static int loop(void)
{
	static struct Event event;
	int fd = listen_events();
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid > 0) {
		printf("%d\n", (int)pid);
		return EXIT_SUCCESS;
	}
	(void)setsid();
	for (int i = 0; i <= 2; i++)
		(void)close(i);
	for (;;) {
		wait_for_event(fd, "add", &event);
		authorize(event.devpath);
	}
}

/* --- rules --- */

#define FILE_RULES 5000 /* that fit into a policy's 1 MiB */

static unsigned vendor_of(unsigned i)
{
	return 0x1000 + i % 199;
}

static void write_usbguard_rules(unsigned n, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	if (!f)
		die(path);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "allow id %04x:%04x serial \"SN%06u\"\n", vendor_of(i), i, i);
	(void)fchmod(fileno(f), 0600); /* it takes no others */
}

static void write_policies(unsigned n, const char *directory)
{
	char path[PATH_MAX];

	for (unsigned i = 0; i < n;) {
		_cleanup_fclose_ FILE *f = NULL;

		(void)snprintf(path, sizeof(path), "%s/50-bench-%02u.yaml", directory,
			       i / FILE_RULES);
		f = fopen(path, "we");
		if (!f)
			die(path);
		fputs("version: 1\nrules:\n", f);
		do
			fprintf(f,
				"  - name: device-%u\n    action: allow\n    match: { usb: { "
				"idVendor: \"0x%04x\", idProduct: \"0x%04x\", serial: "
				"\"SN%06u\" } }\n",
				i, vendor_of(i), i, i);
		while (++i < n && i % FILE_RULES != 0);
	}
}

static int write_rules(unsigned n, const char *file, const char *directory)
{
	write_usbguard_rules(n, file);
	write_policies(n, directory);
	return EXIT_SUCCESS;
}

/* --- plugging --- */

struct Rule {
	unsigned vendor, product;
	char serial[32];
};

static size_t read_rules(const char *path, struct Rule *rules)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[256];
	size_t n = 0;

	while (f && n < RULES_MAX && fgets(line, sizeof(line), f))
		if (sscanf(line, "allow id %4x:%4x serial \"%31[^\"]\"", &rules[n].vendor,
			   &rules[n].product, rules[n].serial) == 3)
			n++;
	if (n == 0)
		die(path);
	return n;
}

static void make_gadget(void)
{
	static const char *const directories[] = {GADGET, STRINGS, GADGET "/configs/c.1",
						  GADGET "/functions/Loopback.0"};

	for (size_t i = 0; i < ELEMENTSOF(directories); i++)
		if (mkdir(directories[i], 0755) < 0 && errno != EEXIST)
			die(directories[i]);
	if (symlink(GADGET "/functions/Loopback.0", GADGET "/configs/c.1/Loopback.0") < 0 &&
	    errno != EEXIST)
		die("symlink");
	write_file(STRINGS "/manufacturer", "Acme");
	write_file(STRINGS "/product", "Loop");
}

/* Waits until the device was authorized and returns when that was. */
static uint64_t wait_for_write(int watch, int authorized)
{
	char buffer[4096], value;
	uint64_t end;

	/* O_TRUNC is a modification, too */
	do {
		if (read(watch, buffer, sizeof(buffer)) <= 0)
			die("inotify");
		end = now_ns();
	} while (pread(authorized, &value, 1, 0) != 1 || value != '1');
	return end;
}

static uint64_t plug(int events, const struct Rule *rule)
{
	static struct Event event;
	_cleanup_close_ int watch = inotify_init1(IN_CLOEXEC), authorized = -1;
	char path[PATH_MAX];
	uint64_t begin, end;

	write_file(GADGET "/idVendor", "0x%04x", rule->vendor);
	write_file(GADGET "/idProduct", "0x%04x", rule->product);
	write_file(STRINGS "/serialnumber", "%s", rule->serial);
	write_file(GADGET "/UDC", UDC);
	wait_for_event(events, "add", &event);
	(void)snprintf(path, sizeof(path), "/sys%s/authorized", event.devpath);
	authorized = open(path, O_RDONLY | O_CLOEXEC);
	if (authorized < 0 || watch < 0 || inotify_add_watch(watch, path, IN_MODIFY) < 0)
		die(path);
	begin = now_ns(); /* nobody else has run since the event */
	end = wait_for_write(watch, authorized);
	(void)poll(NULL, 0, REST_MS);
	write_file(GADGET "/UDC", "\n");
	wait_for_event(events, "remove", &event);
	return end - begin;
}

static int plug_all(size_t count, const char *rules_file)
{
	static struct Rule rules[RULES_MAX];
	size_t n = read_rules(rules_file, rules);
	int events = listen_events();

	make_gadget();
	if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 50}) < 0)
		die("sched_setscheduler");
	for (size_t i = 0; i < WARM + count; i++) {
		/* all over the rules, in no order */
		uint64_t ns = plug(events, &rules[i * 40503 % n]);

		if (i >= WARM)
			printf("%" PRIu64 "\n", ns);
		(void)poll(NULL, 0, REST_MS);
	}
	return EXIT_SUCCESS;
}

/* --- starting --- */

static pid_t run(char **argv)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		for (int i = 0; i <= 2; i++)
			(void)dup2(null, i);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static int start_until_ready(char **argv)
{
	static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0bench"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char buffer[4096] = "";
	uint64_t begin, end;
	ssize_t n;
	pid_t pid;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address,
			   offsetof(struct sockaddr_un, sun_path) + strlen("?bench")) < 0)
		die("bind");
	(void)setenv("NOTIFY_SOCKET", "@bench", 1);
	begin = now_ns();
	pid = run(argv);
	do {
		n = recv(fd, buffer, sizeof(buffer) - 1, 0);
		end = now_ns();
		buffer[n > 0 ? n : 0] = '\0';
	} while (!strstr(buffer, "READY=1"));
	printf("%" PRIu64 "\n", end - begin);
	(void)kill(pid, SIGTERM);
	(void)waitpid(pid, NULL, 0);
	return EXIT_SUCCESS;
}

static int start_until_end(char **argv)
{
	uint64_t begin = now_ns();
	pid_t pid = run(argv);
	int status;

	if (waitpid(pid, &status, 0) < 0 || status != 0) {
		fprintf(stderr, "bench-guest: %s: wait status %d\n", argv[0], status);
		return EXIT_FAILURE;
	}
	printf("%" PRIu64 "\n", now_ns() - begin);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 5 && streq(argv[1], "rules"))
		return write_rules((unsigned)strtoul(argv[2], NULL, 10), argv[3], argv[4]);
	if (argc == 4 && streq(argv[1], "plug"))
		return plug_all(strtoul(argv[2], NULL, 10), argv[3]);
	if (argc == 2 && streq(argv[1], "loop"))
		return loop();
	if (argc >= 3 && streq(argv[1], "ready"))
		return start_until_ready(argv + 2);
	if (argc >= 3 && streq(argv[1], "end"))
		return start_until_end(argv + 2);
	fprintf(stderr, "bench-guest: see its source\n");
	return EXIT_FAILURE;
}
