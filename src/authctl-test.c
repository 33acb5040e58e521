/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device-json.h"
#include "escape.h"
#include "log.h"

/* --- what is expected --- */

/* A line "DEVICE VERDICT [DRIVER]", as the table that policy test prints. Words are escaped as
 * there.
 */
struct Expected {
	char *device, *word;
	char *driver; /* "-" for none; NULL for any */
	unsigned line;
	bool is_seen; /* the snapshot has the device */
};

static void expected_done(struct Vector *all)
{
	struct Expected *expected = all->data;

	for (size_t i = 0; i < all->n; i++) {
		free(expected[i].device);
		free(expected[i].word);
		free(expected[i].driver);
	}
	vector_done(all);
}

static bool is_verdict(const char *word)
{
	return streq(word, "-") || action_from_string(word) != _ACTION_INVALID;
}

/* Whether escape_word() could have made it. */
static bool is_escaped(const char *word)
{
	_cleanup_free_ char *plain = unescape_text(word),
			    *again = plain ? escape_word(plain) : NULL;

	return again && streq(again, word);
}

/* The next word of a line, NULL at its end and where a comment begins. */
static const char *next_word(char **line)
{
	char *word;

	do
		word = strsep(line, " \t\n");
	while (word && !*word);
	if (!word || *word == '#')
		*line = NULL;
	return word && *word != '#' ? word : NULL;
}

/* Reads one line. Returns 0, with ret->device NULL for a line of none; -EINVAL; -ENOMEM. */
static int read_line(char *line, struct Expected *ret)
{
	const char *device = next_word(&line), *word = next_word(&line), *driver = next_word(&line);

	if (!device || streq(device, "DEVICE"))
		return 0;
	if (!word || !is_verdict(word) || !is_escaped(device) || (driver && !is_escaped(driver)))
		return -EINVAL;
	ret->device = strdup(device);
	ret->word = strdup(word);
	ret->driver = driver ? strdup(driver) : NULL;
	return ret->device && ret->word && (ret->driver || !driver) ? 0 : -ENOMEM;
}

static int compare_expected(const void *a, const void *b)
{
	return strcmp(((const struct Expected *)a)->device, ((const struct Expected *)b)->device);
}

static int add_line(const char *file, char *line, unsigned number, struct Vector *all)
{
	struct Expected expected = {.line = number};
	int r = read_line(line, &expected);

	if (r == -EINVAL)
		log_error(
			"%s:%u: a line is a device, and one of allow, deny, remove, kernel and -, "
			"as policy test prints it",
			file, number);
	if (r == 0 && !expected.device)
		return 0;
	if (r == 0 && vector_add(all, &expected, sizeof(expected)) == 0)
		return 0;
	free(expected.device);
	free(expected.word);
	free(expected.driver);
	return r < 0 ? r : -ENOMEM;
}

static int check_unique(const char *file, const struct Vector *all)
{
	const struct Expected *expected = all->data;

	for (size_t i = 1; i < all->n; i++)
		if (streq(expected[i].device, expected[i - 1].device)) {
			log_error("%s:%u: %s stands in line %u as well", file, expected[i].line,
				  expected[i].device, expected[i - 1].line);
			return -EINVAL;
		}
	return 0;
}

static int read_expected(const char *file, struct Vector *ret)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	unsigned number = 0;
	int r = 0;

	if (!f) {
		r = -errno;
		log_error("%s: %s", file, strerror(-r));
		return r;
	}
	while (r == 0 && getline(&line, &size, f) > 0)
		r = add_line(file, line, ++number, ret);
	if (r == 0 && ferror(f))
		r = -EIO;
	if (r < 0)
		return r;
	if (ret->n > 0)
		qsort(ret->data, ret->n, sizeof(struct Expected), compare_expected);
	return check_unique(file, ret);
}

/* --- the test --- */

struct Report {
	const struct Options *options;
	struct Vector expected; /* of struct Expected, in the order of their names */
	struct Table table;
	struct json_object *json;
	unsigned differences;
};

static struct Expected *find_expected(const struct Report *report, char *name)
{
	const struct Expected wanted = {.device = name};

