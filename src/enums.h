/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* The buses whose devices a policy can speak of. */
enum Bus {
	BUS_PCI,
	BUS_VIRTIO,
	BUS_USB,
	BUS_THUNDERBOLT,
	BUS_ACPI,
	BUS_PNP,
	BUS_PLATFORM,
	_BUS_MAX,
	_BUS_INVALID = -1,
};

/* What a policy can want of a device. */
enum Action {
	ACTION_KERNEL, /* leave what the kernel decided */
	ACTION_ALLOW,
	ACTION_DENY,
	ACTION_REMOVE, /* deny, and take it out of the machine */
	_ACTION_MAX,
	_ACTION_INVALID = -1,
};

/* Whether an action gives a device to drivers that its default might keep from them. */
static inline bool action_gives(enum Action action)
{
	return action == ACTION_ALLOW || action == ACTION_KERNEL;
}

/* What comes of the decisions over devices. */
enum PolicyMode {
	POLICY_AUDIT,	/* they are told */
	POLICY_ENFORCE, /* they are done */
	_POLICY_MODE_MAX,
};

/* How far modules that a policy does not know are kept out. */
enum ModuleMode {
	MODULES_OFF,
	MODULES_AUDIT,
	MODULES_ENFORCE,
	_MODULES_MAX,
	_MODULES_INVALID = -1, /* not said */
};

/* How the USB interfaces of a device have to fit those of a rule. */
enum Quantity {
	QUANTITY_ALL_OF,  /* for each of ours the device has one that fits */
	QUANTITY_ONE_OF,  /* the device has one that fits one of ours */
	QUANTITY_NONE_OF, /* the device has none that fits one of ours */
	QUANTITY_EQUALS,  /* all-of, and none else */
	_QUANTITY_MAX,
};

/* Who decided over a device, as `authorized_by` spells it. */
enum Origin {
	ORIGIN_DEFAULT, /* nobody knew the device */
	ORIGIN_BUILTIN,
	ORIGIN_CMDLINE,
	ORIGIN_PARENT,
	ORIGIN_KERNEL,
	ORIGIN_USER,
	_ORIGIN_MAX,
	_ORIGIN_INVALID = -1, /* no such attribute, or a word of a later kernel */
};

/* Whether there are to be records of the Linux audit system. */
enum AuditUse {
	AUDIT_AUTO, /* where the kernel takes them */
	AUDIT_YES,  /* the same, and a warning where it does not */
	AUDIT_NO,
	_AUDIT_USE_MAX,
};

/* How far a refusal on a bus holds on the running kernel. */
enum Protection {
	PROTECTION_NONE,    /* nothing can refuse a driver to a device of this bus */
	PROTECTION_AUDIT,   /* the kernel says what it would refuse, and refuses nothing */
	PROTECTION_MODULES, /* tdx-authd takes drivers away: what is to hold from the first moment
			     * on, the modules that are kept out must */
	PROTECTION_KERNEL,  /* the kernel gives a refused device no driver */
	_PROTECTION_MAX,
	_PROTECTION_INVALID = -1,
};

/* Why something that was asked for by hand was not done. */
enum Problem {
	PROBLEM_FAILED,
	PROBLEM_NO_SUCH_DEVICE,
	PROBLEM_AMBIGUOUS, /* several devices have the name */
	PROBLEM_FROZEN,
	PROBLEM_SEALED,
	PROBLEM_NOT_SUPPORTED, /* the kernel, or this device, has no means */
	PROBLEM_EXEMPT,	       /* no policy and no hand decides over the device */
	PROBLEM_POLICY_REFUSED,
	PROBLEM_STALLED, /* the kernel did not answer in time */
	PROBLEM_KERNEL_NOT_LOCKED,
	PROBLEM_NOT_SAVED, /* it was done, but not written down for the next boot */
	PROBLEM_BUSY,	   /* too much is on its way */
	_PROBLEM_MAX,
	PROBLEM_NONE = -1,
};

/* What of the driver core can be made to keep drivers from a device, of a bus that has no
 * `authorized`. */
enum Gate {
	GATE_NONE,
	GATE_OVERRIDE,	/* the device's own `driver_override` */
	GATE_AUTOPROBE, /* the bus's `drivers_autoprobe`: no device has a driver but by request */
};

/* The to_string functions return static strings, NULL for a value outside the enum; the from_string
 * functions return the _INVALID value for NULL and for unknown words; the tables have the words of
 * the values from 0 on. */
extern const char *const bus_words[_BUS_MAX];
extern const char *const action_words[_ACTION_MAX];
extern const char *const policy_mode_words[_POLICY_MODE_MAX];
extern const char *const module_mode_words[_MODULES_MAX];
extern const char *const audit_use_words[_AUDIT_USE_MAX];

const char *bus_to_string(enum Bus value);
enum Bus bus_from_string(const char *s);
const char *action_to_string(enum Action value);
enum Action action_from_string(const char *s);
const char *policy_mode_to_string(enum PolicyMode value);
const char *module_mode_to_string(enum ModuleMode value);
const char *quantity_to_string(enum Quantity value);
const char *origin_to_string(enum Origin value);
enum Origin origin_from_string(const char *s);
const char *protection_to_string(enum Protection value);
