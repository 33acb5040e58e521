/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "enforce.h"

#include <errno.h>

#include "enforce-gate.h"
#include "hardened.h"
#include "names.h"
#include "phase.h"
#include "sysfs-io.h"

/* Nothing is written over what somebody else has written. */
static enum EnforcePlan plan_held_by_others(const struct Device *device,
					    const struct Decision *decision, const char **ret_why)
{
	if (decision->action == ACTION_ALLOW &&
	    (!decision->driver || streq(decision->driver, device->override)))
		return PLAN_NOTHING;
	*ret_why = "somebody else holds the device to a driver (driver_override), and it is left "
		   "alone";
	return PLAN_UNSUPPORTED;
}

static enum EnforcePlan plan_deny(const struct Device *device, struct EnforceRequest *ret)
{
	*ret = (struct EnforceRequest){.authorize = false};
	return device->authorized == 0 ? PLAN_NOTHING : PLAN_WRITE;
}

/* What cannot be taken out of the machine can still be refused. A kernel that cannot refuse it can
 * take it out. */
static enum EnforcePlan plan_remove(const struct Device *device, struct EnforceRequest *ret,
				    const char **ret_why)
{
	if (bus_info[device->bus].removable) {
		*ret = (struct EnforceRequest){.remove = true};
		return PLAN_WRITE;
	}
	*ret_why = "devices of this bus cannot be removed, so it is refused";
	if (device->authorized < 0)
		*ret_why = "this kernel can neither remove the device nor refuse it a driver";
	else
		(void)plan_deny(device, ret);
	return PLAN_UNSUPPORTED;
}

/* Whether user space held the device to a driver earlier. What the built-in list holds it to counts
 * also for an owner who allows it again. */
static bool held_by_user(const struct Device *device)
{
	const char *listed = NULL;

	if (device->gate == GATE_OVERRIDE) /* it keeps no other word of who held it */
		return !isempty(device->authorized_driver);
	if (device->authorized_by != ORIGIN_USER || isempty(device->authorized_driver))
		return false;
	return !hardened_find(device, &listed) || !listed ||
	       !streq(listed, device->authorized_driver);
}

/* Whether an authorized device is still to be offered to drivers: the driver core does not come
 * back to it by itself. */
static bool is_to_be_bound(const struct Device *device)
{
	return device->gate != GATE_NONE && !device->driver;
}

static enum EnforcePlan plan_allow(const struct Device *device, const struct Decision *decision,
				   struct EnforceRequest *ret, const char **ret_why)
{
	if (decision->driver && !device_can_hold_driver(device)) {
		*ret_why = "this kernel cannot hold the device to one driver, so it is refused";
		(void)plan_deny(device, ret);
		return PLAN_UNSUPPORTED;
	}
	*ret = (struct EnforceRequest){.authorize = true,
				       .set_driver = decision->driver,
				       .forget = !decision->driver && held_by_user(device)};
	if (device->authorized == 1 && !ret->forget && !is_to_be_bound(device) &&
	    (!decision->driver || streq(device->authorized_driver, decision->driver)))
		return PLAN_NOTHING;
	if (decision->driver)
		(void)snprintf(ret->driver, sizeof(ret->driver), "%s", decision->driver);
	return PLAN_WRITE;
}

/* What user space decided earlier is not the kernel's decision. */
static enum EnforcePlan plan_kernel(const struct Device *device, struct EnforceRequest *ret)
{
	ret->to_default = device->authorized_by == ORIGIN_USER;
	return ret->to_default ? PLAN_WRITE : PLAN_NOTHING;
}

/* Any driver that fits has the device: an `allow` for one driver is more than that. */
static enum EnforcePlan plan_ungated(const struct Decision *decision, const char **ret_why)
{
	if (decision->action == ACTION_ALLOW && !decision->driver)
		return PLAN_NOTHING;
	*ret_why = decision->driver ? "this kernel cannot hold the device to one driver"
				    : "this kernel cannot refuse a driver to the device";
	return PLAN_UNSUPPORTED;
}

enum EnforcePlan enforce_plan(const struct Device *device, const struct Decision *decision,
			      struct EnforceRequest *ret, const char **ret_why)
{
	*ret = (struct EnforceRequest){0};
	*ret_why = NULL;
	if (device_exempt(device))
		return PLAN_NOTHING;
	if (decision->action == ACTION_KERNEL)
		return plan_kernel(device, ret);
	if (decision->action == ACTION_REMOVE)
		return plan_remove(device, ret, ret_why);
	if (device->override)
		return plan_held_by_others(device, decision, ret_why);
	if (device->authorized < 0)
		return plan_ungated(decision, ret_why);
	if (decision->action == ACTION_DENY)
		return plan_deny(device, ret);
	return plan_allow(device, decision, ret, ret_why);
}

