/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-render.h"

#include <fnmatch.h>

#include "glob-match.h"
#include "test.h"
#include "util.h"

static bool is_denied(const struct Vector *globs, const char *name)
{
	bool denied = false;

	for (size_t i = 0; i < globs->n; i++) {
		const char *glob = string_at(globs, i);
		bool fits = fnmatch(glob, name, 0) == 0;

		assert_int_equal(fits, glob_match(glob, name));
		denied = denied || fits;
	}
	return denied;
}

static bool is_one_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(names[i], name))
			return true;
	return false;
}

static void expect_complement(const char *const *names, size_t n, const struct Vector *globs,
			      const char *name)
{
	if (*name && is_denied(globs, name) == is_one_of(names, n, name))
		fail_msg("\"%s\" is %s", name,
			 is_one_of(names, n, name) ? "refused" : "let through");
}

/* All that one step leads to from a name: a character less at its end, one other, one more. */
static void expect_neighbours(const char *const *names, size_t n, const struct Vector *globs,
			      const char *name)
{
	static const char others[] = "ab_09Z-]![*?\\.\xc3";
	char copy[80];
	size_t len = strlen(name);

	for (size_t i = 0; i <= len; i++) {
		(void)snprintf(copy, sizeof(copy), "%.*s", (int)i, name);
		expect_complement(names, n, globs, copy);
		for (const char *c = others; *c; c++) {
			(void)snprintf(copy, sizeof(copy), "%s", name);
			copy[i] = *c;
			copy[i == len ? i + 1 : len] = '\0';
			expect_complement(names, n, globs, copy);
			(void)snprintf(copy, sizeof(copy), "%.*s%c%s", (int)i, name, *c, name + i);
			expect_complement(names, n, globs, copy);
		}
		(void)snprintf(copy, sizeof(copy), "%s", name + i);
		expect_complement(names, n, globs, copy);
	}
}

static void check_set(const char *const *names, size_t n)
{
	struct Vector globs;

	assert_int_equal(complement_make(names, n, &globs), 0);
	for (size_t i = 0; i < n; i++)
		expect_neighbours(names, n, &globs, names[i]);
	for (size_t i = 0; i < globs.n; i++)
		assert_non_null(strpbrk(string_at(&globs, i), "*?["));
	complement_done(&globs);
}

#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const char *const names[] = {__VA_ARGS__};                                  \
		check_set(names, ELEMENTSOF(names));                                               \
	} while (0)

static void test_what_is_not_allowed_fits_and_what_is_does_not(void **state)
{
	CHECK("a");
	CHECK("a", "aa", "aaa");
	CHECK("aes_generic", "aesni_intel", "sha256_generic", "sha256_ssse3");
	CHECK("8021q", "9p", "9pnet", "9pnet_virtio", "BusLogic", "_", "xt_AUDIT");
	CHECK("dm_crypt", "dm_mod", "dm_verity", "nvme", "nvme_core", "virtio_blk", "virtio_net",
	      "virtio_pci", "virtio_pci_legacy_dev", "virtio_pci_modern_dev");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of few letters, so that they have much in common. */
static size_t random_names(char store[][16], const char **names, size_t most)
{
	size_t n = (size_t)rand() % most, kept = 0;
	int letters = 1 + rand() % 4, longest = 1 + rand() % 12;

	for (size_t i = 0; i < n; i++) {
		size_t len = 1 + (size_t)rand() % (size_t)longest;

		for (size_t k = 0; k < len; k++)
			store[i][k] = "ab_0"[rand() % letters];
		store[i][len] = '\0';
		names[i] = store[i];
	}
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !streq(names[i], names[kept - 1]))
			names[kept++] = names[i];
	return kept;
}

static void test_random_sets_are_complemented(void **state)
{
	static char store[40][16];
	const char *names[40];

	srand(1);
	for (int i = 0; i < 150; i++) {
		size_t n = random_names(store, names, ELEMENTSOF(names));

		check_set(names, n);
	}
}

static void test_no_name_allowed_refuses_all(void **state)
{
	struct Vector globs;

	assert_int_equal(complement_make(NULL, 0, &globs), 0);
	assert_int_equal(globs.n, 1);
	assert_string_equal(string_at(&globs, 0), "*");
	complement_done(&globs);
}

static void test_names_that_a_glob_would_read_otherwise_are_not_plain(void **state)
{
	static const char *const bad[] = {"",	 "a-b",	 "a*",	 "a[b",	    "a b",
					  "a;b", "a\nb", "$(a)", "\xc3\xa4"};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		assert_false(module_name_is_plain(bad[i]));
	assert_true(module_name_is_plain("xt_AUDIT"));
	assert_false(module_name_is_plain(
		"0123456789012345678901234567890123456789012345678901234567890123"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_allowed_fits_and_what_is_does_not),
		cmocka_unit_test(test_random_sets_are_complemented),
		cmocka_unit_test(test_no_name_allowed_refuses_all),
		cmocka_unit_test(test_names_that_a_glob_would_read_otherwise_are_not_plain),
	};

	return RUN_TESTS("module-render", tests);
}
