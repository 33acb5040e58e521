/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "yaml-reader.h"

#include <errno.h>
#include <stdarg.h>

#include "suggest.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* --- errors --- */

int reader_fail(struct YamlReader *reader, yaml_mark_t mark, const char *format, ...)
{
	va_list ap;

	free(reader->error->message);
	reader->error->line = (unsigned)mark.line + 1;
	reader->error->column = (unsigned)mark.column + 1;
	va_start(ap, format);
	if (vasprintf(&reader->error->message, format, ap) < 0)
		reader->error->message = NULL;
	va_end(ap);
	return reader->error->message ? -EBADMSG : -ENOMEM;
}

static yaml_mark_t mark_at(const char *text, size_t offset)
{
	yaml_mark_t mark = {.index = offset};

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if ((text[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static int fail_yaml(struct YamlReader *reader)
{
	const char *problem = reader->yaml.problem ? reader->yaml.problem : "not valid YAML";
	yaml_mark_t mark = reader->yaml.problem_mark;

	if (reader->yaml.error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (reader->yaml.error == YAML_READER_ERROR)
		mark = mark_at((const char *)reader->yaml.input.string.start,
			       reader->yaml.problem_offset);
	if (reader->yaml.context && strstr(reader->yaml.context, "alias"))
		return reader_fail(reader, mark, "%s %s (a leading * must be quoted: \"*\")",
				   reader->yaml.context, problem);
	if (reader->yaml.context)
		return reader_fail(reader, mark, "%s %s", reader->yaml.context, problem);
	return reader_fail(reader, mark, "%s", problem);
}

/* --- events --- */

static bool has_anchor_or_tag(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor || event->data.scalar.tag;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor || event->data.mapping_start.tag;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor || event->data.sequence_start.tag;
	default:
		return false;
	}
}

static bool has_directive(const yaml_event_t *event)
{
	return event->type == YAML_DOCUMENT_START_EVENT &&
	       (event->data.document_start.version_directive ||
		event->data.document_start.tag_directives.start !=
			event->data.document_start.tag_directives.end);
}

int reader_advance(struct YamlReader *reader)
{
	yaml_event_delete(&reader->event);
	if (!yaml_parser_parse(&reader->yaml, &reader->event))
		return fail_yaml(reader);
	if (has_directive(&reader->event))
		return reader_fail(reader, reader->event.start_mark,
				   "directives are not part of the %s language", reader->noun);
	if (reader->event.type == YAML_ALIAS_EVENT || has_anchor_or_tag(&reader->event))
		return reader_fail(reader, reader->event.start_mark,
				   "anchors, aliases and tags are not part of the %s language",
				   reader->noun);
	return 0;
}

static const char *event_noun(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_MAPPING_START_EVENT:
		return "a mapping";
	case YAML_SEQUENCE_START_EVENT:
		return "a list";
	case YAML_SCALAR_EVENT:
		return "a single value";
	default:
		return "nothing";
	}
}

int reader_expect(struct YamlReader *reader, yaml_event_type_t type, const char *key,
		  const char *noun)
{
	if (reader->event.type != type)
		return reader_fail(reader, reader->event.start_mark, "\"%s\" takes %s, not %s", key,
				   noun, event_noun(&reader->event));
	return 0;
}

/* What YAML reads as null: nothing, ~ and null, unless quoted. An empty string is no value either.
 */
static bool is_null(const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;

	if (!*value)
		return true;
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (streq(value, "~") || streq(value, "null") || streq(value, "Null") ||
		streq(value, "NULL"));
}

int reader_text(struct YamlReader *reader, const char *key, const char **ret)
{
	int r = reader_expect(reader, YAML_SCALAR_EVENT, key, "a single value");
	const char *value;

	if (r < 0)
		return r;
	*ret = value = (const char *)reader->event.data.scalar.value;
	if (strlen(value) != reader->event.data.scalar.length)
		return reader_fail(reader, reader->event.start_mark,
				   "the value of \"%s\" contains a NUL", key);
	if (is_null(&reader->event))
		return reader_fail(reader, reader->event.start_mark, "\"%s\" has no value", key);
	return 0;
}

int reader_dup_text(struct YamlReader *reader, const char *key, char **ret)
{
	const char *value;
	int r = reader_text(reader, key, &value);

	if (r < 0)
		return r;
	*ret = strdup(value);
	return *ret ? 0 : -ENOMEM;
}

/* --- mappings by table --- */

static int fail_unknown(struct YamlReader *reader, const char *what, const char *typed,
			const struct Key *keys)
{
	const char *known[READER_KEYS_MAX];
	size_t n = 0;

	for (; keys->name; keys++) {
		if (!keys->parse && streq(keys->name, typed))
			return reader_fail(reader, reader->event.start_mark,
					   "\"%s\" is not yet known to this version (%s)", typed,
					   what);
		if (keys->parse)
			known[n++] = keys->name;
	}
	if (n == 0)
		return reader_fail(reader, reader->event.start_mark, "unknown %s \"%s\"", what,
				   typed);
	return reader_fail(reader, reader->event.start_mark,
			   "unknown %s \"%s\", the nearest valid one is \"%s\"", what, typed,
			   nearest_word(typed, known, n));
}

static const struct Key *find_key(const struct Key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (keys->parse && streq(keys->name, name))
			return keys;
	return NULL;
}

int reader_mapping(struct YamlReader *reader, const char *owner, const char *what,
		   const struct Key *keys)
{
	unsigned seen = 0;
	int r = reader_expect(reader, YAML_MAPPING_START_EVENT, owner, "a mapping");

	if (r < 0)
		return r;
	for (;;) {
		const struct Key *key;
		const char *name;

		r = reader_advance(reader);
		if (r < 0)
			return r;
		if (reader->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (reader->event.type != YAML_SCALAR_EVENT)
			return reader_fail(reader, reader->event.start_mark,
					   "%s must be a word, not %s", what,
					   event_noun(&reader->event));
		name = (const char *)reader->event.data.scalar.value;
		if (strlen(name) != reader->event.data.scalar.length)
			return reader_fail(reader, reader->event.start_mark, "%s contains a NUL",
					   what);
		key = find_key(keys, name);
		if (!key)
			return fail_unknown(reader, what, name, keys);
		if (seen & (1U << (key - keys)))
			return reader_fail(reader, reader->event.start_mark,
					   "\"%s\" is given twice", key->name);
		seen |= 1U << (key - keys);
		r = reader_advance(reader);
		if (r < 0)
			return r;
		r = key->parse(reader->parser, key);
		if (r < 0)
			return r;
	}
}

int reader_list(struct YamlReader *reader, const struct Key *key, const char *noun,
		int (*item)(struct Parser *parser, const struct Key *key))
{
	int r = reader_expect(reader, YAML_SEQUENCE_START_EVENT, key->name, noun);

	while (r == 0) {
		r = reader_advance(reader);
		if (r < 0 || reader->event.type == YAML_SEQUENCE_END_EVENT)
			return r;
		r = item(reader->parser, key);
	}
	return r;
}

/* --- the document --- */

int reader_version(struct YamlReader *reader, const char *key)
{
	const char *value;
	int r = reader_text(reader, key, &value);

	if (r < 0)
		return r;
	if (!streq(value, "1") || reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return reader_fail(reader, reader->event.start_mark,
				   "this version knows \"version: 1\" only");
	reader->version_seen = true;
	return 0;
}

static int read_document(struct YamlReader *reader, const struct Key *keys)
{
	yaml_mark_t start = {0};
	int r;

	do { /* to the first node; a stream without one ends at once */
		r = reader_advance(reader);
		if (r < 0)
			return r;
	} while (reader->event.type == YAML_STREAM_START_EVENT ||
		 reader->event.type == YAML_DOCUMENT_START_EVENT);
	if (reader->event.type != YAML_MAPPING_START_EVENT)
		return reader_fail(reader, reader->event.start_mark,
				   "a %s is a mapping that begins with \"version: 1\"",
				   reader->noun);
	r = reader_mapping(reader, reader->noun, "key", keys);
	if (r < 0)
		return r;
	if (!reader->version_seen)
		return reader_fail(reader, start, "\"version: 1\" is missing");
	do {
		r = reader_advance(reader);
		if (r < 0)
			return r;
	} while (reader->event.type == YAML_DOCUMENT_END_EVENT);
	if (reader->event.type != YAML_STREAM_END_EVENT)
		return reader_fail(reader, reader->event.start_mark, "a %s file holds one document",
				   reader->noun);
	return 0;
}

int reader_read(struct YamlReader *reader, const char *text, size_t size, const struct Key *keys)
{
	const char *tab = memchr(text, '\t', size);
	int r;

	if (size > PARSE_SIZE_MAX)
		return reader_fail(reader, (yaml_mark_t){0}, "larger than %zu bytes",
				   PARSE_SIZE_MAX);
	/* YAML forbids tabs where they matter and libyaml lets some through: none at all is a rule
	 * that people can see. */
	if (tab)
		return reader_fail(reader, mark_at(text, (size_t)(tab - text)),
				   "a tab: indent and separate with spaces");
	if (size >= strlen(BYTE_ORDER_MARK) && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
		return reader_fail(reader, (yaml_mark_t){0},
				   "begins with a byte order mark; take it out");
	if (!yaml_parser_initialize(&reader->yaml))
		return -ENOMEM;
	yaml_parser_set_encoding(&reader->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->yaml, (const unsigned char *)text, size);
	r = read_document(reader, keys);
	yaml_event_delete(&reader->event);
	yaml_parser_delete(&reader->yaml);
	return r;
}
