/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uevent-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "util.h"

#define RECEIVE_BUFFER_SIZE (128 * 1024 * 1024) /* bytes; what systemd-udevd.socket(8) asks for */
#define KERNEL_GROUP 1 /* udevd's own is 2: src/libsystemd/sd-device/device-monitor.c */

union Address {
	struct sockaddr any;
	struct sockaddr_nl netlink;
};

/* Whether it is bound to the kernel's group of the protocol. */
static bool is_kernel_socket(int fd)
{
	union Address address = {0};
	socklen_t length = sizeof(address);
	int protocol = -1;
	socklen_t size = sizeof(protocol);

	return sd_is_socket(fd, AF_NETLINK, 0, -1) > 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
	       protocol == NETLINK_KOBJECT_UEVENT && getsockname(fd, &address.any, &length) == 0 &&
	       (address.netlink.nl_groups & KERNEL_GROUP);
}

/* Without it nothing would be known of who sends. */
static int pass_credentials(int fd)
{
	const int yes = 1;

	return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0 ? -errno : 0;
}

static int make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int uevent_socket_take(void)
{
	int n = sd_listen_fds(0), r;

	for (int fd = SD_LISTEN_FDS_START; n > 0 && fd < SD_LISTEN_FDS_START + n; fd++) {
		if (!is_kernel_socket(fd))
			continue;
		r = pass_credentials(fd);
		if (r >= 0)
			r = make_nonblocking(fd);
		return r < 0 ? r : fd;
	}
	return n < 0 ? n : -ENOENT;
}

/* Forcing takes CAP_NET_ADMIN; else net.core.rmem_max is the limit, and an overrun leads to a
 * rescan. */
static void enlarge_buffer(int fd)
{
	const int size = RECEIVE_BUFFER_SIZE;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int uevent_socket_open(void)
{
	union Address address = {
		.netlink = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP},
	};
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	int r;

	if (fd < 0)
		return -errno;
	enlarge_buffer(fd);
	r = pass_credentials(fd);
	if (r < 0)
		return r;
	if (bind(fd, &address.any, sizeof(address.netlink)) < 0)
		return -errno;
	return take_fd(&fd);
}

static bool is_root_without_process(struct msghdr *header)
{
	struct ucred credentials;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
		    c->cmsg_len != CMSG_LEN(sizeof(credentials)))
			continue;
		memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
		return credentials.uid == 0 && credentials.pid == 0;
	}
	return false;
}

/* The kernel sends to its group from port 0, as uid 0 and no process. Whoever may administer the
 * network can send to the group, or have the kernel pass it on (lib/kobject_uevent.c,
 * uevent_net_rcv()); then port and process are the sender's. */
static bool is_from_kernel(struct msghdr *header, const struct sockaddr_nl *sender)
{
	return header->msg_namelen >= sizeof(*sender) && sender->nl_family == AF_NETLINK &&
	       sender->nl_pid == 0 && sender->nl_groups == KERNEL_GROUP &&
	       is_root_without_process(header);
}

int uevent_receive(int fd, char buffer[static UEVENT_SIZE_MAX], struct Uevent *ret)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	union Address sender = {0};
	struct iovec iov = {buffer, UEVENT_SIZE_MAX};
	struct msghdr header = {
		.msg_name = &sender,
		.msg_namelen = sizeof(sender),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int r;

	do
		n = recvmsg(fd, &header, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!is_from_kernel(&header, &sender.netlink))
		return -EPERM;
	r = header.msg_flags & MSG_TRUNC ? -EBADMSG : uevent_parse(buffer, (size_t)n, ret);
	return r < 0 ? r : 1;
}
