/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "escape.h"

#include "util.h"

#define MAX_ESCAPED 12 /* the longest replacement of one input byte, with some room */

size_t utf8_decode(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c;
	size_t n;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	if ((s[0] & 0xe0) == 0xc0) {
		n = 2;
		c = s[0] & 0x1f;
	} else if ((s[0] & 0xf0) == 0xe0) {
		n = 3;
		c = s[0] & 0x0f;
	} else if ((s[0] & 0xf8) == 0xf0) {
		n = 4;
		c = s[0] & 0x07;
	} else {
		return 0;
	}
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* Code points that act on a terminal or on a reader's eye, see escape.h; Unicode 15, by block. */
static bool is_deceptive(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {{0x00, 0x1f},	  {0x7f, 0x9f},	      {0xad, 0xad},	{0x300, 0x36f},
		      {0x590, 0x8ff},	  {0x115f, 0x1160},   {0x17b4, 0x17b5}, {0x180b, 0x180f},
		      {0x1ab0, 0x1aff},	  {0x1dc0, 0x1dff},   {0x200b, 0x200f}, {0x2028, 0x202e},
		      {0x2060, 0x206f},	  {0x20d0, 0x20ff},   {0x3164, 0x3164}, {0xe000, 0xf8ff},
		      {0xfb1d, 0xfdff},	  {0xfe00, 0xfe0f},   {0xfe20, 0xfe2f}, {0xfe70, 0xfeff},
		      {0xffa0, 0xffa0},	  {0xfff0, 0xfffb},   {0xfffe, 0xffff}, {0x10800, 0x10fff},
		      {0x1e800, 0x1efff}, {0xe0000, 0x10ffff}};

	for (size_t i = 0; i < ELEMENTSOF(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static size_t escape_code_point(char *out, uint32_t c)
{
	switch (c) {
	case '\\':
		return (size_t)sprintf(out, "\\\\");
	case '\n':
		return (size_t)sprintf(out, "\\n");
	case '\r':
		return (size_t)sprintf(out, "\\r");
	case '\t':
		return (size_t)sprintf(out, "\\t");
	default:
		return (size_t)sprintf(out, c < 0x80 ? "\\x%02x" : "\\u{%x}", c);
	}
}

static size_t escape_json_code_point(char *out, uint32_t c)
{
	if (c < 0x10000)
		return (size_t)sprintf(out, "\\u%04x", c);
	c -= 0x10000; /* a surrogate pair, RFC 8259 section 7 */
	return (size_t)sprintf(out, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
}

/* How one valid code point is written: its length at @out, or 0 to leave it as it is. */
typedef size_t (*rewrite_t)(char *out, uint32_t c);

static size_t rewrite_for_terminal(char *out, uint32_t c)
{
	return c == '\\' || is_deceptive(c) ? escape_code_point(out, c) : 0;
}

static size_t rewrite_for_word(char *out, uint32_t c)
{
	return c == ' ' ? escape_code_point(out, c) : rewrite_for_terminal(out, c);
}

static size_t rewrite_for_json(char *out, uint32_t c)
{
	return c >= 0x7f && is_deceptive(c) ? escape_json_code_point(out, c) : 0;
}

static size_t rewrite_for_json_yaml(char *out, uint32_t c)
{
	return c < 0x10000 ? rewrite_for_json(out, c) : 0;
}

static char *rewrite(const char *s, rewrite_t rewrite_one)
{
	const unsigned char *in = (const unsigned char *)(s ? s : "");
	char *out = malloc(strlen((const char *)in) * MAX_ESCAPED + 1);
	char *o = out;

	if (!out)
		return NULL;
	while (*in) {
		uint32_t c;
		size_t n = utf8_decode(in, &c);
		size_t written = n > 0 && rewrite_one ? rewrite_one(o, c) : 0;

		if (n == 0) {
			written = (size_t)sprintf(o, "\\x%02x", *in);
			n = 1;
		} else if (written == 0) {
			memcpy(o, in, n);
			written = n;
		}
		o += written;
		in += n;
	}
	*o = '\0';
	return out;
}

char *escape_text(const char *s)
{
	return rewrite(s, rewrite_for_terminal);
}

char *escape_word(const char *s)
{
	return rewrite(s, rewrite_for_word);
}

static size_t utf8_encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Reads up to @max hexadecimal digits; returns how many there are. */
static size_t read_hex(const char *s, size_t max, uint32_t *ret)
{
	size_t n = 0;

	*ret = 0;
	for (; n < max; n++) {
		char low = (char)(s[n] | 0x20);

		if (s[n] >= '0' && s[n] <= '9')
			*ret = *ret << 4 | (uint32_t)(s[n] - '0');
		else if (low >= 'a' && low <= 'f')
			*ret = *ret << 4 | (uint32_t)(low - 'a' + 10);
		else
			break;
	}
	return n;
}

/* Reads what follows a backslash at *s, advances past it, and writes what it stands for. Returns
 * how much that is, 0 for what escape_text() never writes. */
static size_t unescape_one(const char **s, char *out)
{
	uint32_t c;
	size_t n;

	switch (*(*s)++) {
	case '\\':
		*out = '\\';
		return 1;
	case 'n':
		*out = '\n';
		return 1;
	case 'r':
		*out = '\r';
		return 1;
	case 't':
		*out = '\t';
		return 1;
	case 'x':
		if (read_hex(*s, 2, &c) != 2 || c == 0)
			return 0;
		*s += 2;
		*out = (char)c;
		return 1;
	case 'u':
		if (**s != '{')
			return 0;
		n = read_hex(*s + 1, 6, &c);
		if (n == 0 || (*s)[n + 1] != '}' || c == 0 || c > 0x10ffff)
			return 0;
		*s += n + 2;
		return utf8_encode(c, out);
	default:
		return 0;
	}
}

char *unescape_text(const char *s)
{
	_cleanup_free_ char *out = malloc(strlen(s) + 1);
	char *o = out;

	while (out && *s) {
		size_t n = 1;

		if (*s == '\\') {
			s++;
			n = unescape_one(&s, o);
			if (n == 0)
				return NULL;
		} else {
			*o = *s++;
		}
		o += n;
	}
	if (out)
		*o = '\0';
	return TAKE_PTR(out);
}

char *utf8_sanitize(const char *s)
{
	return rewrite(s, NULL);
}

char *escape_json(const char *document)
{
	return rewrite(document, rewrite_for_json);
}

char *escape_json_yaml(const char *document)
{
	return rewrite(document, rewrite_for_json_yaml);
}

size_t escaped_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		if ((*s & 0xc0) != 0x80)
			n++;
	return n;
}
