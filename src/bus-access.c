/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "bus-internal.h"
#include "names.h"

/* One check for every method that is not free to all. Root may, and on the socket there is nobody
 * else. On the system bus the bus says who calls, and for others polkit says whether they may. All
 * of that is asked without waiting; what the call was about is looked at again when it is carried
 * out. Whatever goes wrong is a no. */

#define BUS_DRIVER "org.freedesktop.DBus" /* D-Bus Specification: message bus messages */
#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define ALLOW_USER_INTERACTION 1 /* its CheckAuthorizationFlags */

#define PERSON_PATIENCE_USEC (300 * UINT64_C(1000000)) /* for who has to type a password */

static void deny(struct BusCall *call)
{
	bus_call_fail(call, SD_BUS_ERROR_ACCESS_DENIED,
		      "only root may, and whom polkit says it may");
}

/* --- polkit --- */

static void ask_polkit(struct BusCall *call, const char *action);

static bool is_interactive(const struct BusCall *call)
{
	return sd_bus_message_get_allow_interactive_authorization(call->message) > 0;
}

static void on_yes(struct BusCall *call)
{
	if (!call->decision.permanent || call->is_asked_for_permanent) {
		bus_call_go_on(call);
		return;
	}
	call->is_asked_for_permanent = true;
	ask_polkit(call, POLKIT_PERMANENT);
}

/* Returns false where there is no answer that says anything. */
static bool read_answer(sd_bus_message *reply, int *ret_is_authorized, int *ret_is_challenge)
{
	return !sd_bus_message_is_method_error(reply, NULL) &&
	       sd_bus_message_enter_container(reply, 'r', "bba{ss}") >= 0 &&
	       sd_bus_message_read(reply, "bb", ret_is_authorized, ret_is_challenge) >= 0;
}

static int on_polkit(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct BusCall *call = userdata;
	int is_authorized = false, is_challenge = false;

	if (!read_answer(reply, &is_authorized, &is_challenge))
		is_authorized = is_challenge = false;
	if (is_authorized)
		on_yes(call);
	else if (is_challenge && !is_interactive(call))
		bus_call_fail(call, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
			      "somebody has to authenticate for this");
	else
		deny(call);
	return 0;
}

static int fill_question(sd_bus_message *question, const struct BusCall *call, const char *action)
{
	int r = sd_bus_message_append(question, "(sa{sv})", "system-bus-name", 1, "name", "s",
				      sd_bus_message_get_sender(call->message));

	if (r >= 0)
		r = sd_bus_message_append(question, "s", action);
	if (r >= 0)
		r = sd_bus_message_append(question, "a{ss}us", 0,
					  is_interactive(call) ? ALLOW_USER_INTERACTION : 0, "");
	return r;
}

static void ask_polkit(struct BusCall *call, const char *action)
{
	sd_bus *bus = sd_bus_message_get_bus(call->message);
	sd_bus_message *question = NULL;
	int r;

	call->question = sd_bus_slot_unref(call->question);
	r = sd_bus_message_new_method_call(bus, &question, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_INTERFACE, "CheckAuthorization");
	if (r >= 0)
		r = fill_question(question, call, action);
	if (r >= 0)
		r = sd_bus_call_async(bus, &call->question, question, on_polkit, call,
				      is_interactive(call) ? PERSON_PATIENCE_USEC : 0);
	sd_bus_message_unref(question);
	if (r < 0)
		deny(call);
}

/* --- who calls --- */

/* How many calls of the same user wait for polkit. */
static unsigned count_of_user(const struct BusServer *server, uid_t uid)
{
	unsigned n = 0;

	for (const struct BusCall *c = server->calls; c; c = c->next)
		n += c->is_checked && c->uid == uid;
	return n;
}

static void fail_at_limit(struct BusCall *call)
{
	bus_call_fail(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
		      "too many calls wait for an answer whether they may be made");
}

static void ask_for_user(struct BusCall *call, uid_t uid)
{
	if (count_of_user(call->server, uid) >= BUS_CHECKS_USER) {
		fail_at_limit(call);
		return;
	}
	call->uid = uid;
	ask_polkit(call, call->method->action);
}

static int on_user(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct BusCall *call = userdata;
	const char *sender = sd_bus_message_get_sender(reply);
	uint32_t uid;

	if (sd_bus_message_is_method_error(reply, NULL) || !sender || !streq(sender, BUS_DRIVER) ||
	    sd_bus_message_read(reply, "u", &uid) < 0)
		deny(call);
	else if (uid == 0)
		bus_call_go_on(call);
	else
		ask_for_user(call, uid);
	return 0;
}

/* How many calls of the same caller wait for the check. */
static unsigned count_checks(const struct BusCall *call, const char *sender)
{
	unsigned n = 0;

	for (const struct BusCall *c = call->server->calls; c; c = c->next)
		n += c->is_checked && streq(sd_bus_message_get_sender(c->message), sender);
	return n;
}

static void check_on_bus(struct BusCall *call)
{
	const char *sender = sd_bus_message_get_sender(call->message);

	if (!sender || !call->method->action) {
		deny(call);
		return;
	}
	if (call->server->n_checks >= BUS_CHECKS_MAX ||
	    count_checks(call, sender) >= BUS_CHECKS_EACH) {
		fail_at_limit(call);
		return;
	}
	call->is_checked = true;
	call->server->n_checks++;
	if (sd_bus_call_method_async(sd_bus_message_get_bus(call->message), &call->question,
				     BUS_DRIVER, "/org/freedesktop/DBus", BUS_DRIVER,
				     "GetConnectionUnixUser", on_user, call, "s", sender) < 0)
		deny(call);
}

void bus_access_check(struct BusCall *call)
{
	const struct BusConnection *connection = bus_connection_of(call->server, call->message);

	if (!connection)
		deny(call);
	else if (connection->is_system)
		check_on_bus(call);
	else
		bus_call_go_on(call);
}
