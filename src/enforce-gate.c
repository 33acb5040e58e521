/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "enforce-gate.h"

#include <errno.h>

#include "bind.h"
#include "driver-gate.h"
#include "names.h"
#include "sysfs-io.h"

/* What is being done, and to what. */
struct Act {
	const struct EnforceRequest *request;
	struct BindTarget target;
	struct EnforceReply *reply;
};

static int note(struct Act *act, enum EnforceStep step, int error)
{
	if (error < 0 && act->reply->error == 0) {
		act->reply->step = step;
		act->reply->error = error;
	}
	return error;
}

static void copy(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from ? from : "");
}

static int read_driver(struct Act *act)
{
	_cleanup_free_ char *driver = NULL;
	int r = sysfs_read_link(act->target.dirfd, "driver", &driver);

	copy(act->reply->driver, sizeof(act->reply->driver), driver);
	return r == -ENOENT ? 0 : r;
}

/* Fills in the reply. -EEXIST: somebody else has a say. */
static int read_state(struct Act *act)
{
	struct EnforceReply *reply = act->reply;
	struct GateState state = {0};
	int r = read_driver(act);

	reply->authorized = -1;
	reply->authorized_by = _ORIGIN_INVALID;
	reply->authorized_driver[0] = '\0';
	if (r == 0)
		r = gate_read(act->target.dirfd, act->request->bus,
			      *reply->driver ? reply->driver : NULL, &state);
	if (r == 0 && state.override)
		r = -EEXIST;
	if (r == 0 && state.gate != act->request->gate)
		r = -ENOENT;
	if (r == 0) {
		reply->authorized = state.authorized;
		copy(reply->authorized_driver, sizeof(reply->authorized_driver),
		     state.authorized_driver);
	}
	free(state.authorized_driver);
	free(state.override);
	return r;
}

/* "\n" for none: driver_set_override() */
static int set_override(struct Act *act, enum EnforceStep step, const char *word,
			const char *driver)
{
	char text[sizeof(OVERRIDE_ONLY) + POLICY_DRIVER_MAX];

	if (act->request->gate != GATE_OVERRIDE)
		return 0;
	(void)snprintf(text, sizeof(text), "%s%s", word, driver);
	return note(act, step, sysfs_write(act->target.dirfd, ATTR_DRIVER_OVERRIDE, text));
}

static void refuse(struct Act *act)
{
	if (set_override(act, STEP_DEAUTHORIZE, OVERRIDE_REFUSED, "") == 0)
		(void)note(act, STEP_DEAUTHORIZE, bind_none(&act->target));
}

static int keep_for(struct Act *act, const char *driver)
{
	return set_override(act, STEP_DRIVER, OVERRIDE_ONLY, driver);
}

/* What comes of offering the device to drivers. */
static void note_offer(struct Act *act, int error)
{
	act->reply->is_untaken = error == -EAGAIN;
	if (error != -EAGAIN)
		(void)note(act, STEP_AUTHORIZE, error);
}

/* Its driver may be in a module that udev did not load while the device was refused. */
static void ask_for_module(const struct Act *act, bool was_refused)
{
	if (was_refused && act->reply->error == 0 && !*act->reply->driver)
		(void)sysfs_write(act->target.dirfd, ATTR_UEVENT, UEVENT_AUTHORIZED);
}

/* However that ends, the device is kept for the driver again. */
static void bind_only(struct Act *act, const char *driver)
{
	if (!bind_has_driver(act->request->bus, driver) ||
	    set_override(act, STEP_DRIVER, "\n", "") < 0)
		return;
	note_offer(act, bind_to(&act->target, driver));
	(void)keep_for(act, driver);
}

/* One that was loaded in the moment without the override may have been faster. */
static void take_from_others(struct Act *act, const char *driver)
{
	if (note(act, STEP_READ, read_driver(act)) == 0 && *act->reply->driver &&
	    !streq(act->reply->driver, driver))
		(void)note(act, STEP_DEAUTHORIZE, bind_none(&act->target));
}

static void give_to_one(struct Act *act, const char *driver)
{
	if (keep_for(act, driver) < 0)
		return;
	take_from_others(act, driver);
	if (act->reply->error == 0 && !streq(act->reply->driver, driver))
		bind_only(act, driver);
	if (act->reply->error == 0)
		take_from_others(act, driver);
}

static void give_to_any(struct Act *act)
{
	if (act->request->gate == GATE_OVERRIDE &&
	    (act->reply->authorized == 0 || *act->reply->authorized_driver) &&
	    set_override(act, STEP_AUTHORIZE, "\n", "") < 0)
		return;
	if (!*act->reply->driver)
		note_offer(act, bind_any(&act->target));
}

/* Whether a driver has it is the driver's and the device's affair, once it may. */
static bool is_as_wanted(const struct Act *act)
{
	const struct EnforceReply *reply = act->reply;
	const char *driver = act->request->driver;

	if (!act->request->authorize)
		return reply->authorized == 0;
	if (!act->request->set_driver || !*driver)
		return act->request->gate == GATE_AUTOPROBE ||
		       (reply->authorized == 1 && !*reply->authorized_driver);
	if (*reply->driver && !streq(reply->driver, driver))
		return false;
	return act->request->gate == GATE_AUTOPROBE || streq(reply->authorized_driver, driver);
}

void enforce_by_gate(int dirfd, const struct EnforceRequest *request, struct EnforceReply *ret)
{
	struct Act act = {request, {dirfd, request->bus, request->name}, ret};
	bool was_refused;

	*ret = (struct EnforceReply){0};
	if (note(&act, STEP_READ, read_state(&act)) < 0 || request->to_default ||
	    note(&act, STEP_AUTHORIZE, enforce_check_phase(dirfd, request, ret->authorized)) < 0)
		return;
	was_refused = ret->authorized != 1;
	if (!request->authorize)
		refuse(&act);
	else if (request->set_driver && *request->driver)
		give_to_one(&act, request->driver);
	else
		give_to_any(&act);
	(void)note(&act, STEP_READ_BACK, read_state(&act));
	if (ret->error == 0 && !is_as_wanted(&act))
		(void)note(&act, STEP_READ_BACK, -EPROTO);
	if (request->authorize)
		ask_for_module(&act, was_refused);
}
