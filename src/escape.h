/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Device strings are the host's words. Nothing that came from a device reaches a terminal, a log
 * or a JSON document but through these.
 *
 * A deceptive character acts on a terminal or on a reader's eye: C0 and C1 controls, line and
 * paragraph separators, combining, zero-width and bidirectional formatting characters, letters
 * that run from right to left, private and unassigned planes.
 *
 * escape_text: for terminals and logs. A backslash is doubled; deceptive characters become \n, \t,
 * \r, \xNN or \u{NNNN}; each byte of an invalid UTF-8 sequence becomes \xNN. The result is one
 * line, and reversible.
 *
 * escape_word: the same, and blanks become \x20, so that the result is one word.
 *
 * utf8_sanitize: for documents with an escaping of their own. Valid UTF-8 stays as it is; each byte
 * of an invalid sequence becomes the four characters \xNN.
 *
 * escape_json: for a finished JSON document, which has its strings' C0 controls escaped. The other
 * deceptive characters become \uNNNN, which to a parser is the same document.
 *
 * escape_json_yaml: the same for a reader of YAML, which knows no pair of surrogates: what is
 * beyond U+FFFF stays as it is. Not for the words of a device.
 *
 * All take NULL as "", return a new string that the caller frees, or NULL when out of memory. */
char *escape_text(const char *s);
char *escape_word(const char *s);
char *utf8_sanitize(const char *s);
char *escape_json(const char *document);
char *escape_json_yaml(const char *document);

/* What escape_text() or escape_word() made @s of, or NULL: it did not, or out of memory. The caller
 * frees it. */
char *unescape_text(const char *s);

/* Columns that @s, a result of escape_text(), takes on a terminal, as a count of code points: wide
 * East Asian characters, which take two, count as one. */
size_t escaped_width(const char *s);

/* Decodes one code point as RFC 3629 defines UTF-8: no overlong forms, no surrogates, at most
 * U+10FFFF. @s ends with a NUL. Returns its length in bytes, 0 if the bytes at @s are no valid
 * sequence. */
size_t utf8_decode(const unsigned char *s, uint32_t *ret);
