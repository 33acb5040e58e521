/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* In a build that counts which lines were run (-Db_coverage=true) _exit(2), which ends a forked
 * process without what exit(3) does, writes the counts as that does. Linked with --wrap=_exit:
 * ld(1).
 */

#include <unistd.h>

void __gcov_dump(void); /* libgcov: gcc's manual, "Profiling and Test Coverage in Freestanding
			 * Environments" */
__attribute__((noreturn)) void __real__exit(int status);
__attribute__((noreturn)) void __wrap__exit(int status);

void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
