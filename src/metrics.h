/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "enums.h"

/* Numbers for who watches many machines, as OpenMetrics (1.0), which the textfile collector of
 * Prometheus' node_exporter reads as well. */
struct Metrics {
	uint64_t devices[_BUS_MAX][_ACTION_MAX]; /* by what the policy wants of them */
	uint64_t authorized, refused, returned, failed, unsupported; /* since the start */
	uint64_t overflows;	    /* times that events were lost */
	uint64_t forged, malformed; /* messages that were dropped */
	uint64_t rules, missing_rules;
	uint64_t loads;	     /* of a policy, since the start */
	int64_t loaded_usec; /* when the last was, since 1970, in microseconds */
	bool policy_refused; /* the policy that is installed could not be loaded */
	bool impaired;	     /* the self-test failed */
	bool frozen, sealed;
};

void metrics_print(FILE *file, const struct Metrics *metrics);

/* Writes them to a file in /run/tdx-auth, whole or not at all. Returns 0 or a negative errno. */
int metrics_write(const struct Metrics *metrics);

/* Takes away what an earlier run wrote: numbers that nobody keeps true any more. */
void metrics_remove(void);
