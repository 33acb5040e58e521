/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "bus-internal.h"
#include "names.h"

static const char *const problem_names[_PROBLEM_MAX] = {
	[PROBLEM_FAILED] = BUS_ERROR("Failed"),
	[PROBLEM_NO_SUCH_DEVICE] = BUS_ERROR("NoSuchDevice"),
	[PROBLEM_AMBIGUOUS] = SD_BUS_ERROR_INVALID_ARGS,
	[PROBLEM_FROZEN] = BUS_ERROR("Frozen"),
	[PROBLEM_SEALED] = BUS_ERROR("Sealed"),
	[PROBLEM_NOT_SUPPORTED] = BUS_ERROR("NotSupported"),
	[PROBLEM_EXEMPT] = BUS_ERROR("Exempt"),
	[PROBLEM_POLICY_REFUSED] = BUS_ERROR("PolicyRefused"),
	[PROBLEM_STALLED] = BUS_ERROR("Stalled"),
	[PROBLEM_KERNEL_NOT_LOCKED] = BUS_ERROR("KernelNotLocked"),
	[PROBLEM_NOT_SAVED] = BUS_ERROR("NotSaved"),
	[PROBLEM_BUSY] = SD_BUS_ERROR_LIMITS_EXCEEDED,
};

static struct BusCall *call_new(struct BusServer *server, const struct BusMethod *method,
				sd_bus_message *message)
{
	struct BusCall *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->server = server;
	call->method = method;
	call->message = sd_bus_message_ref(message);
	call->next = server->calls;
	call->link = &server->calls;
	if (call->next)
		call->next->link = &call->next;
	server->calls = call;
	server->n_calls++;
	return call;
}

void bus_call_free(struct BusCall *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	call->server->n_calls--;
	call->server->n_checks -= call->is_checked;
	sd_bus_slot_unref(call->question);
	sd_bus_message_unref(call->message);
	free(call);
}

/* --- its way --- */

static const struct BusMethod *find_method(const struct BusMethod *method, const char *member)
{
	while (member && method->member && !streq(method->member, member))
		method++;
	return member && method->member ? method : NULL;
}

int bus_call_start(struct BusServer *server, const struct BusMethod *methods, ino_t ino,
		   sd_bus_message *message, sd_bus_error *error)
{
	const struct BusMethod *method = find_method(methods, sd_bus_message_get_member(message));
	struct BusCall *call;
	int r = 0;

	if (!method || method->access == BUS_ACCESS_NONE)
		return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "nobody may");
	if (server->n_calls >= BUS_CALLS_MAX)
		return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					"too many calls are not answered yet");
	call = call_new(server, method, message);
	if (!call)
		return -ENOMEM;
	call->ino = ino;
	if (method->parse)
		r = method->parse(call, error);
	if (r < 0) {
		bus_call_free(call);
		return r;
	}
	if (method->access == BUS_ACCESS_FREE)
		bus_call_go_on(call);
	else
		bus_access_check(call);
	return 1;
}

void bus_call_go_on(struct BusCall *call)
{
	call->server->n_checks -= call->is_checked;
	call->is_checked = false;
	call->method->carry_out(call);
}

/* --- its ends --- */

void bus_call_fail(struct BusCall *call, const char *name, const char *text)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	(void)sd_bus_error_set(&error, name, text);
	(void)sd_bus_reply_method_error(call->message, &error);
	sd_bus_error_free(&error);
	bus_call_free(call);
}

int bus_call_new_reply(struct BusCall *call, sd_bus_message **ret)
{
	return sd_bus_message_new_method_return(call->message, ret);
}

void bus_call_answer(struct BusCall *call, sd_bus_message *reply, int r)
{
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	/* what does not fit into a message, or into memory */
	if (r < 0 && r != -ENOTCONN && r != -ECONNRESET) {
		bus_call_fail(call, problem_names[PROBLEM_FAILED], strerror(-r));
		return;
	}
	bus_call_free(call);
}

void bus_call_done(struct BusCall *call, enum Problem problem, const char *text, const char *driver)
{
	sd_bus_message *reply = NULL;
	int r;

	if (problem != PROBLEM_NONE) {
		bus_call_fail(call, problem_names[problem], text);
		return;
	}
	r = bus_call_new_reply(call, &reply);
	if (r >= 0 && driver)
		r = sd_bus_message_append(reply, "s", driver);
	bus_call_answer(call, reply, r);
}
