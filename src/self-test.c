/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "self-test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#include "enums.h"
#include "log.h"
#include "names.h"
#include "phase.h"
#include "util.h"

#define REMEDY                                                                                     \
	"look into \"systemctl cat tdx-authd\" for what forbids it, or how the container was "     \
	"made, and restart tdx-authd"

/* Mounts that systemd makes are of directories. What is not there needs no writing. */
static int test_mount(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statvfs fs;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	return fs.f_flag & ST_RDONLY ? -EROFS : 0;
}

/* Opens what would be written to; every device has at least a `uevent`. Other errors than these are
 * the device's own. */
static int test_device(int dir, const char *name)
{
	static const char *const attrs[] = {ATTR_AUTHORIZED, ATTR_UEVENT};
	_cleanup_close_ int dirfd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; dirfd >= 0 && i < ELEMENTSOF(attrs); i++) {
		_cleanup_close_ int fd =
			openat(dirfd, attrs[i], O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd >= 0)
			return 0;
		if (errno == EROFS || errno == EACCES || errno == EPERM)
			return -errno;
	}
	return 0;
}

/* One device of a bus stands for all. */
static int test_bus(enum Bus bus)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	char path[64];

	(void)snprintf(path, sizeof(path), SYSFS_BUSES "/%s/devices", bus_to_string(bus));
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			return test_device(dirfd(dir), entry->d_name);
	return 0;
}

static int test_sysfs(void)
{
	static const char *const mounts[] = {SYSFS_DEVICES, SYSFS_BUSES, "/sys/module"};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ELEMENTSOF(mounts); i++)
		r = test_mount(mounts[i]);
	for (enum Bus bus = 0; r >= 0 && bus < _BUS_MAX; bus++)
		r = test_bus(bus);
	return r;
}

static int test_runtime_dir(void)
{
	_cleanup_free_ char *path = runtime_path(SELF_TEST_FILE);
	int r = path ? runtime_write(SELF_TEST_FILE, "\n", 1, RUNTIME_REPLACE) : -ENOMEM;

	return r >= 0 && unlink(path) < 0 ? -errno : r;
}

static void test_permanence(void)
{
	if (access(POLICY_DIR_OWNER, F_OK) == 0 && access(POLICY_DIR_OWNER, W_OK) < 0)
		log_info("decisions cannot be made permanent from here: " POLICY_DIR_OWNER ": %m");
}

const char *self_test(void)
{
	int r = test_runtime_dir();
	const char *problem = NULL;

	if (r < 0) {
		problem = "CANNOT KEEP STATE in " RUNTIME_DIR;
		log_record(LOG_ERR, MESSAGE_ID_IMPAIRED, NULL, 0,
			   "cannot write to " RUNTIME_DIR ": %s; what was decided by hand will not "
			   "outlive this process: " REMEDY,
			   strerror(-r));
	}
	r = test_sysfs();
	if (r < 0) {
		problem = "CANNOT ENFORCE, /sys cannot be written to";
		log_record(
			LOG_ERR, MESSAGE_ID_IMPAIRED, NULL, 0,
			"cannot write to /sys: %s; no device can be authorized or refused: " REMEDY,
			strerror(-r));
	}
	test_permanence();
	return problem;
}
