/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "escape.h"
#include "test.h"
#include "util.h"

static void expect_escaped(const char *in, const char *out)
{
	_cleanup_free_ char *escaped = escape_text(in);

	assert_string_equal(escaped, out);
}

static void test_printable_text_stays(void **state)
{
	expect_escaped("Intel Corporation 82574L", "Intel Corporation 82574L");
	expect_escaped("Gerät, 装置, €", "Gerät, 装置, €");
	expect_escaped("", "");
	expect_escaped(NULL, "");
}

static void test_control_characters_cannot_break_a_line(void **state)
{
	expect_escaped("a\nb\rc\td", "a\\nb\\rc\\td");
	expect_escaped("\x1b[2J\x07", "\\x1b[2J\\x07");
	expect_escaped("\x7f", "\\x7f");
	expect_escaped("\xc2\x9b"
		       "31m",
		       "\\u{9b}31m");		     /* C1 CSI */
	expect_escaped("\xe2\x80\xa8", "\\u{2028}"); /* line separator */
}

static void test_reordering_and_zero_width_characters_are_shown(void **state)
{
	expect_escaped("\xe2\x80\xae"
		       "0000e1",
		       "\\u{202e}0000e1");
	expect_escaped("a\xe2\x80\x8b"
		       "b",
		       "a\\u{200b}b");
	expect_escaped("\xef\xbb\xbf", "\\u{feff}");
	expect_escaped("e\xcc\x81", "e\\u{301}");
}

static void test_backslash_is_doubled_so_escapes_cannot_be_forged(void **state)
{
	expect_escaped("\\x1b", "\\\\x1b");
}

static void test_invalid_utf8_becomes_bytes(void **state)
{
	expect_escaped("\xff", "\\xff");
	expect_escaped("a\xc3", "a\\xc3");			    /* cut short */
	expect_escaped("\xc0\xaf", "\\xc0\\xaf");		    /* overlong */
	expect_escaped("\xed\xa0\x80", "\\xed\\xa0\\x80");	    /* surrogate */
	expect_escaped("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
	expect_escaped("\x80", "\\x80");
}

static void test_sanitize_keeps_valid_utf8_and_replaces_the_rest(void **state)
{
	_cleanup_free_ char *valid = utf8_sanitize("a\n\x1b€\\");
	_cleanup_free_ char *invalid = utf8_sanitize("a\xff\n");

	assert_string_equal(valid, "a\n\x1b€\\");
	assert_string_equal(invalid, "a\\xff\n");
}

static void test_letters_that_reorder_a_line_are_shown(void **state)
{
	expect_escaped("\xd7\x90", "\\u{5d0}");		  /* Hebrew */
	expect_escaped("\xf0\x90\xa4\x80", "\\u{10900}"); /* Phoenician */
}

static void test_json_shows_no_deceptive_character_and_stays_the_same(void **state)
{
	_cleanup_free_ char *json =
		escape_json("\"a\xc2\x9b\x7f\xe2\x80\xae\xf3\xa0\x80\x81 € \\n\"");

	assert_string_equal(json, "\"a\\u009b\\u007f\\u202e\\udb40\\udc01 € \\n\"");
}

static void test_width_counts_code_points(void **state)
{
	assert_int_equal(escaped_width("Gerät"), 5);
	assert_int_equal(escaped_width(""), 0);
}

static void test_a_word_has_no_blank_and_loses_nothing(void **state)
{
	_cleanup_free_ char *word = escape_word("Fixed MDIO\tbus.0 \\x"),
			    *back = unescape_text(word);

	assert_string_equal(word, "Fixed\\x20MDIO\\tbus.0\\x20\\\\x");
	assert_string_equal(back, "Fixed MDIO\tbus.0 \\x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_word_has_no_blank_and_loses_nothing),
		cmocka_unit_test(test_printable_text_stays),
		cmocka_unit_test(test_control_characters_cannot_break_a_line),
		cmocka_unit_test(test_reordering_and_zero_width_characters_are_shown),
		cmocka_unit_test(test_backslash_is_doubled_so_escapes_cannot_be_forged),
		cmocka_unit_test(test_invalid_utf8_becomes_bytes),
		cmocka_unit_test(test_sanitize_keeps_valid_utf8_and_replaces_the_rest),
		cmocka_unit_test(test_letters_that_reorder_a_line_are_shown),
		cmocka_unit_test(test_json_shows_no_deceptive_character_and_stays_the_same),
		cmocka_unit_test(test_width_counts_code_points),
	};

	return RUN_TESTS("escape", tests);
}
