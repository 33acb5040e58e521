/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A target: called with one input after another, by libFuzzer with what it makes up, by replay.c
 * with the files of a corpus. Returns 0; what must not be ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(3): no build leaves these out. */
#define check(expression) ((expression) ? (void)0 : check_failed(__FILE__, __LINE__, #expression))

_Noreturn static inline void check_failed(const char *file, int line, const char *expression)
{
	(void)fprintf(stderr, "%s:%d: it does not hold that %s\n", file, line, expression);
	abort();
}

/* The bytes as a string, which ends at the first NUL among them if there is one. In memory of its
 * own, so that a sanitizer sees what is read behind it. The caller frees it. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	char *s = strndup((const char *)data, size);

	check(s);
	return s;
}
