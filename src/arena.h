/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Memory that is given piece by piece and taken back all at once: a policy of many thousand rules
 * is many small pieces, each of which would cost malloc(3) two words and its owner a destructor.
 * The zero value is an arena. */
struct Arena {
	struct ArenaChunk *last;
	size_t used; /* bytes of the last chunk */
};

/* @n elements of @size bytes, zeroed, aligned for any type; NULL when out of memory or where the
 * product does not fit. They live until arena_done(). */
void *arena_alloc(struct Arena *arena, size_t n, size_t size);

/* A copy of the @n elements of @size bytes at @data; NULL when out of memory. */
void *arena_copy(struct Arena *arena, const void *data, size_t n, size_t size);

/* A copy of @s; NULL when out of memory. */
char *arena_strdup(struct Arena *arena, const char *s);

void arena_done(struct Arena *arena);
