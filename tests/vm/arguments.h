/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util.h"

/* A growing argument vector for execv(3). The first failure sticks: check once, at the end. */
struct arguments {
	char **v;
	size_t n;
	bool failed;
};

void arguments_done(struct arguments *a);

/* Appends one argument. */
_printf_(2, 3) void arguments_add(struct arguments *a, const char *format, ...);

/* Appends an option and its value. */
_printf_(3, 4) void arguments_option(struct arguments *a, const char *option, const char *format,
				     ...);
