/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hardened-parse.h"

#include <errno.h>

#include "yaml-reader.h"

#define DRIVER_MAX 31  /* characters; the longest today has 26 */
#define ACPI_ID_MAX 8  /* ACPI 6.5, 6.1.5: four letters or digits and four digits */
#define GLOB_MAX 31    /* characters */
#define CLASS_DIGITS 6 /* of base class, subclass, interface */

struct Parser {
	struct YamlReader yaml;
	struct HardenedList *list;
	struct HardenedEntry row; /* the id being read */
	unsigned has;		  /* which numbers of it were said: bits by enum IdField */
	char *driver;		  /* of the entry being read; NULL for none */
	unsigned seen;	   /* which keys of a complete mapping were there; bits by argument */
	size_t n_findings; /* in the list being read */
};

#define fail_here(p, ...) reader_fail(&(p)->yaml, (p)->yaml.event.start_mark, __VA_ARGS__)

static void row_done(struct HardenedEntry *row)
{
	free((char *)row->text);
	free((char *)row->driver);
	*row = (struct HardenedEntry){0};
}

void hardened_list_done(struct HardenedList *list)
{
	for (size_t i = 0; i < list->n_rows; i++)
		row_done(&list->rows[i]);
	free(list->rows);
	*list = (struct HardenedList){0};
}

/* --- mappings of which every key must be there --- */

static int mark_seen(struct Parser *p, const struct Key *key)
{
	p->seen |= 1U << key->argument;
	return 0;
}

static int parse_text(struct Parser *p, const struct Key *key)
{
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	return r < 0 ? r : mark_seen(p, key);
}

/* Reads a mapping like reader_mapping() and refuses it where one of @keys is missing. */
static int parse_complete(struct Parser *p, const char *owner, const char *what,
			  const struct Key *keys)
{
	yaml_mark_t mark = p->yaml.event.start_mark;
	unsigned outer = p->seen;
	int r;

	p->seen = 0;
	r = reader_mapping(&p->yaml, owner, what, keys);
	for (const struct Key *key = keys; r == 0 && key->name; key++)
		if (!(p->seen & 1U << key->argument))
			r = reader_fail(&p->yaml, mark, "%s \"%s\" is missing", what, key->name);
	p->seen = outer;
	return r;
}

/* --- ids --- */

static bool all_of(const char *s, bool (*good)(char))
{
	while (*s && good(*s))
		s++;
	return !*s;
}

static bool is_upper_or_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_letter_or_digit(char c)
{
	return is_upper_or_digit(c) || (c >= 'a' && c <= 'z');
}

static bool is_driver_character(char c)
{
	return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.';
}

static bool is_glob_character(char c)
{
	return is_driver_character(c) || c == ':' || c == '*' || c == '?';
}

static const struct BusId *find_bus_id(enum Bus bus, enum IdField field)
{
	const struct BusId *id = bus_info[bus].ids;

	while (id->field != field)
		id++;
	return id;
}

static int parse_number(struct Parser *p, const struct Key *key)
{
	const struct BusId *id = find_bus_id(p->row.bus, (enum IdField)key->argument);
	uint32_t *field = id->field == ID_VENDOR ? &p->row.vendor : &p->row.device;
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	if (bus_id_parse(value, id, field) < 0)
		return fail_here(p,
				 "\"%s\" is no value for \"%s\": it takes 0x and up to %u "
				 "hexadecimal digits%s",
				 value, key->name, id->digits,
				 id->decimal_ok ? ", or a decimal number" : "");
	p->has |= 1U << id->field;
	return 0;
}

/* "0x0604xx": the digits that count, then an x for each that does not. */
static int parse_class(struct Parser *p, const struct Key *key)
{
	const char *value, *digits;
	char number[] = "0x000000";
	size_t n;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	digits = startswith(value, "0x");
	n = digits ? strspn(digits, "0123456789abcdefABCDEF") : 0;
	if (n == 0 || strlen(digits) != CLASS_DIGITS || strspn(digits + n, "x") != CLASS_DIGITS - n)
		return fail_here(p,
				 "\"%s\" is no class: it takes 0x and %d hexadecimal digits, of "
				 "which the last may be x",
				 value, CLASS_DIGITS);
	memcpy(number + strlen("0x"), digits, n);
	r = parse_sysfs_hex(number, &p->row.class_code);
	if (r < 0)
		return r;
	p->row.class_mask = (0xffffffU << (4 * (CLASS_DIGITS - n))) & 0xffffffU;
	p->has |= 1U << ID_CLASS;
	return 0;
}

static int take_text(struct Parser *p, const char *value)
{
	p->row.text = strdup(value);
	return p->row.text ? 0 : -ENOMEM;
}

