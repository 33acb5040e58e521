/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"
#include "vector.h"

/* Everything tdx-authctl prints of a device goes through here and is escaped here. */

#define TABLE_COLUMNS_MAX 8

enum Colour {
	COLOUR_NONE,
	COLOUR_GOOD,
	COLOUR_BAD,
	COLOUR_DIM,
	_COLOUR_MAX,
};

/* A table of text: columns as wide as their widest cell, the last one ragged. */
struct Table {
	size_t n_columns;   /* at most TABLE_COLUMNS_MAX */
	struct Cell *cells; /* row by row; the first row is the heading */
	size_t n_cells;
	size_t width;	  /* columns of the terminal that all but the first column is cut to; 0: no
			   * matter */
	bool has_colours; /* those of the cells are printed */
	bool no_heading;  /* the first row is not printed */
	bool failed;	  /* a cell could not be allocated */
};

/* Adds a cell, escaping @text; "" and NULL print as "-". */
void table_add(struct Table *table, const char *text);
void table_add_coloured(struct Table *table, const char *text, enum Colour colour);
/* The same behind @before, which is printed as it is. */
void table_add_behind(struct Table *table, const char *before, const char *text);
/* The same with blanks escaped as well, as \x20: what is printed is one word. */
void table_add_word(struct Table *table, const char *text);
/* Prints the table to standard output and frees it. Returns 0, -ENOMEM, or -EIO. */
int table_print(struct Table *table);
/* Frees a table that is not to be printed. */
void table_free(struct Table *table);

#define TIME_TEXT_MAX 64

/* A time in microseconds since 1970, as people of this machine read it. */
void time_text(uint64_t usec, char ret[static TIME_TEXT_MAX]);

/* Adds a string that may come from a device; NULL becomes null. Out of memory is fatal to the
 * process, as in json-c itself. */
void json_add_string(struct json_object *object, const char *key, const char *value);

/* The array of a vector of strings, which may come from a device. */
struct json_object *strings_to_json(const struct Vector *strings);

/* Bytes of what json_print() would print, but for escapes and the line's end. */
size_t json_text_size(struct json_object *object);

/* Prints @object, ends the line, and drops the reference. Returns 0, -ENOMEM or -EIO, or what
 * fflush(3) says. */
int json_print(struct json_object *object);

/* The same in one line, for one of many. */
int json_print_line(struct json_object *object);

/* The same for a document that is to be read as YAML: escape_json_yaml(). */
int json_print_yaml(struct json_object *object);
