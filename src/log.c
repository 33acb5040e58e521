/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "names.h"

#define MAX_FIELDS 16
#define KERNEL_LINE_MAX 960 /* what is longer is refused: devkmsg_write(), LOG_LINE_MAX */

static const char *log_identifier = "tdx-auth";
static bool to_journal, to_stderr = true, to_kernel;
static int max_priority = LOG_INFO, max_stderr_priority = LOG_DEBUG;

void log_open(const char *identifier, bool journal)
{
	log_identifier = identifier;
	to_journal = journal && access(JOURNAL_SOCKET, W_OK) == 0;
	to_stderr = !to_journal || !getenv("JOURNAL_STREAM");
}

void log_set_max_priority(int priority)
{
	max_priority = priority;
}

bool log_drops(int priority)
{
	return priority > max_priority;
}

void log_to_kernel(void)
{
	to_kernel = true;
	max_stderr_priority = LOG_ERR;
}

/* The kernel limits how much comes through one descriptor (kernel/printk/printk.c,
 * devkmsg_write()): each record has its own. */
static void send_to_kernel(int priority, const char *message)
{
	_cleanup_close_ int fd = open(KERNEL_LOG, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
	_cleanup_free_ char *line = NULL;
	int n = asprintf(&line, "<%d>%s: %s\n", LOG_DAEMON | priority, log_identifier, message);

	if (n < 0) {
		line = NULL;
		return;
	}
	/* not by dprintf(3): that of glibc before 2.37 seeks first, which the file refuses
	 * (kernel/printk/printk.c, devkmsg_llseek()) */
	if (fd >= 0)
		(void)!write(fd, line, n < KERNEL_LINE_MAX ? (size_t)n : KERNEL_LINE_MAX);
}

static bool add_field(struct iovec *iov, size_t *n, const char *name, const char *value)
{
	char *field;

	if (!value)
		return true;
	if (*n >= MAX_FIELDS || asprintf(&field, "%s=%s", name, value) < 0)
		return false;
	iov[(*n)++] = (struct iovec){field, strlen(field)};
	return true;
}

static int send_to_journal(int priority, const char *message_id, const struct LogField *fields,
			   size_t n_fields, const char *message)
{
	struct iovec iov[MAX_FIELDS];
	size_t n = 0;
	char level[2] = {(char)('0' + priority), '\0'};
	bool ok = add_field(iov, &n, "MESSAGE", message) && add_field(iov, &n, "PRIORITY", level) &&
		  add_field(iov, &n, "SYSLOG_IDENTIFIER", log_identifier) &&
		  add_field(iov, &n, "MESSAGE_ID", message_id);
	int r = -ENOMEM;

	for (size_t i = 0; ok && i < n_fields; i++)
		ok = add_field(iov, &n, fields[i].name, fields[i].value);
	if (ok)
		r = sd_journal_sendv(iov, (int)n);
	for (size_t i = 0; i < n; i++)
		free(iov[i].iov_base);
	return r;
}

void log_record(int priority, const char *message_id, const struct LogField *fields,
		size_t n_fields, const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	int saved_errno = errno;
	bool sent = false;
	va_list ap;

	if (log_drops(priority))
		return;
	va_start(ap, format);
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	va_end(ap);
	if (to_journal && message)
		sent = send_to_journal(priority, message_id, fields, n_fields, message) >= 0;
	if (to_kernel && message)
		send_to_kernel(priority, message);
	if ((to_stderr || !sent) && priority <= max_stderr_priority)
		(void)fprintf(stderr, "%s: %s\n", log_identifier,
			      message ? message : "out of memory");
	errno = saved_errno;
}
