/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "device-json.h"
#include "escape.h"
#include "generate.h"
#include "glob-match.h"
#include "log.h"
#include "policy-files.h"
#include "policy-json.h"
#include "policy-parse.h"
#include "policy-write.h"

/* --- show --- */

int verb_policy_show(const struct Options *options, char *const *args)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	int r = options->root ? policy_load_from_root(options->root, &policy)
			      : policy_load(options->policy, &policy);

	struct json_object *json;

	(void)args;
	if (r < 0)
		return EXIT_FAILED;
	if (options->json) {
		r = policy_to_json(policy, &json);
		return finish(r < 0 ? r : json_print_yaml(json), "print");
	}
	policy_write(stdout, policy);
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_DONE : EXIT_FAILED;
}

/* --- generate --- */

int verb_policy_generate(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	struct json_object *json;
	int r;

	(void)args;
	r = view_open_all(&view, options);
	if (r >= 0 && options->json) {
		r = policy_generate_json(&view, &json);
		r = r < 0 ? r : json_print_yaml(json);
	} else if (r >= 0) {
		r = policy_generate(stdout, &view);
	}
	return finish(r, "generate");
}

/* --- test --- */

/* "DEVICE VERDICT [DRIVER]", as the table that policy test prints. */
struct Expected {
	char device[256], word[16];
	char driver[POLICY_DRIVER_MAX + 1]; /* "" for any, "-" for none */
	unsigned line;
};

static bool is_verdict(const char *word)
{
	return streq(word, "-") || action_from_string(word) != _ACTION_INVALID;
}

static int read_expected(const char *file, struct Vector *ret)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	unsigned number = 0;

	if (!f) {
		log_error("%s: %s", file, strerror(errno));
		return -errno;
	}
	while (getline(&line, &size, f) > 0) {
		struct Expected expected = {.line = ++number};
		char *comment = line[0] == '#' ? line : strstr(line, " #");
		int n;

		if (comment)
			*comment = '\0';
		n = sscanf(line, "%255s %15s %63s", expected.device, expected.word,
			   expected.driver);
		if (n <= 0 || streq(expected.device, "DEVICE"))
			continue;
		if (n == 1 || glob_problem(expected.device) || !is_verdict(expected.word)) {
			log_error("%s:%u: a line is a device, or a glob, and one of allow, deny, "
				  "remove, kernel and -",
				  file, number);
			return -EINVAL;
		}
		if (vector_add(ret, &expected, sizeof(expected)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static const struct Expected *find_expected(const struct Vector *all, const char *device)
{
	const struct Expected *expected = all->data;

	for (size_t i = 0; i < all->n; i++)
		if (glob_match(expected[i].device, device))
			return &expected[i];
	return NULL;
}

/* Compares the verdict over one device. Returns whether it is as expected. */
static bool is_as_expected(const char *file, const struct Vector *all, const char *name,
			   const struct Verdict *verdict)
{
	const struct Expected *expected = find_expected(all, name);
	const char *driver = verdict->driver ? verdict->driver : "-";

	if (!expected) {
		log_error("%s: no line for %s, which is \"%s\"", file, name, verdict->word);
		return false;
	}
	if (streq(expected->word, verdict->word) &&
	    (!*expected->driver || streq(expected->driver, driver)))
		return true;
	log_error("%s:%u: %s is \"%s %s\", not \"%s%s%s\": %s", file, expected->line, name,
		  verdict->word, driver, expected->word, *expected->driver ? " " : "",
		  expected->driver, verdict->why);
	return false;
}

struct Report {
	const struct Options *options;
	struct Vector expected;
	struct Table table;
	struct json_object *json;
	unsigned differences;
};

static int report(struct Report *report, const struct View *view, size_t number)
{
	const struct Device *device = view->inventory.devices[number];
	_cleanup_free_ char *name = device_name(device), *safe = escape_text(name);
	struct Verdict verdict;
	int r = safe ? view_verdict(view, number, &verdict) : -ENOMEM;

	if (r < 0)
		return r;
	if (report->options->expect &&
	    !is_as_expected(report->options->expect, &report->expected, safe, &verdict))
		report->differences++;
	if (report->json) {
		(void)json_object_array_add(report->json, verdict_to_json(view, device, &verdict));
	} else {
		table_add(&report->table, name);
		table_add(&report->table, verdict.word);
		table_add(&report->table, verdict.driver);
		table_add(&report->table, verdict.why);
	}
	verdict_done(&verdict);
	return 0;
}

/* A verdict that was expected of a device that the snapshot has not. */
static void check_missing(struct Report *report, const struct View *view)
{
	const struct Expected *expected = report->expected.data;

	for (size_t i = 0; expected && i < report->expected.n; i++) {
		bool found = !glob_is_literal(expected[i].device);

		for (size_t j = 0; j < view->inventory.n && !found; j++) {
			_cleanup_free_ char *name = device_name(view->inventory.devices[j]),
					    *safe = escape_text(name);

			found = safe && streq(safe, expected[i].device);
		}
		if (found)
			continue;
		log_error("%s:%u: %s is not in the snapshot", report->options->expect,
			  expected[i].line, expected[i].device);
		report->differences++;
	}
}

static int test(struct Report *result, const struct View *view)
{
	static const char *const heading[] = {"DEVICE", "VERDICT", "DRIVER", "WHY"};
	int r = 0;

	if (result->options->expect)
		r = read_expected(result->options->expect, &result->expected);
	result->table.n_columns = ELEMENTSOF(heading);
	for (size_t i = 0; !result->json && i < ELEMENTSOF(heading); i++)
		table_add(&result->table, heading[i]);
	for (size_t i = 0; r >= 0 && i < view->inventory.n; i++)
		r = report(result, view, i);
	check_missing(result, view);
	if (r < 0) {
		table_free(&result->table);
		json_object_put(result->json);
		return r;
	}
	return result->json ? json_print(result->json) : table_print(&result->table);
}

int verb_policy_test(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	struct Report result = {.options = options};
	int r;

	(void)args;
	if (!options->snapshot) {
		log_error("policy test takes --snapshot FILE");
		return EXIT_USAGE;
	}
	if (view_open(&view, options) < 0 || view_read(&view, options) < 0)
		return EXIT_FAILED;
	result.json = options->json ? json_object_new_array() : NULL;
	r = test(&result, &view);
	vector_done(&result.expected);
	if (r < 0)
		return finish(r, "test");
	return result.differences > 0 ? EXIT_FAILED : EXIT_DONE;
}
