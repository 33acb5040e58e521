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

struct model {
	char name[64];
	enum model_bus bus;
	const struct model_entry *entry; /* NULL: the file does not know the model */

	/* What came of it. */
	bool starts;
	char refusal[256];	/* why QEMU does not start it; "" otherwise */
	char hot_refusal[256];	/* why QEMU does not plug it into a running guest */
	unsigned int cold, hot; /* guests that it was plugged into */
	bool shown;		/* a guest saw it */
	bool unlisted;		/* and it is on no list */
	char driver[64];	/* what it got with dev_auth=off on a device that no list names */
};

struct catalogue {
	struct model *models;
	size_t n;
	struct model_entry *entries;
};

/* Reads QEMU's list and the file at @path. Says on stderr what is wrong. */
int catalogue_load(const char *path, struct catalogue *ret);
void catalogue_done(struct catalogue *catalogue);

/* What the entry says, or NULL. @key: skip, alone, machine, properties. */
const char *model_setting(const struct model *model, const char *key);

/* Whether the model's properties put it on a bus of their own. */
bool model_has_bus(const struct model *model);

/* Appends the options that must precede the model. @id names this one device. */
void model_add_backends(const struct model *model, const char *id, const char *vhost,
			struct arguments *a);

/* The model as for -device, at @where ("bus=rp1"; "" or NULL: QEMU's choice), for the caller to
 * free. */
char *model_device(const struct model *model, const char *id, const char *where);
