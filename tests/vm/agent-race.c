/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent-race.h"
#include "util.h"

#define RACERS_MAX 16
#define TEXTS_MAX 8
#define ERRORS_MAX 134

struct racer {
	char kind; /* as in the argument, 'w' to write to a file, 'r' to read it */
	char *what;
	const char *texts[TEXTS_MAX];
	unsigned int n_texts;
	int fd; /* of the listener to events */
};

/* What a racer has done so far. Shared with the others. */
struct score {
	_Atomic unsigned int done;
	unsigned int good;
	unsigned int missed; /* there was no file */
	unsigned int errors[ERRORS_MAX];
};

static sigjmp_buf bus_error;

static void on_bus_error(int signal)
{
	(void)signal;
	siglongjmp(bus_error, 1);
}

static void parse(char *argument, struct racer *r)
{
	char *texts = NULL, *state = NULL;

	*r = (struct racer){.kind = argument[0], .what = argument + 1, .fd = -1};
	if (r->kind == '!' || r->kind == '@')
		return;
	texts = strrchr(argument, '=');
	if (r->kind != '+') {
		r->kind = texts ? 'w' : 'r';
		r->what = argument;
	}
	if (!texts)
		return;
	*texts++ = '\0';
	for (char *text = strtok_r(texts, ",", &state); text && r->n_texts < TEXTS_MAX;
	     text = strtok_r(NULL, ",", &state))
		r->texts[r->n_texts++] = text;
}

static int write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int read_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buffer[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, buffer, sizeof(buffer));
	while (n > 0);
	return n < 0 ? -errno : 0;
}

/* Whoever loses a mapping gets SIGBUS when it touches it. */
static int touch_map(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	volatile uint32_t *map;
	volatile int r = 0;

	if (fd < 0)
		return -errno;
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	if (sigsetjmp(bus_error, 1) == 0)
		for (int i = 0; i < 64; i++)
			(void)map[i % 2];
	else
		r = -EFAULT;
	(void)munmap((void *)map, 4096);
	return r;
}

static int on_file(const struct racer *r, const char *path, unsigned int round)
{
	switch (r->kind) {
	case 'w':
		return write_text(path, r->texts[round % r->n_texts]);
	case 'r':
		return read_file(path);
	default:
		return touch_map(path);
	}
}

static int on_files(const struct racer *r, unsigned int round)
{
	glob_t found;
	int result = -ENOENT;

	if (!strpbrk(r->what, "*?["))
		return on_file(r, r->what, round);
	if (glob(r->what, GLOB_NOSORT, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			result = on_file(r, found.gl_pathv[i], round);
	globfree(&found);
	return result;
}

static int run_command(const char *command)
{
	int status = system(command);

	if (status < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int listen_to_events(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);
	int buffer = 64 << 20;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* The device of the next event, if it says that one was added to @bus; -ENOENT if not. */
static int on_event(const struct racer *r, unsigned int round)
{
	struct pollfd polled = {.fd = r->fd, .events = POLLIN};
	char message[8192], path[PATH_MAX];
	const char *device = NULL, *value;
	bool added = false, mine = false;
	ssize_t n;
	int error;

	/* With an end, to see when the others are through. */
	if (poll(&polled, 1, 100) <= 0)
		return -ENOENT;
	n = recv(r->fd, message, sizeof(message) - 1, 0);
	if (n <= 0)
		return -ENOENT;
	message[n] = '\0';
	for (const char *p = message; p < message + n; p += strlen(p) + 1) {
		if (streq(p, "ACTION=add"))
			added = true;
		value = startswith(p, "DEVPATH=");
		if (value)
			device = value;
		value = startswith(p, "SUBSYSTEM=");
		if (value)
			mine = streq(value, r->what);
	}
	if (!added || !mine || !device)
		return -ENOENT;
	(void)snprintf(path, sizeof(path), "/sys%s/authorized", device);
	error = write_text(path, r->texts[round % r->n_texts]);
	/* It came, and is gone already: a round all the same. */
	return error == -ENOENT ? -ENODEV : error;
}

static int run_round(const struct racer *r, unsigned int round)
{
	switch (r->kind) {
	case '!':
		return run_command(r->what);
	case '+':
		return on_event(r, round);
	default:
		return on_files(r, round);
	}
}

static void count(struct score *s, int r)
{
	unsigned int error = (unsigned int)-r;

	/* A device that is not there, but for the one that is being removed: ENODEV. */
	if (r == -ENOENT) {
		s->missed++;
		(void)poll(NULL, 0, 1);
		return;
	}
	if (r == 0)
		s->good++;
	else
		s->errors[error < ERRORS_MAX ? error : ERRORS_MAX - 1]++;
	s->done++;
}

static bool all_done(const struct score *scores, unsigned int n, unsigned int rounds)
{
	for (unsigned int i = 0; i < n; i++)
		if (scores[i].done < rounds)
			return false;
	return true;
}

static _Noreturn void run_racer(const struct racer *r, struct score *own,
				const struct score *scores, unsigned int n, unsigned int rounds)
{
	struct sigaction action = {.sa_handler = on_bus_error};

	(void)sigaction(SIGBUS, &action, NULL);
	while (!all_done(scores, n, rounds))
		count(own, run_round(r, own->done));
	_exit(EXIT_SUCCESS);
}

static void print_score(const struct racer *r, const struct score *s)
{
	/* What a device in the wrong state answers, or one that is on its way out. */
	static const int refusals[] = {EPERM, EBUSY, ENODEV, EAGAIN, EFAULT};
	unsigned int refused = 0;

	for (size_t i = 0; i < ELEMENTSOF(refusals); i++)
		refused += s->errors[refusals[i]];
	printf("%c%s: %u rounds, %u good, %u refused", r->kind, r->what, s->done, s->good, refused);
	for (int i = 0; i < ERRORS_MAX; i++)
		if (s->errors[i] > 0)
			printf(", %u %s", s->errors[i], strerrorname_np(i));
	printf(", %u without a file\n", s->missed);
}

int race(unsigned int rounds, char *const *racers, unsigned int n)
{
	struct racer parsed[RACERS_MAX];
	struct score *scores;
	int status, result = EXIT_SUCCESS;

	if (n > RACERS_MAX)
		return EXIT_FAILURE;
	scores = mmap(NULL, n * sizeof(*scores), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (scores == MAP_FAILED)
		return EXIT_FAILURE;
	for (unsigned int i = 0; i < n; i++) {
		parse(racers[i], &parsed[i]);
		/* Before anybody starts: no event is missed. */
		if (parsed[i].kind == '+')
			parsed[i].fd = listen_to_events();
	}
	(void)fflush(stdout);
	for (unsigned int i = 0; i < n; i++)
		if (fork() == 0)
			run_racer(&parsed[i], &scores[i], scores, n, rounds);
	while (wait(&status) > 0)
		if (status != 0)
			result = EXIT_FAILURE;
	for (unsigned int i = 0; i < n; i++)
		print_score(&parsed[i], &scores[i]);
	return result;
}
