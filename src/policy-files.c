/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "escape.h"
#include "io.h"
#include "log.h"
#include "names.h"
#include "policy-index.h"
#include "policy-parse.h"

static const char *const policy_dirs[] = {POLICY_DIR_VENDOR, POLICY_DIR_RUNTIME, POLICY_DIR_OWNER};

_printf_(2, 3) static int refuse(int error, const char *format, ...)
{
	_cleanup_free_ char *message = NULL, *safe = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	va_end(ap);
	safe = escape_text(message);
	log_record(LOG_ERR, MESSAGE_ID_POLICY_REFUSED, NULL, 0, "policy refused: %s",
		   safe ? safe : "out of memory");
	return error;
}

static int check_owner(const char *file, const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return refuse(-EPERM, "%s: owned by user %u, must be root's%s", file, st->st_uid,
			      geteuid() == 0 ? "" : " or its reader's");
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return refuse(-EPERM,
			      "%s: writable by others than its owner (mode %04o); chmod go-w", file,
			      st->st_mode & 07777);
	return 0;
}

/* Who may rename what leads to a policy puts another one in its place. In a directory with the
 * sticky bit nobody may who does not own what is there. */
static int check_ancestors(const char *path)
{
	_cleanup_free_ char *dir = strdup(path);
	struct stat st;
	char *slash;
	int r;

	if (!dir)
		return refuse(-ENOMEM, "out of memory");
	while ((slash = strrchr(dir, '/'))) {
		slash[slash == dir] = '\0';
		if (stat(dir, &st) < 0)
			return refuse(-errno, "%s: %s", dir, strerror(errno));
		if (st.st_mode & S_ISVTX)
			st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
		r = check_owner(dir, &st);
		if (r < 0 || slash == dir)
			return r;
	}
	return 0;
}

/* Both ways to @path: as it is written, and with its links resolved. */
static int check_way(const char *path)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	int r;

	if (!real)
		return refuse(-errno, "%s: %s", path, strerror(errno));
	r = path[0] == '/' ? check_ancestors(path) : 0;
	return r < 0 ? r : check_ancestors(real);
}

/* Reads all of @fd, up to one byte more than a policy may have, so that the parser sees it. */
static int read_whole(int fd, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = malloc(PARSE_SIZE_MAX + 1);
	ssize_t n = text ? read_full(fd, text, PARSE_SIZE_MAX + 1) : -ENOMEM;

	if (n < 0)
		return (int)n;
	*ret = TAKE_PTR(text);
	*ret_size = (size_t)n;
	return 0;
}

/* Opens @file and reads it if it may be trusted. A device or a pipe is never read. */
static int read_file(const char *file, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0)
		return refuse(-errno, "%s: %s", file, strerror(errno));
	if (fstat(fd, &st) < 0)
		return refuse(-errno, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(-EINVAL, "%s: not a regular file", file);
	r = check_owner(file, &st);
	if (r < 0)
		return r;
	r = check_way(file);
	if (r < 0)
		return r;
	r = read_whole(fd, ret, ret_size);
	return r < 0 ? refuse(r, "%s: %s", file, strerror(-r)) : 0;
}

static int load_file(struct Policy *policy, const char *file)
{
	_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = read_file(file, &text, &size);

	if (r < 0)
		return r;
	r = policy_parse(policy, file, text, size, &errors);
	for (size_t i = 0; i < errors.n && i < PARSE_ERRORS_MAX; i++)
		(void)refuse(r, "%s:%u:%u: %s", file, errors.items[i].line, errors.items[i].column,
			     errors.items[i].message);
	if (errors.n > PARSE_ERRORS_MAX)
		(void)refuse(r, "%s: %zu errors in all", file, errors.n);
	if (r == -EBADMSG)
		return r;
	return r < 0 ? refuse(r, "%s: %s", file, strerror(-r)) : 0;
}

/* --- drop-ins --- */

struct DropIn {
	char *name;
	char *dir;
};

struct DropIns {
	struct DropIn *items;
	size_t n;
};

static void drop_in_done(struct DropIn *item)
{
	free(item->name);
	free(item->dir);
}

static void drop_ins_done(struct DropIns *list)
{
	for (size_t i = 0; i < list->n; i++)
		drop_in_done(&list->items[i]);
	free(list->items);
}

