/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>
#include <sys/types.h>

#include "util.h"

/* A mount, as proc(5)'s mountinfo tells of it. The struct owns its strings. */
struct Mount {
	int id;
	dev_t dev; /* of the file system; on btrfs stat(2) gives files another, their subvolume's */
	char *point;
	char *type;
	char *source;
	char *options; /* the file system's own */
};

void mount_done(struct Mount *mount);
#define _cleanup_mount_ _cleanup_(mount_done)

/* The mounts that are to be seen from here, later ones on top of earlier ones. NULL with errno set
 * where they cannot be read; fclose() ends it. */
FILE *mounts_open(void);

/* Reads the next one in place of *mount, which is zero at first and for mount_done() at last.
 * Returns 1; 0 at the end; -ENOMEM. */
int mounts_next(FILE *mounts, struct Mount *mount);

/* The one that @path is on. Returns 0; -ENODEV where that cannot be told (before Linux 5.8, or it
 * is not to be seen from here); or another negative errno. */
int mount_of_path(const char *path, struct Mount *ret);

/* Undoes mountinfo's \040 and the like, in place. */
void unescape_octal(char *s);
