/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "circumstances.h"

#include "log.h"

void circumstances_read(const char *root, struct Circumstances *ret)
{
	int r = module_refusals_new(root, &ret->refusals);

	phase_read(&ret->phase);
	if (r < 0)
		log_warning("cannot tell which modules modprobe.d refuses: %s", strerror(-r));
}

void circumstances_done(struct Circumstances *circumstances)
{
	module_refusals_free(circumstances->refusals);
	circumstances->refusals = NULL;
}

void circumstances_moment(const struct Device *device, struct Moment *ret, void *circumstances)
{
	struct Circumstances *c = circumstances;

	phase_moment(device, ret, &c->phase);
	ret->refused_by = module_refusals_find(c->refusals, device);
}
