/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "parse.h"
#include "util.h"

/* Reads a strict subset of YAML, event by event: one document, a mapping that says "version: 1",
 * every key known and given once, no anchor, alias, tag, directive or tab. Each language defines a
 * struct Parser of its own around the reader, and tables of keys. */

#define READER_KEYS_MAX 16 /* keys of one mapping */

struct Parser;

struct YamlReader {
	const char *noun;   /* what a text is, in errors: "policy" */
	yaml_event_t event; /* the current one; consumed by reader_advance() */
	struct ParseError *error;
	struct Parser *parser; /* what the functions of keys get */
	yaml_parser_t yaml;
	bool version_seen;
};

/* A key of a mapping. `parse` finds the value's first event as the current one and leaves its last
 * event there. A key without `parse` belongs to the language but not yet to this version. */
struct Key {
	const char *name;
	int (*parse)(struct Parser *parser, const struct Key *key);
	int argument;
};

/* All functions that return int return 0; -EBADMSG with reader->error set; or -ENOMEM. */

/* Reads all of the @size bytes at @text, a mapping of @keys, whose "version" is to be read by
 * reader_version(). The caller sets noun, error and parser and zeroes the rest; nothing needs to be
 * freed but the message in *error. */
int reader_read(struct YamlReader *reader, const char *text, size_t size, const struct Key *keys);

/* Sets the error and returns -EBADMSG, or -ENOMEM. */
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

/* Reads the mapping whose start is the current event: each key once, each known to @keys (at most
 * READER_KEYS_MAX). @owner is the key that the mapping is the value of, @what names its keys in
 * errors. */
int reader_mapping(struct YamlReader *reader, const char *owner, const char *what,
		   const struct Key *keys);

/* Reads the list whose start is the current event, of @noun, calling @item at the start of each;
 * @item leaves its last event as the current one. @key is what the list is the value of. */
int reader_list(struct YamlReader *reader, const struct Key *key, const char *noun,
		int (*item)(struct Parser *parser, const struct Key *key));
