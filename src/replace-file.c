/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replace-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "io.h"
#include "root-open.h"
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

	if (asprintf(&temporary, ".%s.%d.new", name, (int)getpid()) < 0) {
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

int replace_file(const char *root, const char *path, const char *text, size_t size)
{
	_cleanup_free_ char *directory = strdup(path);
	_cleanup_close_ int dirfd = -1;
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!directory)
		return -ENOMEM;
	if (!slash || !slash[1])
		return -EINVAL;
	*slash = '\0';
	dirfd = root_make_directory(root, *directory ? directory : "/");
	return dirfd < 0 ? dirfd : replace_file_at(dirfd, slash + 1, text, size);
}
