/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "glob-match.h"

#include <string.h>

#define SPECIAL "*?[\\"

/* The end of the bracket expression at @glob, past its "]"; NULL where it is not closed. */
static const char *bracket_end(const char *glob)
{
	glob++;
	if (*glob == '!' || *glob == '^')
		glob++;
	if (*glob == ']') /* as the first member it is one */
		glob++;
	while (*glob && *glob != ']') {
		if (*glob == '\\' && glob[1])
			glob++;
		glob++;
	}
	return *glob ? glob + 1 : NULL;
}

/* Reads one member of a bracket expression and advances past it. */
static unsigned char bracket_member(const char **glob)
{
	if (**glob == '\\' && (*glob)[1])
		(*glob)++;
	return (unsigned char)*(*glob)++;
}

/* Whether a range follows the member that was just read: "a-]" is a, - and the end. */
static bool is_range(const char *glob)
{
	return glob[0] == '-' && glob[1] && glob[1] != ']';
}

static bool bracket_holds(const char *glob, unsigned char c)
{
	bool is_negated = glob[1] == '!' || glob[1] == '^', found = false;
	const char *last = bracket_end(glob) - 1;

	glob += is_negated ? 2 : 1;
	do {
		unsigned char low = bracket_member(&glob), high = low;

		if (is_range(glob)) {
			glob++;
			high = bracket_member(&glob);
		}
		found = found || (low <= c && c <= high);
	} while (glob < last);
	return found != is_negated;
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool same(char a, char b, bool any_case)
{
	return a == b || (any_case && fold(a) == fold(b));
}

const char *glob_next(const char *glob)
{
	const char *end = *glob == '[' ? bracket_end(glob) : NULL;

	if (end)
		return end;
	return glob + (*glob == '\\' && glob[1] ? 2 : 1);
}

bool glob_fits_character(const char *glob, char c, bool any_case)
{
	switch (*glob) {
	case '?':
		return true;
	case '[':
		return bracket_end(glob) && bracket_holds(glob, (unsigned char)c);
	case '\\':
		return glob[1] && same(glob[1], c, any_case);
	default:
		return *glob && same(*glob, c, any_case);
	}
}

/* Of several stars only the last one is ever tried again: what an earlier one could take on, the
 * later one can as well. */
bool glob_match_n(const char *glob, const char *s, size_t len, bool any_case)
{
	const char *star = NULL, *star_s = NULL, *end = s + len;

	for (;;) {
		if (*glob == '*') {
			star = ++glob;
			star_s = s;
			continue;
		}
		if (s == end && !*glob)
			return true;
		if (s < end && glob_fits_character(glob, *s, any_case)) {
			glob = glob_next(glob);
			s++;
			continue;
		}
		if (!star || star_s == end)
			return false;
		glob = star;
		s = ++star_s;
	}
}

bool glob_match(const char *glob, const char *s)
{
	return glob_match_n(glob, s, strlen(s), false);
}

static const char *bracket_problem(const char *glob)
{
	const char *end = bracket_end(glob), *p = glob + 1;

	if (!end)
		return "a bracket is not closed";
	if (p[0] == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '='))
		return "character classes are not part of the language";
	p += *p == '!' || *p == '^';
	do {
		unsigned char low;

		if (p[0] == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '='))
			return "character classes are not part of the language";
		low = bracket_member(&p);
		if (is_range(p)) {
			p++;
			if (bracket_member(&p) < low)
				return "a range in brackets runs backwards";
		}
	} while (p < end - 1);
	return NULL;
}

const char *glob_problem(const char *glob)
{
	while ((glob = strpbrk(glob, "[\\"))) {
		const char *problem;

		if (*glob == '\\') {
			if (!glob[1])
				return "a backslash stands at the end";
			glob += 2;
			continue;
		}
		problem = bracket_problem(glob);
		if (problem)
			return problem;
		glob = bracket_end(glob);
	}
	return NULL;
}

size_t glob_prefix(const char *glob)
{
	return strcspn(glob, SPECIAL);
}

bool glob_is_literal(const char *glob)
{
	return !glob[glob_prefix(glob)];
}
