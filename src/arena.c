/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE ((size_t)16 * 1024) /* bytes: a small policy needs one */

struct ArenaChunk {
	struct ArenaChunk *previous;
	size_t size; /* of data */
	alignas(max_align_t) char data[];
};

static void *from_last_chunk(struct Arena *arena, size_t size, size_t align)
{
	size_t start = (arena->used + align - 1) & ~(align - 1);

	if (!arena->last || start > arena->last->size || size > arena->last->size - start)
		return NULL;
	arena->used = start + size;
	return arena->last->data + start;
}

static void *take(struct Arena *arena, size_t size, size_t align)
{
	size_t chunk_size = size > CHUNK_SIZE ? size : CHUNK_SIZE;
	void *found = from_last_chunk(arena, size, align);
	struct ArenaChunk *chunk;

	if (found)
		return found;
	chunk = calloc(1, sizeof(*chunk) + chunk_size);
	if (!chunk)
		return NULL;
	chunk->previous = arena->last;
	chunk->size = chunk_size;
	arena->last = chunk;
	arena->used = 0;
	return from_last_chunk(arena, size, align);
}

/* The alignment that a type of @size bytes may ask for: its largest power of two. */
static size_t alignment_of(size_t size)
{
	size_t align = size & (~size + 1);

	return align > alignof(max_align_t) ? alignof(max_align_t) : align;
}

void *arena_alloc(struct Arena *arena, size_t n, size_t size)
{
	if (size == 0 || n > (SIZE_MAX / 2) / size)
		return NULL;
	return take(arena, n * size, alignment_of(size));
}

void *arena_copy(struct Arena *arena, const void *data, size_t n, size_t size)
{
	void *copy = arena_alloc(arena, n, size);

	if (copy && n > 0)
		memcpy(copy, data, n * size);
	return copy;
}

char *arena_strdup(struct Arena *arena, const char *s)
{
	return arena_copy(arena, s, strlen(s) + 1, 1);
}

void arena_done(struct Arena *arena)
{
	while (arena->last) {
		struct ArenaChunk *previous = arena->last->previous;

		free(arena->last);
		arena->last = previous;
	}
	*arena = (struct Arena){0};
}
