/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "enforce.h"

/* The records that the daemon leaves of what it saw, decided and did: one line for people, fields
 * for the journal. All that came from a device is escaped here. */
void record_outcome(const struct Device *device, const struct Decision *decision,
		    const struct EnforceRequest *request, const struct EnforceReply *reply);
void record_unchanged(const struct Device *device, const struct Decision *decision);
void record_waiting(const struct Device *device, const struct Decision *decision,
		    const char *parent);
void record_kept(const struct Device *device, const struct Decision *decision);
void record_audit(const struct Device *device, const struct Decision *decision);
void record_unsupported(const struct Device *device, const struct Decision *decision,
			const char *why);
void record_vanished(const char *syspath);
void record_unreadable(const char *syspath, int error);
/* A rule that admits fewer devices than it needs. */
void record_missing(const struct Rule *rule, unsigned admitted);
