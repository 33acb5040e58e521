/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

/* Prints the last @lines lines of the file @path to @out, escaped: what a guest says is the
 * host's words too. */
void serial_log_print_tail(FILE *out, const char *path, unsigned int lines);
