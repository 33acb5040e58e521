/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trusted-open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util.h"

#define LINKS_MAX 40 /* as the kernel follows, fs/namei.c MAXSYMLINKS */

/* On the way to a path. */
struct Way {
	const char *root; /* NULL: / */
	int root_fd;
	int fd;	       /* the directory that was reached */
	char *reached; /* its path, below root */
	char *rest;    /* what is still to go */
	size_t behind; /* characters of it that do not come from a link */
	unsigned links;
	char *first_link; /* its path, for people */
	char *problem;
};

static void way_done(struct Way *way)
{
	closep(&way->root_fd);
	closep(&way->fd);
	free(way->reached);
	free(way->rest);
	free(way->first_link);
	free(way->problem);
}

_printf_(3, 4) static int fail(struct Way *way, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&way->problem, format, ap) < 0)
		way->problem = NULL;
	va_end(ap);
	return error;
}

/* The path of @name in the directory that was reached, for people. */
static char *full_path(const struct Way *way, const char *name)
{
	char *path;

	if (asprintf(&path, "%s%s%s%s", way->root ? way->root : "", way->reached, *name ? "/" : "",
		     name) < 0)
		return NULL;
	return path;
}

static int fail_at(struct Way *way, int error, const char *name)
{
	_cleanup_free_ char *path = full_path(way, name);

	return fail(way, error, "%s: %s", path ? path : "?", strerror(-error));
}

/* linux/magic.h lacks some. */
#define MAGIC_CEPH 0x00c36400
#define MAGIC_CIFS 0xff534d42
#define MAGIC_EXFAT 0x2011bab0
#define MAGIC_FUSE 0x65735546
#define MAGIC_HFSPLUS 0x482b
#define MAGIC_NTFS3 0x7366746e
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_UDF 0x15013346

static const char *untrusted_file_system(unsigned long type)
{
	static const struct {
		unsigned long type;
		const char *name;
	} untrusted[] = {
		{V9FS_MAGIC, "9p"},	    {MAGIC_FUSE, "FUSE or virtiofs"},
		{NFS_SUPER_MAGIC, "NFS"},   {MAGIC_CIFS, "CIFS"},
		{MAGIC_SMB2, "SMB"},	    {MAGIC_CEPH, "Ceph"},
		{AFS_SUPER_MAGIC, "AFS"},   {CODA_SUPER_MAGIC, "Coda"},
		{MSDOS_SUPER_MAGIC, "FAT"}, {MAGIC_EXFAT, "exFAT"},
		{MAGIC_NTFS3, "NTFS"},	    {ISOFS_SUPER_MAGIC, "ISO 9660"},
		{MAGIC_UDF, "UDF"},	    {MAGIC_HFSPLUS, "HFS+"},
	};

	for (size_t i = 0; i < ELEMENTSOF(untrusted); i++)
		if (untrusted[i].type == (type & 0xffffffff))
			return untrusted[i].name;
	return NULL;
}

/* Root, or whoever reads: what they made is trusted. */
static int check_owner(struct Way *way, const struct stat *st, const char *shown)
{
	if (st->st_uid == 0 || st->st_uid == geteuid())
		return 0;
	return fail(way, -EPERM, "%s: owned by user %u, must be root's%s", shown, st->st_uid,
		    geteuid() == 0 ? "" : " or its reader's");
}

