/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "enums.h"

#include "util.h"

static const char *const bus_table[_BUS_MAX] = {
	[BUS_PCI] = "pci",	     [BUS_VIRTIO] = "virtio",
	[BUS_USB] = "usb",	     [BUS_THUNDERBOLT] = "thunderbolt",
	[BUS_ACPI] = "acpi",	     [BUS_PNP] = "pnp",
	[BUS_PLATFORM] = "platform",
};

static const char *const action_table[_ACTION_MAX] = {
	[ACTION_KERNEL] = "kernel",
	[ACTION_ALLOW] = "allow",
	[ACTION_DENY] = "deny",
};

static const char *const origin_table[_ORIGIN_MAX] = {
	[ORIGIN_DEFAULT] = "default", [ORIGIN_BUILTIN] = "builtin", [ORIGIN_CMDLINE] = "cmdline",
	[ORIGIN_PARENT] = "parent",   [ORIGIN_KERNEL] = "kernel",   [ORIGIN_USER] = "user",
};

static const char *const protection_table[_PROTECTION_MAX] = {
	[PROTECTION_NONE] = "none",
	[PROTECTION_AUDIT] = "audit",
	[PROTECTION_KERNEL] = "kernel",
};

static const char *lookup(const char *const *table, int n, int value)
{
	return value >= 0 && value < n ? table[value] : NULL;
}

static int reverse_lookup(const char *const *table, int n, const char *s)
{
	for (int i = 0; s && i < n; i++)
		if (streq(table[i], s))
			return i;
	return -1;
}

/* The to_string functions return static strings, NULL for a value outside the enum;
 * the from_string functions return the _INVALID value for NULL and for unknown words. */
#define DEFINE_STRING_TABLE_TO(name, Type, max)                                                    \
	const char *name##_to_string(enum Type value)                                              \
	{                                                                                          \
		return lookup(name##_table, max, value);                                           \
	}

#define DEFINE_STRING_TABLE(name, Type, max)                                                       \
	DEFINE_STRING_TABLE_TO(name, Type, max)                                                    \
	enum Type name##_from_string(const char *s)                                                \
	{                                                                                          \
		return (enum Type)reverse_lookup(name##_table, max, s);                            \
	}

DEFINE_STRING_TABLE(bus, Bus, _BUS_MAX)
DEFINE_STRING_TABLE(action, Action, _ACTION_MAX)
DEFINE_STRING_TABLE(origin, Origin, _ORIGIN_MAX)
DEFINE_STRING_TABLE_TO(protection, Protection, _PROTECTION_MAX)
