/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replace-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "io.h"
#include "util.h"

static int write_new(int dirfd, const char *temporary, const char *text, size_t size)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, 0644) < 0 ? -errno : write_full(fd, text, size);
	return r == 0 && fsync(fd) < 0 ? -errno : r;
}

int replace_file_at(int dirfd, const char *name, const char *text, size_t size)
{
	_cleanup_free_ char *temporary = NULL;
	int r;

	if (asprintf(&temporary, ".%s.new", name) < 0) {
		temporary = NULL;
		return -ENOMEM;
	}
	(void)unlinkat(dirfd, temporary, 0);
	r = write_new(dirfd, temporary, text, size);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, temporary, 0);
	else if (fsync(dirfd) < 0)
		r = -errno;
	return r;
}

/* Makes the directories that @path, a file, is in. */
static int make_directories(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		int r;

		*p = '\0';
		r = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
		*p = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

int replace_file(const char *path, const char *text, size_t size)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int dirfd = -1;
	char *slash;
	int r = copy ? make_directories(copy) : -ENOMEM;

	if (r < 0)
		return r;
	slash = strrchr(copy, '/');
	if (!slash || !slash[1])
		return -EINVAL;
	*slash = '\0';
	dirfd = open(*copy ? copy : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd < 0 ? -errno : replace_file_at(dirfd, slash + 1, text, size);
}
