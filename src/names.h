/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every name this project shares with somebody else: the kernel, the journal, the file system. */

/* sysfs attributes of an opted-in device: kernel-patches/6.12, Documentation/ABI/testing there.
 * usb: Documentation/ABI/testing/sysfs-bus-usb, thunderbolt: sysfs-bus-thunderbolt. */
#define ATTR_AUTHORIZED "authorized"
#define ATTR_AUTHORIZED_BY "authorized_by"
#define ATTR_AUTHORIZED_DRIVER "authorized_driver"
#define ATTR_UEVENT "uevent"
#define ATTR_MODALIAS "modalias"
#define ATTR_COMPANION_MODALIAS "firmware_node/modalias" /* of a device that ACPI describes */
#define ATTR_REMOVE "remove"
#define ATTR_DRIVER_OVERRIDE "driver_override"
#define ATTR_DESCRIPTORS "descriptors"

#define ATTR_AUTHORIZED_DEFAULT "authorized_default" /* of a usb root hub, and a parameter */
#define KERNEL_LOG "/dev/kmsg"			     /* Documentation/ABI/testing/dev-kmsg */

#define SYSFS_USBCORE_PARAMETERS "/sys/module/usbcore/parameters"

/* udev's properties of a device: rules.d/60-tdx-auth.rules. */
#define PROPERTY_VERDICT "TDX_AUTH_VERDICT"
#define PROPERTY_RULE "TDX_AUTH_RULE"
#define PROPERTY_MODE "TDX_AUTH_MODE" /* "audit" where nothing is refused */
/* What has udev look at a device that was authorized while it has no driver, where the kernel says
 * nothing: an event of our own, told by this argument (Documentation/ABI/testing/sysfs-uevent). */
#define UEVENT_AUTHORIZED "change 3d0f8be2-27ba-4e41-8d0c-5f1c4d6c1a52 TDXAUTH=1"

#define SYSFS_AUTHORIZATION "/sys/kernel/device_authorization"
#define ATTR_MODE "mode"
#define ATTR_LOCK "lock"
#define SYSFS_DEVICES "/sys/devices"
#define SYSFS_BUSES "/sys/bus"
#define ATTR_AUTOPROBE "drivers_autoprobe"
#define ATTR_PROBE "drivers_probe"

/* What tdx-auth writes to driver_override: names that no driver has. The second goes on with that
 * of the driver that the device is kept for. */
#define OVERRIDE_REFUSED "tdx-auth:refused"
#define OVERRIDE_ONLY "tdx-auth:only:"

/* Policy drop-ins, in rising order of precedence for files of one name (DESIGN: policy). */
#define POLICY_DIR_VENDOR "/usr/lib/tdx-auth/policy.d"
#define POLICY_DIR_RUNTIME "/run/tdx-auth/policy.d"
#define POLICY_DIR_OWNER "/etc/tdx-auth/policy.d"
#define POLICY_SUFFIX ".yaml"
#define PERMANENT_FILE "00-permanent.yaml" /* in the owner's; written by tdx-auth alone */
#define PERMANENT_LOCK "permanent.lock"	   /* of who writes it, in the runtime directory */
#define MODE_FILE "00-mode.yaml"	   /* in the owner's; written by enable and disable */
#define GENERATED_FILE "50-generated.yaml"
#define PERMANENT_RULE "hand-" /* and a number: what its rules are called */

#define PROFILE_DIR "/usr/share/tdx-auth/profiles" /* policies to begin with: conf/profiles */

#define CONFIG_VENDOR "/usr/lib/tdx-auth/tdx-authd.yaml"
#define CONFIG_OWNER "/etc/tdx-auth/tdx-authd.yaml" /* in the place of the vendor's */

/* The module policy as modprobe(8) reads it, in a directory of modprobe.d(5), and what refuses. The
 * owner's files take the place of the vendor's, table and configuration alike. */
#define MODULE_CONFIG_NAME "00-tdx-auth.conf"
#define MODULE_CONFIG_VENDOR "/usr/lib/modprobe.d/" MODULE_CONFIG_NAME
#define MODULE_CONFIG_OWNER "/etc/modprobe.d/" MODULE_CONFIG_NAME
#define MODULE_TABLE_VENDOR "/usr/lib/tdx-auth/modules.table"
#define MODULE_TABLE_OWNER "/etc/tdx-auth/modules.table"
/* Modules that drive nothing a host could reach: a file in POLICY_DIR_VENDOR or _OWNER. */
#define MODULE_LIST_NAME "10-modules.yaml"
#define MODULE_GATE "/usr/lib/tdx-auth/tdx-auth-modgate"

