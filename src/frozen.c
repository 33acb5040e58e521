/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frozen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "names.h"
#include "util.h"

/* systemd.exec(5), RuntimeDirectory=. */
static const char *runtime_dir(void)
{
	const char *dir = secure_getenv("RUNTIME_DIRECTORY");

	return isempty(dir) ? RUNTIME_DIR : dir;
}

static int frozen_path(char *path)
{
	int n = snprintf(path, PATH_MAX, "%s/frozen", runtime_dir());

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Whatever keeps us from seeing that there is no such file is taken for the freeze. */
bool frozen(void)
{
	char path[PATH_MAX];

	return frozen_path(path) < 0 || faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

int freeze(void)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int r = frozen_path(path);

	if (r < 0)
		return r;
	if (mkdir(runtime_dir(), 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : 0;
}