static void read_short(int dirfd, int (*read)(int, const char *, char **), const char *name,
		       char *buffer, size_t size)
{
	_cleanup_free_ char *text = NULL;

	buffer[0] = '\0';
	if (read(dirfd, name, &text) == 0)
		(void)snprintf(buffer, size, "%s", text);
}

/* Returns 0, or why `authorized` could not be read. */
static int read_authorized(int dirfd, struct EnforceReply *reply)
{
	_cleanup_free_ char *authorized = NULL;
	int r = sysfs_read(dirfd, ATTR_AUTHORIZED, &authorized);

	reply->authorized = -1;
	reply->authorized_by = _ORIGIN_INVALID;
	if (r < 0)
		return r;
	reply->authorized = streq(authorized, "1") || streq(authorized, "2");
	return 0;
}

static void read_origin(int dirfd, struct EnforceReply *reply)
{
	_cleanup_free_ char *by = NULL;

	if (sysfs_read(dirfd, ATTR_AUTHORIZED_BY, &by) == 0)
		reply->authorized_by = origin_from_string(by);
}

static void read_allowed_driver(int dirfd, struct EnforceReply *reply)
{
	read_short(dirfd, sysfs_read, ATTR_AUTHORIZED_DRIVER, reply->authorized_driver,
		   sizeof(reply->authorized_driver));
}

/* The same. */
static int read_state(int dirfd, struct EnforceReply *reply)
{
	int r = read_authorized(dirfd, reply);

	if (r < 0)
		return r;
	read_origin(dirfd, reply);
	read_allowed_driver(dirfd, reply);
	read_short(dirfd, sysfs_read_link, "driver", reply->driver, sizeof(reply->driver));
	return 0;
}

/* What the request depends on, and no more: the device waits. */
static int read_before(int dirfd, const struct EnforceRequest *request, struct EnforceReply *reply)
{
	int r;

	/* usb takes a second time what it has, and has neither of the others */
	if (request->bus == BUS_USB && request->authorize && !request->set_driver &&
	    !request->forget && !request->by_hand && !phase_now()->is_sealed)
		return 0;
	r = read_authorized(dirfd, reply);
	if (r < 0)
		return r;
	if (request->by_hand)
		read_origin(dirfd, reply);
	if (request->set_driver)
		read_allowed_driver(dirfd, reply);
	return 0;
}

static int set_authorized(int dirfd, bool value)
{
	return sysfs_write(dirfd, ATTR_AUTHORIZED, value ? "1" : "0");
}

/* An empty write(2) never reaches the kernel's store function: a lone newline says "any". */
static int set_driver(int dirfd, const char *driver)
{
	return sysfs_write(dirfd, ATTR_AUTHORIZED_DRIVER, *driver ? driver : "\n");
}

static int note(struct EnforceReply *reply, enum EnforceStep which, int error)
{
	if (error < 0) {
		reply->step = which;
		reply->error = error;
	}
	return error;
}

/* The kernel keeps no origin on usb and thunderbolt, and thunderbolt refuses to be told twice. */
static bool is_off_record(const struct EnforceRequest *request, const struct EnforceReply *reply)
{
	return request->by_hand && reply->authorized_by != _ORIGIN_INVALID &&
	       reply->authorized_by != ORIGIN_USER;
}

static int to_default(int dirfd, struct EnforceReply *reply)
{
	return note(reply, STEP_DEFAULT, sysfs_write(dirfd, ATTR_AUTHORIZED, "default"));
}

static int forget(int dirfd, struct EnforceReply *reply)
{
	int r = to_default(dirfd, reply);

	return r < 0 ? r : note(reply, STEP_READ, read_state(dirfd, reply));
}

static int execute_authorize(int dirfd, const struct EnforceRequest *request,
			     struct EnforceReply *reply)
{
	if (request->forget && forget(dirfd, reply) < 0)
		return reply->error;
	if (request->set_driver && !streq(reply->authorized_driver, request->driver)) {
		if (reply->authorized &&
		    note(reply, STEP_DEAUTHORIZE, set_authorized(dirfd, false)) < 0)
			return reply->error;
		if (note(reply, STEP_DRIVER, set_driver(dirfd, request->driver)) < 0)
			return reply->error;
	} else if (reply->authorized && !is_off_record(request, reply)) {
		return 0;
	}
	return note(reply, STEP_AUTHORIZE, set_authorized(dirfd, true));
}

