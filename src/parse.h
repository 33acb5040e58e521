/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#define PARSE_SIZE_MAX ((size_t)1024 * 1024) /* bytes of a file that is parsed */
#define PARSE_ERRORS_MAX 20		     /* errors of a file that are kept */
#define PARSE_DEPTH_MAX 16		     /* mappings and lists within each other */

/* Where and why a text was refused. The message is without the place, and not escaped. */
struct ParseError {
	char *message;
	unsigned line, column; /* both from 1; column counts characters */
};

/* What is wrong with a text, in its order. `n` counts all errors, the first PARSE_ERRORS_MAX of
 * which are kept. */
struct ParseErrors {
	struct ParseError items[PARSE_ERRORS_MAX];
	size_t n;
};

static inline void parse_errors_done(struct ParseErrors *errors)
{
	for (size_t i = 0; i < errors->n && i < PARSE_ERRORS_MAX; i++)
		free(errors->items[i].message);
	*errors = (struct ParseErrors){0};
}
