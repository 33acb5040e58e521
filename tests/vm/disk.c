/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "util.h"

static int run(const char *const *args)
{
	int r, status;
	pid_t pid;

	r = posix_spawnp(&pid, args[0], NULL, NULL, (char *const *)args, environ);
	if (r != 0)
		return -r;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int disk_copy(struct disk *disk, const char *guest)
{
	const char *lab = getenv("TDX_AUTH_LAB"), *logs = getenv("TDX_AUTH_LOGS");
	char from[PATH_MAX];

	if (!lab || !logs)
		return -ENOENT;
	(void)mkdir(logs, 0755);
	(void)snprintf(from, sizeof(from), "%s/%s/rootfs.ext4", lab, guest);
	(void)snprintf(disk->path, sizeof(disk->path), "%s/%s-%s-%d.ext4", logs,
		       program_invocation_short_name, guest, (int)getpid());
	return run((const char *const[]){"cp", "--sparse=always", "-L", from, disk->path, NULL});
}

void disk_done(struct disk *disk)
{
	if (!isempty(disk->path))
		(void)unlink(disk->path);
}

/* Of e2fsprogs; that says what went wrong, and then that all went well. */
int disk_fetch(const struct disk *disk, const char *file, const char *to)
{
	_cleanup_free_ char *request = NULL;
	struct stat st;
	int r;

	if (asprintf(&request, "dump \"%s\" \"%s\"", file, to) < 0) {
		request = NULL;
		return -ENOMEM;
	}
	(void)unlink(to);
	r = run((const char *const[]){"/usr/sbin/debugfs", "-R", request, disk->path, NULL});
	if (r < 0)
		return r;
	if (stat(to, &st) < 0)
		return -errno;
	return st.st_size > 0 ? 0 : -ENODATA;
}
