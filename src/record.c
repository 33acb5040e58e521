/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record.h"

#include <errno.h>
#include <stdarg.h>

#include "escape.h"
#include "log.h"
#include "names.h"

static void (*listener)(const struct Record *record, void *userdata);
static void *listener_userdata;

void record_on_record(void (*callback)(const struct Record *record, void *userdata), void *userdata)
{
	listener = callback;
	listener_userdata = userdata;
}

static void tell(const struct Record *record)
{
	if (listener && record->syspath && record->name && record->text)
		listener(record, listener_userdata);
}

/* Writes "BUS:NAME TEXT (SOURCE)" with the fields that say the same to programs. */
_printf_(6, 7) static void record(int priority, const char *message_id, const char *outcome,
				  const struct Device *device, const struct Decision *decision,
				  const char *format, ...)
{
	_cleanup_free_ char *raw_source = decision_source(decision, device->bus),
			    *source = escape_text(raw_source), *text = NULL, *line = NULL,
			    *name = NULL, *syspath = escape_text(device->syspath),
			    *sysname = escape_text(device->sysname),
			    *modalias = escape_text(device->modalias);
	const struct LogField fields[] = {
		{FIELD_DEVICE, syspath},
		{FIELD_BUS, bus_to_string(device->bus)},
		{FIELD_MODALIAS, isempty(modalias) ? NULL : modalias},
		{FIELD_ACTION, action_to_string(decision->action)},
		{FIELD_RULE, source},
		{FIELD_DRIVER, decision->driver},
		{FIELD_OUTCOME, outcome},
	};
	va_list ap;

	if (log_drops(priority))
		return;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (asprintf(&name, "%s:%s", bus_to_string(device->bus), sysname ? sysname : "?") < 0)
		name = NULL;
	if (asprintf(&line, "%s %s (%s)", name ? name : "?", text ? text : outcome,
		     source ? source : "?") < 0)
		line = NULL;
	log_record(priority, message_id, fields, ELEMENTSOF(fields), "%s",
		   line ? line : "out of memory");
	tell(&(struct Record){
		.device = device,
		.syspath = syspath,
		.name = name,
		.outcome = outcome,
		.action = action_to_string(decision->action),
		.driver = decision->driver ? decision->driver : "",
		.source = source ? source : "",
		.text = line,
	});
}

static void record_success(const struct Device *device, const struct Decision *decision,
			   const struct EnforceRequest *request, const struct EnforceReply *reply)
{
	_cleanup_free_ char *driver = escape_text(reply->driver);

	if (request->to_default) {
		record(LOG_INFO, MESSAGE_ID_DECISION, "returned", device, decision,
		       "left to the kernel again, which %s it",
		       reply->authorized ? "authorizes" : "refuses");
		return;
	}
	if (request->remove) {
		record(LOG_INFO, MESSAGE_ID_DECISION, "removed", device, decision, "removed");
		return;
	}
	if (!request->authorize) {
		record(LOG_INFO, MESSAGE_ID_DECISION, "refused", device, decision, "refused");
		return;
	}
	record(LOG_INFO, MESSAGE_ID_DECISION, "authorized", device, decision,
	       "authorized%s%s, driver: %s",
	       request->set_driver && *request->driver ? " only for " : "", request->driver,
	       isempty(driver) ? "none yet" : driver);
}

/* The participle of what was wanted. */
static const char *wanted_word(const struct EnforceRequest *request)
{
	if (request->to_default)
		return "left to the kernel";
	if (request->remove)
		return "removed";
	return request->authorize ? "authorized" : "refused";
}

void record_outcome(const struct Device *device, const struct Decision *decision,
		    const struct EnforceRequest *request, const struct EnforceReply *reply)
{
	switch (reply->error) {
	case 0:
		record_success(device, decision, request, reply);
		break;
	case -ENODEV:
		record(LOG_INFO, MESSAGE_ID_VANISHED, "vanished", device, decision,
		       "vanished before it could be %s", wanted_word(request));
		break;
	case -ETIME:
		record(LOG_ERR, MESSAGE_ID_STALLED, "stalled", device, decision, "not %s yet: %s",
		       request->authorize ? "bound" : "released",
		       enforce_explain(reply->step, reply->error));
		break;
	default:
		record(LOG_ERR, MESSAGE_ID_FAILURE, "failed", device, decision,
		       "could not be %s: %s", wanted_word(request),
		       enforce_explain(reply->step, reply->error));
		break;
	}
}