static int parse_acpi_id(struct Parser *p, const struct Key *key)
{
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	if (strlen(value) > ACPI_ID_MAX || !all_of(value, is_upper_or_digit))
		return fail_here(p,
				 "\"%s\" is no ACPI id: it takes at most %d capital letters and "
				 "digits",
				 value, ACPI_ID_MAX);
	if (streq(value, "PRP0001"))
		return fail_here(p, "PRP0001 is whatever else its device says, so no review "
				    "covers it");
	return take_text(p, value);
}

static int parse_glob(struct Parser *p, const struct Key *key)
{
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	if (strlen(value) > GLOB_MAX || !all_of(value, is_glob_character) ||
	    !is_letter_or_digit(value[0]))
		return fail_here(p,
				 "\"%s\" is no glob for a platform device: it begins with a "
				 "letter or a digit",
				 value);
	return take_text(p, value);
}

static int parse_id_name(struct Parser *p, const struct Key *key)
{
	const char *value;

	return reader_text(&p->yaml, key->name, &value);
}

/* How each bus names a device. A bus without keys has no list. */
static const struct Key id_keys[_BUS_MAX][5] = {
	[BUS_PCI] = {{"vendor", parse_number, ID_VENDOR},
		     {"device", parse_number, ID_DEVICE},
		     {"class", parse_class},
		     {"name", parse_id_name}},
	[BUS_VIRTIO] = {{"device", parse_number, ID_DEVICE}, {"name", parse_id_name}},
	[BUS_ACPI] = {{"hid", parse_acpi_id}, {"name", parse_id_name}},
	[BUS_PNP] = {{"id", parse_acpi_id}, {"name", parse_id_name}},
	[BUS_PLATFORM] = {{"glob", parse_glob}, {"name", parse_id_name}},
};

static bool row_is_complete(const struct HardenedEntry *row, unsigned has)
{
	switch (row->bus) {
	case BUS_PCI:
		return has == (1U << ID_VENDOR | 1U << ID_DEVICE) || has == 1U << ID_CLASS;
	case BUS_VIRTIO:
		return has == 1U << ID_DEVICE;
	default:
		return row->text;
	}
}

static const char *complete_form(enum Bus bus)
{
	switch (bus) {
	case BUS_PCI:
		return "\"vendor\" and \"device\", or \"class\"";
	case BUS_VIRTIO:
		return "\"device\"";
	case BUS_ACPI:
		return "\"hid\"";
	case BUS_PNP:
		return "\"id\"";
	default:
		return "\"glob\"";
	}
}

static bool rows_are_equal(const struct HardenedEntry *a, const struct HardenedEntry *b)
{
	return a->bus == b->bus && a->vendor == b->vendor && a->device == b->device &&
	       a->class_code == b->class_code && a->class_mask == b->class_mask &&
	       streq_or_null(a->text, b->text);
}

