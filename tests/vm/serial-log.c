/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "escape.h"
#include "serial-log.h"
#include "util.h"

/* As many bytes as hold the lines that are asked for, of any length worth reading. */
#define TAIL_BYTES 32768L

static char *read_end(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = NULL;
	size_t n;

	if (!f)
		return NULL;
	if (fseek(f, -TAIL_BYTES, SEEK_END) < 0)
		rewind(f);
	text = malloc(TAIL_BYTES + 1);
	if (!text)
		return NULL;
	n = fread(text, 1, TAIL_BYTES, f);
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = '?';
	text[n] = '\0';
	return TAKE_PTR(text);
}

static const char *last_lines(const char *text, unsigned int lines)
{
	const char *p = text + strlen(text);

	if (p > text)
		p--;
	while (p > text) {
		if (p[-1] == '\n' && --lines == 0)
			break;
		p--;
	}
	return p;
}

void serial_log_print_tail(FILE *out, const char *path, unsigned int lines)
{
	_cleanup_free_ char *text = read_end(path);
	char *state = NULL, *rest;

	if (!text || isempty(text)) {
		fprintf(out, "  (the serial log is empty)\n");
		return;
	}
	rest = text + (last_lines(text, lines) - text);
	for (char *line = strtok_r(rest, "\r\n", &state); line;
	     line = strtok_r(NULL, "\r\n", &state)) {
		_cleanup_free_ char *escaped = escape_text(line);

		fprintf(out, "  | %s\n", escaped ? escaped : "(out of memory)");
	}
}
