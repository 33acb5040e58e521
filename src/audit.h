/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "enforce.h"

/* Records of the Linux audit system (auditd(8)), beside those of the journal: of each verdict that
 * was carried out, or could not be. Built without libaudit, there are none. */

/* Has a process of its own, which ends with this one, take records from now on: the kernel makes
 * who sends one wait, up to a minute, while auditd does not keep up (kernel/audit.c,
 * audit_receive()). To be called at most once, early: the process keeps what memory there is now.
 */
void audit_start(enum AuditUse use);

/* Sends a record without ever waiting; one too many is lost, which is logged once. @reply->error is
 * what became of @request; a device that vanished is no news. */
void audit_outcome(const struct Device *device, const struct Decision *decision,
		   const struct EnforceRequest *request, const struct EnforceReply *reply);

/* The record's text: "op=refuse bus=pci device=...", each value that comes from a device or a
 * policy as the audit system wants what it does not trust, in quotes, or in hexadecimal where it
 * has a blank, a quote, or what is no printable ASCII character. ausearch -i decodes "device" and
 * "name", as auparse/typetab.h of audit has them, and no field of another name; in "rule" blanks
 * are hyphens. A new string that the caller frees; NULL when out of memory. */
char *audit_text(const struct Device *device, const struct Decision *decision,
		 const struct EnforceRequest *request);
