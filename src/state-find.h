/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

/* What the file of state.h says of one device, for who asks about that alone, and once: udev, of
 * each device that comes. */
struct Finding {
	char *driver;  /* that it is held to, "" for any, escaped, as all of these are */
	char *verdict; /* state_verdict() and state_source() of the device */
	char *source;
	bool is_unsettled; /* nobody knows how it was left: a write is on its way, or was cut short
			    */
};

/* Looks for the device at @syspath with that identity. Returns 0; -ENOENT where nobody has decided
 * over it so far; or another negative errno. */
int state_find(const char *syspath, dev_t dev, ino_t ino, struct Finding *ret);
void finding_done(struct Finding *finding);

/* Whether the file is another one, or longer, than at the last call, for who waits for a line:
 * *last is where this remembers it, zero at first. It is true where nobody can tell. */
bool state_has_grown(struct stat *last);

/* Whether somebody is there who notes decisions: a daemon, or who decides once. */
bool state_is_kept(void);
