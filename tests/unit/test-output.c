/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"

#include "capture.h"

static void print_table(void *argument)
{
	assert_int_equal(table_print(argument), 0);
}

static void print_object(void *argument)
{
	assert_int_equal(json_print(argument), 0);
}

static void test_hostile_cells_stay_in_their_row(void **state)
{
	struct Table table = {.n_columns = 2};
	_cleanup_free_ char *text = NULL;

	table_add(&table, "NAME");
	table_add(&table, "WHAT");
	table_add(&table, "a\nforged  row");
	table_add(&table, "\x1b[31m\xff");
	table_add(&table, "b");
	table_add(&table, NULL);
	text = capture(STDOUT_FILENO, print_table, &table);
	assert_string_equal(text, "NAME            WHAT\n"
				  "a\\nforged  row  \\x1b[31m\\xff\n"
				  "b               -\n");
}

static void add_row(struct Table *table, const char *a, const char *b, const char *c)
{
	table_add(table, a);
	table_add(table, b);
	table_add(table, c);
}

static void test_columns_are_cut_to_the_terminal_and_the_first_is_not(void **state)
{
	struct Table table = {.n_columns = 3, .width = 44};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(setenv("LC_ALL", "C.UTF-8", 1), 0);
	add_row(&table, "NAME", "WHAT", "WHY");
	add_row(&table, "a-name-of-its-own", "€€€ some words",
		"a reason that is long enough to be cut");
	add_row(&table, "b", "x", "short");
	text = capture(STDOUT_FILENO, print_table, &table);
	assert_string_equal(text, "NAME               WHAT          WHY\n"
				  "a-name-of-its-own  €€€ some wo…  a reason t…\n"
				  "b                  x             short\n");
}

static void test_what_does_not_fit_at_all_is_printed(void **state)
{
	struct Table table = {.n_columns = 2, .width = 20};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(setenv("LC_ALL", "C", 1), 0);
	table_add(&table, "a-name-that-is-wider-than-all");
	table_add(&table, "and words behind it");
	text = capture(STDOUT_FILENO, print_table, &table);
	assert_string_equal(text, "a-name-that-is-wider-than-all  and word..\n");
}

static void test_colours_are_around_what_is_escaped(void **state)
{
	struct Table table = {.n_columns = 2, .has_colours = true};
	_cleanup_free_ char *text = NULL;

	table_add_coloured(&table, "allow\x1b[31m", COLOUR_GOOD);
	table_add(&table, "x");
	table_add_coloured(&table, "deny", COLOUR_BAD);
	table_add(&table, "y");
	text = capture(STDOUT_FILENO, print_table, &table);
	assert_string_equal(text, "\033[32mallow\\x1b[31m\033[0m  x\n"
				  "\033[31mdeny\033[0m           y\n");
}

static void test_a_heading_that_is_not_printed_takes_no_room(void **state)
{
	struct Table table = {.n_columns = 2, .no_heading = true};
	_cleanup_free_ char *text = NULL;

	table_add(&table, "LONG HEADING");
	table_add(&table, "B");
	table_add(&table, "a");
	table_add(&table, "b");
	text = capture(STDOUT_FILENO, print_table, &table);
	assert_string_equal(text, "a  b\n");
}

static void test_what_is_before_a_cell_is_not_escaped_and_the_cell_is(void **state)
{
	struct Table table = {.n_columns = 1};
	_cleanup_free_ char *text = NULL;

	table_add_behind(&table, "└─", "a\n");
	text = capture(STDOUT_FILENO, print_table, &table);
	assert_string_equal(text, "└─a\\n\n");
}

static void test_hostile_strings_are_valid_json(void **state)
{
	struct json_object *object = json_object_new_object(), *parsed;
	_cleanup_free_ char *text = NULL;

	json_add_string(object, "name", "a\n\"\x1b\\ \xff\xc0 €");
	json_add_string(object, "none", NULL);
	text = capture(STDOUT_FILENO, print_object, object);
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\xff'));
	parsed = json_tokener_parse(text);
	assert_non_null(parsed);
	assert_string_equal(json_object_get_string(json_object_object_get(parsed, "name")),
			    "a\n\"\x1b\\ \\xff\\xc0 €");
	assert_true(json_object_object_get_ex(parsed, "none", NULL));
	json_object_put(parsed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_cells_stay_in_their_row),
		cmocka_unit_test(test_columns_are_cut_to_the_terminal_and_the_first_is_not),
		cmocka_unit_test(test_what_does_not_fit_at_all_is_printed),
		cmocka_unit_test(test_colours_are_around_what_is_escaped),
		cmocka_unit_test(test_a_heading_that_is_not_printed_takes_no_room),
		cmocka_unit_test(test_what_is_before_a_cell_is_not_escaped_and_the_cell_is),
		cmocka_unit_test(test_hostile_strings_are_valid_json),
	};

	return RUN_TESTS("output", tests);
}
