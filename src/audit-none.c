/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit.h"

#include "log.h"

/* In the place of audit.c where there is no libaudit. */

void audit_start(enum AuditUse use)
{
	if (use == AUDIT_YES)
		log_warning("built without the audit system, so there are no records for it");
}

void audit_outcome(const struct Device *device, const struct Decision *decision,
		   const struct EnforceRequest *request, const struct EnforceReply *reply)
{
}
