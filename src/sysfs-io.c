/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sysfs-io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "io.h"
#include "names.h"
#include "util.h"

int sysfs_open(const char *syspath)
{
	int fd = open(syspath, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	return fd;
}

int sysfs_identity(int dirfd, dev_t *ret_dev, ino_t *ret_ino)
{
	struct stat st;

	if (fstat(dirfd, &st) < 0)
		return -errno;
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
	return 0;
}

bool sysfs_is_alive(int dirfd)
{
	return faccessat(dirfd, ATTR_UEVENT, F_OK, 0) == 0; /* every device has it */
}

/* An attribute that cannot be found belongs to a device without it or to one that is gone. */
static int explain_enoent(int dirfd)
{
	return sysfs_is_alive(dirfd) ? -ENOENT : -ENODEV;
}

static int open_attr(int dirfd, const char *attr, int flags)
{
	int fd = openat(dirfd, attr, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return errno == ENOENT ? explain_enoent(dirfd) : -errno;
	return fd;
}

int sysfs_open_attr(int dirfd, const char *attr)
{
	/* a file of another kind could make the opener wait */
	return open_attr(dirfd, attr, O_RDONLY | O_NONBLOCK);
}

int sysfs_read_fd_once(int fd, char **ret)
{
	char buffer[SYSFS_TEXT_MAX + 1];
	/* all at once, or as much as there is room for: fs/seq_file.c, seq_read_iter() */
	ssize_t n = read(fd, buffer, sizeof(buffer));

	if (n < 0)
		return -errno;
	if (n > SYSFS_TEXT_MAX)
		return -EMSGSIZE;
	if (n > 0 && buffer[n - 1] == '\n')
		n--;
	buffer[n] = '\0';
	*ret = strdup(buffer);
	return *ret ? 0 : -ENOMEM;
}

int sysfs_read_fd(int fd, char **ret)
{
	int r;

	do
		r = sysfs_read_fd_once(fd, ret);
	while (r == -EINTR);
	return r;
}

int sysfs_tell_absence(int dirfd, int error)
{
	return error == -ENODEV && sysfs_is_alive(dirfd) ? -EIO : error;
}

int sysfs_read(int dirfd, const char *attr, char **ret)
{
	_cleanup_close_ int fd = open_attr(dirfd, attr, O_RDONLY);

	return fd < 0 ? fd : sysfs_tell_absence(dirfd, sysfs_read_fd(fd, ret));
}

int sysfs_read_binary(int dirfd, const char *attr, size_t max, unsigned char **ret,
		      size_t *ret_size)
{
	_cleanup_close_ int fd = open_attr(dirfd, attr, O_RDONLY);
	_cleanup_free_ unsigned char *data = NULL;
	ssize_t n;

	if (fd < 0)
		return fd;
	data = malloc(max + 1);
	if (!data)
		return -ENOMEM;
	n = read_full(fd, data, max + 1);
	if (n < 0)
		return (int)n;
	if ((size_t)n > max)
		return -EFBIG;
	*ret = TAKE_PTR(data);
	*ret_size = (size_t)n;
	return 0;
}

int sysfs_write_fd(int fd, const char *value)
{
	size_t size = strlen(value);
	ssize_t n = write(fd, value, size);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

int sysfs_write(int dirfd, const char *attr, const char *value)
{
	_cleanup_close_ int fd = open_attr(dirfd, attr, O_WRONLY | O_TRUNC);

	return fd < 0 ? fd : sysfs_write_fd(fd, value);
}

int sysfs_read_link(int dirfd, const char *link, char **ret)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, link, target, sizeof(target) - 1);
	const char *last;

	if (n < 0)
		return errno == ENOENT ? explain_enoent(dirfd) : -errno;
	target[n] = '\0';
	last = strrchr(target, '/');
	*ret = strdup(last ? last + 1 : target);
	return *ret ? 0 : -ENOMEM;
}
