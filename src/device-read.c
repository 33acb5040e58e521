/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device-read.h"

#include <errno.h>

#include "driver-gate.h"
#include "names.h"
#include "sysfs-brief.h"
#include "sysfs-io.h"

/* Reads an attribute that the device may lack: then 0 and NULL. */
static int read_optional(int dirfd, const char *attr, char **ret)
{
	int r = sysfs_read(dirfd, attr, ret);

	if (r == -ENOENT) {
		*ret = NULL;
		return 0;
	}
	return r;
}

static int read_optional_link(int dirfd, const char *link, char **ret)
{
	int r = sysfs_read_link(dirfd, link, ret);

	if (r == -ENOENT) {
		*ret = NULL;
		return 0;
	}
	return r;
}

/* The value of the first line of the uevent file that begins with @key, not terminated; NULL where
 * there is none. */
static const char *uevent_value(const char *uevent, const char *key)
{
	const char *line = uevent;

	while (line && !startswith(line, key)) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return line ? line + strlen(key) : NULL;
}

static bool has_devtype(const char *uevent, const char *devtype)
{
	const char *value = uevent_value(uevent, "DEVTYPE=");
	size_t n = strlen(devtype);

	return value && strncmp(value, devtype, n) == 0 && (value[n] == '\n' || !value[n]);
}

/* @ret_uevent: the uevent file where the bus has devices and other nodes, else NULL. */
static int read_bus(int dirfd, enum Bus *ret, char **ret_uevent)
{
	_cleanup_free_ char *subsystem = NULL, *uevent = NULL;
	int r = read_optional_link(dirfd, "subsystem", &subsystem);
	enum Bus bus;

	if (r < 0)
		return r;
	bus = bus_from_string(subsystem);
	if (bus == _BUS_INVALID)
		return -ENOTSUP;
	if (bus_info[bus].devtype) {
		r = sysfs_read(dirfd, ATTR_UEVENT, &uevent);
		if (r < 0)
			return r;
		if (!has_devtype(uevent, bus_info[bus].devtype))
			return -ENOTSUP;
	}
	*ret = bus;
	*ret_uevent = TAKE_PTR(uevent);
	return 0;
}

static int read_ids(int dirfd, struct Device *device)
{
	for (const struct BusId *id = bus_info[device->bus].ids; id->attr; id++) {
		_cleanup_free_ char *text = NULL;
		int r = read_optional(dirfd, id->attr, &text);

		if (r < 0)
			return r;
		/* An id that does not parse stays unknown and matches nothing. */
		if (text && parse_sysfs_hex(text, &device->ids[id->field]) == 0)
			device->have_ids |= 1U << id->field;
	}
	return 0;
}

/* Reads a list of attributes into one string, those that are there, separated by blanks. */
static int read_joined(int dirfd, const char *const *attrs, char **ret)
{
	_cleanup_free_ char *joined = NULL;

	for (; *attrs; attrs++) {
		_cleanup_free_ char *text = NULL;
		char *longer;
		int r = read_optional(dirfd, *attrs, &text);

		if (r < 0)
			return r;
		if (isempty(text))
			continue;
		if (asprintf(&longer, "%s%s%s", joined ? joined : "", joined ? " " : "", text) < 0)
			return -ENOMEM;
		free(joined);
		joined = longer;
	}
	*ret = TAKE_PTR(joined);
	return 0;
}

/* Kernels write these ids into a page without a look at where it ends (drivers/pnp/interface.c,
 * id_show(); drivers/acpi/device_sysfs.c, hid_show()), and firmware gives as many and as long ones
 * as it likes. A modalias of all of them that could be shown is proof that they fit; while the
 * device is not present it is empty, and proves nothing. */
static int read_text_ids(int dirfd, struct Device *device)
{
	_cleanup_free_ char *companion = NULL;
	int r;

	if (device->bus == BUS_ACPI && isempty(device->modalias))
		return 0;
	if (device->bus == BUS_PNP) {
		r = read_optional(dirfd, ATTR_COMPANION_MODALIAS, &companion);
		if (r < 0)
			return r;
		if (companion && !*companion)
			return -ENODATA;
	}
	return read_joined(dirfd, bus_info[device->bus].text_ids, &device->text_ids);
}

static unsigned read_hex_or_zero(int dirfd, const char *attr)
{
	_cleanup_free_ char *text = NULL;
	uint32_t value = 0;

	if (sysfs_read(dirfd, attr, &text) < 0 || parse_sysfs_hex(text, &value) < 0)
		return 0;
	return value;
}

#define USB_MODALIAS "usb:v%04Xp%04Xd%04Xdc%02Xdsc%02Xdp%02X"

/* A usb device has no modalias, its interfaces have, and begin with this: file2alias.c and
 * drivers/usb/core/sysfs.c. */
