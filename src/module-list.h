/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "modprobe-config.h"

/* All modules of one kernel, those that are built into it included. */

struct Module {
	char *name; /* with "_" for "-" */
	char *path; /* below lib/modules/VERSION, as depmod(8) has it */
	bool is_builtin;
	bool is_for_devices; /* it has an alias by which devices find it */
	uint32_t *needs;     /* numbers of the modules that are loaded before it, of all depths */
	size_t n_needs;
	struct Vector initcalls; /* is_builtin: of strings, owned: functions that the kernel calls
				  * at its start */
};

struct ModuleList {
	char *version;
	const char *root;	/* as given */
	char *directory;	/* /lib/modules/VERSION, below the root */
	struct Module *modules; /* by name; no name twice */
	size_t n;
	bool has_initcalls; /* there was something to learn them from */
};

/* Reads those of the kernel @version of the system at @root, NULL for this one. Returns 0; -ENOENT
 * where there is no such kernel; -ENODATA without a modules.dep or modules.alias; -EBADMSG where it
 * is none; or another negative errno. The caller calls module_list_done() in each case. */
int module_list_read(const char *root, const char *version, struct ModuleList *ret);
void module_list_done(struct ModuleList *list);

/* Adds the versions of all kernels of the system at @root, older ones first: what lib/modules has
 * with a modules.dep, without which nothing is found there. To *@incomplete, unless that is NULL,
 * it adds those that have modules and no modules.dep; a directory without either is what a kernel
 * left that was removed. They are strings that the caller frees. Returns 0; -ENOENT where there is
 * none, and -ENODATA where all lack that file; or another negative errno. */
int module_list_versions(const char *root, struct Vector *versions, struct Vector *incomplete);

/* The module of that name, in which "-" is "_", too; NULL: none. */
const struct Module *module_list_find(const struct ModuleList *list, const char *name);

/* The number of @module, which is one of them. */
size_t module_number(const struct ModuleList *list, const struct Module *module);
