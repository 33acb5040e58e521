/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include "backend.h"

/* The numbers are from QEMU's docs/interop/vhost-user.rst. */
enum {
	GET_FEATURES = 1,
	GET_VRING_BASE = 11,
	GET_PROTOCOL_FEATURES = 15,
	GET_QUEUE_NUM = 17,
	GET_CONFIG = 24,
};

#define FLAGS_REPLY (UINT32_C(1) | UINT32_C(1) << 2) /* version 1, a reply */
#define FEATURE_I2C_ZERO_LENGTH (UINT64_C(1) << 0)
#define FEATURE_PROTOCOL (UINT64_C(1) << 30)
#define FEATURE_VERSION_1 (UINT64_C(1) << 32)
#define PROTOCOL_MQ (UINT64_C(1) << 0)
#define PROTOCOL_CONFIG (UINT64_C(1) << 9)
#define QUEUES UINT64_C(8)

struct message {
	uint32_t request, flags, size;
	unsigned char payload[4096];
};
#define HEADER_SIZE 12U

/* Queues and memory come as descriptors: not for us. */
static void close_received(struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; c->cmsg_type == SCM_RIGHTS && i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			(void)close(fd);
		}
	}
}

static int receive(int fd, struct message *message)
{
	char control[CMSG_SPACE(16 * sizeof(int))];
	struct iovec io = {.iov_base = message, .iov_len = HEADER_SIZE};
	struct msghdr header = {.msg_iov = &io,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};

	if (recvmsg(fd, &header, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)HEADER_SIZE)
		return -ECONNRESET;
	close_received(&header);
	if (message->size > sizeof(message->payload))
		return -EMSGSIZE;
	/* To receive nothing waits for something. */
	if (message->size > 0 &&
	    recv(fd, message->payload, message->size, MSG_WAITALL) != (ssize_t)message->size)
		return -ECONNRESET;
	return 0;
}

static int answer_number(int fd, struct message *message, uint64_t number)
{
	message->size = sizeof(number);
	memcpy(message->payload, &number, sizeof(number));
	message->flags = FLAGS_REPLY;
	return send(fd, message, HEADER_SIZE + message->size, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int answer(int fd, struct message *message)
{
	uint64_t number;

	switch (message->request) {
	case GET_FEATURES:
		return answer_number(fd, message,
				     FEATURE_I2C_ZERO_LENGTH | FEATURE_PROTOCOL |
					     FEATURE_VERSION_1);
	case GET_PROTOCOL_FEATURES:
		return answer_number(fd, message, PROTOCOL_MQ | PROTOCOL_CONFIG);
	case GET_QUEUE_NUM:
		return answer_number(fd, message, QUEUES);
	case GET_VRING_BASE: /* the queue's number, and as far as we got: nowhere */
		memcpy(&number, message->payload, sizeof(number));
		return answer_number(fd, message, number & UINT32_MAX);
	case GET_CONFIG: /* zeros, as they came: a disk without a sector, a controller without a
			    line */
		message->flags = FLAGS_REPLY;
		return send(fd, message, HEADER_SIZE + message->size, MSG_NOSIGNAL) < 0 ? -errno
											: 0;
	default:
		return 0;
	}
}

static int hear(int fd)
{
	static struct message message;
	int r = receive(fd, &message);

	return r < 0 ? r : answer(fd, &message);
}

int vhost_user_start(const char *path)
{
	static const struct backend backend = {.hear = hear};

	return backend_start(path, &backend);
}
