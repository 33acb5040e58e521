/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sha256.h"
#include "test.h"
#include "util.h"

/* FIPS 180-4's examples (csrc.nist.gov, "Example Algorithms: SHA256"), and what sha256sum(1) says
 * of lengths at which the last block is just full. */
static void test_known_texts_have_their_hashes(void **state)
{
	static const struct {
		const char *text;
		const char *hash;
	} known[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	char hash[SHA256_TEXT_SIZE];

	for (size_t i = 0; i < ELEMENTSOF(known); i++) {
		sha256_text(known[i].text, strlen(known[i].text), hash);
		assert_string_equal(hash, known[i].hash);
	}
}

static void test_each_length_about_a_block_has_its_hash(void **state)
{
	static const struct {
		size_t n;
		const char *hash;
	} known[] = {
		{55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
		{56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
		{63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
		{64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
		{65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
		{119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
		{120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"},
		{128, "6836cf13bac400e9105071cd6af47084dfacad4e5e302c94bfed24e013afb73e"},
	};
	char text[128], hash[SHA256_TEXT_SIZE];

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < ELEMENTSOF(known); i++) {
		sha256_text(text, known[i].n, hash);
		assert_string_equal(hash, known[i].hash);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_texts_have_their_hashes),
		cmocka_unit_test(test_each_length_about_a_block_has_its_hash),
	};

	return RUN_TESTS("sha256", tests);
}
