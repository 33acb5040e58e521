/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "module-merge.h"

/* What an owner is to be told beside the verdicts. All add to *@notes strings that the caller
 * frees, not escaped, and return 0 or -ENOMEM. */

/* What was noted of each of the @n kernels when they were judged; where it is not the same for all,
 * with the kernels that it is about. */
int module_notes_of_kernels(const struct KernelModules *kernels, size_t n, struct Vector *notes);

/* Names in the owner's `allow` that no kernel has a module for: misspelled, or called otherwise by
 * now. The list that tdx-auth brings names modules that few kernels have all of. */
int module_notes_of_allow(const struct Policy *policy, const struct ModuleList *list,
			  struct Vector *notes);

/* Modules that the policy allows, and that a line of the machine's own in @config keeps out. */
int module_notes_of_refusals(const struct ModuleList *list, const struct ModuleVerdict *verdicts,
			     const struct ModprobeConfig *config, struct Vector *notes);
