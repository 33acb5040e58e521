/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "root-open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "util.h"

int root_open(const char *root, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int dirfd = -1;
	int fd;

	if (isempty(root)) {
		fd = open(path, flags | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	dirfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* Makes the directory at @path in *@dirfd, which is the one above it, if it is not there, and goes
 * to it. @name is the last of @path. */
static int go_to(const char *root, const char *path, const char *name, int *dirfd)
{
	int fd = root_open(root, path, O_PATH | O_DIRECTORY);

	if (fd == -ENOENT) {
		if (mkdirat(*dirfd, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		fd = root_open(root, path, O_PATH | O_DIRECTORY);
	}
	if (fd < 0)
		return fd;
	(void)close(*dirfd);
	*dirfd = fd;
	return 0;
}

int root_make_directory(const char *root, const char *path)
{
	_cleanup_free_ char *reached = strdup(path);
	_cleanup_close_ int dirfd = -1;
	char *name, *end;
	int r = 0;

	if (!reached)
		return -ENOMEM;
	dirfd = root_open(root, "/", O_PATH | O_DIRECTORY);
	if (dirfd < 0)
		return dirfd;
	for (name = reached + 1; r == 0 && *name; name = *end ? end + 1 : end) {
		char behind;

		end = name + strcspn(name, "/");
		behind = *end;
		*end = '\0';
		r = *name ? go_to(root, reached, name, &dirfd) : 0;
		*end = behind;
	}
	return r < 0 ? r : root_open(root, path, O_RDONLY | O_DIRECTORY);
}

int root_resolve(const char *root, const char *path, char **ret)
{
	_cleanup_close_ int fd = -1;
	char link[64], target[PATH_MAX];
	ssize_t n;

	if (isempty(root)) {
		*ret = strdup(path);
		return *ret ? 0 : -ENOMEM;
	}
	fd = root_open(root, path, O_PATH);
	if (fd < 0)
		return fd;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target));
	if (n < 0)
		return -errno;
	*ret = strndup(target, (size_t)n);
	return *ret ? 0 : -ENOMEM;
}

bool root_is_this_system(const char *root)
{
	struct stat here, there;

	if (stat(isempty(root) ? "/" : root, &there) < 0 ||
	    (stat("/proc/1/root", &here) < 0 && stat("/", &here) < 0))
		return true;
	return here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}
