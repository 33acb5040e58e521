/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "hardened-parse.h"
#include "test.h"

#define V "version: 1\nhardened:\n"
#define NO_EVIDENCE ", evidence: { review: none, fuzzing: none } }\n"
/* an entry of one line; its ids begin at column 19, an id's key at 28 on the pci bus */
#define ENTRY(ids) V "- { driver: d, ids: " ids NO_EVIDENCE
#define PCI(id) ENTRY("{ pci: [ { " id " } ] }")
#define FINDING(keys)                                                                              \
	V "- driver: d\n"                                                                          \
	  "  ids: { virtio: [ { device: 1 } ] }\n"                                                 \
	  "  evidence:\n"                                                                          \
	  "    fuzzing: none\n"                                                                    \
	  "    review: " keys "\n"

static void expect_good(const char *text, struct HardenedList *list)
{
	struct ParseErrors errors;

	if (hardened_parse(list, text, strlen(text), &errors) < 0)
		fail_msg("%u:%u: %s", errors.items[0].line, errors.items[0].column,
			 errors.items[0].message);
}

static void expect_bad(const char *text, unsigned line, unsigned column, const char *message)
{
	_cleanup_(hardened_list_done) struct HardenedList list = {0};
	_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
	const struct ParseError *error = &errors.items[0];

	if (hardened_parse(&list, text, strlen(text), &errors) != -EBADMSG)
		fail_msg("accepted:\n%s", text);
	if (!strstr(error->message, message))
		fail_msg("\"%s\" does not say \"%s\"", error->message, message);
	if (error->line != line || error->column != column)
		fail_msg("%u:%u, not %u:%u: %s", error->line, error->column, line, column,
			 error->message);
}

static void test_every_form_of_id_is_read(void **state)
{
	_cleanup_(hardened_list_done) struct HardenedList list = {0};

	expect_good(V "  - driver: one\n"
		      "    ids:\n"
		      "      virtio: [ { device: 19, name: vsock } ]\n"
		      "      pci:\n"
		      "        - { class: \"0x0604xx\" }\n"
		      "        - { class: 0x010802 }\n"
		      "        - { vendor: \"0x1af4\", device: 0x1041, name: net }\n"
		      "    evidence:\n"
		      "      review:\n"
		      "        - { kernel: 6.12, tool: t, scope: s, link: https://example.org/ }\n"
		      "        - { kernel: none, tool: t, scope: s, link: https://example.org/ }\n"
		      "      fuzzing: none\n"
		      "  - driver: two\n"
		      "    evidence: { fuzzing: none, review: none }\n"
		      "    ids:\n"
		      "      pnp: [ { id: PNP0B00 } ]\n"
		      "      platform: [ { glob: \"LNRO0005:*\" } ]\n"
		      "  - driver: none\n"
		      "    ids: { acpi: [ { hid: LNXSYSTM }, { hid: PNP0A08 } ] }\n"
		      "    evidence: { fuzzing: none, review: none }\n",
		    &list);
	assert_int_equal(list.n_rows, 8);
	assert_int_equal(list.rows[0].bus, BUS_VIRTIO);
	assert_int_equal(list.rows[0].device, 19);
	assert_string_equal(list.rows[0].driver, "one");
	assert_int_equal(list.rows[1].bus, BUS_PCI);
	assert_int_equal(list.rows[1].class_code, 0x060400);
	assert_int_equal(list.rows[1].class_mask, 0xffff00);
	assert_int_equal(list.rows[2].class_code, 0x010802);
	assert_int_equal(list.rows[2].class_mask, 0xffffff);
	assert_int_equal(list.rows[3].vendor, 0x1af4);
	assert_int_equal(list.rows[3].device, 0x1041);
	assert_int_equal(list.rows[3].class_mask, 0);
	assert_string_equal(list.rows[3].driver, "one");
	assert_int_equal(list.rows[4].bus, BUS_PNP);
	assert_string_equal(list.rows[4].text, "PNP0B00");
	assert_string_equal(list.rows[4].driver, "two");
	assert_int_equal(list.rows[5].bus, BUS_PLATFORM);
	assert_string_equal(list.rows[5].text, "LNRO0005:*");
	assert_int_equal(list.rows[6].bus, BUS_ACPI);
	assert_string_equal(list.rows[7].text, "PNP0A08");
	assert_null(list.rows[7].driver);
}

