/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "enums.h"
#include "util.h"
#include "vector.h"

/* The numbers that identify a device, whatever its bus calls them. */
enum IdField {
	ID_VENDOR,
	ID_DEVICE,
	ID_SUBSYSTEM_VENDOR,
	ID_SUBSYSTEM_DEVICE,
	ID_CLASS,
	ID_REVISION,
	_ID_FIELD_MAX,
};

/* One numeric id of a bus: the sysfs attribute it is read from, and the key by which a policy
 * matches on it, which is spelled the same. */
struct BusId {
	const char *attr;
	enum IdField field;
	unsigned digits; /* hexadecimal digits of the widest value */
	bool decimal_ok; /* people write this id in decimal as well as in hex with 0x */
};

/* What a bus is made of. To add a bus: a value in enum Bus, its name in enums.c, a row here. */
struct BusInfo {
	const char *devtype;	 /* the DEVTYPE that makes a node a device of its own, or NULL */
	struct BusId ids[7];	 /* ends with attr == NULL */
	const char *text_ids[4]; /* attributes that list ids as text, ends with NULL */
	const char *names[3];	 /* attributes in which the device names itself, ends with NULL */
	const char *texts[4];	 /* attributes that a policy matches as text, ends with NULL */
	const char *listed_key;	 /* the policy's key for all the ids that device_next_listed_id()
				  * gives, or NULL */
	bool interfaces;	 /* its devices have USB interfaces */
	bool removable;		 /* its devices have an attribute `remove` */
	bool native; /* the bus had `authorized` before any device authorization series */
	bool waits;  /* who reads its `texts` waits for the device's lock, and so for as long
		      * as a probe takes, and so does who writes `authorized` */
	bool driver_settable; /* `authorized_driver` can hold a device to one driver */
	enum Gate gate;	      /* where the kernel has no device authorization */
};

extern const struct BusInfo bus_info[_BUS_MAX];

/* An attribute of sysfs that a policy asks for by name. */
struct Attribute {
	char *name;
	char *value; /* without the final newline; NULL where the device has none */
};

/* A device as policy sees it. Strings are the host's words: unescaped. The struct owns them. */
struct Device {
	enum Bus bus;
	char *syspath; /* absolute, below /sys/devices/ */
	char *sysname;
	char *modalias;		 /* NULL where the bus has none; built from the ids for usb */
	char *text_ids;		 /* acpi, pnp: the ids as the device lists them, or NULL */
	char *label;		 /* what the device calls itself, or NULL */
	char *driver;		 /* bound driver, or NULL */
	char *authorized_driver; /* "" for any; NULL where it cannot be held to one */
	char *override;		 /* that somebody else holds it to by `driver_override`, or NULL */
	struct Attribute *attributes;
	size_t n_attributes;
	uint32_t *interfaces;  /* usb: class, subclass, protocol of each as 0xCCSSPP, of all */
	size_t n_interfaces;   /* configurations */
	struct Device *parent; /* the device above it on a governed bus; NULL: none, or not read */
	uint32_t ids[_ID_FIELD_MAX]; /* valid where the bit is set in have_ids */
	unsigned have_ids;
	enum Gate gate;		   /* what it is held by instead of the attributes: driver-gate.h */
	int authorized;		   /* 0, 1, or -1 without any means; thunderbolt's 2 reads as 1 */
	enum Origin authorized_by; /* _ORIGIN_INVALID without the attribute */
	dev_t dev; /* with ino, the identity of this sysfs directory: a device that */
	ino_t ino; /* comes back at the same path has another one (kernfs ids) */
};

/* What to know of devices beyond what identifies them. */
struct Needs {
	struct Vector attributes; /* of strings: names, each once */
	bool interfaces;
	bool parents;
};

/* Adds a name, once. Returns 0 or -ENOMEM. Only to what needs_done() is called for. */
int needs_add(struct Needs *needs, const char *name);
bool needs_has(const struct Needs *needs, const char *name);
void needs_done(struct Needs *needs);

void device_free(struct Device *device);
DEFINE_TRIVIAL_CLEANUP(struct Device *, device_free)
#define _cleanup_device_ _cleanup_(device_freep)

static inline bool device_has_id(const struct Device *device, enum IdField field)
{
	return device->have_ids & (1U << field);
}

/* Whether the kernel can hold this device to one driver. Meaningless where it cannot refuse it one
 * at all. */
static inline bool device_can_hold_driver(const struct Device *device)
{
	return device->authorized_driver;
}

/* The value of an attribute that was read because a policy asked for it; NULL where the device has
 * none. */
const char *device_attribute(const struct Device *device, const char *name);

/* Walks the ids that an acpi or pnp device lists, by any of which a driver may match. *@pos is NULL
 * at first. Returns the next id, *ret_len bytes long and not terminated, or NULL at the end. */
const char *device_next_listed_id(const struct Device *device, const char **pos, size_t *ret_len);

/* Whether the @len bytes at @id are PRP0001, which says nothing of a driver: firmware makes a
 * device go by any driver's "compatible" string with it, and its modalias is that one and not a
 * list of ids. Documentation/firmware-guide/acpi/enumeration.rst. pnp tells no upper case from
 * lower. */
bool is_id_of_any_driver(const char *id, size_t len);

/* BUS:NAME, unescaped; the caller frees it. NULL when out of memory. */
char *device_name(const struct Device *device);

/* The modalias of the @number-th of a usb device's interfaces, as if it was the first of its
 * configuration: a new string, NULL when out of memory. */
char *usb_interface_modalias(const struct Device *device, size_t number);

/* Why a device is none of a policy's business, as a phrase, or NULL if it is: usb root hubs and
 * thunderbolt host routers are the controller itself, which was judged on its own bus. */
const char *device_exempt(const struct Device *device);

/* Parses an id attribute as sysfs prints it: hexadecimal, with or without 0x, a final newline
 * allowed. Returns 0, or -EINVAL for anything else or for more than 32 bits. */
int parse_sysfs_hex(const char *s, uint32_t *ret);

/* Reads an id as policies and people write it: "0x" and at most @id->digits hexadecimal digits,
 * or decimal where @id allows it. Returns 0, -EINVAL, or -ERANGE for too many digits. */
int bus_id_parse(const char *s, const struct BusId *id, uint32_t *ret);

/* The same with a mask: an "x" in the place of a hexadecimal digit fits any, "0x0106xx" every
 * interface of a class. A number fits where (number & *ret_mask) == *ret. */
int bus_id_parse_masked(const char *s, const struct BusId *id, uint32_t *ret, uint32_t *ret_mask);

/* Reads the interfaces of all configurations from USB descriptors (USB 3.2, 9.6), @size bytes of
 * the attribute `descriptors`, which the kernel ends before what it could not make out itself
 * (drivers/usb/core/config.c). Returns 0 with an array that the caller frees and its length;
 * -EBADMSG where the first is no device descriptor, or one is cut off or too short; -ENOMEM. */
int usb_interfaces_parse(const unsigned char *data, size_t size, uint32_t **ret, size_t *ret_n);
