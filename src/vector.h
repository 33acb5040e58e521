/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An array that grows. All elements of one are of one size, which its user knows. The zero value is
 * empty. */
struct Vector {
	void *data;
	size_t n;
};

/* Room for one element more, not counted yet. It doubles at powers of two, so that many elements
 * cost no quadratic copying. NULL when out of memory: nothing has changed then. */
static inline void *vector_room(struct Vector *v, size_t size)
{
	if ((v->n & (v->n - 1)) == 0) { /* 0 or a power of two: it is full */
		void *data = reallocarray(v->data, v->n ? v->n * 2 : 1, size);

		if (!data)
			return NULL;
		v->data = data;
	}
	return (char *)v->data + v->n * size;
}

/* Appends a copy of the element at @item. Returns 0 or -ENOMEM. */
static inline int vector_add(struct Vector *v, const void *item, size_t size)
{
	void *room = vector_room(v, size);

	if (!room)
		return -ENOMEM;
	memcpy(room, item, size);
	v->n++;
	return 0;
}

/* An element of a vector of strings. */
static inline const char *string_at(const struct Vector *strings, size_t i)
{
	return ((const char *const *)strings->data)[i];
}

static inline void vector_done(struct Vector *v)
{
	free(v->data);
	*v = (struct Vector){0};
}

#define _cleanup_vector_ __attribute__((cleanup(vector_done)))
