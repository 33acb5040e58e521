/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The terminal that standard output is, if it is one. */

/* Its columns; 0: it is none, or does not say. $COLUMNS goes before what it says. */
size_t terminal_width(void);

/* Whether it is one that shows colours and whose owner wants them: $TERM, $NO_COLOR (no-color.org).
 */
bool terminal_has_colours(void);

/* Whether what is printed is read as UTF-8: $LC_ALL, $LC_CTYPE, $LANG. */
bool terminal_is_utf8(void);

/* Has what is printed from now on go through a pager where standard output is a terminal:
 * $TDX_AUTH_PAGER, $PAGER, else less(1) or more(1); "" and "cat" are none. less(1) is told to run
 * no commands (LESSSECURE), and ends by itself where all fits a screen. The end of the process
 * waits for it. Without a terminal, or without memory, nothing happens. */
void pager_open(void);

/* Whether that was done: who reads may end before all was printed. */
bool pager_is_open(void);
