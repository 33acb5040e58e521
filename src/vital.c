/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vital.h"

#include <errno.h>

#include "chain.h"
#include "decide.h"
#include "escape.h"
#include "hardened.h"
#include "log.h"
#include "phase.h"
#include "udev.h"

struct Check {
	enum VitalCheck how;
	struct Inventory inventory;
	struct Decision *decisions;
	const char **told; /* of each device, behind it what was told last */
	int refused;	   /* devices */
};

static void check_done(struct Check *check)
{
	inventory_done(&check->inventory);
	free(check->decisions);
	free(check->told);
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

/* Whether the device would not have the driver any more that it has. What is left to the kernel is
 * what user space had given it, if that was needed. */
static bool would_lose_driver(const struct Device *device, const struct Decision *decision,
			      enum VitalCheck how)
{
	const char *driver;

	if (how == VITAL_AT_START && device->authorized_by == ORIGIN_USER)
		return false;
	if (decision->action == ACTION_KERNEL)
		return device->authorized_by == ORIGIN_USER && !bus_info[device->bus].native &&
		       !hardened_find(device, &driver);
	return decision->action != ACTION_ALLOW ||
	       (decision->driver && !streq(decision->driver, device->driver));
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
	device = chain_device(&check->inventory, syspath);

	for (; r >= 0 && device; device = device->parent) {
		size_t number = inventory_number(&check->inventory, device);
		const struct Decision *decision = &check->decisions[number];

		/* one that is refused already, or has no driver, carries nothing */
		if (check->told[number] == what || device_exempt(device) ||
		    device->authorized == 0 || !device->driver ||
		    !would_lose_driver(device, decision, check->how))
			continue;
		r = report(device, what, decision);
		check->refused += !check->told[number];
		check->told[number] = what;
	}
	return r;
}

int policy_check_vital(const struct Policy *policy, enum VitalCheck how)
{
	_cleanup_(udev_unrefp) struct udev *udev = udev_new();
	_cleanup_(check_done) struct Check check = {.how = how};
	struct Phase phase;
	int r = udev ? inventory_read(udev, &policy->needs, &check.inventory) : -ENOMEM;

	phase_read(&phase);
	if (r >= 0) {
		check.decisions = calloc(check.inventory.n + 1, sizeof(*check.decisions));
		check.told = calloc(check.inventory.n + 1, sizeof(*check.told));
		r = check.decisions && check.told
			    ? policy_decide_all(policy, check.inventory.devices, check.inventory.n,
						phase_moment, &phase, check.decisions)
			    : -ENOMEM;
	}
	if (r >= 0)
		r = chain_find_vital(on_vital, &check);
	if (r < 0) {
		log_error("cannot tell what the machine runs on: %s", strerror(-r));
		return r;
	}
	return check.refused;
}