	return report->expected.n == 0 ? NULL
				       : bsearch(&wanted, report->expected.data, report->expected.n,
						 sizeof(wanted), compare_expected);
}

/* Compares the verdict over the device of that name, which is escaped. */
static bool is_as_expected(const struct Report *report, char *name, const struct Verdict *verdict)
{
	_cleanup_free_ char *driver = escape_word(verdict->driver ? verdict->driver : "-");
	struct Expected *expected = find_expected(report, name);
	const char *file = report->options->expect;

	if (!expected) {
		log_error("%s: no line for %s, which is \"%s\"", file, name, verdict->word);
		return false;
	}
	expected->is_seen = true;
	if (streq(expected->word, verdict->word) &&
	    (!expected->driver || streq_or_null(expected->driver, driver)))
		return true;
	log_error("%s:%u: %s is \"%s %s\", not \"%s%s%s\": %s", file, expected->line, name,
		  verdict->word, driver ? driver : "?", expected->word, expected->driver ? " " : "",
		  expected->driver ? expected->driver : "", verdict->why);
	return false;
}

static void add_to_json(struct Report *report, const struct View *view, const struct Device *device,
			const struct Verdict *verdict, bool is_expected)
{
	struct json_object *object = verdict_to_json(view, device, verdict);

	json_object_object_add(object, "as_expected",
			       report->options->expect ? json_object_new_boolean(is_expected)
						       : NULL);
	(void)json_object_array_add(report->json, object);
}

static int report_device(struct Report *report, const struct View *view, size_t number)
{
	const struct Device *device = view->inventory.devices[number];
	_cleanup_free_ char *name = device_name(device), *safe = escape_word(name);
	_cleanup_(verdict_done) struct Verdict verdict = {0};
	bool is_expected = true;
	int r = name && safe ? view_verdict(view, number, &verdict) : -ENOMEM;

	if (r < 0)
		return r;
	if (report->options->expect)
		is_expected = is_as_expected(report, safe, &verdict);
	report->differences += !is_expected;
	if (report->json) {
		add_to_json(report, view, device, &verdict, is_expected);
		return 0;
	}
	table_add_word(&report->table, name);
	table_add_word(&report->table, verdict.word);
	table_add_word(&report->table, verdict.driver);
	table_add(&report->table, verdict.why);
	return 0;
}

/* A verdict that was expected of a device that the snapshot has not. */
static void check_missing(struct Report *report)
{
	const struct Expected *expected = report->expected.data;

	for (size_t i = 0; i < report->expected.n; i++) {
		if (expected[i].is_seen)
			continue;
		log_error("%s:%u: %s is not in the snapshot%s", report->options->expect,
			  expected[i].line, expected[i].device,
			  strpbrk(expected[i].device, "*?[") ? "; a name is no glob here" : "");
		report->differences++;
	}
}

static int test(struct Report *report, const struct View *view)
{
	static const char *const heading[] = {"DEVICE", "VERDICT", "DRIVER", "WHY"};
	int r = 0;

	if (report->options->expect)
		r = read_expected(report->options->expect, &report->expected);
	report->table.n_columns = ELEMENTSOF(heading);
	for (size_t i = 0; !report->json && i < ELEMENTSOF(heading); i++)
		table_add(&report->table, heading[i]);
	for (size_t i = 0; r >= 0 && i < view->inventory.n; i++)
		r = report_device(report, view, i);
	if (r < 0) {
		table_free(&report->table);
		json_object_put(report->json);
		return r;
	}
	check_missing(report);
	return report->json ? json_print(report->json) : table_print(&report->table);
}

int verb_policy_test(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	struct Report report = {.options = options};
	int r;

	(void)args;
	if (!options->snapshot) {
		log_error("policy test takes --snapshot FILE");
		return EXIT_USAGE;
	}
	if (view_open(&view, options) < 0 || view_read(&view, options) < 0)
		return EXIT_FAILED;
	report.json = options->json ? json_object_new_array() : NULL;
	r = test(&report, &view);
	expected_done(&report.expected);
	if (r < 0)
		return finish(r, "test");
	return report.differences > 0 ? EXIT_FAILED : EXIT_DONE;
}
