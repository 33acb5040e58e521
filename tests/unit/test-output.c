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
		cmocka_unit_test(test_hostile_strings_are_valid_json),
	};

	return RUN_TESTS("output", tests);
}
