/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the benches of guests share. */

#include <stddef.h>

typedef int (*bench_run_t)(size_t i, void *userdata);

/* Calls run() with 0 to n - 1, each in a process of its own, as many at a time as there are
 * processors; what they find they leave in memory that is shared. Each error is for run() to print.
 * Returns 0 when all have ended and none failed, else a negative errno. */
int bench_run_each(size_t n, bench_run_t run, void *userdata);

/* For qsort(3). */
int bench_compare_double(const void *a, const void *b);
