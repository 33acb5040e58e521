/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>

#include "glob-match.h"
#include "test.h"
#include "util.h"

static void test_globs_match_as_fnmatch_does(void **state)
{
	static const char *const globs[] = {"",		"a",	   "*",	      "?",	  "a*b*c",
					    "[a-c]x",	"[!a-c]x", "[]a]",    "[!]a]",	  "[a-]",
					    "\\*",	"\\a",	   "[\\]]x",  "*[b]*[c]", "a**b",
					    "pci:v*d*", "[[]",	   "[a-c]*?", "[^a]",	  "*.*"};
	static const char *const texts[] = {"",	 "a",	"b",   "ab",   "abc",	 "axxbxxc",  "bx",
					    "]", "-",	"*",   "]x",   "abcbcc", "pci:v1d2", "[",
					    "^", "cab", "a.b", "\xff", "a\nb",	 "aab"};

	for (size_t i = 0; i < ELEMENTSOF(globs); i++)
		for (size_t j = 0; j < ELEMENTSOF(texts); j++)
			if (glob_match(globs[i], texts[j]) != !fnmatch(globs[i], texts[j], 0))
				fail_msg("\"%s\" and \"%s\"", globs[i], texts[j]);
}

static char pick(const char *alphabet)
{
	return alphabet[(size_t)rand() % strlen(alphabet)];
}

static void random_text(char *text, size_t size, const char *alphabet)
{
	size_t n = (size_t)rand() % size;

	for (size_t i = 0; i < n; i++)
		text[i] = pick(alphabet);
	text[n] = '\0';
}

static void test_random_globs_match_as_fnmatch_does(void **state)
{
	unsigned matched = 0;

	srand(1);
	for (int i = 0; i < 300000; i++) {
		char glob[9], text[9];

		random_text(glob, sizeof(glob), "ab*?[]!-\\");
		random_text(text, sizeof(text), "ab]-");
		if (glob_problem(glob))
			continue;
		matched += glob_match(glob, text);
		if (glob_match(glob, text) != !fnmatch(glob, text, 0))
			fail_msg("\"%s\" and \"%s\"", glob, text);
	}
	assert_true(matched > 1000);
}

static void test_the_rest_of_a_string_that_is_not_terminated_is_not_looked_at(void **state)
{
	assert_true(glob_match_n("ab", "abc", 2, false));
	assert_false(glob_match_n("ab?", "abc", 2, false));
	assert_true(glob_match_n("PNP05*", "pnp0501:", 7, true));
	assert_false(glob_match_n("PNP05*", "pnp0501:", 7, false));
}

static void test_what_nobody_can_have_meant_is_a_problem(void **state)
{
	static const char *const bad[] = {"[",		 "a[b",	     "[!]",    "[]",
					  "\\",		 "a\\",	     "[b-a]",  "[a\\",
					  "[[:alpha:]]", "[a[.x.]]", "[[=a=]]"};
	static const char *const good[] = {"", "*", "[]]", "[!]]", "\\\\", "[a-a]", "[a-]", "]"};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		if (!glob_problem(bad[i]))
			fail_msg("\"%s\"", bad[i]);
	for (size_t i = 0; i < ELEMENTSOF(good); i++)
		if (glob_problem(good[i]))
			fail_msg("\"%s\": %s", good[i], glob_problem(good[i]));
}

static void test_a_hostile_string_cannot_make_matching_last(void **state)
{
	static char text[4096], glob[64];

	/* 30 stars: to try them all is 4096 to the 30th */
	for (size_t i = 0; i + 3 < sizeof(glob); i += 2)
		memcpy(glob + i, "*a", 3);
	memset(text, 'a', sizeof(text) - 1);
	glob[strlen(glob)] = 'b';
	assert_false(glob_match(glob, text));
}

static void test_prefix_and_literal(void **state)
{
	assert_int_equal(glob_prefix("pci:v*"), 5);
	assert_int_equal(glob_prefix("ab\\*"), 2);
	assert_true(glob_is_literal("abc"));
	assert_false(glob_is_literal("a?c"));
	assert_false(glob_is_literal("a\\c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_globs_match_as_fnmatch_does),
		cmocka_unit_test(test_random_globs_match_as_fnmatch_does),
		cmocka_unit_test(test_the_rest_of_a_string_that_is_not_terminated_is_not_looked_at),
		cmocka_unit_test(test_what_nobody_can_have_meant_is_a_problem),
		cmocka_unit_test(test_a_hostile_string_cannot_make_matching_last),
		cmocka_unit_test(test_prefix_and_literal),
	};

	return RUN_TESTS("glob-match", tests);
}
