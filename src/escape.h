/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Device strings are the host's words. Nothing that came from a device reaches a terminal, a log
 * or a JSON document but through one of these two.
 *
 * escape_text: for terminals and logs. Printable UTF-8 stays; a backslash is doubled; control
 * characters, C1 controls, bidirectional and zero-width formatting, line and paragraph separators
 * become \n, \t, \xNN or \u{NNNN}; each byte of an invalid sequence becomes \xNN. The result is
 * one line without terminal effects, and reversible.
 *
 * utf8_sanitize: for documents with an escaping of their own (JSON). Valid UTF-8 stays as it is;
 * each byte of an invalid sequence becomes the four characters \xNN.
 *
 * Both take NULL as "", return a new string that the caller frees, or NULL when out of memory. */
char *escape_text(const char *s);
char *utf8_sanitize(const char *s);

/* Columns that @s takes on a terminal, as a count of code points; @s is the result of
 * escape_text(), which has removed all that takes no column. East Asian wide characters are
 * counted as one. */
size_t escaped_width(const char *s);
