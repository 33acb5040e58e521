/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"

#include <errno.h>
#include <time.h>

#include "escape.h"

#define GAP 2 /* blanks between columns */

/* Takes over @cell. */
static void add_cell(struct Table *table, char *cell)
{
	char **cells = reallocarray(table->cells, table->n_cells + 1, sizeof(*cells));

	if (cells)
		table->cells = cells;
	if (!cell || !cells) {
		free(cell);
		table->failed = true;
		return;
	}
	cells[table->n_cells++] = cell;
}

void table_add(struct Table *table, const char *text)
{
	add_cell(table, escape_text(isempty(text) ? "-" : text));
}

void table_add_word(struct Table *table, const char *text)
{
	add_cell(table, escape_word(isempty(text) ? "-" : text));
}

static void print_rows(const struct Table *table)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0};

	for (size_t i = 0; i < table->n_cells; i++) {
		size_t width = escaped_width(table->cells[i]);

		if (width > widths[i % table->n_columns])
			widths[i % table->n_columns] = width;
	}
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t column = i % table->n_columns;
		size_t width = escaped_width(table->cells[i]);

		(void)fputs(table->cells[i], stdout);
		if (column + 1 == table->n_columns)
			(void)putchar('\n');
		else
			(void)printf("%*s", (int)(widths[column] - width + GAP), "");
	}
}

void table_free(struct Table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
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
