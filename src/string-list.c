/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "string-list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int strings_take(struct Vector *strings, char *text)
{
	if (text && vector_add(strings, &text, sizeof(text)) == 0)
		return 0;
	free(text);
	return -ENOMEM;
}

int strings_add(struct Vector *strings, const char *format, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	return strings_take(strings, n < 0 ? NULL : text);
}

bool strings_have(const struct Vector *strings, const char *text)
{
	for (size_t i = 0; i < strings->n; i++)
		if (streq(string_at(strings, i), text))
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void strings_sort(struct Vector *strings)
{
	if (strings->n > 0)
		qsort(strings->data, strings->n, sizeof(char *), compare);
}

void strings_done(struct Vector *strings)
{
	for (size_t i = 0; i < strings->n; i++)
		free(((char **)strings->data)[i]);
	vector_done(strings);
}