/* First refused, so that no driver has it while it goes; that this fails, since a driver behind it
 * would stop working, is no reason to keep it. */
static void execute_remove(int dirfd, struct EnforceReply *reply)
{
	int r;

	(void)set_authorized(dirfd, false);
	r = sysfs_write(dirfd, ATTR_REMOVE, "1");
	if (r != -ENODEV)
		(void)note(reply, STEP_REMOVE, r);
}

static bool is_as_wanted(const struct EnforceRequest *request, const struct EnforceReply *reply)
{
	if (request->to_default)
		return reply->authorized_by != ORIGIN_USER;
	if (reply->authorized != (int)request->authorize)
		return false;
	return !request->set_driver || streq(reply->authorized_driver, request->driver);
}

void enforce_aim(struct EnforceRequest *request, const struct Device *device)
{
	request->gate = device->gate;
	request->bus = device->bus;
	(void)snprintf(request->name, sizeof(request->name), "%s", device->sysname);
}

int enforce_check_phase(int dirfd, const struct EnforceRequest *request, int authorized)
{
	const struct Phase *phase;
	dev_t dev;
	ino_t ino;

	if (!request->authorize && !request->to_default)
		return 0;
	phase = phase_now();
	if (request->by_hand && phase->is_frozen)
		return -EKEYREJECTED;
	if (!phase->is_sealed)
		return 0;
	return authorized == 1 && sysfs_identity(dirfd, &dev, &ino) == 0 && ino <= phase->sealed
		       ? 0
		       : -EKEYREJECTED;
}

void enforce_execute(int dirfd, const struct EnforceRequest *request, struct EnforceReply *ret)
{
	*ret = (struct EnforceReply){0};
	if (request->gate != GATE_NONE && !request->remove) {
		enforce_by_gate(dirfd, request, ret);
		return;
	}
	if (request->remove) {
		execute_remove(dirfd, ret);
		if (read_state(dirfd, ret) < 0)
			ret->authorized = -1;
		return;
	}
	if (note(ret, STEP_READ, read_before(dirfd, request, ret)) < 0 ||
	    note(ret, request->to_default ? STEP_DEFAULT : STEP_AUTHORIZE,
		 enforce_check_phase(dirfd, request, ret->authorized)) < 0)
		return;
	if (request->to_default)
		(void)to_default(dirfd, ret);
	else if (request->authorize)
		(void)execute_authorize(dirfd, request, ret);
	else if (ret->authorized || request->insist || is_off_record(request, ret))
		(void)note(ret, STEP_DEAUTHORIZE, set_authorized(dirfd, false));
	if (ret->error < 0) {
		(void)read_state(dirfd, ret);
		return;
	}
	if (note(ret, STEP_READ_BACK, read_state(dirfd, ret)) < 0)
		return;
	if (!is_as_wanted(request, ret))
		(void)note(ret, STEP_READ_BACK, -EPROTO);
}

const char *enforce_explain(enum EnforceStep step, int error)
{
	switch (error) {
	case -EAGAIN:
		return "too many writes are stuck in the kernel; the device stays as it is";
	case -ETIME:
		return "the kernel did not answer in time; a driver may be stuck in its probe";
	case -ENODEV:
		return "the device is gone";
	case -EBUSY:
		return step == STEP_DRIVER
			       ? "the device was authorized again meanwhile"
			       : "a device behind it is in use by a driver and would stop working; "
				 "deny that one first; or the kernel's ACPI code uses it, which "
				 "cannot let go";
	case -EACCES:
		return "permission denied";
	case -EPERM:
		return "not permitted: only root may, and nobody while the kernel's device "
		       "authorization is locked";
	case -EKEYREJECTED:
		return "nothing is authorized after the seal, nor by hand after the freeze";
	case -EPROTO:
		return "the kernel took the write but the device reads differently";
	case -EEXIST:
		return "somebody else holds the device to a driver (driver_override), and it is "
		       "left alone";
	case -ESTALE:
		return "another device took its place meanwhile; that is decided over anew";
	case -EOPNOTSUPP:
		return "its driver cannot be taken from it by request";
	case -ENOENT:
		return "this kernel has no such attribute on the device";
	default:
		return strerror(-error);
	}
}
