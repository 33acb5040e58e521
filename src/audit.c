/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit.h"

#include <errno.h>
#include <libaudit.h>
#include <signal.h>
#include <sys/socket.h>

#include "log.h"

static int records_fd = -1; /* to the process that sends them */

/* A record on its way there. */
struct Record {
	int result; /* 1: it was done, as for audit_log_user_message(3) */
	char text[MAX_AUDIT_MESSAGE_LENGTH];
};

/* --- the text --- */

static const char *operation(const struct EnforceRequest *request)
{
	if (request->to_default)
		return "return";
	if (request->remove)
		return "remove";
	return request->authorize ? "authorize" : "refuse";
}

static void add_field(FILE *file, const char *name, const char *value)
{
	char *field = NULL;

	if (isempty(value))
		return;
	field = audit_encode_nv_string(name, value, (unsigned)strlen(value));
	if (field)
		(void)fprintf(file, " %s", field);
	free(field);
}

/* ausearch(8) decodes fields by their names, and knows none of ours: what has no blank is not
 * encoded. The words are ours, or the owner's. */
static void add_source(FILE *file, const struct Decision *decision, enum Bus bus)
{
	_cleanup_free_ char *source = decision_source(decision, bus);

	for (char *c = source; c && *c; c++)
		if (*c == ' ')
			*c = '-';
	add_field(file, "rule", source);
}

/* What the device calls itself, for people: in a field that ausearch(8) does decode. */
static void add_name(FILE *file, const struct Device *device)
{
	char name[1024] = "";
	size_t n = 0;

	for (const char *const *text = bus_info[device->bus].names; *text; text++) {
		const char *value = device_attribute(device, *text);

		if (!isempty(value) && n < sizeof(name))
			n += (size_t)snprintf(name + n, sizeof(name) - n, "%s%s", n > 0 ? " " : "",
					      value);
	}
	add_field(file, "name", name);
}

char *audit_text(const struct Device *device, const struct Decision *decision,
		 const struct EnforceRequest *request)
{
	const char *const *text = bus_info[device->bus].texts;
	char *line = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&line, &size);

	if (!file)
		return NULL;
	(void)fprintf(file, "op=%s bus=%s", operation(request), bus_to_string(device->bus));
	add_field(file, "device", device->syspath);
	add_field(file, "modalias", device->modalias);
	add_name(file, device);
	for (; *text; text++) /* what the policy goes by is read, and nothing else */
		add_field(file, *text, device_attribute(device, *text));
	add_source(file, decision, device->bus);
	add_field(file, "driver", request->set_driver ? request->driver : NULL);
	if (fclose(file) == 0)
		return line;
	free(line);
	return NULL;
}

/* --- sending --- */

void audit_outcome(const struct Device *device, const struct Decision *decision,
		   const struct EnforceRequest *request, const struct EnforceReply *reply)
{
	static bool is_loss_told;
	struct Record record = {.result = reply->error == 0};
	_cleanup_free_ char *text = NULL;
	size_t length;

	if (records_fd < 0 || reply->error == -ENODEV)
		return;
	text = audit_text(device, decision, request);
	length = text ? strnlen(text, sizeof(record.text) - 1) : 0;
	if (text)
		memcpy(record.text, text, length);
	if (text && send(records_fd, &record, offsetof(struct Record, text) + length + 1,
			 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return;
	if (!is_loss_told)
		log_warning("audit records are lost: %s",
			    !text	      ? "out of memory"
			    : errno == EAGAIN ? "the audit system does not keep up"
					      : strerror(errno));
	is_loss_told = true;
}

/* --- the process --- */

/* Nothing of the daemon's stays open but these and stdio: the process may wait for the audit system
 * when the daemon is long gone, and what that listened to would seem to be taken. */
static void close_inherited(int fd, int audit_fd)
{
	unsigned low = (unsigned)(fd < audit_fd ? fd : audit_fd);
	unsigned high = (unsigned)(fd < audit_fd ? audit_fd : fd);

	if (low > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, low - 1, 0);
	if (high > low + 1)
		(void)close_range(low + 1, high - 1, 0);
	(void)close_range(high + 1, ~0U, 0);
}

/* Until the other end is closed. What goes wrong here is told to nobody: the journal has it all. */
_Noreturn static void forward(int fd, int audit_fd)
{
	struct Record record;
	ssize_t n;

	close_inherited(fd, audit_fd);
	(void)signal(SIGPIPE, SIG_IGN);
	while ((n = recv(fd, &record, sizeof(record), 0)) > 0 || (n < 0 && errno == EINTR))
		if (n > (ssize_t)offsetof(struct Record, text))
			(void)audit_log_user_message(audit_fd, AUDIT_USER_DEVICE, record.text, NULL,
						     NULL, NULL, record.result);
	_exit(EXIT_SUCCESS);
}

/* Returns what to send records to, or a negative errno. */
static int start(void)
{
	_cleanup_close_ int audit_fd = -1, ours = -1, its = -1;
	int pair[2];
	pid_t pid;

	if (!audit_can_write())
		return -EPERM;
	audit_fd = audit_open();
	if (audit_fd < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	its = pair[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)close(take_fd(&ours)); /* or it would never see the end */
		forward(its, audit_fd);
	}
	return take_fd(&ours);
}

void audit_start(enum AuditUse use)
{
	if (use == AUDIT_NO)
		return;
	records_fd = start();
	if (records_fd < 0)
		log_record(use == AUDIT_YES ? LOG_WARNING : LOG_DEBUG, NULL, NULL, 0,
			   "no records for the audit system: %s", strerror(-records_fd));
}
