/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* What a policy wants of a device. Pointers are into the policy, valid as long as it is. */
struct Decision {
	enum Action action;
	const char *driver;	 /* with ACTION_ALLOW: the only driver that may bind; NULL: any */
	const struct Rule *rule; /* NULL where no rule matched and the bus's default decided */
};

/* Decides by the first rule that matches, else by the default. Never fails. */
void policy_decide(const struct Policy *policy, const struct Device *device, struct Decision *ret);

/* Why @decision is what it is: "FILE:NAME", "FILE:LINE" or "default for BUS". The file is its base
 * name. A new string that the caller frees, NULL when out of memory. */
char *decision_source(const struct Decision *decision, enum Bus bus);
