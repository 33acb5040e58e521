/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "phase.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "io.h"
#include "names.h"
#include "util.h"

/* For tests. Not systemd's RUNTIME_DIRECTORY: in another service that is another directory. */
static const char *runtime_dir(void)
{
	const char *dir = secure_getenv("TDX_AUTH_RUNTIME_DIRECTORY");

	return isempty(dir) ? RUNTIME_DIR : dir;
}

char *runtime_path(const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", runtime_dir(), name) < 0 ? NULL : path;
}

/* Returns -ENOENT where the mark is not set. */
static int read_mark(const char *name, ino_t *ret)
{
	_cleanup_free_ char *path = runtime_path(name);
	_cleanup_close_ int fd = -1;
	char text[32], *end;
	ssize_t n;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	n = read_full(fd, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno || end == text || *end != '\n' ? -EBADMSG : 0;
}

/* Looks whether a mark that was not set is set by now. */
static void look_for_mark(const char *name, bool *is_set, ino_t *latest)
{
	int r;

	if (*is_set)
		return;
	r = read_mark(name, latest);
	*is_set = r != -ENOENT;
	if (r < 0)
		*latest = 0;
}

void phase_look_again(struct Phase *phase)
{
	look_for_mark(MARK_STARTED, &phase->is_started, &phase->started);
	look_for_mark(MARK_FROZEN, &phase->is_frozen, &phase->frozen);
	look_for_mark(MARK_SEALED, &phase->is_sealed, &phase->sealed);
}

void phase_read(struct Phase *ret)
{
	*ret = (struct Phase){0};
	phase_look_again(ret);
}

bool phase_is_frozen_now(void)
{
	struct Phase phase = {0};

	look_for_mark(MARK_FROZEN, &phase.is_frozen, &phase.frozen);
	return phase.is_frozen;
}

bool phase_is_sealed_now(ino_t *ret_latest)
{
	bool is_sealed = false;

	look_for_mark(MARK_SEALED, &is_sealed, ret_latest);
	return is_sealed;
}

void phase_moment(const struct Device *device, struct Moment *ret, void *phase)
{
	const struct Phase *marks = phase;

	ret->is_hot = phase_is_hot(marks, device->ino);
	ret->is_frozen = device->ino > 0 && phase_is_frozen(marks, device->ino);
	ret->is_sealed = device->ino > 0 && phase_is_sealed(marks, device);
}

static int write_mark(const char *name, ino_t latest)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64 "\n", (uint64_t)latest);
	return runtime_write(name, text, strlen(text), false);
}

int runtime_make_dir(void)
{
	return mkdir(runtime_dir(), 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int runtime_write(const char *name, const char *data, size_t size, bool replace)
{
	_cleanup_free_ char *path = runtime_path(name), *temporary = NULL;
	_cleanup_close_ int fd = -1;
	int r = runtime_make_dir();

	if (r < 0)
		return r;
	if (!path || asprintf(&temporary, "%s.%d", path, getpid()) < 0)
		return -ENOMEM;
	/* one that a killed process left may be a link to what it made */
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = write_full(fd, data, size);
	/* link(2) leaves what is there */
	if (r == 0 && (replace ? rename(temporary, path) : link(temporary, path)) < 0)
		r = errno == EEXIST ? 0 : -errno;
	(void)unlink(temporary);
	return r;
}

int phase_start(ino_t latest)
{
	return write_mark(MARK_STARTED, latest);
}

int phase_freeze(ino_t latest)
{
	return write_mark(MARK_FROZEN, latest);
}

int phase_seal(ino_t latest)
{
	return write_mark(MARK_SEALED, latest);
}
