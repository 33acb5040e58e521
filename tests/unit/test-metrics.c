/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics.h"

#include "test.h"
#include "util.h"

static char *print(const struct Metrics *metrics)
{
	_cleanup_free_ char *text = NULL;
	char *copy;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	metrics_print(file, metrics);
	(void)fclose(file);
	copy = text ? strdup(text) : NULL;
	assert_non_null(copy);
	return copy;
}

static void expect_line(const char *text, const char *line)
{
	const char *found = strstr(text, line);

	assert_non_null(found);
	assert_true(found == text || found[-1] == '\n');
	assert_int_equal(found[strlen(line)], '\n');
}

static void test_numbers_are_told_each_under_its_name(void **state)
{
	struct Metrics metrics = {.authorized = 1,
				  .refused = 2,
				  .returned = 3,
				  .failed = 4,
				  .unsupported = 5,
				  .overflows = 6,
				  .forged = 71,
				  .malformed = 72,
				  .rules = 7,
				  .missing_rules = 8,
				  .loads = 9,
				  .loaded_usec = 1700000000000042,
				  .impaired = true,
				  .sealed = true};
	_cleanup_free_ char *text = NULL;

	(void)state;
	metrics.devices[BUS_USB][ACTION_DENY] = 12;
	text = print(&metrics);
	expect_line(text, "tdx_auth_devices{bus=\"usb\",verdict=\"deny\"} 12");
	expect_line(text, "tdx_auth_devices{bus=\"pci\",verdict=\"kernel\"} 0");
	expect_line(text, "tdx_auth_authorizations_total 1");
	expect_line(text, "tdx_auth_refusals_total 2");
	expect_line(text, "tdx_auth_returns_total 3");
	expect_line(text, "tdx_auth_failures_total 4");
	expect_line(text, "tdx_auth_unsupported_total 5");
	expect_line(text, "tdx_auth_event_overflows_total 6");
	expect_line(text, "tdx_auth_forged_messages_total 71");
	expect_line(text, "tdx_auth_malformed_messages_total 72");
	expect_line(text, "tdx_auth_policy_rules 7");
	expect_line(text, "tdx_auth_policy_rules_missing_devices 8");
	expect_line(text, "tdx_auth_policy_generation 9");
	expect_line(text, "tdx_auth_policy_loaded_timestamp_seconds 1700000000.000042");
	expect_line(text, "tdx_auth_policy_refused 0");
	expect_line(text, "tdx_auth_impaired 1");
	expect_line(text, "tdx_auth_frozen 0");
	expect_line(text, "tdx_auth_sealed 1");
}

/* OpenMetrics 1.0: a family is told of before its samples, these go by its name, a counter's with
 * "_total", and the end is marked. */
static void test_the_text_is_openmetrics(void **state)
{
	const struct Metrics none = {0};
	_cleanup_free_ char *text = print(&none);
	char family[64] = "";
	bool is_counter = false, is_over = false;
	char *rest = text;

	(void)state;
	for (char *line; (line = strsep(&rest, "\n")) && rest;) {
		char name[64], type[16];
		size_t len = strcspn(line, "{ ");

		assert_false(is_over);
		is_over = streq(line, "# EOF");
		if (sscanf(line, "# TYPE %63s %15s", name, type) == 2) {
			(void)snprintf(family, sizeof(family), "%s", name);
			is_counter = streq(type, "counter");
			assert_true(is_counter || streq(type, "gauge"));
			continue;
		}
		if (is_over)
			continue;
		assert_true(*family);
		if (startswith(line, "# HELP ")) {
			assert_non_null(startswith(line + strlen("# HELP "), family));
			continue;
		}
		assert_int_equal(strncmp(line, family, strlen(family)), 0);
		if (is_counter)
			assert_string_equal(strndupa(line, len) + strlen(family), "_total");
		else
			assert_int_equal(len, strlen(family));
	}
	assert_true(is_over);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_told_each_under_its_name),
		cmocka_unit_test(test_the_text_is_openmetrics),
	};

	return RUN_TESTS("metrics", tests);
}