void record_unchanged(const struct Device *device, const struct Decision *decision, bool is_news)
{
	bool is_refused = device->authorized == 0;

	record(is_news && is_refused ? LOG_INFO : LOG_DEBUG, MESSAGE_ID_DECISION, "unchanged",
	       device, decision, is_refused ? "stays refused" : "stays as it is");
}

void record_waiting(const struct Device *device, const struct Decision *decision,
		    const char *parent)
{
	_cleanup_free_ char *safe = escape_text(parent);

	record(LOG_INFO, MESSAGE_ID_DECISION, "waiting", device, decision,
	       "waits for %s, which is refused", safe ? safe : "?");
}

void record_kept(const struct Device *device, const struct Decision *decision)
{
	record(LOG_INFO, MESSAGE_ID_DECISION, "kept", device, decision,
	       "stays %s, as decided earlier in this boot; \"tdx-authctl apply\", with the daemon "
	       "stopped, applies the policy anew",
	       device->authorized ? "authorized" : "refused");
}

void record_audit(const struct Device *device, const struct Decision *decision, bool is_policys)
{
	record(!action_gives(decision->action) ? LOG_INFO : LOG_DEBUG, MESSAGE_ID_DECISION, "audit",
	       device, decision, "would be \"%s\"; the %s is in audit mode and refuses nothing",
	       action_to_string(decision->action), is_policys ? "policy" : "kernel");
}

void record_unsupported(const struct Device *device, const struct Decision *decision,
			const char *why)
{
	/* that nothing holds the devices of a bus was said of the bus */
	bool is_told = decision->by == DECIDED_BY_DEFAULT && device->authorized < 0 &&
		       device->gate == GATE_NONE;

	record(is_told ? LOG_DEBUG : LOG_WARNING, MESSAGE_ID_FAILURE, "unsupported", device,
	       decision, "not as wanted: %s", why);
}

static void record_path(int priority, const char *message_id, const char *outcome,
			const char *syspath, const char *problem)
{
	_cleanup_free_ char *safe = escape_text(syspath), *line = NULL;
	const struct LogField fields[] = {{FIELD_DEVICE, safe}, {FIELD_OUTCOME, outcome}};

	if (asprintf(&line, "%s: %s", safe ? safe : "?", problem) < 0)
		line = NULL;
	log_record(priority, message_id, fields, ELEMENTSOF(fields), "%s",
		   line ? line : "out of memory");
	tell(&(struct Record){
		.syspath = safe,
		.name = safe,
		.outcome = outcome,
		.action = "",
		.driver = "",
		.source = "",
		.text = line,
	});
}

void record_vanished(const char *syspath)
{
	record_path(LOG_INFO, MESSAGE_ID_VANISHED, "vanished", syspath,
		    "vanished before it was decided over");
}

void record_unreadable(const char *syspath, int error)
{
	_cleanup_free_ char *problem = NULL;

	if (asprintf(&problem, "could not be read, so it was not decided over: %s",
		     strerror(-error)) < 0)
		problem = NULL;
	record_path(LOG_ERR, MESSAGE_ID_FAILURE, "failed", syspath,
		    problem ? problem : "out of memory");
}

void record_missing(const struct Rule *rule, unsigned admitted)
{
	_cleanup_free_ char *name = rule_name(rule), *safe = escape_text(name);
	const struct LogField fields[] = {{FIELD_RULE, safe}};

	log_record(LOG_WARNING, MESSAGE_ID_MISSING, fields, ELEMENTSOF(fields),
		   "%s: needs %u device%s and admits %u", safe ? safe : "?", rule->count.min,
		   rule->count.min == 1 ? "" : "s", admitted);
}
