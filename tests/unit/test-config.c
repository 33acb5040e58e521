/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "test.h"
#include "util.h"

/* Where the manual and the shipped file are. */
#define MANUAL_VARIABLE "TEST_CONFIG_MANUAL"
#define SHIPPED_VARIABLE "TEST_CONFIG_SHIPPED"

static char *read_text(const char *variable)
{
	const char *path = getenv(variable);
	_cleanup_fclose_ FILE *file = path ? fopen(path, "re") : NULL;
	char *text = NULL;
	size_t size = 0;

	if (!file)
		fail_msg("%s is not set to a file", variable);
	assert_true(getdelim(&text, &size, '\0', file) > 0);
	return text;
}

static struct Config parse(const char *text)
{
	struct Config config = {0};
	struct ParseErrors errors;

	if (config_parse(text, strlen(text), &config, &errors) < 0)
		fail_msg("%u:%u: %s", errors.items[0].line, errors.items[0].column,
			 errors.items[0].message);
	return config;
}

static void expect_refused(const char *text, unsigned line, unsigned column, const char *message)
{
	struct Config config = config_defaults;
	struct ParseErrors errors;

	assert_int_equal(config_parse(text, strlen(text), &config, &errors), -EBADMSG);
	assert_int_equal(errors.n, 1);
	assert_string_equal(errors.items[0].message, message);
	assert_int_equal(errors.items[0].line, line);
	assert_int_equal(errors.items[0].column, column);
	assert_memory_equal(&config, &config_defaults, sizeof(config));
	parse_errors_done(&errors);
}

static void expect_defaults(struct Config config)
{
	assert_int_equal(config.workers, config_defaults.workers);
	assert_int_equal(config.write_timeout_sec, config_defaults.write_timeout_sec);
	assert_int_equal(config.log_level, config_defaults.log_level);
	assert_int_equal(config.audit, config_defaults.audit);
	assert_int_equal(config.metrics, config_defaults.metrics);
	assert_int_equal(config.bus_connections_max, config_defaults.bus_connections_max);
}

static void test_what_is_not_said_has_its_default(void **state)
{
	struct Config config = parse("version: 1\nworkers: 8\n");

	(void)state;
	assert_int_equal(config.workers, 8);
	config.workers = config_defaults.workers;
	expect_defaults(config);
}

static void test_every_key_sets_what_it_says(void **state)
{
	struct Config config = parse("version: 1\nworkers: 1\nwrite-timeout-sec: 600\n"
				     "log-level: warning\naudit: no\nmetrics: false\n"
				     "bus-connections-max: 256\n");

	(void)state;
	assert_int_equal(config.workers, 1);
	assert_int_equal(config.write_timeout_sec, 600);
	assert_int_equal(config.log_level, LOG_WARNING);
	assert_int_equal(config.audit, AUDIT_NO);
	assert_false(config.metrics);
	assert_int_equal(config.bus_connections_max, 256);
}

static void test_what_is_wrong_is_refused_with_its_place(void **state)
{
	(void)state;
	expect_refused("version: 1\nworker: 4\n", 2, 1,
		       "unknown key \"worker\", the nearest valid one is \"workers\"");
	expect_refused("version: 1\nworkers: 1\nworkers: 2\n", 3, 1, "\"workers\" is given twice");
	expect_refused("version: 1\nworkers: 9\n", 2, 10,
		       "\"workers\" takes a number from 1 to 8, not \"9\"");
	expect_refused("version: 1\nworkers: 0\n", 2, 10,
		       "\"workers\" takes a number from 1 to 8, not \"0\"");
	expect_refused("version: 1\nwrite-timeout-sec: 10s\n", 2, 20,
		       "\"write-timeout-sec\" takes a number from 1 to 600, not \"10s\"");
	expect_refused("version: 1\nlog-level: debugg\n", 2, 12,
		       "unknown level \"debugg\", the nearest valid one is \"debug\"");
	expect_refused("version: 1\naudit: true\n", 2, 8,
		       "unknown value \"true\", known are: auto, yes, no");
	expect_refused("version: 1\nmetrics: yes\n", 2, 10, "\"metrics\" takes true or false");
	expect_refused("version: 1\nmetrics: [true]\n", 2, 10,
		       "\"metrics\" takes a single value, not a list");
	expect_refused("version: 1\nbus-connections-max: 257\n", 2, 22,
		       "\"bus-connections-max\" takes a number from 1 to 256, not \"257\"");
}

static void test_the_shipped_file_says_the_defaults(void **state)
{
	_cleanup_free_ char *text = read_text(SHIPPED_VARIABLE);

	(void)state;
	expect_defaults(parse(text));
	for (size_t i = 0; config_key(i); i++)
		assert_non_null(strstr(text, config_key(i)));
}

static bool is_key(const char *name)
{
	for (size_t i = 0; config_key(i); i++)
		if (streq(config_key(i), name))
			return true;
	return false;
}

/* A key of the manual is a paragraph of its own, "*workers*" and what it takes. */
static void test_the_manual_has_every_key_and_no_other(void **state)
{
	_cleanup_free_ char *text = read_text(MANUAL_VARIABLE);
	char *rest = NULL;
	size_t n = 0, known = 0;

	(void)state;
	while (config_key(known))
		known++;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char name[32];

		if (sscanf(line, "*%31[a-z-]*", name) != 1 || !streq(line + 1 + strlen(name), "*"))
			continue;
		if (!is_key(name))
			fail_msg("the manual has a key \"%s\"", name);
		n++;
	}
	assert_int_equal(n, known);
}

static void test_the_example_of_the_manual_is_a_configuration(void **state)
{
	static const char fence[] = "```\n";
	_cleanup_free_ char *text = read_text(MANUAL_VARIABLE), *example = NULL;
	const char *begin = strstr(text, fence), *end;

	(void)state;
	assert_non_null(begin);
	begin += strlen(fence);
	end = strstr(begin, fence);
	assert_non_null(end);
	example = strndup(begin, (size_t)(end - begin));
	assert_non_null(example);
	assert_int_equal(parse(example).log_level, LOG_DEBUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_said_has_its_default),
		cmocka_unit_test(test_every_key_sets_what_it_says),
		cmocka_unit_test(test_what_is_wrong_is_refused_with_its_place),
		cmocka_unit_test(test_the_shipped_file_says_the_defaults),
		cmocka_unit_test(test_the_manual_has_every_key_and_no_other),
		cmocka_unit_test(test_the_example_of_the_manual_is_a_configuration),
	};

	return RUN_TESTS("config", tests);
}
