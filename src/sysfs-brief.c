/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sysfs-brief.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "sysfs-io.h"
#include "util.h"

#define BRIEF_USEC 2000
#define REST_USEC 50000

static void on_alarm(int signal)
{
}

/* The handler is there to end a wait; what it interrupts is not begun again. */
static int make_timer(timer_t *ret)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};

	if (sigaction(SIGALRM, &action, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &event, ret) < 0)
		return -errno;
	return 0;
}

/* It rings again and again: a first ring may come before the reader waits. */
static int set_timer(timer_t timer, long usec)
{
	const struct timespec t = {.tv_nsec = usec * 1000};

	return timer_settime(timer, 0, &(struct itimerspec){t, t}, NULL) < 0 ? -errno : 0;
}

static int read_within(timer_t timer, int fd, char **ret)
{
	int r = set_timer(timer, BRIEF_USEC);

	if (r < 0) /* a fork has none */
		return -ETIME;
	r = sysfs_read_fd_once(fd, ret);
	(void)set_timer(timer, 0);
	return r == -EINTR || r == -EAGAIN ? -ETIME : r;
}

int sysfs_read_briefly(int fd, char **ret)
{
	static uint64_t rest_until;
	static bool has_timer;
	static timer_t timer;
	int r;

	if (now_usec() < rest_until)
		return -ETIME;
	if (!has_timer && make_timer(&timer) < 0)
		return -ETIME;
	has_timer = true;
	r = read_within(timer, fd, ret);
	if (r == -ETIME)
		rest_until = now_usec() + REST_USEC;
	return r;
}
