/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-usb.h"

#include <errno.h>
#include <sys/stat.h>

#include "device-read.h"
#include "log.h"
#include "sysfs-io.h"
#include "udev.h"

static void report(const char *what, int error)
{
	if (error < 0 && error != -ENODEV)
		log_error("cannot have devices of %s wait for a decision, so a usb device may "
			  "have a driver until it is refused: %s",
			  what, strerror(-error));
}

static void deny_hub(const char *syspath, int dirfd)
{
	const char *name = strrchr(syspath, '/') + 1; /* "usb" and digits */

	if (usb_default_read_hub(dirfd) != 0)
		report(name, usb_default_deny_hub(dirfd));
}

/* Notes what the hub does, before it is told otherwise. Returns 0, or negative where it is no hub.
 */
static int note_hub(struct Manager *m, const char *syspath, int dirfd)
{
	_cleanup_device_ struct Device *device = NULL;
	struct Known *known;
	int r = device_read_authorization(syspath, dirfd, &device);

	if (r < 0 || !is_root_hub(device))
		return -ENODEV;
	known = registry_add(&m->registry, device, phase_is_hot(&m->phase, device->ino));
	if (!known)
		return -ENOMEM;
	known->is_stale = true;
	known->before = usb_default_read_hub(dirfd) == 1;
	known->is_noted = false;
	state_note(&m->state, known);
	return 0;
}

/* What may be a root hub, by its name. */
static bool has_name_of_hub(const char *syspath)
{
	const char *name = strrchr(syspath, '/');

	return name && device_exempt(&(struct Device){.bus = BUS_USB, .sysname = (char *)name + 1});
}

static int visit_before(const char *syspath, void *userdata)
{
	struct Manager *m = userdata;
	_cleanup_close_ int dirfd = -1;
	struct stat st;

	if (stat(syspath, &st) == 0 && st.st_ino > m->state.usb.latest)
		m->state.usb.latest = st.st_ino;
	if (!has_name_of_hub(syspath))
		return 0;
	dirfd = sysfs_open(syspath);
	if (dirfd >= 0)
		(void)note_hub(m, syspath, dirfd);
	return 0;
}

static int visit_after(const char *syspath, void *userdata)
{
	struct Manager *m = userdata;
	_cleanup_close_ int dirfd = -1;

	if (!has_name_of_hub(syspath) || !registry_find(&m->registry, syspath))
		return 0;
	dirfd = sysfs_open(syspath);
	if (dirfd >= 0)
		deny_hub(syspath, dirfd);
	return 0;
}

void manager_take_usb(struct Manager *m)
{
	int gives;

	if (!m->is_enforcing || (!m->state.usb.is_taken && !policy_speaks_of(m->policy, BUS_USB)))
		return;
	gives = usb_default_read();
	if (gives < 0) {
		report("usbcore", gives);
		return;
	}
	if (m->state.usb.is_taken) {
		if (gives)
			report("usbcore", usb_default_deny());
		return;
	}
	if (udev_for_each_node_of(BUS_USB, visit_before, m) < 0)
		return; /* the scan that comes says why */
	m->state.usb.is_taken = true;
	m->state.usb.gave = gives;
	state_note_usb(&m->state);
	state_flush(&m->state, &m->registry);
	report("usbcore", usb_default_deny());
	(void)udev_for_each_node_of(BUS_USB, visit_after, m);
}

void manager_take_root_hub(struct Manager *m, struct Known *known, int dirfd)
{
	if (!m->state.usb.is_taken) { /* usbcore came after the start */
		manager_take_usb(m);  /* this hub is among the others */
		return;
	}
	known->before = m->state.usb.gave || usb_default_read_hub(dirfd) == 1;
	known->is_noted = false;
	deny_hub(known->syspath, dirfd);
}

bool manager_usb_would_give(const struct Manager *m, const struct Device *device)
{
	_cleanup_free_ char *path = NULL;
	const struct Known *hub;

	if (device->bus != BUS_USB || !m->state.usb.is_taken || device->ino <= m->state.usb.latest)
		return false;
	path = usb_root_hub_of(device->syspath);
	hub = path ? registry_find(&m->registry, path) : NULL;
	return hub && hub->before == 1;
}
