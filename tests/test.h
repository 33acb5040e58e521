/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* cmocka(3) wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RUN_TESTS(name, tests) cmocka_run_group_tests_name(name, tests, NULL, NULL)
