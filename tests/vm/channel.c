/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/socket.h>

#include "channel.h"
#include "deadline.h"

static int wait_ready(int fd, short events, uint64_t deadline)
{
	struct pollfd polled = {.fd = fd, .events = events};
	int r;

	do
		r = poll(&polled, 1, ms_until(deadline));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

ssize_t channel_read_some(int fd, void *buffer, size_t size, uint64_t deadline)
{
	ssize_t n;
	int r;

	r = wait_ready(fd, POLLIN, deadline);
	if (r < 0)
		return r;
	n = recv(fd, buffer, size, MSG_DONTWAIT);
	if (n == 0)
		return -ECONNRESET;
	return n < 0 ? -errno : n;
}

int channel_read(int fd, void *buffer, size_t size, uint64_t deadline)
{
	char *p = buffer;
	ssize_t n;

	while (size > 0) {
		n = channel_read_some(fd, p, size, deadline);
		if (n == -EAGAIN || n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int channel_write(int fd, const void *buffer, size_t size, uint64_t deadline)
{
	const char *p = buffer;
	ssize_t n;
	int r;

	while (size > 0) {
		r = wait_ready(fd, POLLOUT, deadline);
		if (r < 0)
			return r;
		n = send(fd, p, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
	return 0;
}
