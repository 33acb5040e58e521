/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-notes.h"

#include "string-list.h"
#include "test.h"

static struct KernelModules kernels[3] = {
	{.list = {.version = (char *)"6.1"}},
	{.list = {.version = (char *)"6.2"}},
	{.list = {.version = (char *)"6.3"}},
};

static int teardown(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(kernels); i++)
		strings_done(&kernels[i].notes);
	return 0;
}

static void add(size_t kernel, const char *text)
{
	assert_int_equal(strings_add(&kernels[kernel].notes, "%s", text), 0);
}

static void expect(size_t n, const char *const *texts)
{
	_cleanup_strings_ struct Vector notes = {0};
	size_t found = 0;

	assert_int_equal(module_notes_of_kernels(kernels, n, &notes), 0);
	for (; texts[found]; found++)
		assert_true(strings_have(&notes, texts[found]));
	assert_int_equal(notes.n, found);
}

static void test_what_is_noted_of_all_kernels_is_told_once(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(kernels); i++)
		add(i, "common");
	add(0, "common"); /* of two rules, say */
	expect(ELEMENTSOF(kernels), (const char *const[]){"common", NULL});
}

static void test_what_is_noted_of_some_names_them(void **state)
{
	add(0, "a");
	add(1, "b");
	add(2, "b");
	add(1, "c");
	add(2, "c");
	add(0, "c");
	expect(ELEMENTSOF(kernels),
	       (const char *const[]){"kernel 6.1: a", "kernels 6.2, 6.3: b", "c", NULL});
}

static void test_of_one_kernel_nothing_is_added(void **state)
{
	add(0, "a");
	expect(1, (const char *const[]){"a", NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_what_is_noted_of_all_kernels_is_told_once, teardown),
		cmocka_unit_test_teardown(test_what_is_noted_of_some_names_them, teardown),
		cmocka_unit_test_teardown(test_of_one_kernel_nothing_is_added, teardown),
	};

	return RUN_TESTS("module-notes", tests);
}