#define INITRD_RELEASE "/etc/initrd-release"  /* os-release(5) */
#define INITRD_MARK "/etc/tdx-auth/in-initrd" /* conf/initrd-files.sh */

#define CREDENTIAL_CMDLINE "cmdline" /* the kernel's command line: conf/tdx-authd.service.in */

#define RUNTIME_DIR "/run/tdx-auth"
#define SELF_TEST_FILE "self-test"
#define MARK_STARTED "started"
#define MARK_FROZEN "frozen"
#define MARK_SEALED "sealed"
/* That a policy told what it would do, and did nothing; and that one did it in this boot, which
 * goes before. */
#define MARK_AUDIT "audit"
#define MARK_ENFORCED "enforced"
#define MARK_GUARDED "guarded" /* a daemon is meant to run: conf/tdx-authd.socket */
#define STATE_FILE "state"
#define METRICS_FILE "metrics.prom"
#define INITRD_POLICY_FILE "initrd-policy" /* what "apply --initrd" went by */
#define FIRST_DRIVERS_FILE "first-drivers" /* that bound before user space had a say */
#define BUS_SOCKET "bus"		   /* org.tdxauth1(5) without a bus */
#define POLICY_IN_FORCE "in-force.yaml"	   /* what the daemon goes by, for its next start */

#define JOURNAL_SOCKET "/run/systemd/journal/socket" /* systemd-journald.service(8) */

/* Journal fields (systemd.journal-fields(7): user fields are upper case) and message ids. */
#define FIELD_DEVICE "TDX_AUTH_DEVICE"
#define FIELD_BUS "TDX_AUTH_BUS"
#define FIELD_MODALIAS "TDX_AUTH_MODALIAS"
#define FIELD_ACTION "TDX_AUTH_ACTION"
#define FIELD_RULE "TDX_AUTH_RULE"
#define FIELD_DRIVER "TDX_AUTH_DRIVER"
#define FIELD_OUTCOME "TDX_AUTH_OUTCOME"
#define FIELD_MODULE "TDX_AUTH_MODULE"

#define MESSAGE_ID_DECISION "5a2371e862144488aabd040066a73942"
#define MESSAGE_ID_FAILURE "14d32317d2134260ad80eacd2ed8326f"
#define MESSAGE_ID_STALLED "49e40cbc61e44453bba437e826674aab"
#define MESSAGE_ID_VANISHED "c2f572eca2e044adbbe0de55629bfd04"
#define MESSAGE_ID_POLICY_REFUSED "8c4b48df7be64885a86e9a45d85ad4b8"
#define MESSAGE_ID_POLICY_LOADED "e3376e3aedcc473e84157b2b9c6734b3"
#define MESSAGE_ID_CONFIG_REFUSED "69351a084b774eeb9081d06ea9cc8fb7"
#define MESSAGE_ID_IMPAIRED "fccfc4ea79744c2f91ce4b25eea1450e"
#define MESSAGE_ID_MODULE "e3e25913896949cd967643ec0be58bf4"
#define MESSAGE_ID_MISSING "f0a8bc3129144b7cad75c0627a88c22a"

/* D-Bus: org.tdxauth1(5), conf/org.tdxauth1.conf. */
#define BUS_NAME "org.tdxauth1"
#define BUS_PATH "/org/tdxauth1"
#define BUS_DEVICES_PATH BUS_PATH "/device"
#define BUS_MANAGER_INTERFACE "org.tdxauth1.Manager"
#define BUS_DEVICE_INTERFACE "org.tdxauth1.Device"
#define BUS_ERROR(name) "org.tdxauth1.Error." name

/* What polkit is asked for: conf/org.tdxauth1.policy. */
#define POLKIT_AUTHORIZE "org.tdxauth1.authorize"
#define POLKIT_DENY "org.tdxauth1.deny"
#define POLKIT_PERMANENT "org.tdxauth1.permanent"
#define POLKIT_RELOAD "org.tdxauth1.reload"
#define POLKIT_FREEZE "org.tdxauth1.freeze"
#define POLKIT_SEAL "org.tdxauth1.seal"
#define POLKIT_READ_PERSONAL "org.tdxauth1.read-personal"

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket" /* D-Bus Specification */
#define SYSTEM_BUS_ADDRESS_VARIABLE "DBUS_SYSTEM_BUS_ADDRESS"