/* Takes over what the row being read points to. */
static int add_row(struct Parser *p)
{
	struct HardenedList *list = p->list;
	struct HardenedEntry *rows = reallocarray(list->rows, list->n_rows + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	list->rows = rows;
	rows[list->n_rows++] = p->row;
	p->row = (struct HardenedEntry){0};
	return 0;
}

static int parse_id(struct Parser *p, const struct Key *key)
{
	enum Bus bus = (enum Bus)key->argument;
	yaml_mark_t mark = p->yaml.event.start_mark;
	int r;

	row_done(&p->row); /* of an id that was refused */
	p->row.bus = bus;
	p->has = 0;
	r = reader_mapping(&p->yaml, key->name, "id key", id_keys[bus]);
	if (r < 0)
		return r;
	if (!row_is_complete(&p->row, p->has))
		return reader_fail(&p->yaml, mark, "an id of the %s bus takes %s", key->name,
				   complete_form(bus));
	for (size_t i = 0; i < p->list->n_rows; i++)
		if (rows_are_equal(&p->list->rows[i], &p->row))
			return reader_fail(&p->yaml, mark, "this id is listed already");
	return add_row(p);
}

static int parse_bus_ids(struct Parser *p, const struct Key *key)
{
	return reader_list(&p->yaml, key, "a list of ids", parse_id);
}

static int parse_ids(struct Parser *p, const struct Key *key)
{
	struct Key keys[READER_KEYS_MAX] = {0};
	yaml_mark_t mark = p->yaml.event.start_mark;
	size_t n = 0, before = p->list->n_rows;
	int r;

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		if (id_keys[bus][0].name)
			keys[n++] = (struct Key){bus_to_string(bus), parse_bus_ids, (int)bus};
	r = reader_mapping(&p->yaml, key->name, "bus", keys);
	if (r < 0)
		return r;
	if (p->list->n_rows == before)
		return reader_fail(&p->yaml, mark, "\"ids\" lists nothing");
	return mark_seen(p, key);
}

/* --- evidence --- */

static int parse_link(struct Parser *p, const struct Key *key)
{
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	if (!startswith(value, "https://"))
		return fail_here(p, "\"link\" takes an https:// address");
	return mark_seen(p, key);
}

static const struct Key finding_keys[] = {
	{"kernel", parse_text, 0},
	{"tool", parse_text, 1},
	{"scope", parse_text, 2},
	{"link", parse_link, 3},
	{NULL},
};

static int parse_finding(struct Parser *p, const struct Key *key)
{
	p->n_findings++;
	return parse_complete(p, key->name, "key of evidence", finding_keys);
}

/* The word none, or what there is. */
static int parse_findings(struct Parser *p, const struct Key *key)
{
	yaml_mark_t mark = p->yaml.event.start_mark;
	const char *value;
	int r;

	if (p->yaml.event.type == YAML_SCALAR_EVENT) {
		r = reader_text(&p->yaml, key->name, &value);
		if (r < 0)
			return r;
		if (!streq(value, "none"))
			return fail_here(p, "\"%s\" takes a list of evidence, or the word none",
					 key->name);
		return mark_seen(p, key);
	}
	p->n_findings = 0;
	r = reader_list(&p->yaml, key, "a list of evidence, or the word none", parse_finding);
	if (r < 0)
		return r;
	if (p->n_findings == 0)
		return reader_fail(&p->yaml, mark, "\"%s\" lists nothing: say none", key->name);
	return mark_seen(p, key);
}

static const struct Key evidence_keys[] = {
	{"review", parse_findings, 0},
	{"fuzzing", parse_findings, 1},
	{NULL},
};

static int parse_evidence(struct Parser *p, const struct Key *key)
{
	int r = parse_complete(p, key->name, "key of evidence", evidence_keys);

	return r < 0 ? r : mark_seen(p, key);
}

/* --- the document --- */

static int parse_driver(struct Parser *p, const struct Key *key)
{
	const char *value;
	int r = reader_text(&p->yaml, key->name, &value);

	if (r < 0)
		return r;
	if (strlen(value) > DRIVER_MAX || !all_of(value, is_driver_character))
		return fail_here(p, "\"%s\" cannot be the name of a driver", value);
	if (!streq(value, "none")) {
		p->driver = strdup(value);
		if (!p->driver)
			return -ENOMEM;
	}
	return mark_seen(p, key);
}

static const struct Key entry_keys[] = {
	{"driver", parse_driver, 0},
	{"ids", parse_ids, 1},
	{"evidence", parse_evidence, 2},
	{NULL},
};

/* Gives the rows from @first on the driver of their entry. Nobody binds to most ACPI devices
 * themselves; anywhere else no driver would mean any. */
static int set_driver(struct Parser *p, size_t first, yaml_mark_t mark)
{
	for (size_t i = first; i < p->list->n_rows; i++) {
		struct HardenedEntry *row = &p->list->rows[i];

		if (!p->driver && row->bus != BUS_ACPI)
			return reader_fail(&p->yaml, mark,
					   "\"driver: none\" goes with acpi ids only: a %s device "
					   "would get any driver",
					   bus_to_string(row->bus));
		if (!p->driver)
			continue;
		row->driver = strdup(p->driver);
		if (!row->driver)
			return -ENOMEM;
	}
	return 0;
}

static int parse_entry(struct Parser *p, const struct Key *key)
{
	yaml_mark_t mark = p->yaml.event.start_mark;
	size_t first = p->list->n_rows;
	int r = parse_complete(p, key->name, "key of an entry", entry_keys);

	if (r == 0)
		r = set_driver(p, first, mark);
	free(TAKE_PTR(p->driver));
	return r;
}

static int parse_entries(struct Parser *p, const struct Key *key)
{
	return reader_list(&p->yaml, key, "a list of entries", parse_entry);
}

static int parse_version(struct Parser *p, const struct Key *key)
{
	return reader_version(&p->yaml, key->name);
}

static const struct Key document_keys[] = {
	{"version", parse_version},
	{"hardened", parse_entries},
	{NULL},
};

int hardened_parse(struct HardenedList *list, const char *text, size_t size,
		   struct ParseErrors *ret_errors)
{
	struct Parser p = {.yaml = {.noun = "hardened list",
				    .errors = ret_errors,
				    .parser = &p,
				    .size_max = PARSE_SIZE_MAX},
			   .list = list};
	int r;

	*ret_errors = (struct ParseErrors){0};
	r = reader_read(&p.yaml, text, size, document_keys);
	row_done(&p.row);
	if (r == 0 && list->n_rows == 0)
		r = reader_fail(&p.yaml, (yaml_mark_t){0}, "\"hardened\" is missing or empty");
	return r;
}
