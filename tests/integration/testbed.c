/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "testbed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define PATIENCE_MSEC 10000
#define POLL_MSEC 10
#define MAX_WORDS 16
#define LOG_MAX 65536

/* A path in the testbed as the rest of the machine sees it. */
static char *real_path(struct Testbed *bed, const char *path)
{
	_cleanup_free_ char *root = umockdev_testbed_get_root_dir(bed->umockdev);
	char *real;

	assert_true(asprintf(&real, "%s%s", root, path) >= 0);
	return real;
}

static void make_dir(struct Testbed *bed, const char *path)
{
	_cleanup_free_ char *dir = real_path(bed, path);

	assert_int_equal(g_mkdir_with_parents(dir, 0755), 0);
}

/* Which device came first its inode number tells, which rises in sysfs as in tmpfs (mm/shmem.c,
 * shmem_reserve_inode()) and comes back on a disk. */
static void use_tmpfs(void)
{
	struct statfs fs;

	if (statfs("/dev/shm", &fs) == 0 && fs.f_type == TMPFS_MAGIC)
		(void)setenv("TMPDIR", "/dev/shm", 1);
	else
		(void)fprintf(stderr, "no tmpfs in /dev/shm: devices may be taken out of order\n");
}

/* Not the machine's own. */
static bool set_system_bus(struct Testbed *bed)
{
	_cleanup_free_ char *address = NULL;

	return asprintf(&address, "unix:path=%s/system_bus_socket", bed->runtime_dir) > 0 &&
	       setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1) == 0;
}

int testbed_setup(void **state)
{
	struct Testbed *bed = calloc(1, sizeof(*bed));
	int fd;

	use_tmpfs();
	bed->umockdev = umockdev_testbed_new();
	if (access("/sys/kernel", F_OK) == 0) { /* an empty testbed has none */
		(void)fprintf(stderr, "run this under umockdev-wrapper\n");
		return -1;
	}
	make_dir(bed, "/sys/devices"); /* what tells an empty sysfs from none */
	bed->policy = strdup("/tmp/tdx-auth-policy-XXXXXX");
	fd = mkstemp(bed->policy);
	if (fd < 0)
		return -1;
	(void)close(fd);
	testbed_policy(bed, "version: 1\n");
	bed->config = strdup("/tmp/tdx-auth-config-XXXXXX");
	fd = mkstemp(bed->config);
	if (fd < 0)
		return -1;
	(void)close(fd);
	/* or who runs the tests as root would have records of them */
	testbed_config(bed, "version: 1\naudit: no\n");
	bed->runtime_dir = strdup("/tmp/tdx-auth-run-XXXXXX");
	if (!mkdtemp(bed->runtime_dir) ||
	    setenv("TDX_AUTH_RUNTIME_DIRECTORY", bed->runtime_dir, 1) < 0)
		return -1;
	if (!set_system_bus(bed))
		return -1;
	bed->log = memfd_create("log", MFD_CLOEXEC);
	*state = bed;
	return 0;
}

/* A directory of files. */
static void remove_dir(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)rmdir(path);
}

int testbed_teardown(void **state)
{
	struct Testbed *bed = *state;

	g_object_unref(bed->umockdev);
	(void)close(bed->log);
	(void)unlink(bed->policy);
	free(bed->policy);
	(void)unlink(bed->config);
	free(bed->config);
	(void)remove_dir(bed->runtime_dir);
	free(bed->runtime_dir);
	free(bed);
	return 0;
}

void testbed_unplug(struct Testbed *bed, pid_t pid, const char *syspath)
{
	(void)kill(pid, SIGSTOP);
	testbed_uevent(bed, syspath, "remove");
	umockdev_testbed_remove_device(bed->umockdev, syspath);
	(void)kill(pid, SIGCONT);
}