/* A name that is there already is taken over by the later directory. */
static int add_drop_in(struct DropIns *list, const char *dir, const char *name)
{
	struct DropIn item = {strdup(name), strdup(dir)};
	struct DropIn *items = NULL;

	if (item.name && item.dir)
		items = reallocarray(list->items, list->n + 1, sizeof(*items));
	if (!items) {
		drop_in_done(&item);
		return -ENOMEM;
	}
	list->items = items;
	for (size_t i = 0; i < list->n; i++)
		if (streq(items[i].name, name)) {
			drop_in_done(&items[i]);
			items[i] = item;
			return 0;
		}
	items[list->n++] = item;
	return 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), length = strlen(suffix);

	return name[0] != '.' && n > length && streq(name + n - length, suffix);
}

static bool is_policy_name(const char *name)
{
	return has_suffix(name, POLICY_SUFFIX);
}

static void warn_ignored(const char *dir, const char *name)
{
	_cleanup_free_ char *safe = escape_text(name);

	log_warning("%s/%s: ignored, as its name does not end with " POLICY_SUFFIX, dir,
		    safe ? safe : "?");
}

static void closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static int scan_dir(struct DropIns *list, const char *path)
{
	_cleanup_(closedirp) DIR *dir = opendir(path);
	struct dirent *entry;
	struct stat st;
	int r;

	/* that a link leads nowhere is not that there is no policy */
	if (!dir && errno == ENOENT && lstat(path, &st) < 0 && errno == ENOENT)
		return 0;
	if (!dir)
		return refuse(-errno, "%s: %s", path, strerror(errno));
	if (fstat(dirfd(dir), &st) < 0)
		return refuse(-errno, "%s: %s", path, strerror(errno));
	r = check_owner(path, &st);
	if (r < 0)
		return r;
	r = check_way(path);
	if (r < 0)
		return r;
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? refuse(-errno, "%s: %s", path, strerror(errno)) : 0;
		if (is_policy_name(entry->d_name)) {
			r = add_drop_in(list, path, entry->d_name);
			if (r < 0)
				return refuse(r, "%s: %s", path, strerror(-r));
		} else if (has_suffix(entry->d_name, ".yml")) {
			warn_ignored(path, entry->d_name);
		}
	}
}

static int compare_drop_ins(const void *a, const void *b)
{
	return strcmp(((const struct DropIn *)a)->name, ((const struct DropIn *)b)->name);
}

/* Whether @file is a link to /dev/null: how an owner takes a shipped file away. */
static bool is_masked(const char *file)
{
	char target[sizeof("/dev/null")];
	ssize_t n = readlink(file, target, sizeof(target));

	return n == (ssize_t)strlen("/dev/null") && memcmp(target, "/dev/null", (size_t)n) == 0;
}

static int load_drop_ins(struct Policy *policy, const char *root)
{
	_cleanup_(drop_ins_done) struct DropIns list = {0};
	int r;

	for (size_t i = 0; i < ELEMENTSOF(policy_dirs); i++) {
		_cleanup_free_ char *dir = NULL;

		if (asprintf(&dir, "%s%s", root, policy_dirs[i]) < 0)
			return refuse(-ENOMEM, "out of memory");
		r = scan_dir(&list, dir);
		if (r < 0)
			return r;
	}
	if (list.n > 0)
		qsort(list.items, list.n, sizeof(*list.items), compare_drop_ins);
	for (size_t i = 0; i < list.n; i++) {
		_cleanup_free_ char *file = NULL;

		if (asprintf(&file, "%s/%s", list.items[i].dir, list.items[i].name) < 0)
			return refuse(-ENOMEM, "%s: out of memory", list.items[i].dir);
		if (is_masked(file))
			continue;
		r = load_file(policy, file);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load(const char *file, const char *root, struct Policy **ret)
{
	_cleanup_policy_ struct Policy *policy = policy_new();
	int r;

	if (!policy)
		return refuse(-ENOMEM, "out of memory");
	r = file ? load_file(policy, file) : load_drop_ins(policy, root);
	if (r < 0)
		return r;
	if (policy_index(policy) < 0)
		return refuse(-ENOMEM, "out of memory");
	*ret = TAKE_PTR(policy);
	return 0;
}

int policy_load(const char *file, struct Policy **ret)
{
	return load(file, "", ret);
}

int policy_load_from_root(const char *root, struct Policy **ret)
{
	return load(NULL, root, ret);
}
