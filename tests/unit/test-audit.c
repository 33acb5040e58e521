/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "test.h"

#define AUDIT_FD 40
#define DEADLINE_MSEC 30000

/* What stands for the audit system: who reads the other end of this has each record's text. */
static int audit_ends[2];

int __wrap_audit_can_write(void);
int __wrap_audit_can_write(void)
{
	return 1;
}

int __wrap_audit_open(void);
int __wrap_audit_open(void)
{
	return fcntl(audit_ends[1], F_DUPFD_CLOEXEC, AUDIT_FD);
}

int __wrap_audit_log_user_message(int audit_fd, int type, const char *message, const char *hostname,
				  const char *addr, const char *tty, int result);
int __wrap_audit_log_user_message(int audit_fd, int type, const char *message, const char *hostname,
				  const char *addr, const char *tty, int result)
{
	return send(audit_fd, message, strlen(message), MSG_NOSIGNAL) < 0 ? -errno : 1;
}

static void expect_text(const struct Device *device, const struct EnforceRequest *request,
			const char *expected)
{
	const struct Decision decision = {.action =
						  request->authorize ? ACTION_ALLOW : ACTION_DENY};
	_cleanup_free_ char *text = audit_text(device, &decision, request);

	assert_string_equal(text, expected);
}

static void test_a_record_says_what_was_done_to_which_device_and_why(void **state)
{
	const struct Device nic = {.bus = BUS_PCI,
				   .syspath = (char *)"/sys/devices/pci0000:00/0000:00:02.0",
				   .modalias = (char *)"pci:v00008086"};

	(void)state;
	expect_text(
		&nic,
		&(struct EnforceRequest){.authorize = true, .set_driver = true, .driver = "e1000e"},
		"op=authorize bus=pci device=\"/sys/devices/pci0000:00/0000:00:02.0\" "
		"modalias=\"pci:v00008086\" rule=\"default-for-pci\" "
		"driver=\"e1000e\"");
	expect_text(&(struct Device){.bus = BUS_ACPI, .syspath = (char *)"/x"},
		    &(struct EnforceRequest){.remove = true},
		    "op=remove bus=acpi device=\"/x\" rule=\"default-for-acpi\"");
	expect_text(&(struct Device){.bus = BUS_PNP, .syspath = (char *)"/x"},
		    &(struct EnforceRequest){.to_default = true},
		    "op=return bus=pnp device=\"/x\" rule=\"default-for-pnp\"");
}

/* Of the rest ausearch(8) shows the hexadecimal digits. */
static void test_what_people_look_for_is_in_fields_that_the_tools_decode(void **state)
{
	struct Attribute attributes[] = {{(char *)"manufacturer", (char *)"QEMU"},
					 {(char *)"product", (char *)"QEMU USB Keyboard"}};
	const struct Device keyboard = {.bus = BUS_USB,
					.syspath = (char *)"/sys/devices/usb 1/1-1",
					.attributes = attributes,
					.n_attributes = ELEMENTSOF(attributes)};
	_cleanup_free_ char *text = audit_text(&keyboard, &(struct Decision){.by = DECIDED_BY_HAND},
					       &(struct EnforceRequest){.authorize = true});

	(void)state;
	assert_string_equal(text, "op=authorize bus=usb "
				  "device=2F7379732F646576696365732F75736220312F312D31 "
				  "name=51454D552051454D5520555342204B6579626F617264 "
				  "manufacturer=\"QEMU\" "
				  "product=51454D5520555342204B6579626F617264 rule=\"by-hand\"");
}

/* A name with a quote, a newline or a blank could make up fields, or a record, of its own. */
static void test_what_a_device_says_stays_in_its_field(void **state)
{
	static const char *const hostile[] = {
		"x\" res=success", "x\ntype=USER_DEVICE msg=audit(1.0:1): op=authorize",
		"x res=success",   "\xe2\x80\xae",
		"\x1b[2J",
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTSOF(hostile); i++) {
		struct Attribute product = {(char *)"product", (char *)hostile[i]};
		const struct Device device = {.bus = BUS_USB,
					      .syspath = (char *)"/sys/devices/usb1/1-1",
					      .attributes = &product,
					      .n_attributes = 1};
		_cleanup_free_ char *text =
			audit_text(&device, &(struct Decision){.action = ACTION_DENY},
				   &(struct EnforceRequest){0});
		const char *value = strstr(text, " product="), *end;

		assert_non_null(value);
		value += strlen(" product=");
		end = strchr(value, ' ');
		assert_non_null(end);
		assert_int_equal(strspn(value, "0123456789ABCDEF"), end - value);
		assert_int_equal(end - value, 2 * strlen(hostile[i]));
		assert_non_null(startswith(end, " rule="));
	}
}

/* What comes of a record, for as long as that may take on a busy machine. */
static void expect_record(const char *expected)
{
	struct pollfd polled = {.fd = audit_ends[0], .events = POLLIN};
	char text[1024];
	ssize_t n;

	assert_int_equal(poll(&polled, 1, DEADLINE_MSEC), 1);
	n = recv(audit_ends[0], text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, expected);
}

/* A process that waits for the audit system would keep the bus and the kernel's events of a daemon
 * that is gone. */
static void test_who_sends_records_keeps_nothing_else_open(void **state)
{
	/* below what it needs, between, above: the lowest that is free from here on */
	static const int from[] = {0, AUDIT_FD - 10, AUDIT_FD + 10};
	const struct Device device = {.bus = BUS_ACPI, .syspath = (char *)"/x"};
	struct pollfd readers[ELEMENTSOF(from)];
	int writers[ELEMENTSOF(from)], fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, audit_ends), 0);
	for (size_t i = 0; i < ELEMENTSOF(from); i++) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		readers[i] = (struct pollfd){.fd = fds[0]};
		writers[i] = fcntl(fds[1], F_DUPFD_CLOEXEC, from[i]);
		assert_true(writers[i] >= from[i]);
		(void)close(fds[1]);
	}
	audit_start(AUDIT_YES);
	for (size_t i = 0; i < ELEMENTSOF(from); i++) {
		(void)close(writers[i]);
		assert_int_equal(poll(&readers[i], 1, DEADLINE_MSEC), 1);
		assert_int_equal(readers[i].revents, POLLHUP);
		(void)close(readers[i].fd);
	}
	audit_outcome(&device, &(struct Decision){.action = ACTION_DENY},
		      &(struct EnforceRequest){.remove = true}, &(struct EnforceReply){0});
	expect_record("op=remove bus=acpi device=\"/x\" "
		      "rule=\"default-for-acpi\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_says_what_was_done_to_which_device_and_why),
		cmocka_unit_test(test_what_people_look_for_is_in_fields_that_the_tools_decode),
		cmocka_unit_test(test_what_a_device_says_stays_in_its_field),
		cmocka_unit_test(test_who_sends_records_keeps_nothing_else_open),
	};

	return RUN_TESTS("audit", tests);
}
