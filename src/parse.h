/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#define PARSE_SIZE_MAX ((size_t)1024 * 1024) /* bytes of a file that is parsed */

/* Where and why a text was refused. The message is without the place, and not escaped. */
struct ParseError {
	char *message;
	unsigned line, column; /* both from 1; column counts characters */
};

static inline void parse_error_done(struct ParseError *error)
{
	free(error->message);
	*error = (struct ParseError){0};
}
