/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "phase.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/inotify.h>
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

static void look_for_marks(struct Phase *phase)
{
	look_for_mark(MARK_STARTED, &phase->is_started, &phase->started);
	look_for_mark(MARK_FROZEN, &phase->is_frozen, &phase->frozen);
	look_for_mark(MARK_SEALED, &phase->is_sealed, &phase->sealed);
}

void phase_read(struct Phase *ret)
{
	*ret = (struct Phase){0};
	look_for_marks(ret);
}

/* --- watching --- */

struct Watch {
	pid_t pid; /* whose it is: a fork's descriptor of this number may be another file by now */
	int fd;
	char directory[PATH_MAX];
	struct Phase phase;
};

/* A mark comes by link(2). */
static int watch_directory(const char *directory)
{
	_cleanup_close_ int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0 || inotify_add_watch(fd, directory,
					IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
						IN_ONLYDIR) < 0)
		return -1;
	return take_fd(&fd);
}

static bool is_mark(const char *name)
{
	return streq(name, MARK_STARTED) || streq(name, MARK_FROZEN) || streq(name, MARK_SEALED);
}

/* Other files come all the time, the metrics above all. What is no coming of a file is the end of
 * the watch, or of what it could remember. */
static bool tells_nothing(const char *events, size_t size)
{
	const struct inotify_event *event;

	for (size_t i = 0; i < size; i += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)(events + i);
		if (!(event->mask & (IN_CREATE | IN_MOVED_TO)) || event->len == 0 ||
		    is_mark(event->name))
			return false;
	}
	return true;
}

static bool is_quiet(int fd)
{
	_Alignas(struct inotify_event) char events[4096];
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, events, sizeof(events))) > 0)
		if (!tells_nothing(events, (size_t)n))
			return false;
	return n < 0 && errno == EAGAIN;
}

const struct Phase *phase_now(void)
{
	static struct Watch watch = {.fd = -1};
	const char *directory = runtime_dir();
	pid_t pid = getpid();

	if (watch.pid != pid || !streq(watch.directory, directory)) {
		if (watch.pid == pid)
			closep(&watch.fd);
		watch = (struct Watch){.pid = pid, .fd = -1};
		(void)snprintf(watch.directory, sizeof(watch.directory), "%s", directory);
	}
	if (is_quiet(watch.fd))
		return &watch.phase;
	closep(&watch.fd);
	watch.fd = watch_directory(directory); /* first: what comes from now on is told */
	look_for_marks(&watch.phase);
	return &watch.phase;
}

/* --- writing --- */

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
	return runtime_write(name, text, strlen(text), 0);
}

int runtime_make_dir(void)
{
	return mkdir(runtime_dir(), 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int runtime_write(const char *name, const char *data, size_t size, int flags)
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
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		  flags & RUNTIME_PRIVATE ? 0600 : 0644);
	if (fd < 0)
		return -errno;
	r = write_full(fd, data, size);
	/* link(2) leaves what is there */
	if (r == 0 &&
	    (flags & RUNTIME_REPLACE ? rename(temporary, path) : link(temporary, path)) < 0)
		r = errno == EEXIST ? 0 : -errno;
	(void)unlink(temporary);
	return r;
}

static bool has_mark(const char *name)
{
	_cleanup_free_ char *path = runtime_path(name);

	return path && access(path, F_OK) == 0;
}

/* What cannot be told is taken for it. */
static bool was_enforced(void)
{
	_cleanup_free_ char *path = runtime_path(MARK_ENFORCED);

	return !path || access(path, F_OK) == 0 || errno != ENOENT;
}

bool phase_would_audit(const struct Policy *policy)
{
	return policy->mode == POLICY_AUDIT && !was_enforced();
}

bool phase_is_audit(void)
{
	return has_mark(MARK_AUDIT) && !was_enforced();
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
