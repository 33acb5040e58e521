/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdict.h"

#include <errno.h>

#include "hardened.h"

/* The kernel's own decision as the device shows it; NULL where it does not show one. */
static const char *kernel_says(const struct Device *device)
{
	switch (device->authorized_by) {
	case ORIGIN_BUILTIN:
		return "the kernel's built-in list";
	case ORIGIN_CMDLINE:
		return "the kernel's command line";
	case ORIGIN_PARENT:
		return "inherited from its parent";
	case ORIGIN_KERNEL:
		return "made by the kernel itself";
	case ORIGIN_DEFAULT:
		return "not on the kernel's built-in list";
	default:
		return NULL;
	}
}

/* In audit mode every device reads as authorized. Which of the command line's lists names it does
 * not show then. */
static const char *kernel_word(const struct Device *device, bool audit)
{
	if (audit && device->authorized_by == ORIGIN_CMDLINE)
		return "kernel";
	if (audit && device->authorized_by == ORIGIN_DEFAULT)
		return "deny";
	return device->authorized ? "allow" : "deny";
}

/* Fills in word and driver, returns the reason. */
static const char *judge_by_kernel(const struct Device *device, const struct Decision *decision,
				   bool audit, struct Verdict *ret)
{
	const char *says = kernel_says(device);
	const char *driver;

	if (bus_info[device->bus].native) {
		ret->word = "kernel";
		return "the bus's own default";
	}
	if (says) {
		ret->word = kernel_word(device, audit);
		ret->driver = isempty(device->authorized_driver) ? NULL : device->authorized_driver;
		return says;
	}
	if (hardened_find(device, &driver)) {
		ret->word = "allow";
		ret->driver = driver;
		return "on tdx-auth's list of hardened devices";
	}
	if (device->gate != GATE_NONE && device->driver && !decision->is_hot) {
		ret->word = "kernel";
		return "not on tdx-auth's list of hardened devices, but what has a driver before "
		       "the start keeps it";
	}
	ret->word = "deny";
	return "not on tdx-auth's list of hardened devices";
}

static int explain(struct Verdict *verdict, const char *source, const char *reason)
{
	if (asprintf(&verdict->why, "%s: %s", source, reason) < 0) {
		verdict->why = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* A driver_override that is none of ours stays, whatever is decided, but for an owner who wants the
 * device out of the machine. */
static bool is_left_to_others(const struct Device *device, const struct Decision *decision)
{
	if (!device->override || decision->action == ACTION_REMOVE)
		return false;
	return decision->action != ACTION_ALLOW ||
	       (decision->driver && !streq(decision->driver, device->override));
}

static int judge_by_others(const struct Device *device, struct Verdict *ret)
{
	ret->word = "-";
	if (asprintf(&ret->why, "somebody else holds it to %s (driver_override): left alone",
		     device->override) < 0) {
		ret->why = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int judge(const struct Device *device, const struct Decision *decision, bool audit,
		 struct Verdict *ret)
{
	_cleanup_free_ char *source = NULL;
	const char *exempt = device_exempt(device);

	*ret = (struct Verdict){0};
	if (exempt) {
		ret->word = "-";
		ret->why = strdup(exempt);
		return ret->why ? 0 : -ENOMEM;
	}
	if (is_left_to_others(device, decision))
		return judge_by_others(device, ret);
	source = decision_source(decision, device->bus);
	if (!source)
		return -ENOMEM;
	/* where nothing can be refused at all, the protection of the bus says so */
	if (decision->driver && device->authorized >= 0 && !device_can_hold_driver(device)) {
		ret->word = action_to_string(ACTION_DENY);
		return explain(ret, source, "this kernel cannot hold the device to one driver");
	}
	if (decision->action != ACTION_KERNEL) {
		ret->word = action_to_string(decision->action);
		ret->driver = decision->driver;
		if (decision->by == DECIDED_BY_COUNT)
			return explain(ret, source, "admits no more devices");
		if (decision->by == DECIDED_BY_MODPROBE)
			return explain(ret, source,
				       "no module that knows the device may be loaded");
		if (decision->by == DECIDED_BY_FREEZE)
			return explain(ret, source, "admits none after the freeze");
		if (decision->by == DECIDED_BY_SEAL)
			return explain(ret, source, "nothing is authorized after the seal");
		ret->why = TAKE_PTR(source);
		return 0;
	}
	return explain(ret, source, judge_by_kernel(device, decision, audit, ret));
}

/* User space decided otherwise than the policy does now. */
static bool is_otherwise(const struct Device *device, const struct Verdict *verdict)
{
	bool is_given = streq(verdict->word, action_to_string(ACTION_ALLOW));

	return device->authorized_by == ORIGIN_USER && device->authorized != is_given;
}

int verdict_of(const struct Device *device, const struct Decision *decision, bool audit,
	       struct Verdict *ret)
{
	_cleanup_free_ char *why = NULL;
	int r = judge(device, decision, audit, ret);

	if (r < 0 || !is_otherwise(device, ret))
		return r;
	why = TAKE_PTR(ret->why);
	if (asprintf(&ret->why, "%s; %s by hand, or by a former policy", why,
		     device->authorized ? "authorized" : "refused") < 0) {
		ret->why = NULL;
		return -ENOMEM;
	}
	return 0;
}

void verdict_done(struct Verdict *verdict)
{
	free(verdict->why);
	*verdict = (struct Verdict){0};
}
