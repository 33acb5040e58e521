/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "arguments.h"
#include "util.h"

/* QEMU's catalogue of device models, and catalogue.conf, which says what each of them needs. */

enum model_bus {
	MODEL_PCI,
	MODEL_USB,
	MODEL_VIRTIO, /* for virtio-mmio: on microvm */
	_MODEL_BUS_MAX,
};

struct model_entry;

/* With the gate and without it, and how a model comes to a guest. */
enum gate { GATE_OFF, GATE_ENFORCE, _GATE_MAX };
enum way { WAY_COLD, WAY_HOT, _WAY_MAX };

struct model {
	char name[64];
	enum model_bus bus;
	const struct model_entry *entry; /* NULL: the file does not know the model */

	/* What QEMU says of it. */
	bool starts, pluggable;
	char refusal[256];     /* why QEMU does not start it; "" otherwise */
	char hot_refusal[256]; /* why QEMU does not plug it into a running machine */

	/* What came of it. */
	bool plugged[_GATE_MAX][_WAY_MAX]; /* into a guest that lasted */
	bool shown[_GATE_MAX][_WAY_MAX];   /* and the guest saw it */
	bool unlisted;			   /* it has a device that no list names */
	char driver[_GATE_MAX][64];	   /* what that one got, "" for none */
};

struct catalogue {
	struct model *models;
	size_t n;
	struct model_entry *entries;
};

/* Reads QEMU's list and the file at @path. Says on stderr what is wrong. */
int catalogue_load(const char *path, struct catalogue *ret);
void catalogue_done(struct catalogue *catalogue);

/* What the entry says, or NULL. */
const char *model_setting(const struct model *model, const char *key);

/* Whether the model's properties put it on a bus of their own. */
bool model_has_bus(const struct model *model);

/* Appends the options that must precede the model. @id names this one device; backends have their
 * sockets in @directory. */
void model_add_backends(const struct model *model, const char *id, const char *directory,
			struct arguments *a);

/* The model as for -device, at @where ("bus=rp1"; "" or NULL: QEMU's choice), for the caller to
 * free. */
char *model_device(const struct model *model, const char *id, const char *where);

/* The device that comes after the model, "after" in the file, for the caller to free; NULL if
 * there is none. */
char *model_device_after(const struct model *model, const char *id);
