/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* Whether what "tdx-authctl modules render" made is what the policy asks for and fits the kernel
 * that runs, as far as the head of its file in modprobe.d tells: which modules and devices there
 * were it does not, for that is "modules check". */

/* What that head has in lines of their own, and MODULE_ASKS. */
#define MODULE_KERNEL "# Kernel: " /* escaped */
#define MODULE_MODE "# Mode: "

enum RenderedState {
	RENDERED_CURRENT,      /* or nothing is there, and nothing asked for */
	RENDERED_NOTHING,      /* but something is asked for */
	RENDERED_OTHER_MODE,   /* than the policy has */
	RENDERED_OTHER_POLICY, /* which asked for other modules */
	RENDERED_OTHER_KERNEL, /* than the one that runs, which has modules */
	RENDERED_UNKNOWN,      /* by a version that did not say what of, or not to be read */
	_RENDERED_STATE_MAX,
};

struct Rendered {
	enum RenderedState state;
	enum ModuleMode wanted, mode; /* the policy's; and _MODULES_INVALID: nothing is there */
	struct Vector kernels;	      /* of strings, owned, not escaped: that it is for */
	char *running;		      /* the kernel that runs, or NULL */
};

/* Compares what is in force on this system. Returns 0 or -ENOMEM; the caller calls rendered_done()
 * in each case. */
int rendered_compare(const struct Policy *policy, struct Rendered *ret);
/* The same of the file @config, for the kernels of these versions, which has to be for each and for
 * no other; `running` is not told. */
int rendered_compare_for(const struct Policy *policy, const char *config,
			 const struct Vector *kernels, struct Rendered *ret);
void rendered_done(struct Rendered *rendered);

/* A word of tdx-authctl(1). */
const char *rendered_state_to_string(enum RenderedState state);
/* The same in words, with what mends it, escaped: a new string, NULL when out of memory. */
char *rendered_text(const struct Rendered *rendered);

/* Has the log tell where it is not current. */
void rendered_warn(const struct Policy *policy);
