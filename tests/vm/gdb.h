/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "util.h"

/* QEMU's end of gdb's remote protocol, as far as to run a stopped guest up to an address. */
struct gdb {
	int fd;
	char input[4096];
	size_t size;
};

/* Lets the guest run and returns when it is about to execute the instruction at @address, which
 * is a virtual one, in whatever address space. -ECONNRESET when the guest ended before. */
int gdb_run_to(struct gdb *gdb, uint64_t address, uint64_t deadline);

/* Lets the guest run. */
int gdb_run(struct gdb *gdb, uint64_t deadline);
