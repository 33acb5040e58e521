/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "enums.h"

#include "util.h"

const char *const bus_words[_BUS_MAX] = {
	[BUS_PCI] = "pci",	     [BUS_VIRTIO] = "virtio",
	[BUS_USB] = "usb",	     [BUS_THUNDERBOLT] = "thunderbolt",
	[BUS_ACPI] = "acpi",	     [BUS_PNP] = "pnp",
	[BUS_PLATFORM] = "platform",
};

const char *const action_words[_ACTION_MAX] = {
	[ACTION_KERNEL] = "kernel",
	[ACTION_ALLOW] = "allow",
	[ACTION_DENY] = "deny",
	[ACTION_REMOVE] = "remove",
};

const char *const audit_use_words[_AUDIT_USE_MAX] = {
	[AUDIT_AUTO] = "auto",
	[AUDIT_YES] = "yes",
	[AUDIT_NO] = "no",
};

const char *const policy_mode_words[_POLICY_MODE_MAX] = {
	[POLICY_AUDIT] = "audit",
	[POLICY_ENFORCE] = "enforce",
};

const char *const module_mode_words[_MODULES_MAX] = {
	[MODULES_OFF] = "off",
	[MODULES_AUDIT] = "audit",
	[MODULES_ENFORCE] = "enforce",
};

static const char *const quantity_words[_QUANTITY_MAX] = {
	[QUANTITY_ALL_OF] = "all-of",
	[QUANTITY_ONE_OF] = "one-of",
	[QUANTITY_NONE_OF] = "none-of",
	[QUANTITY_EQUALS] = "equals",
};

static const char *const origin_words[_ORIGIN_MAX] = {
	[ORIGIN_DEFAULT] = "default", [ORIGIN_BUILTIN] = "builtin", [ORIGIN_CMDLINE] = "cmdline",
	[ORIGIN_PARENT] = "parent",   [ORIGIN_KERNEL] = "kernel",   [ORIGIN_USER] = "user",
};

static const char *const protection_words[_PROTECTION_MAX] = {
	[PROTECTION_NONE] = "none",
	[PROTECTION_AUDIT] = "audit",
	[PROTECTION_MODULES] = "modules",
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

#define DEFINE_STRING_TABLE_TO(name, Type, max)                                                    \
	const char *name##_to_string(enum Type value)                                              \
	{                                                                                          \
		return lookup(name##_words, max, value);                                           \
	}

#define DEFINE_STRING_TABLE(name, Type, max)                                                       \
	DEFINE_STRING_TABLE_TO(name, Type, max)                                                    \
	enum Type name##_from_string(const char *s)                                                \
	{                                                                                          \
		return (enum Type)reverse_lookup(name##_words, max, s);                            \
	}

DEFINE_STRING_TABLE(bus, Bus, _BUS_MAX)
DEFINE_STRING_TABLE(action, Action, _ACTION_MAX)
DEFINE_STRING_TABLE_TO(policy_mode, PolicyMode, _POLICY_MODE_MAX)
DEFINE_STRING_TABLE_TO(module_mode, ModuleMode, _MODULES_MAX)
DEFINE_STRING_TABLE_TO(quantity, Quantity, _QUANTITY_MAX)
DEFINE_STRING_TABLE(origin, Origin, _ORIGIN_MAX)
DEFINE_STRING_TABLE_TO(protection, Protection, _PROTECTION_MAX)
