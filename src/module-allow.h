/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "decide.h"
#include "module-list.h"

/* Which modules of a kernel may be loaded, and why. Pure but for what @resolve does. */

enum ModuleReason {
	MODULE_DENIED,
	MODULE_BUILTIN, /* nothing keeps it out */
	MODULE_LISTED,	/* the policy's `modules: allow` has it */
	MODULE_OUTSIDE, /* it is no driver, and the policy is not strict */
	MODULE_RULE,	/* the driver of a rule that allows devices */
	MODULE_DEVICE,	/* a device that is allowed */
	MODULE_IDS,	/* it knows ids that are allowed, for a driver whose module nothing tells */
	MODULE_HARDENED, /* the driver of a hardened device, over which the kernel decides */
	MODULE_NEEDED,	 /* one that is allowed cannot do without it */
	MODULE_SOFT,	 /* one that is allowed asks for it: a soft dependency */
	MODULE_BEHIND,	 /* it drives what a bus has that one that is allowed makes */
	_MODULE_REASON_MAX,
};

struct ModuleVerdict {
	enum ModuleReason reason;
	char *why; /* what the reason is about, not escaped; NULL where it says all */
};

static inline bool module_is_allowed(const struct ModuleVerdict *verdict)
{
	return verdict->reason > MODULE_BUILTIN;
}

/* What it depends on. */
struct ModuleQuestion {
	const struct Policy *policy;
	const struct ModuleList *list;
	const struct ModprobeConfig *config; /* whose soft dependencies count */
	struct Device *const *devices;
	const struct Decision *decisions; /* over each */
	size_t n_devices;
	/* The modules of that kernel that fit an alias, as modules_for() gives them. */
	int (*resolve)(const char *alias, char ***ret, void *userdata);
	void *userdata;
};

/* Answers for each module of the list, in its order. Adds to *notes what could not be followed up,
 * as strings that the caller frees, not escaped. Returns 0 or a negative errno, that of `resolve`
 * included; *ret is for module_verdicts_free(), with the list's number. */
int modules_judge(const struct ModuleQuestion *question, struct ModuleVerdict **ret,
		  struct Vector *notes);
void module_verdicts_free(struct ModuleVerdict *verdicts, size_t n);

/* "allowed", "denied", "built-in" */
const char *module_verdict_word(const struct ModuleVerdict *verdict);
/* Why, as a phrase, not escaped: a new string, NULL when out of memory. */
char *module_verdict_why(const struct ModuleVerdict *verdict);
/* Its name in JSON. */
const char *module_reason_to_string(enum ModuleReason reason);

/* Whether @glob of the policy's `modules: allow`, in which "-" is "_", fits the module @name. */
bool module_name_fits(const char *glob, const char *name);

/* Whether @module may talk to a device, or who built it did not say: all but what the kernel's own
 * tree has outside of drivers and sound, and outside of what reads devices below arch. And what
 * devices find by an alias, wherever it is (virtiofs, 9pnet_virtio): systemd loads some of these by
 * their names once the host shows a device for them (its src/core/kmod-setup.c). */
bool module_is_driver(const struct Module *module);
