/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "backend.h"

/* The server's side of QEMU's docs/specs/ivshmem-spec: numbers of eight bytes, some with a
 * descriptor beside them. */
#define VERSION INT64_C(0)
#define MEMORY_FOLLOWS INT64_C(-1)
#define MEMORY_SIZE (1 << 20)
#define IDS 65536

static int say(int client, int64_t number, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec io = {.iov_base = &number, .iov_len = sizeof(number)};
	struct msghdr header = {.msg_iov = &io, .msg_iovlen = 1};

	if (fd >= 0) {
		control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(fd)),
						 .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	return sendmsg(client, &header, MSG_NOSIGNAL) == (ssize_t)sizeof(number) ? 0 : -EIO;
}

/* The numbers are of this machine's byte order, which is QEMU's little-endian one. */
static int welcome(int client)
{
	static int64_t ids;
	int64_t id = ids++ % IDS;
	_cleanup_close_ int memory = memfd_create("ivshmem", MFD_CLOEXEC);
	_cleanup_close_ int doorbell = eventfd(0, EFD_CLOEXEC);

	if (memory < 0 || doorbell < 0 || ftruncate(memory, MEMORY_SIZE) < 0 ||
	    say(client, VERSION, -1) < 0 || say(client, id, -1) < 0 ||
	    say(client, MEMORY_FOLLOWS, memory) < 0 || say(client, id, doorbell) < 0)
		return -EIO;
	return 0;
}

/* A client says nothing; that it can be read from means that it went. */
static int hear(int client)
{
	(void)client;
	return -ECONNRESET;
}

int ivshmem_start(const char *path)
{
	static const struct backend backend = {.welcome = welcome, .hear = hear};

	return backend_start(path, &backend);
}