static int build_usb_modalias(int dirfd, struct Device *device)
{
	if (!device_has_id(device, ID_VENDOR) || !device_has_id(device, ID_DEVICE))
		return 0;
	if (asprintf(&device->modalias, USB_MODALIAS, device->ids[ID_VENDOR],
		     device->ids[ID_DEVICE], read_hex_or_zero(dirfd, "bcdDevice"),
		     read_hex_or_zero(dirfd, "bDeviceClass"),
		     read_hex_or_zero(dirfd, "bDeviceSubClass"),
		     read_hex_or_zero(dirfd, "bDeviceProtocol")) < 0) {
		device->modalias = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* The same, and the ids in it, of what the kernel says in one file: drivers/usb/core/driver.c,
 * usb_uevent(). To read them one by one takes six. Returns -ENODATA where it does not say so. */
static int read_usb_ids(const char *uevent, struct Device *device)
{
	const char *product = uevent_value(uevent, "PRODUCT="),
		   *type = uevent_value(uevent, "TYPE=");
	unsigned ids[3], class[3];

	if (!product || sscanf(product, "%4x/%4x/%4x", &ids[0], &ids[1], &ids[2]) != 3 || !type ||
	    sscanf(type, "%3u/%3u/%3u", &class[0], &class[1], &class[2]) != 3)
		return -ENODATA;
	device->ids[ID_VENDOR] = ids[0];
	device->ids[ID_DEVICE] = ids[1];
	device->have_ids = 1U << ID_VENDOR | 1U << ID_DEVICE;
	if (asprintf(&device->modalias, USB_MODALIAS, ids[0], ids[1], ids[2], class[0], class[1],
		     class[2]) < 0) {
		device->modalias = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* How to read what holds a device, where that may make the reader wait. */
enum Patience {
	WAIT,
	OPEN,	/* open it for somebody else to read */
	ASSUME, /* take the device for one that nothing keeps from drivers */
	SKIP,	/* it is of no interest */
};

/* What to read beyond what identifies a device, and how. */
struct Reader {
	const struct Needs *needs; /* NULL: nothing */
	struct Vector
		*readings; /* NULL: read everything that @needs names, however long it takes */
	enum Patience patience;
};

static void take_state(struct Device *device, const struct GateState *state)
{
	free(device->override);
	device->gate = state->gate;
	device->authorized = state->authorized;
	device->authorized_driver = state->authorized_driver;
	device->override = state->override;
}

static int interpret(struct Device *device)
{
	struct GateState state;
	int r = gate_interpret(device->override, device->driver, &state);

	take_state(device, &state);
	return r;
}

/* What stands for the attributes where there are none. */
static int read_gate(int dirfd, struct Device *device, enum Patience patience,
		     struct Vector *readings)
{
	_cleanup_close_ int fd = patience == WAIT ? -ENOENT : gate_open(dirfd, device->bus);
	struct Reading reading = {.fd = fd, .text = &device->override};
	struct GateState state;
	int r;

	if (fd == -ENOENT) {
		r = gate_read(dirfd, device->bus, device->driver, &state);
		take_state(device, &state);
		return r;
	}
	if (fd < 0 || patience == SKIP)
		return fd < 0 ? fd : 0;
	if (patience == ASSUME)
		return interpret(device);
	device->gate = GATE_OVERRIDE;
	r = vector_add(readings, &reading, sizeof(reading));
	if (r == 0)
		(void)take_fd(&fd);
	return r;
}

static int read_authorization(int dirfd, struct Device *device, enum Patience patience,
			      struct Vector *readings)
{
	_cleanup_free_ char *authorized = NULL, *by = NULL;
	int r = read_optional(dirfd, ATTR_AUTHORIZED, &authorized);

	device->gate = GATE_NONE;
	device->authorized = -1;
	device->authorized_by = _ORIGIN_INVALID;
	if (r < 0)
		return r;
	if (!authorized)
		return read_gate(dirfd, device, patience, readings);
	/* usb reads -1 while the device is being set up for wireless: as good as 0 */
	device->authorized = streq(authorized, "1") || streq(authorized, "2");
	if (bus_info[device->bus].native) /* and had these never */
		return 0;
	r = read_optional(dirfd, ATTR_AUTHORIZED_BY, &by);
	if (r < 0)
		return r;
	device->authorized_by = origin_from_string(by);
	return read_optional(dirfd, ATTR_AUTHORIZED_DRIVER, &device->authorized_driver);
}

static int read_driver(int dirfd, struct Device *device)
{
	free(device->driver);
	device->driver = NULL;
	return read_optional_link(dirfd, "driver", &device->driver);
}

static int read_state(int dirfd, struct Device *device, enum Patience patience,
		      struct Vector *readings)
{
	int r = read_driver(dirfd, device);

	free(device->authorized_driver);
	free(device->override);
	device->authorized_driver = device->override = NULL;
	return r < 0 ? r : read_authorization(dirfd, device, patience, readings);
}

int device_read_state(int dirfd, struct Device *device)
{
	int r;

	if (device->gate != GATE_OVERRIDE)
		return read_state(dirfd, device, WAIT, NULL);
	r = read_driver(dirfd, device);
	return r < 0 ? r : interpret(device);
}

static int read_identity(int dirfd, const char *uevent, struct Device *device)
{
	int r = device->bus == BUS_USB ? read_usb_ids(uevent, device) : -ENODATA;

	if (r != -ENODATA)
		return r;
	r = read_ids(dirfd, device);
	if (r < 0)
		return r;
	return device->bus == BUS_USB ? build_usb_modalias(dirfd, device)
				      : read_optional(dirfd, ATTR_MODALIAS, &device->modalias);
}

/* @uevent: as read_bus() has it. */
static int read_all(int dirfd, const char *uevent, struct Device *device,
		    const struct Reader *reader)
{
	int r = read_identity(dirfd, uevent, device);

	if (r < 0)
		return r;
	r = read_text_ids(dirfd, device);
	if (r < 0)
		return r;
	return read_state(dirfd, device, reader->patience, reader->readings);
}

/* --- what a policy needs --- */

/* A device that answers so has no such attribute to show: a directory of the name, say. */
static bool is_absence(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -EISDIR || error == -EACCES ||
	       error == -EPERM || error == -EINVAL || error == -EOPNOTSUPP || error == -ENODATA ||
	       error == -ELOOP;
}

int readings_result(const struct Vector *readings)
{
	const struct Reading *reading = readings->data;

	for (size_t i = 0; i < readings->n; i++)
		if (reading[i].error < 0 && !is_absence(reading[i].error))
			return reading[i].error;
	return 0;
}

void readings_done(struct Vector *readings)
{
	const struct Reading *reading = readings->data;

	for (size_t i = 0; i < readings->n; i++)
		(void)close(reading[i].fd);
	vector_done(readings);
}

static bool is_text(enum Bus bus, const char *name)
{
	for (const char *const *text = bus_info[bus].texts; *text; text++)
		if (streq(*text, name))
			return true;
	return false;
}

/* Of attributes that any policy may name nobody knows. */
static bool may_wait(enum Bus bus, const char *name)
{
	return bus_info[bus].waits || !is_text(bus, name);
}

/* Reads what can be read at once; the rest is left open for somebody who may wait. */
static int open_attribute(int dirfd, enum Bus bus, struct Attribute *attribute,
			  struct Vector *readings)
{
	_cleanup_close_ int fd = sysfs_open_attr(dirfd, attribute->name);
	struct Reading reading = {.fd = fd, .text = &attribute->value};
	int r = -ETIME;

	if (fd < 0)
		return fd;
	if (is_text(bus, attribute->name))
		r = sysfs_read_briefly(fd, &attribute->value);
	if (r != -ETIME)
		return sysfs_tell_absence(dirfd, r);
	r = vector_add(readings, &reading, sizeof(reading));
	if (r == 0)
		(void)take_fd(&fd);
	return r;
}

static int read_attributes(int dirfd, const struct Reader *reader, struct Device *device)
{
	const struct Vector *names = &reader->needs->attributes;

	device->attributes = calloc(names->n, sizeof(*device->attributes));
	if (!device->attributes && names->n > 0)
		return -ENOMEM;
	for (size_t i = 0; i < names->n; i++) {
		struct Attribute *attribute = &device->attributes[device->n_attributes];
		int r;

		attribute->name = strdup(string_at(names, i));
		if (!attribute->name)
			return -ENOMEM;
		device->n_attributes++;
		r = reader->readings && may_wait(device->bus, attribute->name)
			    ? open_attribute(dirfd, device->bus, attribute, reader->readings)
			    : sysfs_read(dirfd, attribute->name, &attribute->value);
		if (r < 0 && !is_absence(r))
			return r;
	}
	return 0;
}

/* drivers/usb/core/sysfs.c: a device descriptor, and a configuration's total length is 16 bits. */
#define DESCRIPTORS_MAX (18 + 255 * (size_t)65535)

static int read_interfaces(int dirfd, struct Device *device)
{
	_cleanup_free_ unsigned char *data = NULL;
	size_t size = 0;
	int r = sysfs_read_binary(dirfd, ATTR_DESCRIPTORS, DESCRIPTORS_MAX, &data, &size);

	return r < 0 ? r
		     : usb_interfaces_parse(data, size, &device->interfaces, &device->n_interfaces);
}

static int open_and_read(const char *syspath, const struct Reader *reader, int *ret_dirfd,
			 struct Device **ret);

/* The nearest directory above @syspath that is a device of a governed bus. Directories that only
 * keep devices of a class together are no devices and have no attributes. */
static int read_parent(const char *syspath, const struct Reader *reader, struct Device **ret)
{
	struct Reader above = {reader->needs, reader->readings,
			       reader->patience == WAIT ? WAIT : SKIP};
	_cleanup_free_ char *path = strdup(syspath);
	char *slash;

	if (!path)
		return -ENOMEM;
	*ret = NULL;
	while ((slash = strrchr(path, '/')) && slash != path) {
		int r;

		*slash = '\0';
		if (streq(path, SYSFS_DEVICES))
			return 0;
		r = open_and_read(path, &above, NULL, ret);
		if (r != -ENOTSUP && r != -ENODEV)
			return r;
	}
	return 0;
}

static int read_needs(const char *syspath, int dirfd, const struct Reader *reader,
		      struct Device *device)
{
	int r = read_attributes(dirfd, reader, device);

	if (r >= 0 && reader->needs->interfaces && bus_info[device->bus].interfaces)
		r = read_interfaces(dirfd, device);
	if (r >= 0 && reader->needs->parents)
		r = read_parent(syspath, reader, &device->parent);
	/* what is above it goes after it: one that is still there has lost none */
	return r >= 0 && !sysfs_is_alive(dirfd) ? -ENODEV : r;
}

static int device_new(const char *syspath, int dirfd, char **ret_uevent, struct Device **ret)
{
	_cleanup_free_ char *uevent = NULL;
	_cleanup_device_ struct Device *device = calloc(1, sizeof(*device));
	const char *slash = strrchr(syspath, '/');
	int r;

	if (!device)
		return -ENOMEM;
	r = read_bus(dirfd, &device->bus, &uevent);
	if (r < 0)
		return r;
	device->syspath = strdup(syspath);
	device->sysname = strdup(slash ? slash + 1 : syspath);
	if (!device->syspath || !device->sysname)
		return -ENOMEM;
	r = sysfs_identity(dirfd, &device->dev, &device->ino);
	if (r < 0)
		return r;
	*ret_uevent = TAKE_PTR(uevent);
	*ret = TAKE_PTR(device);
	return 0;
}

int device_read_authorization(const char *syspath, int dirfd, struct Device **ret)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_free_ char *uevent = NULL;
	int r = device_new(syspath, dirfd, &uevent, &device);

	if (r >= 0)
		r = read_state(dirfd, device, ASSUME, NULL);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(device);
	return 0;
}

static int read_device(const char *syspath, int dirfd, const struct Reader *reader,
		       struct Device **ret)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_free_ char *uevent = NULL;
	int r = device_new(syspath, dirfd, &uevent, &device);

	if (r < 0)
		return r;
	r = read_all(dirfd, uevent, device, reader);
	if (r >= 0 && reader->needs)
		r = read_needs(syspath, dirfd, reader, device);
	if (r < 0) /* it is a device, whatever an attribute answers */
		return r == -ENOTSUP ? -EIO : r;
	*ret = TAKE_PTR(device);
	return 0;
}

static int open_and_read(const char *syspath, const struct Reader *reader, int *ret_dirfd,
			 struct Device **ret)
{
	_cleanup_close_ int dirfd = sysfs_open(syspath);
	int r;

	if (dirfd < 0)
		return dirfd;
	r = read_device(syspath, dirfd, reader, ret);
	if (r < 0)
		return r;
	if (ret_dirfd)
		*ret_dirfd = take_fd(&dirfd);
	return 0;
}

int device_read(const char *syspath, int dirfd, const struct Needs *needs, struct Device **ret)
{
	return read_device(syspath, dirfd, &(struct Reader){.needs = needs}, ret);
}

int device_read_at_once(const char *syspath, int dirfd, struct Device **ret)
{
	return read_device(syspath, dirfd, &(struct Reader){.patience = ASSUME}, ret);
}

int device_read_without_waiting(const char *syspath, int dirfd, const struct Needs *needs,
				struct Vector *ret_readings, struct Device **ret)
{
	int r;

	*ret_readings = (struct Vector){0};
	r = read_device(syspath, dirfd, &(struct Reader){needs, ret_readings, OPEN}, ret);
	if (r < 0) /* the places to read into are gone */
		readings_done(ret_readings);
	return r;
}

int device_open(const char *syspath, const struct Needs *needs, int *ret_dirfd, struct Device **ret)
{
	return open_and_read(syspath, &(struct Reader){.needs = needs}, ret_dirfd, ret);
}

char *device_read_label(int dirfd, enum Bus bus)
{
	char *label = NULL;

	return read_joined(dirfd, bus_info[bus].names, &label) < 0 ? NULL : label;
}
