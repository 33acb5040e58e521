/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "arguments.h"
#include "vm.h"

/* What a guest is made of. */
struct machine {
	const struct vm_options *options;
	const char *lab;   /* the directory that image.sh lays out */
	const char *log;   /* where the serial log goes */
	const char *trace; /* where a trace goes, if options ask for one */
	int qmp_fd;	   /* sockets that QEMU inherits */
	int agent_fd;	   /* -1: none, the terminal is the console */
};

/* Appends QEMU's arguments for @machine. -ENOENT names, on stderr, what is missing in the lab. */
int machine_arguments(const struct machine *machine, struct arguments *a);

/* For the child of @parent: becomes QEMU with @a, which ends when @parent does. Of what is open
 * only the @n descriptors in @fds get through to it, and what it prints goes to stderr. */
_Noreturn void machine_become(const struct arguments *a, const int *fds, size_t n, pid_t parent);
