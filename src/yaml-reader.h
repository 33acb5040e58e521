/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#include "parse.h"
#include "util.h"

/* Reads a strict subset of YAML, event by event: one document, a mapping that says "version: 1",
 * every key known and given once, no anchor, alias, tag, directive or tab. Each language defines a
 * struct Parser of its own around the reader, and tables of keys.
 *
 * A value that is refused is recorded, and reading goes on behind it, so that one reading finds all
 * errors; what is not YAML ends it. */

#define READER_KEYS_MAX 16 /* keys of one mapping */

struct Parser;

struct YamlReader {
	const char *noun;   /* what a text is, in errors: "policy" */
	size_t size_max;    /* bytes of a text */
	yaml_event_t event; /* the current one; consumed by reader_advance() */
	struct ParseErrors *errors;
	struct Parser *parser; /* what the functions of keys get */
	yaml_parser_t yaml;
	unsigned
		depth; /* mappings and lists that the current event is in; one that starts counts */
	size_t list_items; /* of the last list that was read */
	bool version_seen;
	bool is_broken; /* there is nothing to go on with */
};

/* A key of a mapping. `parse` finds the value's first event as the current one and leaves its last
 * event there. */
struct Key {
	const char *name;
	int (*parse)(struct Parser *parser, const struct Key *key);
	int argument;
};

/* All functions that return int return 0; -EBADMSG with the error recorded; or -ENOMEM. */

/* Reads all of the @size bytes at @text, a mapping of @keys, whose "version" is to be read by
 * reader_version(). The caller sets noun, size_max, errors and parser and zeroes the rest; nothing
 * needs to be freed but *errors. */
int reader_read(struct YamlReader *reader, const char *text, size_t size, const struct Key *keys);

/* Records an error and returns -EBADMSG, or -ENOMEM. */
_printf_(3, 4) int reader_fail(struct YamlReader *reader, yaml_mark_t mark, const char *format,
			       ...);

/* Makes the next event the current one. */
int reader_advance(struct YamlReader *reader);

/* Refuses a value that is not of @type, which @noun names. @key is whose value it is. */
int reader_expect(struct YamlReader *reader, yaml_event_type_t type, const char *key,
		  const char *noun);

/* The current scalar as a string, owned by the event; refuses one that is empty or holds NUL. */
int reader_text(struct YamlReader *reader, const char *key, const char **ret);

/* The same as a copy that the caller frees. */
int reader_dup_text(struct YamlReader *reader, const char *key, char **ret);

int reader_version(struct YamlReader *reader, const char *key);

/* "true" or "false", not quoted. */
int reader_bool(struct YamlReader *reader, const char *key, bool *ret);

/* A decimal number from @least to @most. */
#define READER_NUMBER_MAX (UINT32_MAX - 1)
int reader_number(struct YamlReader *reader, const char *key, uint32_t least, uint32_t most,
		  uint32_t *ret);

/* One of the @n @words, by its index. @what names it in errors: "action". */
int reader_word(struct YamlReader *reader, const char *key, const char *what,
		const char *const *words, size_t n, int *ret);

/* Reads the mapping whose start is the current event: each key once, each known to @keys (at most
 * READER_KEYS_MAX). @owner is the key that the mapping is the value of, @what names its keys in
 * errors. Where values were refused, it is still read to its end. */
int reader_mapping(struct YamlReader *reader, const char *owner, const char *what,
		   const struct Key *keys);

/* Reads the list whose start is the current event, of @noun, calling @item at the start of each;
 * @item leaves its last event as the current one. @key is what the list is the value of. Where
 * items were refused, it is still read to its end. */
int reader_list(struct YamlReader *reader, const struct Key *key, const char *noun,
		int (*item)(struct Parser *parser, const struct Key *key));

/* A single item or a list of at least one: what takes "any of". */
int reader_one_or_list(struct YamlReader *reader, const struct Key *key,
		       int (*item)(struct Parser *parser, const struct Key *key));

/* Reads the mapping whose start is the current event, whose keys are names: any, each @what. @item
 * is called at the start of each value, and leaves its last event as the current one. */
int reader_names(struct YamlReader *reader, const struct Key *key, const char *what,
		 int (*item)(struct Parser *parser, const char *name));
