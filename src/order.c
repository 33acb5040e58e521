/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "order.h"

#include <errno.h>
#include <sys/socket.h>

union Control {
	struct cmsghdr align;
	char buffer[CMSG_SPACE(ORDER_FDS_MAX * sizeof(int))];
};

int order_send(int socket, const struct Order *order, const int *fds, size_t n)
{
	union Control control = {0};
	struct iovec iov = {(void *)order, sizeof(*order)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int order_receive(int socket, struct Order *ret, int *ret_fds, size_t *ret_n)
{
	union Control control = {0};
	struct iovec iov = {ret, sizeof(*ret)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;
	ssize_t n;

	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*ret) || message.msg_flags & MSG_CTRUNC)
		return -EIO;
	cmsg = CMSG_FIRSTHDR(&message);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS || cmsg->cmsg_len <= CMSG_LEN(0))
		return -EIO;
	*ret_n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(ret_fds, CMSG_DATA(cmsg), *ret_n * sizeof(int));
	return 0;
}

struct Text {
	int error;
	char text[SYSFS_TEXT_MAX + 1]; /* sent as far as it is filled, its end included */
};

int text_send(int socket, int error, const char *text)
{
	struct Text message = {.error = error};
	size_t size = offsetof(struct Text, text) + 1;

	if (error == 0) {
		(void)snprintf(message.text, sizeof(message.text), "%s", text);
		size += strlen(message.text);
	}
	return send(socket, &message, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -EIO;
}

int text_receive(int socket, struct Reading *reading)
{
	struct Text message = {0};
	ssize_t n = recv(socket, &message, sizeof(message), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= (ssize_t)offsetof(struct Text, text))
		return -EIO;
	message.text[sizeof(message.text) - 1] = '\0';
	reading->error = message.error;
	if (message.error < 0)
		return 0;
	free(*reading->text); /* of a worker that died over the rest */
	*reading->text = strdup(message.text);
	return *reading->text ? 0 : -ENOMEM;
}
