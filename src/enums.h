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
	_ACTION_MAX,
	_ACTION_INVALID = -1,
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

/* How far a refusal on a bus holds on the running kernel. */
enum Protection {
	PROTECTION_NONE,   /* nothing can refuse a driver to a device of this bus */
	PROTECTION_AUDIT,  /* the kernel says what it would refuse, and refuses nothing */
	PROTECTION_KERNEL, /* the kernel gives a refused device no driver */
	_PROTECTION_MAX,
	_PROTECTION_INVALID = -1,
};

const char *bus_to_string(enum Bus value);
enum Bus bus_from_string(const char *s);
const char *action_to_string(enum Action value);
enum Action action_from_string(const char *s);
const char *origin_to_string(enum Origin value);
enum Origin origin_from_string(const char *s);
const char *protection_to_string(enum Protection value);
