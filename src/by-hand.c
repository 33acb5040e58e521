/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "by-hand.h"

#include <errno.h>
#include <sys/stat.h>

#include "names.h"
#include "phase.h"
#include "protection.h"
#include "sysfs-io.h"
#include "udev.h"

static struct Obstacle because(enum Problem problem, const char *text)
{
	return (struct Obstacle){problem, text};
}

static struct Obstacle find_obstacle(const struct Device *device,
				     const struct EnforceRequest *request)
{
	const char *exempt = device_exempt(device);

	if (exempt)
		return because(PROBLEM_EXEMPT, exempt);
	if (request->remove)
		return bus_info[device->bus].removable
			       ? because(PROBLEM_NONE, NULL)
			       : because(PROBLEM_NOT_SUPPORTED,
					 "devices of this bus cannot be removed");
	if (device->override)
		return because(PROBLEM_NOT_SUPPORTED, enforce_explain(STEP_READ, -EEXIST));
	if (device->authorized < 0)
		return because(PROBLEM_NOT_SUPPORTED,
			       "this kernel has no \"authorized\" attribute on the device");
	if (request->set_driver && !device->authorized_driver)
		return because(PROBLEM_NOT_SUPPORTED,
			       "this kernel cannot hold the device to one driver");
	if (!bus_info[device->bus].native && kernel_mode() == PROTECTION_AUDIT)
		return because(
			PROBLEM_NOT_SUPPORTED,
			"the kernel is in audit mode and refuses nothing; nothing was written");
	return because(PROBLEM_NONE, NULL);
}

bool by_hand_obstacle(const struct Device *device, const struct EnforceRequest *request,
		      struct Obstacle *ret)
{
	*ret = find_obstacle(device, request);
	return ret->text;
}

struct EnforceRequest by_hand_insisting(const struct Device *device,
					const struct EnforceRequest *request)
{
	struct EnforceRequest insisting = *request;

	insisting.by_hand = true;
	insisting.insist = !request->authorize && bus_info[device->bus].waits;
	enforce_aim(&insisting, device);
	return insisting;
}

bool by_hand_is_over(struct Obstacle *ret)
{
	struct Phase phase;

	phase_read(&phase);
	if (phase.is_sealed)
		*ret = because(PROBLEM_SEALED, "nothing is authorized after the seal; it lasts "
					       "until the machine starts again");
	else if (phase.is_frozen)
		*ret = because(PROBLEM_FROZEN,
			       "no device is authorized by hand after the freeze, and the policy "
			       "does not change; it lasts until the machine starts again");
	return phase.is_sealed || phase.is_frozen;
}

/* --- marks --- */

static int find_latest(const char *syspath, void *latest)
{
	struct stat st;

	if (stat(syspath, &st) == 0 && st.st_ino > *(ino_t *)latest)
		*(ino_t *)latest = st.st_ino;
	return 0;
}

int by_hand_freeze(void)
{
	ino_t latest = 0;
	int r = udev_for_each_node(find_latest, &latest);

	return r < 0 ? r : phase_freeze(latest);
}

int by_hand_seal(void)
{
	ino_t latest = 0;
	int r = udev_for_each_node(find_latest, &latest);

	if (r >= 0)
		r = phase_freeze(latest);
	return r < 0 ? r : phase_seal(latest);
}

int by_hand_lock_kernel(void)
{
	_cleanup_close_ int dirfd = sysfs_open(SYSFS_AUTHORIZATION);

	return dirfd < 0 ? dirfd : sysfs_write(dirfd, ATTR_LOCK, "1");
}