/* @is_end: what the path leads to, not a directory on the way. */
static int check(struct Way *way, int fd, const char *name, bool is_end)
{
	_cleanup_free_ char *path = full_path(way, name);
	const char *type, *shown = isempty(path) ? "/" : path;
	struct statfs fs;
	struct stat st;
	mode_t mode;
	int r;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return fail_at(way, -errno, name);
	r = check_owner(way, &st, shown);
	if (r < 0)
		return r;
	/* before advice that would be bad for /dev/null */
	if (is_end && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return fail(way, -EINVAL, "%s: not a regular file", shown);
	mode = st.st_mode & (S_IWGRP | S_IWOTH);
	/* nobody may rename there what he does not own */
	if (!is_end && (st.st_mode & S_ISVTX))
		mode = 0;
	if (mode)
		return fail(way, -EPERM,
			    "%s: writable by others than its owner (mode %04o); chmod go-w", shown,
			    st.st_mode & 07777);
	type = untrusted_file_system((unsigned long)fs.f_type);
	if (type)
		return fail(way, -EPERM,
			    "%s: on a file system (%s) that does not itself say who owns what",
			    shown, type);
	return 0;
}

static int go_to_root(struct Way *way)
{
	closep(&way->fd);
	free(way->reached);
	way->reached = strdup("");
	way->fd = fcntl(way->root_fd, F_DUPFD_CLOEXEC, 0);
	if (!way->reached || way->fd < 0)
		return -ENOMEM;
	return check(way, way->fd, "", false);
}

static int go_up(struct Way *way)
{
	char *slash = strrchr(way->reached, '/');
	int fd;

	if (!slash) /* above the root is the root */
		return 0;
	fd = openat(way->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_at(way, -errno, "..");
	closep(&way->fd);
	way->fd = fd;
	*slash = '\0';
	return 0;
}

static int go_down(struct Way *way, const char *name, int fd)
{
	char *reached;

	if (asprintf(&reached, "%s/%s", way->reached, name) < 0)
		return -ENOMEM;
	closep(&way->fd);
	way->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	free(way->reached);
	way->reached = reached;
	if (way->fd < 0)
		return fail_at(way, -errno, "");
	return check(way, way->fd, "", false);
}

/* Puts the target of the link @fd in the place of its name. In a directory where everybody may make
 * one, such as /tmp, its owner counts. */
static int follow(struct Way *way, int fd, const char *name, const char *rest)
{
	_cleanup_free_ char *path = full_path(way, name);
	char target[PATH_MAX], *longer;
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);
	struct stat st;
	int r;

	if (n < 0 || fstat(fd, &st) < 0)
		return fail_at(way, -errno, name);
	r = check_owner(way, &st, path ? path : "?");
	if (r < 0)
		return r;
	if (way->links++ >= LINKS_MAX)
		return fail_at(way, -ELOOP, name);
	if (!way->first_link)
		way->first_link = TAKE_PTR(path);
	target[n] = '\0';
	if (asprintf(&longer, "%s/%s", target, rest) < 0)
		return -ENOMEM;
	/* of what a link before this one led to, the rest still comes from that link */
	if (way->links == 1 || strlen(rest) < way->behind)
		way->behind = strlen(rest);
	free(way->rest);
	way->rest = longer;
	return target[0] == '/' ? go_to_root(way) : 0;
}

/* What is missing at @start, the rest of the way, may be what a link leads to. */
static int fail_missing(struct Way *way, const char *start, const char *name)
{
	_cleanup_free_ char *path = full_path(way, name);

	if (errno != ENOENT || way->links == 0 || strlen(start) <= way->behind)
		return fail_at(way, -errno, name);
	return fail(way, -ENOLINK, "%s: leads to %s, and there is nothing",
		    way->first_link ? way->first_link : "a link", path ? path : "?");
}

/* Goes one component on. Returns 1 with *ret_fd at the end of the path. */
static int step(struct Way *way, int flags, int *ret_fd)
{
	char *start = way->rest + strspn(way->rest, "/");
	_cleanup_free_ char *name = strndup(start, strcspn(start, "/"));
	const char *rest = start + strcspn(start, "/");
	bool is_last = !rest[strspn(rest, "/")];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (!name)
		return -ENOMEM;
	if (!*name || streq(name, ".") || streq(name, "..")) {
		r = streq(name, "..") ? go_up(way) : 0;
		memmove(way->rest, rest, strlen(rest) + 1);
		if (r < 0 || !is_last)
			return r;
		r = check(way, way->fd, "", true);
		if (r < 0)
			return r;
		*ret_fd = openat(way->fd, ".", flags | O_CLOEXEC);
		return *ret_fd < 0 ? fail_at(way, -errno, "") : 1;
	}
	fd = openat(way->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_missing(way, start, name);
	if (S_ISLNK(st.st_mode))
		return follow(way, fd, name, rest);
	if (!is_last) {
		r = go_down(way, name, fd);
		memmove(way->rest, rest, strlen(rest) + 1);
		return r;
	}
	*ret_fd = openat(way->fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd < 0)
		return fail_at(way, -errno, name);
	r = check(way, *ret_fd, name, true);
	if (r < 0)
		closep(ret_fd);
	return r < 0 ? r : 1;
}

/* The working directory is as much on the way as what is written. */
static char *make_absolute(const char *root, const char *path)
{
	_cleanup_free_ char *cwd = NULL;
	char *absolute;

	if (root || path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&absolute, "%s/%s", cwd, path) < 0)
		return NULL;
	return absolute;
}

int trusted_open(const char *root, const char *path, int flags, char **ret_problem)
{
	_cleanup_(way_done) struct Way way = {
		.root = isempty(root) ? NULL : root, .root_fd = -1, .fd = -1};
	int r, fd = -1;

	*ret_problem = NULL;
	way.root_fd = way.root ? trusted_open(NULL, way.root, O_PATH | O_DIRECTORY, ret_problem)
			       : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (way.root_fd < 0)
		return way.root ? way.root_fd : -errno;
	way.rest = make_absolute(way.root, path);
	r = way.rest ? go_to_root(&way) : -ENOMEM;
	while (r == 0)
		r = step(&way, flags, &fd);
	*ret_problem = TAKE_PTR(way.problem);
	return r < 0 ? r : fd;
}
