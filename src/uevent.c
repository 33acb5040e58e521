/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uevent.h"

#include <errno.h>

#include "util.h"

/* Of the keys that are looked at, one is given twice by no kernel. */
static int set_once(const char **field, const char *value)
{
	if (*field || !*value)
		return -EBADMSG;
	*field = value;
	return 0;
}

static int parse_entry(const char *entry, struct Uevent *event)
{
	const struct {
		const char *key;
		const char **field;
	} fields[] = {
		{"ACTION=", &event->action},
		{"DEVPATH=", &event->devpath},
		{"SUBSYSTEM=", &event->subsystem},
		{"DEVTYPE=", &event->devtype},
	};

	for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
		const char *value = startswith(entry, fields[i].key);

		if (value)
			return set_once(fields[i].field, value);
	}
	return strchr(entry, '=') > entry ? 0 : -EBADMSG;
}

/* Whether @path is absolute and has no component that is empty, "." or "..". */
static bool is_plain(const char *path)
{
	while (*path == '/') {
		size_t n = strcspn(++path, "/");

		if (n == 0 || (n <= 2 && strspn(path, ".") >= n))
			return false;
		path += n;
	}
	return !*path;
}

/* "ACTION@DEVPATH". */
static bool is_head_of(const char *head, const struct Uevent *event)
{
	const char *rest = startswith(head, event->action);

	return rest && *rest == '@' && streq(rest + 1, event->devpath);
}

int uevent_parse(const char *message, size_t size, struct Uevent *ret)
{
	struct Uevent event = {0};
	const char *end = message + size;

	if (size == 0 || end[-1])
		return -EBADMSG;
	for (const char *entry = message + strlen(message) + 1; entry < end;
	     entry += strlen(entry) + 1) {
		int r = parse_entry(entry, &event);

		if (r < 0)
			return r;
	}
	if (!event.action || !event.devpath || !event.subsystem || event.devpath[0] != '/' ||
	    !is_plain(event.devpath) || !is_head_of(message, &event))
		return -EBADMSG;
	*ret = event;
	return 0;
}
