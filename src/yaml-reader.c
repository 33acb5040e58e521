/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "yaml-reader.h"

#include <errno.h>
#include <stdarg.h>

#include "suggest.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* --- errors --- */

int reader_fail(struct YamlReader *reader, yaml_mark_t mark, const char *format, ...)
{
	struct ParseError error = {.line = (unsigned)mark.line + 1,
				   .column = (unsigned)mark.column + 1};
	va_list ap;
	int n;

	if (reader->errors->n++ >= PARSE_ERRORS_MAX)
		return -EBADMSG;
	va_start(ap, format);
	n = vasprintf(&error.message, format, ap);
	va_end(ap);
	if (n < 0) {
		reader->errors->n--;
		return -ENOMEM;
	}
	reader->errors->items[reader->errors->n - 1] = error;
	return -EBADMSG;
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

	reader->is_broken = true;
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

static int count_depth(struct YamlReader *reader)
{
	switch (reader->event.type) {
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		if (++reader->depth <= PARSE_DEPTH_MAX)
			return 0;
		reader->is_broken = true; /* what is that deep is not worth finding its end */
		return reader_fail(reader, reader->event.start_mark,
				   "more than %d mappings and lists within each other",
				   PARSE_DEPTH_MAX);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		reader->depth--;
		return 0;
	default:
		return 0;
	}
}

int reader_advance(struct YamlReader *reader)
{
	int r;

	yaml_event_delete(&reader->event);
	if (!yaml_parser_parse(&reader->yaml, &reader->event))
		return fail_yaml(reader);
	r = count_depth(reader);
	if (r < 0)
		return r;
	if (has_directive(&reader->event))
		return reader_fail(reader, reader->event.start_mark,
				   "directives are not part of the %s language", reader->noun);
	if (reader->event.type == YAML_ALIAS_EVENT || has_anchor_or_tag(&reader->event))
		return reader_fail(reader, reader->event.start_mark,
				   "anchors, aliases and tags are not part of the %s language",
				   reader->noun);
	return 0;
}

/* Goes on after an error within a value of which @depth mappings and lists are around: to the last
 * event of that value. Further errors there are not looked for. */
static int recover(struct YamlReader *reader, unsigned depth)
{
	while (!reader->is_broken && reader->depth > depth) {
		int r = reader_advance(reader);

		if (r < 0 && r != -EBADMSG)
			return r;
	}
	return reader->is_broken ? -EBADMSG : 0;
}

/* What is left of the outcome of reading a value after going on. */
static int settle(struct YamlReader *reader, unsigned depth, int r)
{
	return r == -EBADMSG ? recover(reader, depth) : r;
}

/* Of a mapping or a list that was read to its end; @errors: how many there were at its start. */
static int outcome(const struct YamlReader *reader, size_t errors)
{
	return reader->errors->n == errors ? 0 : -EBADMSG;
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

static int fail_word(struct YamlReader *reader, const char *what, const char *typed,
		     const char *const *words, size_t n)
{
	const char *nearest = nearest_word(typed, words, n);
	_cleanup_free_ char *known = NULL;

	if (nearest)
		return reader_fail(reader, reader->event.start_mark,
				   "unknown %s \"%s\", the nearest valid one is \"%s\"", what,
				   typed, nearest);
	known = join_words(words, n);
	if (!known)
		return -ENOMEM;
	return reader_fail(reader, reader->event.start_mark, "unknown %s \"%s\"%s%s", what, typed,
			   n > 0 ? ", known are: " : "", known);
}

int reader_word(struct YamlReader *reader, const char *key, const char *what,
		const char *const *words, size_t n, int *ret)
{
	const char *value;
	int r = reader_text(reader, key, &value);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (streq(words[i], value)) {
			*ret = (int)i;
			return 0;
		}
	return fail_word(reader, what, value, words, n);
}

int reader_bool(struct YamlReader *reader, const char *key, bool *ret)
{
	const char *value;
	int r = reader_text(reader, key, &value);

	if (r < 0)
		return r;
	*ret = streq(value, "true");
	if (reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
	    (!*ret && !streq(value, "false")))
		return reader_fail(reader, reader->event.start_mark, "\"%s\" takes true or false",
				   key);
	return 0;
}

int reader_number(struct YamlReader *reader, const char *key, uint32_t least, uint32_t most,
		  uint32_t *ret)
{
	const char *value;
	uint64_t number = 0;
	size_t digits;
	int r = reader_text(reader, key, &value);

	if (r < 0)
		return r;
	digits = strspn(value, "0123456789");
	for (size_t i = 0; i < digits && number < UINT32_MAX; i++)
		number = number * 10 + (uint64_t)(value[i] - '0');
	if (!value[digits] && (value[0] != '0' || digits == 1) && number >= least &&
	    number <= most) {
		*ret = (uint32_t)number;
		return 0;
	}
	return most == READER_NUMBER_MAX
		       ? reader_fail(reader, reader->event.start_mark,
				     "\"%s\" is no value for \"%s\": it takes a number from %u on",
				     value, key, least)
		       : reader_fail(reader, reader->event.start_mark,
				     "\"%s\" takes a number from %u to %u, not \"%s\"", key, least,
				     most, value);
}

/* --- mappings by table --- */

static int fail_unknown(struct YamlReader *reader, const char *what, const char *typed,
			const struct Key *keys)
{
	const char *known[READER_KEYS_MAX];
	size_t n = 0;

	for (; keys->name; keys++)
		known[n++] = keys->name;
	return fail_word(reader, what, typed, known, n);
}

static const struct Key *find_key(const struct Key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (streq(keys->name, name))
			return keys;
	return NULL;
}

/* Reads the key that is the current event. */
static int read_key(struct YamlReader *reader, const char *what, const struct Key *keys,
		    unsigned *seen, const struct Key **ret)
{
	const struct Key *key;
	const char *name;

	if (reader->event.type != YAML_SCALAR_EVENT)
		return reader_fail(reader, reader->event.start_mark, "%s must be a word, not %s",
				   what, event_noun(&reader->event));
	name = (const char *)reader->event.data.scalar.value;
	if (strlen(name) != reader->event.data.scalar.length)
		return reader_fail(reader, reader->event.start_mark, "%s contains a NUL", what);
	key = find_key(keys, name);
	if (!key)
		return fail_unknown(reader, what, name, keys);
	if (*seen & (1U << (key - keys)))
		return reader_fail(reader, reader->event.start_mark, "\"%s\" is given twice",
				   key->name);
	*seen |= 1U << (key - keys);
	*ret = key;
	return 0;
}

int reader_mapping(struct YamlReader *reader, const char *owner, const char *what,
		   const struct Key *keys)
{
	unsigned seen = 0, depth = reader->depth;
	size_t errors = reader->errors->n;
	int r = reader_expect(reader, YAML_MAPPING_START_EVENT, owner, "a mapping");

	if (r < 0)
		return r;
	for (;;) {
		const struct Key *key = NULL;

		r = reader_advance(reader);
		if (r >= 0 && reader->event.type == YAML_MAPPING_END_EVENT)
			return outcome(reader, errors);
		if (r >= 0)
			r = read_key(reader, what, keys, &seen, &key);
		r = settle(reader, depth, r);
		if (r < 0)
			return r;
		r = reader_advance(reader);
		if (r >= 0)
			r = key ? key->parse(reader->parser, key) : -EBADMSG;
		r = settle(reader, depth, r);
		if (r < 0)
			return r;
	}
}

int reader_list(struct YamlReader *reader, const struct Key *key, const char *noun,
		int (*item)(struct Parser *parser, const struct Key *key))
{
	unsigned depth = reader->depth;
	size_t errors = reader->errors->n, n = 0;
	int r = reader_expect(reader, YAML_SEQUENCE_START_EVENT, key->name, noun);

	for (; r == 0; n++) {
		r = reader_advance(reader);
		if (r >= 0 && reader->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (r >= 0)
			r = item(reader->parser, key);
		r = settle(reader, depth, r);
	}
	reader->list_items = n;
	return r < 0 ? r : outcome(reader, errors);
}

int reader_one_or_list(struct YamlReader *reader, const struct Key *key,
		       int (*item)(struct Parser *parser, const struct Key *key))
{
	yaml_mark_t mark = reader->event.start_mark;
	int r;

	if (reader->event.type != YAML_SEQUENCE_START_EVENT)
		return item(reader->parser, key);
	r = reader_list(reader, key, "a list", item);
	/* where it ends is where its first item would have begun */
	if (r == 0 && reader->list_items == 0)
		return reader_fail(reader, mark, "\"%s\": an empty list fits nothing", key->name);
	return r;
}

int reader_names(struct YamlReader *reader, const struct Key *key, const char *what,
		 int (*item)(struct Parser *parser, const char *name))
{
	unsigned depth = reader->depth;
	size_t errors = reader->errors->n;
	int r = reader_expect(reader, YAML_MAPPING_START_EVENT, key->name, "a mapping");

	while (r == 0) {
		_cleanup_free_ char *name = NULL;
		bool is_good;

		r = reader_advance(reader);
		if (r >= 0 && reader->event.type == YAML_MAPPING_END_EVENT)
			return outcome(reader, errors);
		if (r >= 0)
			r = reader_dup_text(reader, what, &name);
		is_good = r >= 0;
		r = settle(reader, depth, r);
		if (r < 0)
			return r;
		r = reader_advance(reader);
		if (r >= 0)
			r = is_good ? item(reader->parser, name) : -EBADMSG;
		r = settle(reader, depth, r);
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

/* What parsers take for the end of a line and people do not see, so that what stands behind it in a
 * comment is none (YAML 1.1, 5.4), and what has text shown in another order than it stands in. */
static const char *const unseen[] = {
	"\xc2\x85",	"\xe2\x80\xa8", "\xe2\x80\xa9", /* line ends */
	"\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae", /* order */
	"\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9",
};

static bool is_unseen(const char *s, size_t size)
{
	if (*s == '\r')
		return size < 2 || s[1] != '\n';
	for (size_t i = 0; (*s & 0x80) && i < ELEMENTSOF(unseen); i++)
		if (size >= strlen(unseen[i]) && memcmp(s, unseen[i], strlen(unseen[i])) == 0)
			return true;
	return false;
}

static const char *find_unseen(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (is_unseen(text + i, size - i))
			return text + i;
	return NULL;
}

int reader_read(struct YamlReader *reader, const char *text, size_t size, const struct Key *keys)
{
	const char *tab = memchr(text, '\t', size), *hidden;
	int r;

	if (size > reader->size_max)
		return reader_fail(reader, (yaml_mark_t){0}, "larger than %zu bytes",
				   reader->size_max);
	/* YAML forbids tabs where they matter and libyaml lets some through: none at all is a rule
	 * that people can see. */
	if (tab)
		return reader_fail(reader, mark_at(text, (size_t)(tab - text)),
				   "a tab: indent and separate with spaces");
	hidden = find_unseen(text, size);
	if (hidden)
		return reader_fail(reader, mark_at(text, (size_t)(hidden - text)),
				   "a character that ends a line, or turns its order round, and "
				   "that nobody sees; take it out, or escape it in double quotes");
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
