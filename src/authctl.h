/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"
#include "vector.h"

/* Exit statuses of tdx-authctl(1). */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3, /* by policy, freeze or seal */
	EXIT_NO_DEVICE = 4,
};

/* The exit status for a negative errno of find_device(), of a write, or of client_call(). */
int exit_status_of(int error);

struct Options {
	const char *policy;    /* NULL: the drop-ins */
	const char *root;      /* NULL: the running system's; without a slash at its end */
	const char *driver;    /* NULL: not given */
	const char *snapshot;  /* NULL: the devices that are there */
	const char *expect;    /* NULL: not given */
	const char *profile;   /* NULL: not given */
	struct Vector kernels; /* of strings, not owned; none: all that are there */
	bool i_know;
	bool permanent;
	bool remove;
	bool json;
	bool initrd;
	bool refused;
	bool tree;
	bool no_legend;
	bool full;
};

/* A verb gets its own arguments, already counted, and returns an exit status. */
typedef int (*verb_run_t)(const struct Options *options, char *const *args);

int verb_list(const struct Options *options, char *const *args);
int verb_show(const struct Options *options, char *const *args);
int verb_explain(const struct Options *options, char *const *args);
int verb_why(const struct Options *options, char *const *args);
int verb_authorize(const struct Options *options, char *const *args);
int verb_deny(const struct Options *options, char *const *args);
int verb_freeze(const struct Options *options, char *const *args);
int verb_seal(const struct Options *options, char *const *args);
int verb_reload(const struct Options *options, char *const *args);
int verb_status(const struct Options *options, char *const *args);
int verb_monitor(const struct Options *options, char *const *args);
int verb_apply(const struct Options *options, char *const *args);
int verb_enable(const struct Options *options, char *const *args);
int verb_disable(const struct Options *options, char *const *args);
int verb_udev(const struct Options *options, char *const *args);
int verb_snapshot(const struct Options *options, char *const *args);
int verb_diff(const struct Options *options, char *const *args);
int verb_modules_list(const struct Options *options, char *const *args);
int verb_modules_render(const struct Options *options, char *const *args);
int verb_modules_check(const struct Options *options, char *const *args);
int verb_modules_explain(const struct Options *options, char *const *args);
int verb_policy_check(const struct Options *options, char *const *args);
int verb_policy_show(const struct Options *options, char *const *args);
int verb_policy_generate(const struct Options *options, char *const *args);
int verb_policy_test(const struct Options *options, char *const *args);

/* All of tdx-authctl(1) but main(). Returns its exit status. */
int authctl_main(int argc, char **argv);
