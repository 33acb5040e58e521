/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "hardened.h"
#include "parse.h"

/* conf/hardened.yaml as it was read: a row for each id, in the order of the file. The strings are
 * the list's own. Evidence is checked to be there and not kept. */
struct HardenedList {
	struct HardenedEntry *rows;
	size_t n_rows;
};

void hardened_list_done(struct HardenedList *list);

/* Parses the @size bytes at @text; the head of conf/hardened.yaml is the language. Strict: what it
 * does not know is an error, and so are an id that is listed twice, one that a driver is missing
 * for, and evidence that is left out. What it lets through can stand in a C string as it is.
 *
 * Returns 0; -EBADMSG with *ret_errors set, which the caller frees by parse_errors_done();
 * -ENOMEM. The caller passes a zeroed list and frees it in each case. */
int hardened_parse(struct HardenedList *list, const char *text, size_t size,
		   struct ParseErrors *ret_errors);
