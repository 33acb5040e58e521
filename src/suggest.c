/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "suggest.h"

#include <string.h>

#include "util.h"

#define LONGEST 32 /* characters looked at: no key is longer */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance of the first LONGEST characters. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[LONGEST + 1][LONGEST + 1];
	size_t la = strnlen(a, LONGEST), lb = strnlen(b, LONGEST);

	for (size_t i = 0; i <= la; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++)
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			best = least(best, least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = least(best, d[i - 2][j - 2] + 1);
			d[i][j] = best;
		}
	return d[la][lb];
}

const char *nearest_word(const char *typed, const char *const *words, size_t n)
{
	const char *nearest = NULL;
	unsigned shortest = (unsigned)(strnlen(typed, LONGEST) + 1) / 2 + 1;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(typed, words[i]);

		if (d < shortest) {
			shortest = d;
			nearest = words[i];
		}
	}
	return nearest;
}

char *join_words(const char *const *words, size_t n)
{
	size_t size = 1;
	char *joined, *end;

	for (size_t i = 0; i < n; i++)
		size += strlen(words[i]) + strlen(", ");
	joined = malloc(size);
	if (!joined)
		return NULL;
	end = joined;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(words[i]);

		if (i > 0) {
			memcpy(end, ", ", 2);
			end += 2;
		}
		memcpy(end, words[i], len);
		end += len;
	}
	*end = '\0';
	return joined;
}
