/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "arguments.h"

void arguments_done(struct arguments *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
	*a = (struct arguments){0};
}

_printf_(2, 0) static void add(struct arguments *a, const char *format, va_list ap)
{
	char **bigger, *argument;

	bigger = reallocarray(a->v, a->n + 2, sizeof(*a->v));
	if (!bigger) {
		a->failed = true;
		return;
	}
	a->v = bigger;
	if (vasprintf(&argument, format, ap) < 0) {
		a->failed = true;
		return;
	}
	a->v[a->n++] = argument;
	a->v[a->n] = NULL;
}

void arguments_add(struct arguments *a, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add(a, format, ap);
	va_end(ap);
}

void arguments_option(struct arguments *a, const char *option, const char *format, ...)
{
	va_list ap;

	arguments_add(a, "%s", option);
	va_start(ap, format);
	add(a, format, ap);
	va_end(ap);
}