static void write_text(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

void testbed_policy(struct Testbed *bed, const char *text)
{
	write_text(bed->policy, text);
}

void testbed_config(struct Testbed *bed, const char *text)
{
	write_text(bed->config, text);
}

char *testbed_add_pci_behind(struct Testbed *bed, const char *parent, const char *name,
			     unsigned vendor, unsigned device)
{
	char v[16], d[16], modalias[64];

	(void)snprintf(v, sizeof(v), "0x%04x\n", vendor);
	(void)snprintf(d, sizeof(d), "0x%04x\n", device);
	(void)snprintf(modalias, sizeof(modalias), "pci:v%08Xd%08X\n", vendor, device);
	return umockdev_testbed_add_device(
		bed->umockdev, "pci", name, parent, "vendor", v, "device", d, "subsystem_vendor",
		"0x0000\n", "subsystem_device", "0x0000\n", "class", "0x020000\n", "modalias",
		modalias, "authorized", "0\n", "authorized_by", "default\n", "authorized_driver",
		"\n", NULL, NULL);
}

char *testbed_add_pci(struct Testbed *bed, const char *name, unsigned vendor, unsigned device)
{
	return testbed_add_pci_behind(bed, NULL, name, vendor, device);
}

char *testbed_add_platform(struct Testbed *bed, const char *name)
{
	return umockdev_testbed_add_device(bed->umockdev, "platform", name, NULL, "authorized",
					   "0\n", NULL, NULL);
}

char *testbed_add_usb(struct Testbed *bed, const char *name, const char *product)
{
	return umockdev_testbed_add_device(bed->umockdev, "usb", name, NULL, "idVendor", "1d6b\n",
					   "idProduct", "0104\n", "product", product, "authorized",
					   "1\n", NULL, "DEVTYPE", "usb_device", NULL);
}

char *testbed_add_usb_in_use(struct Testbed *bed, const char *name, const char *product,
			     const char *protocols)
{
	unsigned char descriptors[18 + 9 * 4] = {18, 1}; /* USB 3.2, 9.6: a device, interfaces */
	char *path = testbed_add_usb(bed, name, product);
	size_t n = strlen(protocols);

	assert_true(n <= 4);
	for (size_t i = 0; i < n; i++) {
		const unsigned char one[9] = {
			9, 4, (unsigned char)i, 0, 0, 3, 1, (unsigned char)(protocols[i] - '0'), 0};

		memcpy(descriptors + 18 + 9 * i, one, sizeof(one));
	}
	umockdev_testbed_set_attribute_link(bed->umockdev, path, "driver",
					    "../../../bus/usb/drivers/usb");
	umockdev_testbed_set_attribute_binary(bed->umockdev, path, "descriptors", descriptors,
					      18 + 9 * n);
	return path;
}

static void make_parent(struct Testbed *bed, const char *path)
{
	_cleanup_free_ char *dir = strdup(path);

	assert_non_null(dir);
	*strrchr(dir, '/') = '\0';
	make_dir(bed, dir);
}

void testbed_add_file(struct Testbed *bed, const char *path, const char *text)
{
	_cleanup_free_ char *real = real_path(bed, path);
	_cleanup_fclose_ FILE *f = NULL;

	make_parent(bed, path);
	f = fopen(real, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

void testbed_add_link(struct Testbed *bed, const char *path, const char *target)
{
	_cleanup_free_ char *real = real_path(bed, path), *relative = NULL;
	size_t size;
	FILE *f = open_memstream(&relative, &size);

	assert_non_null(f);
	for (const char *p = path + 1; (p = strchr(p, '/')); p++)
		(void)fputs("../", f);
	(void)fputs(target + 1, f);
	(void)fclose(f);
	make_parent(bed, path);
	assert_int_equal(symlink(relative, real), 0);
}

void testbed_mode(struct Testbed *bed, const char *mode)
{
	_cleanup_free_ char *line = NULL;

	assert_true(asprintf(&line, "%s\n", mode) > 0);
	testbed_add_file(bed, "/sys/kernel/device_authorization/mode", line);
}

void testbed_make_unreadable(struct Testbed *bed, const char *syspath, const char *attr)
{
	_cleanup_free_ char *dir = real_path(bed, syspath), *file = NULL;

	assert_true(asprintf(&file, "%s/%s", dir, attr) >= 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0755), 0);
}

void testbed_make_readable(struct Testbed *bed, const char *syspath, const char *attr,
			   const char *value)
{
	_cleanup_free_ char *dir = real_path(bed, syspath), *file = NULL;

	assert_true(asprintf(&file, "%s/%s", dir, attr) >= 0);
	assert_int_equal(rmdir(file), 0);
	umockdev_testbed_set_attribute(bed->umockdev, syspath, attr, value);
}

int testbed_make_slow(struct Testbed *bed, const char *syspath, const char *attr)
{
	_cleanup_free_ char *dir = real_path(bed, syspath), *file = NULL;
	int fd;

	assert_true(asprintf(&file, "%s/%s", dir, attr) >= 0);
	assert_true(unlink(file) == 0 || errno == ENOENT);
	assert_int_equal(mkfifo(file, 0644), 0);
	fd = open(file, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void testbed_displace(struct Testbed *bed, const char *syspath)
{
	_cleanup_free_ char *from = real_path(bed, syspath), *to = NULL, *link = NULL, *bus = NULL;

	assert_true(asprintf(&to, "%s-displaced", from) >= 0);
	assert_int_equal(rename(from, to), 0);
	assert_true(asprintf(&bus, "/sys/bus/pci/devices%s", strrchr(syspath, '/')) >= 0);
	link = real_path(bed, bus);
	assert_int_equal(unlink(link), 0);
}

void testbed_uevent(struct Testbed *bed, const char *syspath, const char *action)
{
	umockdev_testbed_uevent(bed->umockdev, syspath, action);
}

void testbed_send(struct Testbed *bed, const void *message, size_t size)
{
	_cleanup_free_ char *root = umockdev_testbed_get_root_dir(bed->umockdev);
	_cleanup_closedir_ DIR *dir = opendir(root);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct dirent *entry;
	int n = 0;

	assert_true(dir && fd >= 0);
	while ((entry = readdir(dir))) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		if (!startswith(entry->d_name, "event"))
			continue;
		assert_true((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s",
					     root, entry->d_name) < sizeof(address.sun_path));
		n += sendto(fd, message, size, 0, (struct sockaddr *)&address, sizeof(address)) ==
		     (ssize_t)size;
	}
	assert_true(n > 0);
}

/* What libudev's monitor gets from udevd, and what umockdev sends: src/libsystemd/sd-device/
 * device-monitor.c in systemd. */
struct UdevHeader {
	char prefix[8];
	uint32_t magic, header_size, properties_offset, properties_size, hashes[4];
};

/* Makes of it what the kernel sends: "ACTION@DEVPATH" before the same variables. Returns the new
 * size. */
static ssize_t make_kernels(char *buffer, size_t size, size_t room)
{
	_cleanup_free_ char *message = NULL;
	struct UdevHeader header;
	const char *properties, *action, *devpath;
	size_t length;
	FILE *file = open_memstream(&message, &length);

	assert_non_null(file);
	memcpy(&header, buffer, sizeof(header));
	assert_true(header.properties_offset + header.properties_size == size);
	properties = buffer + header.properties_offset;
	action = startswith(properties, "ACTION="); /* umockdev has these two first */
	assert_non_null(action);
	devpath = startswith(action + strlen(action) + 1, "DEVPATH=");
	assert_non_null(devpath);
	assert_true(fprintf(file, "%s@%s%c", action, devpath, '\0') > 0);
	assert_true(fwrite(properties, 1, header.properties_size, file) == header.properties_size);
	assert_int_equal(fclose(file), 0);
	assert_true(length <= room);
	memcpy(buffer, message, length);
	return (ssize_t)length;
}

/* umockdev has its messages come from udevd's group and a process: here, from the kernel. Those of
 * testbed_send() are what they are. */
ssize_t __real_recvmsg(int fd, struct msghdr *header, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *header, int flags);

ssize_t __wrap_recvmsg(int fd, struct msghdr *header, int flags)
{
	struct sockaddr_nl *sender = header->msg_name;
	ssize_t n = __real_recvmsg(fd, header, flags);
	struct cmsghdr *control;
	struct ucred kernel = {0};

	if (n <= 0 || !sender || sender->nl_family != AF_NETLINK)
		return n;
	header->msg_namelen = sizeof(*sender);
	sender->nl_groups = 1;
	control = CMSG_FIRSTHDR(header);
	if (control)
		memcpy(CMSG_DATA(control), &kernel, sizeof(kernel));
	if ((size_t)n > sizeof(struct UdevHeader) && streq(header->msg_iov->iov_base, "libudev"))
		n = make_kernels(header->msg_iov->iov_base, (size_t)n, header->msg_iov->iov_len);
	return n;
}

char *testbed_attr(struct Testbed *bed, const char *syspath, const char *attr)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *file = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	(void)bed;
	assert_true(asprintf(&path, "%s/%s", syspath, attr) >= 0);
	file = fopen(path, "re");
	n = file ? getline(&line, &size, file) : -1;
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	if (n < 0) {
		free(line);
		return strdup("");
	}
	return line;
}

void testbed_wait_attr(struct Testbed *bed, const char *syspath, const char *attr,
		       const char *value)
{
	_cleanup_free_ char *last = NULL;

	for (int waited = 0; waited < PATIENCE_MSEC; waited += POLL_MSEC) {
		free(last);
		last = testbed_attr(bed, syspath, attr);
		if (streq(last, value))
			return;
		(void)poll(NULL, 0, POLL_MSEC);
	}
	fail_msg("%s/%s is \"%s\", not \"%s\"", syspath, attr, last ? last : "", value);
}

static char *read_all(int fd)
{
	_cleanup_fclose_ FILE *file = fdopen(fd, "r");
	char *text = NULL;
	size_t size = 0;

	assert_non_null(file);
	rewind(file);
	if (getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		return strdup("");
	}
	return text;
}

static int exit_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* --- programs --- */

/* Where a program is, as its distance from testbed_run(): which one a process of this test is. */
#define PROGRAM_VARIABLE "TESTBED_PROGRAM"

static char this_test[PATH_MAX];

/* The end of a program does not run the test's own atexit() handlers. */
__attribute__((constructor)) static void become_program(int argc, char **argv)
{
	const char *distance = getenv(PROGRAM_VARIABLE);
	int (*program)(int, char **);
	uintptr_t address;
	int status;

	if (!distance) {
		if (readlink("/proc/self/exe", this_test, sizeof(this_test) - 1) < 0)
			abort();
		return;
	}
	address = (uintptr_t)testbed_run + (uintptr_t)strtoull(distance, NULL, 10);
	memcpy(&program, &address, sizeof(program));
	(void)unsetenv(PROGRAM_VARIABLE);
	status = program(argc, argv);
	(void)fflush(NULL);
	_exit(status);
}

/* A variable more for the environment of another process, whose list the caller frees. */
static char **environ_with(char *variable)
{
	size_t n = 0;
	char **list;

	while (environ[n])
		n++;
	list = calloc(n + 2, sizeof(char *));
	assert_non_null(list);
	memcpy(list, environ, n * sizeof(char *));
	list[n] = variable;
	return list;
}

/* Starts a process that dies with the test, with @out and @err for its output. It is this test's
 * own executable anew, as a child without that could wait for ever for locks that other threads
 * held, umockdev's and ASan's. Descriptors of the test are not its. */
static pid_t start_child(int (*program)(int, char **), char **argv, int out, int err)
{
	_cleanup_free_ char *variable = NULL;
	_cleanup_free_ char **list = NULL;
	pid_t pid;

	assert_true(asprintf(&variable, PROGRAM_VARIABLE "=%llu",
			     (unsigned long long)((uintptr_t)program - (uintptr_t)testbed_run)) >
		    0);
	list = environ_with(variable);
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)execve(this_test, argv, list);
	_exit(EXIT_FAILURE);
}

int testbed_run(int (*program)(int, char **), char **ret_out, char **ret_err, ...)
{
	char *argv[MAX_WORDS] = {NULL};
	int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
	int argc = 0, status;
	pid_t pid;
	va_list ap;

	va_start(ap, ret_err);
	while (argc < MAX_WORDS - 1 && (argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	pid = start_child(program, argv, out, err);
	status = exit_status(pid);
	if (ret_out)
		*ret_out = read_all(out);
	else
		(void)close(out);
	if (ret_err)
		*ret_err = read_all(err);
	else
		(void)close(err);
	return status;
}

pid_t testbed_spawn(struct Testbed *bed, int (*program)(int, char **), ...)
{
	char *argv[MAX_WORDS] = {NULL};
	int argc = 0;
	va_list ap;

	va_start(ap, program);
	while (argc < MAX_WORDS - 1 && (argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	return start_child(program, argv, STDOUT_FILENO, bed->log);
}

/* A socket for sd_notify(3), in the abstract name space. */
static int notify_socket(char *name, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(sa_family_t);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0); /* autobind, unix(7) */
	length = sizeof(address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	(void)snprintf(name, size, "@%s", address.sun_path + 1);
	return fd;
}

/* Whatever else it says meanwhile, it is not waited for longer. */
static bool await_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	gint64 end = g_get_monotonic_time() + PATIENCE_MSEC * G_TIME_SPAN_MILLISECOND;
	char message[1024];
	gint64 left;
	ssize_t n;

	while ((left = end - g_get_monotonic_time()) > 0 &&
	       poll(&p, 1, (int)(left / G_TIME_SPAN_MILLISECOND) + 1) > 0) {
		n = recv(fd, message, sizeof(message) - 1, 0);
		if (n < 0)
			return false;
		message[n] = '\0';
		if (strstr(message, "READY=1"))
			return true;
	}
	return false;
}

char *testbed_log(struct Testbed *bed)
{
	char *text = calloc(1, LOG_MAX + 1);

	assert_non_null(text);
	assert_true(pread(bed->log, text, LOG_MAX, 0) >= 0);
	return text;
}

/* @name is of its socket for sd_notify(3). */
static pid_t start_program(struct Testbed *bed, int (*program)(int, char **), const char *name)
{
	char *argv[] = {(char *)"daemon",   (char *)"--policy", bed->policy,
			(char *)"--config", bed->config,	NULL};
	pid_t pid;

	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	pid = start_child(program, argv, STDOUT_FILENO, bed->log);
	(void)unsetenv("NOTIFY_SOCKET");
	return pid;
}

pid_t testbed_start_at_once(struct Testbed *bed, int (*program)(int, char **))
{
	char name[128];
	_cleanup_close_ int fd = notify_socket(name, sizeof(name));

	return start_program(bed, program, name);
}

pid_t testbed_start(struct Testbed *bed, int (*program)(int, char **))
{
	char name[128];
	_cleanup_close_ int fd = notify_socket(name, sizeof(name));
	pid_t pid = start_program(bed, program, name);

	if (!await_ready(fd)) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		fail_msg("the daemon did not say READY=1, it logged:\n%s", testbed_log(bed));
	}
	return pid;
}

void testbed_wait_log(struct Testbed *bed, const char *text)
{
	for (int waited = 0; waited < PATIENCE_MSEC; waited += POLL_MSEC) {
		_cleanup_free_ char *log = testbed_log(bed);

		if (strstr(log, text))
			return;
		(void)poll(NULL, 0, POLL_MSEC);
	}
	fail_msg("the daemon did not log \"%s\" but:\n%s", text, testbed_log(bed));
}

void testbed_expect_not_logged(struct Testbed *bed, const char *text)
{
	_cleanup_free_ char *log = testbed_log(bed);

	if (strstr(log, text))
		fail_msg("the daemon logged \"%s\":\n%s", text, log);
}

int testbed_stop(pid_t pid, int signal)
{
	(void)kill(pid, signal);
	return exit_status(pid);
}
