/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uevent.h"

#include <errno.h>

#include "fuzz.h"
#include "util.h"

static void check_within(const char *field, const char *message, size_t size)
{
	check(field > message && field < message + size);
	check(*field);
}

/* The input is a message from a socket, of whoever sent it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *message = (const char *)data;
	struct Uevent event;
	int r = uevent_parse(message, size, &event);

	check(r == 0 || r == -EBADMSG);
	if (r < 0)
		return 0;
	check_within(event.action, message, size);
	check_within(event.devpath, message, size);
	check_within(event.subsystem, message, size);
	if (event.devtype)
		check_within(event.devtype, message, size);
	check(startswith(message, event.action));
	check(event.devpath[0] == '/');
	check(!strstr(event.devpath, "/../") && !strstr(event.devpath, "//"));
	return 0;
}
