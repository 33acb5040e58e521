/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "match.h"

enum DecidedBy {
	DECIDED_BY_DEFAULT, /* no rule matched */
	DECIDED_BY_RULE,
	DECIDED_BY_COUNT,     /* the rule admits as many as it may */
	DECIDED_BY_SEAL,      /* nothing is given to drivers any more */
	DECIDED_BY_FREEZE,    /* the rule admits none after the freeze */
	DECIDED_BY_FAILURE,   /* the device could not be read */
	DECIDED_BY_HAND,      /* not by the policy */
	DECIDED_BY_EXEMPTION, /* no policy speaks of it: device_exempt() */
	DECIDED_BY_MODPROBE,  /* modprobe.d refuses its modules, and no rule allows it */
};

/* What a policy wants of a device. Pointers are into the policy, valid as long as it is. */
struct Decision {
	enum Action action;
	const char *driver;	 /* with ACTION_ALLOW: the only driver that may bind; NULL: any */
	const struct Rule *rule; /* NULL where no rule matched and the bus's default decided */
	enum DecidedBy by;
	bool is_hot;		/* the device came after the start, as far as was told */
	const char *refused_by; /* with DECIDED_BY_MODPROBE: the line, as in struct Moment */
};

/* Decides by the first rule that matches, else by the default. Never fails. With an index
 * (policy-index.h) the time it takes does not depend on rules that name other devices. @moment may
 * be NULL for its zero value. */
void policy_decide(const struct Policy *policy, const struct Device *device,
		   const struct Moment *moment, struct Decision *ret);

/* The same rule after rule, whether there is an index or not. */
void policy_decide_linear(const struct Policy *policy, const struct Device *device,
			  const struct Moment *moment, struct Decision *ret);

/* Decides over @n devices in the order in which they came, which their inode numbers tell, each
 * with what the rules admit of those before it. @moment_of says when each came; NULL: all were
 * there at start. Returns 0 or -ENOMEM. */
int policy_decide_all(const struct Policy *policy, struct Device *const *devices, size_t n,
		      void (*moment_of)(const struct Device *device, struct Moment *ret,
					void *userdata),
		      void *userdata, struct Decision *ret);

/* Why @decision is what it is: "FILE:NAME", "FILE:LINE", "default for BUS" or a phrase. The file is
 * its base name, but of modprobe.d the path. A new string that the caller frees, NULL when out of
 * memory. */
char *decision_source(const struct Decision *decision, enum Bus bus);
