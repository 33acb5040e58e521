/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-start.h"

#include <errno.h>

#include "log.h"
#include "names.h"
#include "phase.h"
#include "policy-files.h"
#include "util.h"

static int load_in_force(struct Policy **ret)
{
	_cleanup_free_ char *path = runtime_path(POLICY_IN_FORCE);

	return path ? policy_load_in_force(path, ret) : -ENOMEM;
}

int policy_start(const char *file, struct PolicyStart *ret)
{
	struct Phase phase;
	int r;

	phase_read(&phase);
	*ret = (struct PolicyStart){.is_frozen = phase.is_frozen};
	r = phase.is_frozen ? load_in_force(&ret->policy) : policy_load(file, &ret->policy);
	ret->error = r < 0 ? r : 0;
	if (r >= 0 || (file && !phase.is_frozen))
		return r;
	ret->policy = policy_new();
	if (!ret->policy)
		return r;
	log_error("the built-in policy is in force: usb and thunderbolt are denied, the kernel "
		  "decides over the rest");
	return 0;
}
