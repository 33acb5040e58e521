/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uevent-socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>

#include "test.h"
#include "util.h"

#define NIC                                                                                        \
	"add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci\0SEQNUM=17" /* and NUL      \
										    */

/* A network namespace of the test's own, in which it may send, and nobody else does. */
static int leave_network(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
		return 0;
	print_error("cannot make a network namespace: %s\n", strerror(errno));
	return -1;
}

static int sender_new(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	assert_true(fd >= 0);
	return fd;
}

/* To the kernel, which may pass it on (@groups 0), or to a group or a socket. */
static ssize_t send_to(int fd, unsigned port, unsigned groups, const void *message, size_t size)
{
	const struct sockaddr_nl address = {
		.nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups};

	return sendto(fd, message, size, 0, (const struct sockaddr *)&address, sizeof(address));
}

static unsigned port_of(int fd)
{
	struct sockaddr_nl address = {0};
	socklen_t length = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	return address.nl_pid;
}

static void test_messages_of_others_are_told_from_the_kernels(void **state)
{
	_cleanup_close_ int fd = uevent_socket_open(), sender = sender_new();
	char buffer[UEVENT_SIZE_MAX];
	struct Uevent event;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(uevent_receive(fd, buffer, &event), 0);
	/* to the kernel's group, as udevd does to its own */
	assert_int_equal(send_to(sender, 0, 1, NIC, sizeof(NIC)), sizeof(NIC));
	assert_int_equal(uevent_receive(fd, buffer, &event), -EPERM);
	/* to this socket */
	assert_int_equal(send_to(sender, port_of(fd), 0, NIC, sizeof(NIC)), sizeof(NIC));
	assert_int_equal(uevent_receive(fd, buffer, &event), -EPERM);
	/* what cannot be read, and is too long, is first of all somebody else's */
	assert_int_equal(send_to(sender, 0, 1, "junk", 4), 4);
	assert_int_equal(uevent_receive(fd, buffer, &event), -EPERM);
	memset(buffer, 'x', sizeof(buffer));
	for (int i = 0; i < 2; i++)
		assert_int_equal(send_to(sender, 0, 1, buffer, sizeof(buffer)), sizeof(buffer));
	assert_int_equal(uevent_receive(fd, buffer, &event), -EPERM);
	assert_int_equal(uevent_receive(fd, buffer, &event), -EPERM);
	assert_int_equal(uevent_receive(fd, buffer, &event), 0);
}

/* The kernel multicasts what it is sent to the namespace of who sent it. */
static void test_messages_that_the_kernel_passes_on_are_told_from_its_own(void **state)
{
	_cleanup_close_ int fd = uevent_socket_open(), sender = sender_new();
	struct {
		struct nlmsghdr header;
		char text[sizeof("add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci")];
	} message = {
		.text = "add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci",
	};
	char buffer[UEVENT_SIZE_MAX];
	struct Uevent event;

	(void)state;
	message.header = (struct nlmsghdr){
		.nlmsg_len = NLMSG_LENGTH(sizeof(message.text)),
		.nlmsg_type = NLMSG_MIN_TYPE,
		.nlmsg_flags = NLM_F_REQUEST,
	};
	assert_true(send_to(sender, 0, 0, &message, sizeof(message)) == sizeof(message));
	assert_int_equal(uevent_receive(fd, buffer, &event), -EPERM);
	assert_int_equal(uevent_receive(fd, buffer, &event), 0);
}

static void test_messages_that_did_not_fit_are_known_to_be_lost(void **state)
{
	_cleanup_close_ int fd = uevent_socket_open(), sender = sender_new();
	const int tiny = 1;
	char buffer[UEVENT_SIZE_MAX];
	struct Uevent event;
	int r = 0, lost = 0;

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny)), 0);
	for (int i = 0; i < 100; i++)
		(void)send_to(sender, 0, 1, NIC, sizeof(NIC));
	do {
		lost += r == -ENOBUFS;
		r = uevent_receive(fd, buffer, &event);
	} while (r != 0);
	assert_int_equal(lost, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_of_others_are_told_from_the_kernels),
		cmocka_unit_test(test_messages_that_the_kernel_passes_on_are_told_from_its_own),
		cmocka_unit_test(test_messages_that_did_not_fit_are_known_to_be_lost),
	};

	return RUN_TESTS_WITH("uevent-socket", tests, leave_network, NULL);
}
