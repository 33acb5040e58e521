/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "agent-protocol.h"
#include "channel.h"
#include "deadline.h"
#include "guest.h"
#include "util.h"

/* What the guest may take beyond the command itself, under emulation on a busy machine. */
#define ANSWER_GRACE_MS 20000U

int guest_wait_hello(int fd, uint64_t deadline)
{
	struct agent_header header;
	char *bytes = (char *)&header;
	int r;

	r = channel_read(fd, &header, sizeof(header), deadline);
	while (r >= 0 && (header.magic != AGENT_MAGIC || header.kind != AGENT_HELLO)) {
		memmove(bytes, bytes + 1, sizeof(header) - 1);
		r = channel_read(fd, bytes + sizeof(header) - 1, 1, deadline);
	}
	return r;
}

int guest_send(int fd, const char *command, unsigned int timeout_ms)
{
	uint64_t deadline = deadline_in(ANSWER_GRACE_MS);
	struct agent_header header = {
		.magic = AGENT_MAGIC,
		.kind = AGENT_RUN,
		.value = timeout_ms,
		.length = (uint32_t)strlen(command),
	};
	int r;

	r = channel_write(fd, &header, sizeof(header), deadline);
	if (r < 0)
		return r;
	return channel_write(fd, command, header.length, deadline);
}

int guest_receive(int fd, unsigned int timeout_ms, char **ret, size_t *ret_size)
{
	uint64_t deadline = deadline_in(timeout_ms + ANSWER_GRACE_MS);
	_cleanup_free_ char *output = NULL;
	struct agent_header header;
	int r;

	r = channel_read(fd, &header, sizeof(header), deadline);
	if (r < 0)
		return r;
	if (header.magic != AGENT_MAGIC || header.kind != AGENT_RESULT ||
	    header.length > AGENT_LENGTH_MAX)
		return -EBADMSG;
	output = calloc(1, (size_t)header.length + 1);
	if (!output)
		return -ENOMEM;
	r = channel_read(fd, output, header.length, deadline);
	if (r < 0)
		return r;
	*ret_size = header.length;
	*ret = TAKE_PTR(output);
	return header.value == AGENT_TIMED_OUT ? -ETIME : (int)header.value;
}

int guest_run(int fd, const char *command, unsigned int timeout_ms, char **ret, size_t *ret_size)
{
	int r;

	r = guest_send(fd, command, timeout_ms);
	if (r < 0)
		return r;
	return guest_receive(fd, timeout_ms, ret, ret_size);
}
