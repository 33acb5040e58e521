/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vector.h"

/* Policies that are made for a platform, for an owner to begin with: conf/profiles. */
struct Profile {
	char *name;
	char *purpose; /* the first line of its comment, "" where it has none */
};

/* Those that are installed, in the order of their names. Returns 0, -ENOENT where none is, or
 * another negative errno; the log told why. The caller frees *ret. */
int profiles_read(struct Vector *ret);
void profiles_done(struct Vector *profiles);
#define _cleanup_profiles_ _cleanup_(profiles_done)

/* The file of the one that is called @name: a new string. Returns 0; -EINVAL where there is none
 * of this name; or another negative errno. The log told why. */
int profile_find(const char *name, char **ret);
