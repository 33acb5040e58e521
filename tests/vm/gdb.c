/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The protocol is in gdb's manual, appendix "Remote Serial Protocol". A packet is $DATA#SUM and is
 * acknowledged by a plus sign; none that goes either way here needs escapes. */

#include <errno.h>
#include <inttypes.h>

#include "channel.h"
#include "gdb.h"

static int put_packet(struct gdb *gdb, const char *data, uint64_t deadline)
{
	_cleanup_free_ char *packet = NULL;
	uint8_t sum = 0;

	for (const char *p = data; *p; p++)
		sum = (uint8_t)(sum + *p);
	if (asprintf(&packet, "$%s#%02x", data, sum) < 0) {
		packet = NULL;
		return -ENOMEM;
	}
	return channel_write(gdb->fd, packet, strlen(packet), deadline);
}

/* The next packet's data, without what comes before it. */
static int get_packet(struct gdb *gdb, char *data, size_t size, uint64_t deadline)
{
	char *begin, *end;
	ssize_t n;

	for (;;) {
		gdb->input[gdb->size] = '\0';
		begin = strchr(gdb->input, '$');
		end = begin ? strchr(begin, '#') : NULL;
		if (end && end + 2 < gdb->input + gdb->size)
			break;
		if (gdb->size + 1 == sizeof(gdb->input))
			return -EMSGSIZE;
		n = channel_read_some(gdb->fd, gdb->input + gdb->size,
				      sizeof(gdb->input) - 1 - gdb->size, deadline);
		if (n < 0)
			return (int)n;
		gdb->size += (size_t)n;
	}
	*end = '\0';
	(void)snprintf(data, size, "%s", begin + 1);
	end += 3;
	gdb->size -= (size_t)(end - gdb->input);
	memmove(gdb->input, end, gdb->size);
	return channel_write(gdb->fd, "+", 1, deadline);
}

static int set_breakpoint(struct gdb *gdb, bool set, uint64_t address, uint64_t deadline)
{
	char packet[64], answer[64];
	int r;

	(void)snprintf(packet, sizeof(packet), "%c1,%" PRIx64 ",1", set ? 'Z' : 'z', address);
	r = put_packet(gdb, packet, deadline);
	if (r >= 0)
		r = get_packet(gdb, answer, sizeof(answer), deadline);
	if (r < 0)
		return r;
	return streq(answer, "OK") ? 0 : -EBADMSG;
}

int gdb_run(struct gdb *gdb, uint64_t deadline)
{
	return put_packet(gdb, "c", deadline);
}

int gdb_run_to(struct gdb *gdb, uint64_t address, uint64_t deadline)
{
	char answer[128];
	int r;

	r = set_breakpoint(gdb, true, address, deadline);
	if (r >= 0)
		r = gdb_run(gdb, deadline);
	if (r >= 0)
		r = get_packet(gdb, answer, sizeof(answer), deadline);
	if (r < 0)
		return r;
	/* T: stopped. W and X: QEMU is about to end. */
	if (answer[0] != 'T')
		return -ECONNRESET;
	return set_breakpoint(gdb, false, address, deadline);
}
