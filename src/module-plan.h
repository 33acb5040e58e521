/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "module-merge.h"
#include "view.h"

/* What the policy makes of the modules of a system's kernels, and the files by which that comes
 * into force. */
struct ModulePlan {
	struct View view;		/* the policy, and the devices that are known */
	struct Vector kernels;		/* of struct KernelModules: at least one */
	struct Vector versions;		/* of strings, not owned: theirs */
	struct ModuleList list;		/* the modules of all */
	struct ModuleVerdict *verdicts; /* over each module of the list */
	struct ModprobeConfig config;	/* the machine's modprobe.d */
	struct Vector left_out;		/* of strings, owned: kernels of which nothing is known */
	bool is_shadowed;    /* another file has the place of what is rendered for @root */
	bool is_told;	     /* the log has why reading failed */
	struct Vector notes; /* of strings, owned, not escaped: what could not be followed up */
	const char *root;    /* NULL: this system */
};

/* Reads the policy, the modules of options->kernels or of all that are there, and the devices:
 * those of this machine, or of options->snapshot; below another root none without one. Returns 0 or
 * a negative errno after the log told why. The caller calls module_plan_done() in each case. */
int module_plan_read(const struct Options *options, struct ModulePlan *ret);
void module_plan_done(struct ModulePlan *plan);
#define _cleanup_module_plan_ _cleanup_(module_plan_done)

/* The modules that have an alias, or that name, in any of the kernels: a list that modules_free()
 * takes. Returns how many, or a negative errno. */
int module_plan_resolve(const struct ModulePlan *plan, const char *alias, char ***ret);

/* What is in force by the policy: MODULES_OFF where it does not say. */
enum ModuleMode module_plan_mode(const struct ModulePlan *plan);

/* The two files, for the policy as it is: modprobe.d's, and the table of the gate. They are the
 * same for the same plan. The caller frees *ret_config and *ret_table. Returns 0 or -ENOMEM. */
int module_plan_render(const struct ModulePlan *plan, char **ret_config, char **ret_table);

/* A module that is denied, and that is loaded all the same, as modprobe.d goes on. */
struct ModuleHole {
	const char *module;		 /* the list's */
	const struct ModprobeLine *line; /* that is heeded in the place of ours, or NULL: ours is
					  * not there */
};

/* Looks for those in @config, which has what was rendered: for each line the first. Returns 0 or
 * -ENOMEM; adds struct ModuleHole to *ret, which point into @plan and @config. None without
 * "mode: enforce". */
int module_plan_find_holes(const struct ModulePlan *plan, const struct ModprobeConfig *config,
			   struct Vector *ret);
/* What is to be told of one: a new string, not escaped, NULL when out of memory. */
char *module_hole_text(const struct ModuleHole *hole);

/* Where the files are that are rendered for @root: below it, static; and with it, a new string,
 * NULL when out of memory. */
const char *module_plan_file(const struct ModulePlan *plan, bool table);
char *module_plan_path(const struct ModulePlan *plan, bool table);
