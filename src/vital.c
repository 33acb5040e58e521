/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vital.h"

#include <errno.h>

#include "chain.h"
#include "circumstances.h"
#include "decide.h"
#include "escape.h"
#include "hardened.h"
#include "log.h"
#include "state.h"
#include "task.h"

struct Check {
	enum VitalCheck how;
	struct Registry former; /* how a former run left the devices, or the one that is there */
	struct Inventory inventory;
	struct Decision *decisions;
	const char **told; /* of each device, behind it what was told last */
	bool *is_counted;  /* of each that could not be read */
	int refused;	   /* devices */
};

static void check_done(struct Check *check)
{
	registry_done(&check->former);
	inventory_done(&check->inventory);
	free(check->decisions);
	free(check->told);
	free(check->is_counted);
}

static int report(const struct Device *device, const char *what, const struct Decision *decision)
{
	_cleanup_free_ char *name = device_name(device), *safe = escape_text(name),
			    *source = decision_source(decision, device->bus),
			    *safe_source = escape_text(source);

	if (!name || !safe || !source || !safe_source)
		return -ENOMEM;
	log_error("%s: %s would be refused, and %s is behind it", safe_source, safe, what);
	return 0;
}

/* What a former run, or the one that is there, knows of exactly this device, or NULL. */
static const struct Known *find_former(const struct Check *check, const struct Device *device)
{
	const struct Known *known = registry_find(&check->former, device->syspath);

	return known && known->dev == device->dev && known->ino == device->ino ? known : NULL;
}

/* Whether a start leaves the device as it is: somebody decided over it by hand. */
static bool is_kept(const struct Check *check, const struct Device *device)
{
	const struct Known *known = find_former(check, device);

	if (check->how != VITAL_AT_START)
		return false;
	return known ? known_is_by_hand(known, device) : device->authorized_by == ORIGIN_USER;
}

/* The same for what stands for the kernel's decision where it makes none: manager_stand_in(). */
static bool would_stand_in_take(const struct Check *check, const struct Device *device,
				const struct Decision *decision)
{
	const struct Known *known = find_former(check, device);
	const char *driver = NULL;

	if (!decision->is_hot && (!known || known->before == 1))
		return false;
	return !hardened_find(device, &driver) || (driver && !streq(driver, device->driver));
}

/* Whether the device would not have the driver any more that it has. What is left to the kernel is
 * what user space had given it, if that was needed. */
static bool would_lose_driver(const struct Check *check, const struct Device *device,
			      const struct Decision *decision)
{
	const char *driver;

	if (device->override) /* which nothing is written over */
		return decision->action == ACTION_REMOVE;
	if (decision->action == ACTION_KERNEL && device->gate != GATE_NONE)
		return would_stand_in_take(check, device, decision);
	if (decision->action == ACTION_KERNEL)
		return device->authorized_by == ORIGIN_USER && !bus_info[device->bus].native &&
		       !hardened_find(device, &driver);
	return decision->action != ACTION_ALLOW ||
	       (decision->driver && !streq(decision->driver, device->driver));
}

/* Whether @path is @syspath or above it. */
static bool is_on_way_to(const char *path, const char *syspath)
{
	const char *rest = startswith(syspath, path);

	return rest && (!*rest || *rest == '/');
}

/* tdx-authd refuses what it cannot read. */
static void report_unreadable(struct Check *check, const char *syspath, const char *what)
{
	for (size_t i = 0; i < check->inventory.unreadable.n; i++) {
		const char *path = string_at(&check->inventory.unreadable, i);
		_cleanup_free_ char *safe = escape_text(path);

		if (!is_on_way_to(path, syspath))
			continue;
		log_error("%s: cannot be read, so it would be refused, and %s is behind it",
			  safe ? safe : "?", what);
		check->refused += !check->is_counted[i];
		check->is_counted[i] = true;
	}
}

static int on_vital(const char *syspath, const char *what, void *userdata)
{
	struct Check *check = userdata;
	const struct Device *device;
	int r = 0;

	if (!syspath) {
		log_warning("cannot tell which device %s is on, so whether the policy keeps it is "
			    "not checked",
			    what);
		return 0;
	}
	report_unreadable(check, syspath, what);
	device = chain_device(&check->inventory, syspath);

	for (; r >= 0 && device; device = device->parent) {
		size_t number = inventory_number(&check->inventory, device);
		const struct Decision *decision = &check->decisions[number];

		/* one that is refused already, or has no driver, carries nothing */
		if (check->told[number] == what || device->authorized == 0 || !device->driver ||
		    is_kept(check, device) || !would_lose_driver(check, device, decision))
			continue;
		r = report(device, what, decision);
		check->refused += !check->told[number];
		check->told[number] = what;
	}
	return r;
}

int policy_check_vital_here(const struct Policy *policy, enum VitalCheck how)
{
	_cleanup_(check_done) struct Check check = {.how = how};
	_cleanup_(circumstances_done) struct Circumstances circumstances = {0};
	struct Needs needs = policy->needs;
	struct State unused;
	int r;

	circumstances_read(NULL, &circumstances);
	needs.interfaces =
		needs.interfaces || module_refusals_need_interfaces(circumstances.refusals);
	r = inventory_read(&needs, &check.inventory);
	state_read(&unused, &check.former);
	if (r >= 0) {
		check.decisions = calloc(check.inventory.n + 1, sizeof(*check.decisions));
		check.told = calloc(check.inventory.n + 1, sizeof(*check.told));
		check.is_counted =
			calloc(check.inventory.unreadable.n + 1, sizeof(*check.is_counted));
		r = check.decisions && check.told && check.is_counted
			    ? policy_decide_all(policy, check.inventory.devices, check.inventory.n,
						circumstances_moment, &circumstances,
						check.decisions)
			    : -ENOMEM;
	}
	if (r >= 0)
		r = chain_find_vital(on_vital, &check);
	return r < 0 ? r : check.refused;
}

struct Question {
	const struct Policy *policy;
	enum VitalCheck how;
};

static int answer(FILE *out, void *userdata)
{
	const struct Question *question = userdata;

	(void)out; /* the log has it all */
	return policy_check_vital_here(question->policy, question->how);
}

int policy_check_vital(const struct Policy *policy, enum VitalCheck how)
{
	struct Question question = {policy, how};
	int r = task_run(answer, &question, TASK_DEADLINE_USEC, NULL);

	if (r < 0)
		log_error("cannot tell what the machine runs on: %s",
			  r == -ETIME ? "a device, or a file system, keeps who looks waiting"
				      : strerror(-r));
	return r;
}
