/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* cmocka(3) wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

/* TEST_FILTER in the environment: a glob on the names of those to run. */
#define RUN_TESTS_WITH(name, tests, setup, teardown)                                               \
	(cmocka_set_test_filter(getenv("TEST_FILTER")),                                            \
	 cmocka_run_group_tests_name(name, tests, setup, teardown))

#define RUN_TESTS(name, tests) RUN_TESTS_WITH(name, tests, NULL, NULL)
