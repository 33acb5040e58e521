/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "enforce.h"

/* The records that the daemon leaves of what it saw, decided and did: one line for people, fields
 * for the journal. All that came from a device is escaped here. */
/* What a record says about a device, all of it escaped. */
struct Record {
	const struct Device *device; /* NULL: it could not be read */
	const char *syspath;
	const char *name; /* "BUS:NAME", or the path where there is no device */
	const char *outcome;
	const char *action; /* "" unknown, as the next two */
	const char *driver;
	const char *source;
	const char *text; /* the line for people */
};

/* Has @callback called for every record about a device that is not dropped as unimportant, until it
 * is NULL. */
void record_on_record(void (*callback)(const struct Record *record, void *userdata),
		      void *userdata);

void record_outcome(const struct Device *device, const struct Decision *decision,
		    const struct EnforceRequest *request, const struct EnforceReply *reply);
/* @is_news: the device was just plugged; that it stays refused is told then. */
void record_unchanged(const struct Device *device, const struct Decision *decision, bool is_news);
void record_waiting(const struct Device *device, const struct Decision *decision,
		    const char *parent);
void record_kept(const struct Device *device, const struct Decision *decision);
void record_audit(const struct Device *device, const struct Decision *decision, bool is_policys);
void record_unsupported(const struct Device *device, const struct Decision *decision,
			const char *why);
void record_vanished(const char *syspath);
void record_unreadable(const char *syspath, int error);
/* A rule that admits fewer devices than it needs. */
void record_missing(const struct Rule *rule, unsigned admitted);
