/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"

#include <errno.h>
#include <time.h>

#include "escape.h"
#include "terminal.h"

#define GAP 2	   /* blanks between columns */
#define CUT_MIN 10 /* columns that are left of what is cut */

struct Cell {
	char *text; /* escaped */
	enum Colour colour;
};

/* Takes over @text. */
static void add_cell(struct Table *table, char *text, enum Colour colour)
{
	struct Cell *cells = reallocarray(table->cells, table->n_cells + 1, sizeof(*cells));

	if (cells)
		table->cells = cells;
	if (!text || !cells) {
		free(text);
		table->failed = true;
		return;
	}
	cells[table->n_cells++] = (struct Cell){text, colour};
}

void table_add_coloured(struct Table *table, const char *text, enum Colour colour)
{
	add_cell(table, escape_text(isempty(text) ? "-" : text), colour);
}

void table_add(struct Table *table, const char *text)
{
	table_add_coloured(table, text, COLOUR_NONE);
}

void table_add_word(struct Table *table, const char *text)
{
	add_cell(table, escape_word(isempty(text) ? "-" : text), COLOUR_NONE);
}

void table_add_behind(struct Table *table, const char *before, const char *text)
{
	_cleanup_free_ char *safe = escape_text(text);
	char *all;

	if (!safe || asprintf(&all, "%s%s", before, safe) < 0)
		all = NULL;
	add_cell(table, all, COLOUR_NONE);
}

static size_t first_printed(const struct Table *table)
{
	return table->no_heading ? table->n_columns : 0;
}

static void measure(const struct Table *table, size_t *widths)
{
	for (size_t i = first_printed(table); i < table->n_cells; i++) {
		size_t width = escaped_width(table->cells[i].text);

		if (width > widths[i % table->n_columns])
			widths[i % table->n_columns] = width;
	}
}

/* Takes from the widest column, again and again. The first one names what the row is about: it
 * stays, and so does what all of it would not make fit. */
static void cut_columns(const struct Table *table, size_t *widths)
{
	size_t all = (table->n_columns - 1) * GAP, n = table->n_columns;

	for (size_t i = 0; i < n; i++)
		all += widths[i];
	while (table->width > 0 && all > table->width) {
		size_t widest = 1;

		for (size_t i = 2; i < n; i++)
			if (widths[i] >= widths[widest])
				widest = i;
		if (n < 2 || widths[widest] <= CUT_MIN)
			return;
		widths[widest]--;
		all--;
	}
}

/* The bytes of the first @width columns of @text. */
static size_t bytes_of(const char *text, size_t width)
{
	size_t n = 0;

	for (; text[n]; n++)
		if ((text[n] & 0xc0) != 0x80 && width-- == 0)
			break;
	return n;
}

static void print_text(const char *text, size_t width)
{
	bool is_utf8 = terminal_is_utf8();

	if (escaped_width(text) <= width)
		(void)fputs(text, stdout);
	else
		(void)printf("%.*s%s", (int)bytes_of(text, width - (is_utf8 ? 1 : 2)), text,
			     is_utf8 ? "\u2026" : "..");
}

static void print_cell(const struct Table *table, const struct Cell *cell, size_t width)
{
	/* ECMA-48, 8.3.117 */
	static const char *const codes[_COLOUR_MAX] = {
		[COLOUR_GOOD] = "\033[32m", [COLOUR_BAD] = "\033[31m", [COLOUR_DIM] = "\033[2m"};
	const char *code = table->has_colours ? codes[cell->colour] : NULL;

	(void)fputs(code ? code : "", stdout);
	print_text(cell->text, width);
	(void)fputs(code ? "\033[0m" : "", stdout);
}

static void print_rows(const struct Table *table)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0};

	measure(table, widths);
	cut_columns(table, widths);
	for (size_t i = first_printed(table); i < table->n_cells; i++) {
		const struct Cell *cell = &table->cells[i];
		size_t column = i % table->n_columns, width = escaped_width(cell->text);

		print_cell(table, cell, widths[column]);
		if (column + 1 == table->n_columns)
			(void)putchar('\n');
		else
			(void)printf("%*s",
				     (int)(width < widths[column] ? widths[column] - width : 0) +
					     GAP,
				     "");
	}
}

void table_free(struct Table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i].text);
	free(table->cells);
	*table = (struct Table){0};
}

int table_print(struct Table *table)
{
	int r = table->failed ? -ENOMEM : 0;

	if (r == 0) {
		print_rows(table);
		if (fflush(stdout) != 0)
			r = -errno;
		else if (ferror(stdout))
			r = -EIO;
	}
	table_free(table);
	return r;
}

void time_text(uint64_t usec, char ret[static TIME_TEXT_MAX])
{
	time_t seconds = (time_t)(usec / 1000000);
	struct tm local;

	if (!localtime_r(&seconds, &local) ||
	    strftime(ret, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%S %Z", &local) == 0)
		(void)snprintf(ret, TIME_TEXT_MAX, "?");
}

void json_add_string(struct json_object *object, const char *key, const char *value)
{
	_cleanup_free_ char *safe = value ? utf8_sanitize(value) : NULL;

	if (value && !safe)
		abort();
	json_object_object_add(object, key, safe ? json_object_new_string(safe) : NULL);
}

struct json_object *strings_to_json(const struct Vector *strings)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < strings->n; i++) {
		_cleanup_free_ char *safe = utf8_sanitize(string_at(strings, i));

		if (!safe)
			abort();
		(void)json_object_array_add(array, json_object_new_string(safe));
	}
	return array;
}

static const char *json_text(struct json_object *object)
{
	return json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
}

static const char *json_line(struct json_object *object)
{
	return json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE);
}

size_t json_text_size(struct json_object *object)
{
	const char *text = json_text(object);

	return text ? strlen(text) : SIZE_MAX;
}

static int print_escaped(struct json_object *object, const char *text,
			 char *(*escape)(const char *))
{
	_cleanup_free_ char *safe = text ? escape(text) : NULL;

	(void)json_object_put(object);
	if (!safe)
		return -ENOMEM;
	return puts(safe) >= 0 && fflush(stdout) == 0 ? 0 : -errno;
}

int json_print(struct json_object *object)
{
	return print_escaped(object, json_text(object), escape_json);
}

int json_print_line(struct json_object *object)
{
	return print_escaped(object, json_line(object), escape_json);
}

int json_print_yaml(struct json_object *object)
{
	return print_escaped(object, json_text(object), escape_json_yaml);
}