static void test_whatever_the_list_does_not_know_is_an_error(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *message;
	} bad[] = {
		/* the document */
		{"version: 1\n", 1, 1, "\"hardened\" is missing or empty"},
		{V "  []\n", 1, 1, "\"hardened\" is missing or empty"},
		{"version: 1\nhardend: []\n", 2, 1, "nearest valid one is \"hardened\""},
		{"hardened: []\n", 1, 1, "\"version: 1\" is missing"},
		{V "  {}\n", 3, 3, "takes a list of entries, not a mapping"},
		{V "- driver: d\n  drivers: e\n", 4, 3, "nearest valid one is \"driver\""},
		{V "- driver: d\n  driver: e\n", 4, 3, "\"driver\" is given twice"},
		/* what is missing */
		{V "- { driver: d" NO_EVIDENCE, 3, 3, "\"ids\" is missing"},
		{V "- { ids: { virtio: [ { device: 1 } ] }" NO_EVIDENCE, 3, 3,
		 "\"driver\" is missing"},
		{V "- { driver: d, ids: { virtio: [ { device: 1 } ] } }\n", 3, 3,
		 "\"evidence\" is missing"},
		{V "- { driver: d, ids: { virtio: [ { device: 1 } ] }, "
		   "evidence: { review: none } }\n",
		 3, 62, "\"fuzzing\" is missing"},
		{V "- { driver: d, ids: { virtio: [ { device: 1 } ] }, "
		   "evidence: { fuzzing: none } }\n",
		 3, 62, "\"review\" is missing"},
		{ENTRY("{}"), 3, 21, "\"ids\" lists nothing"},
		{ENTRY("{ pci: [] }"), 3, 21, "\"ids\" lists nothing"},
		/* drivers */
		{V "- driver: [d]\n", 3, 11, "takes a single value, not a list"},
		{V "- driver: ~\n", 3, 11, "\"driver\" has no value"},
		{V "- driver: a/b\n", 3, 11, "cannot be the name of a driver"},
		{V "- driver: 'a\"b'\n", 3, 11, "cannot be the name of a driver"},
		{V "- driver: 'a\\b'\n", 3, 11, "cannot be the name of a driver"},
		{V "- driver: abcdefghijklmnopqrstuvwxyz012345\n", 3, 11, "cannot be the name"},
		{V "- { driver: none, ids: { virtio: [ { device: 1 } ] }" NO_EVIDENCE, 3, 3,
		 "\"driver: none\" goes with acpi ids only: a virtio device"},
		{V "- { driver: none, ids: { platform: [ { glob: a } ] }" NO_EVIDENCE, 3, 3,
		 "\"driver: none\" goes with acpi ids only: a platform device"},
		/* ids */
		{ENTRY("{ usb: [ { device: 1 } ] }"), 3, 23, "unknown bus \"usb\""},
		{ENTRY("{ pci: { class: 0x060400 } }"), 3, 28, "takes a list of ids"},
		{PCI("vender: 0x1af4"), 3, 32, "nearest valid one is \"vendor\""},
		{PCI("vendor: 0x1af4"), 3, 30, "takes \"vendor\" and \"device\", or \"class\""},
		{PCI("vendor: 0x1, device: 0x2, class: 0x060400"), 3, 30, "or \"class\""},
		{PCI("vendor: 1af4, device: 0x1"), 3, 40, "it takes 0x and up to 4"},
		{PCI("vendor: 0x11af4, device: 0x1"), 3, 40, "it takes 0x and up to 4"},
		{PCI("vendor: 6900, device: 0x1"), 3, 40, "it takes 0x and up to 4"},
		{PCI("vendor: 0x1, vendor: 0x1"), 3, 45, "given twice"},
		{PCI("class: 0x0604"), 3, 39, "is no class"},
		{PCI("class: 0xxxxxxx"), 3, 39, "is no class"},
		{PCI("class: 0x06xx00"), 3, 39, "is no class"},
		{PCI("class: 0x0604xxx"), 3, 39, "is no class"},
		{PCI("class: 0604xx"), 3, 39, "is no class"},
		{PCI("class: 0x060400, name: []"), 3, 55, "takes a single value"},
		{ENTRY("{ virtio: [ { name: net } ] }"), 3, 33, "takes \"device\""},
		{ENTRY("{ virtio: [ { device: ten } ] }"), 3, 43, "or a decimal number"},
		{ENTRY("{ virtio: [ { vendor: 0x1 } ] }"), 3, 35, "unknown id key \"vendor\""},
		{ENTRY("{ virtio: [ 1 ] }"), 3, 33, "takes a mapping"},
		{ENTRY("{ acpi: [ { name: x } ] }"), 3, 31, "takes \"hid\""},
		{ENTRY("{ acpi: [ { hid: PRP0001 } ] }"), 3, 38, "PRP0001"},
		{ENTRY("{ pnp: [ { id: PRP0001 } ] }"), 3, 36, "PRP0001"},
		{ENTRY("{ acpi: [ { hid: pnp0a03 } ] }"), 3, 38, "is no ACPI id"},
		{ENTRY("{ acpi: [ { hid: PNP0A0300 } ] }"), 3, 38, "is no ACPI id"},
		{ENTRY("{ acpi: [ { hid: 'PNP\"' } ] }"), 3, 38, "is no ACPI id"},
		{ENTRY("{ platform: [ { glob: '*' } ] }"), 3, 43, "is no glob"},
		{ENTRY("{ platform: [ { glob: 'a[b]' } ] }"), 3, 43, "is no glob"},
		{ENTRY("{ platform: [ { glob: 'a\"' } ] }"), 3, 43, "is no glob"},
		/* duplicates */
		{ENTRY("{ virtio: [ { device: 1 }, { device: 0x1 } ] }"), 3, 48, "listed already"},
		{ENTRY("{ acpi: [ { hid: A0 } ] }") "- { driver: e, ids: { acpi: [ { hid: A0 } ] "
						    "}" NO_EVIDENCE,
		 4, 31, "listed already"},
		/* evidence */
		{FINDING("some"), 7, 13, "takes a list of evidence, or the word none"},
		{FINDING("{}"), 7, 13, "takes a list of evidence, or the word none"},
		{FINDING("[]"), 7, 13, "\"review\" lists nothing: say none"},
		{FINDING("~"), 7, 13, "\"review\" has no value"},
		{FINDING("[ none ]"), 7, 15, "takes a mapping"},
		{FINDING("[ { kernel: k, tool: t, scope: s } ]"), 7, 15, "\"link\" is missing"},
		{FINDING("[ { kernel: k, tool: t, link: 'https://x' } ]"), 7, 15,
		 "\"scope\" is missing"},
		{FINDING("[ { kernel: k, scope: s, link: 'https://x' } ]"), 7, 15,
		 "\"tool\" is missing"},
		{FINDING("[ { tool: t, scope: s, link: 'https://x' } ]"), 7, 15,
		 "\"kernel\" is missing"},
		{FINDING("[ { kernel: '', tool: t, scope: s, link: 'https://x' } ]"), 7, 25,
		 "\"kernel\" has no value"},
		{FINDING("[ { kernel: k, tool: t, scope: s, link: none } ]"), 7, 53, "https://"},
		{FINDING("[ { kernels: k } ]"), 7, 17, "nearest valid one is \"kernel\""},
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		expect_bad(bad[i].text, bad[i].line, bad[i].column, bad[i].message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_of_id_is_read),
		cmocka_unit_test(test_whatever_the_list_does_not_know_is_an_error),
	};

	return RUN_TESTS("hardened-parse", tests);
}
