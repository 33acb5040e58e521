/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <syslog.h>

#include "util.h"

/* A field of a journal record; one with value NULL is left out. */
struct LogField {
	const char *name;
	const char *value;
};

/* Sends records to the journal when @journal is asked for and journald listens, and to standard
 * error, prefixed with @identifier, unless that ends in the journal as well (JOURNAL_STREAM,
 * systemd.exec(5)). Before the first call everything goes to standard error. */
void log_open(const char *identifier, bool journal);

/* Records of a lower urgency (a higher number) than @priority are dropped. Default: LOG_INFO. */
void log_set_max_priority(int priority);
bool log_drops(int priority);

/* From now on all records go to the kernel's log as well, which outlives an initrd, and those below
 * a warning not to standard error, which is the console there. */
void log_to_kernel(void);

/* Writes one record. @message_id (one of names.h, or NULL) and @fields go to the journal alone.
 * What came from a device must be escaped by the caller. Keeps errno. */
_printf_(5, 6) void log_record(int priority, const char *message_id, const struct LogField *fields,
			       size_t n_fields, const char *format, ...);

#define log_error(...) log_record(LOG_ERR, NULL, NULL, 0, __VA_ARGS__)
#define log_warning(...) log_record(LOG_WARNING, NULL, NULL, 0, __VA_ARGS__)
#define log_info(...) log_record(LOG_INFO, NULL, NULL, 0, __VA_ARGS__)
#define log_debug(...) log_record(LOG_DEBUG, NULL, NULL, 0, __VA_ARGS__)
