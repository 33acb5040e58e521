/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "test.h"
#include "util.h"

/* What @call writes to the descriptor @fd (1 or 2), as a string that the caller frees. */
static inline char *capture(int fd, void (*call)(void *), void *argument)
{
	_cleanup_fclose_ FILE *file = tmpfile();
	int saved = dup(fd);
	char *text;
	long size;

	(void)fflush(NULL);
	(void)dup2(fileno(file), fd);
	call(argument);
	(void)fflush(NULL);
	(void)dup2(saved, fd);
	(void)close(saved);
	(void)fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	text = calloc(1, (size_t)size + 1);
	assert_int_equal(fread(text, 1, (size_t)size, file), size);
	return text;
}
