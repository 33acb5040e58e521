/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "module-allow.h"

/* What modprobe.d says holds for every kernel of a system: it cannot tell them apart. Pure. */

struct KernelModules {
	struct ModuleList list;
	struct ModprobeConfig config; /* with the soft dependencies of this kernel */
	struct ModuleVerdict *verdicts;
	struct Vector notes; /* of strings, owned: what could not be followed up in it */
};
void kernel_modules_done(struct KernelModules *kernel);

/* The modules of all @n kernels, each name once: what a module needs is what it does in any, and it
 * is built in where it is in each that has it. The path is that of the last kernel.
 *
 * A module is allowed where it is in each kernel that has it as one; and where in one of them an
 * allowed one cannot do without it, for that would not load otherwise. But what is no driver
 * brings none with it. *@notes gets what some kernel allows and this does not, as modules_judge()
 * adds to it. Returns 0 or -ENOMEM; the caller calls module_list_done() and module_verdicts_free()
 * in each case. */
int modules_merge(const struct KernelModules *kernels, size_t n, struct ModuleList *ret_list,
		  struct ModuleVerdict **ret_verdicts, struct Vector *notes);
