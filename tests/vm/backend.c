/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backend.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BACKLOG 64
#define CONNECTIONS 64

/* To the end of the process. */
static void serve(const struct backend *backend, int listener)
{
	struct pollfd polled[CONNECTIONS] = {{.fd = listener, .events = POLLIN}};
	nfds_t n = 1;

	for (;;) {
		(void)poll(polled, n, -1);
		for (nfds_t i = n - 1; i > 0; i--) {
			if (!polled[i].revents || backend->hear(polled[i].fd) >= 0)
				continue;
			(void)close(polled[i].fd);
			polled[i] = polled[--n];
		}
		if (!polled[0].revents || n == CONNECTIONS)
			continue;
		polled[n] = (struct pollfd){.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC),
					    .events = POLLIN};
		if (polled[n].fd >= 0 && backend->welcome && backend->welcome(polled[n].fd) < 0)
			(void)close(polled[n].fd);
		else
			n += polled[n].fd >= 0;
	}
}

int backend_start(const char *path, const struct backend *backend)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid(), child;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, BACKLOG) < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			serve(backend, listener);
		_exit(1);
	}
	return 0;
}
