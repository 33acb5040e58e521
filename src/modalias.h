/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* What a modalias tells of a device that is not there. */
struct Modalias {
	/* Its bus, those of its ids that are told, and the modalias; usb: the interface that is
	 * told, of which there may be more. It has no path, and no name unless it is a platform
	 * device, whose name begins so. */
	struct Device *device;
	size_t known;  /* bytes of the modalias that the device's own begins with */
	bool is_whole; /* they are all of it, without a wildcard */
	uint32_t class_bits, class_mask; /* of a class that is told in part: what, and where */
};

/* Reads @s, as devices have it in sysfs (usb: as their interfaces have it, which may be left out),
 * or with wildcards, as modules have it: scripts/mod/file2alias.c of the kernel, and the functions
 * of the buses that make MODALIAS of a uevent. Returns 0, and the caller calls modalias_done();
 * -EINVAL where it is not of the form of its bus; -ENOMEM. */
int modalias_parse(const char *s, struct Modalias *ret);
void modalias_done(struct Modalias *modalias);

/* The form that a modalias beginning like @s has, for people, a static string; NULL where it begins
 * like that of no governed bus. */
const char *modalias_form(const char *s);

/* Whether @s begins like a modalias and like the name of no device: "pci:v", but not "pci:0". */
bool modalias_is_meant(const char *s);
