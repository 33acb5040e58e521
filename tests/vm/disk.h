/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <limits.h>

/* A copy of the root disk of a guest of debian-image.sh, for vm_options.disk with .keeps, beside
 * the logs. All return a negative errno. */
struct disk {
	char path[PATH_MAX];
};

int disk_copy(struct disk *disk, const char *guest);
void disk_done(struct disk *disk);

/* Copies @file, of a disk that no guest uses, to @to. */
int disk_fetch(const struct disk *disk, const char *file, const char *to);
