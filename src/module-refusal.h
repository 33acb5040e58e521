/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"

/* What the machine's own modprobe.d(5) has to say of devices: where it refuses every module of the
 * running kernel that knows a device, by `blacklist`, by an `install` that loads nothing or by
 * `alias GLOB off`, or the kernel's command line does by modprobe.blacklist=, whoever wrote it
 * wants the device to have no driver. What is built in is no module. */
struct ModuleRefusals;

/* Reads it, of the system at @root, NULL for this one; the modules are always those of the running
 * kernel. Without any, nothing is refused. Returns 0 or a negative errno. */
int module_refusals_new(const char *root, struct ModuleRefusals **ret);
void module_refusals_free(struct ModuleRefusals *refusals);
DEFINE_TRIVIAL_CLEANUP(struct ModuleRefusals *, module_refusals_free)

/* Reads all anew. Returns 1 where answers may be others now, 0 where they are not, or a negative
 * errno, after which nothing has changed. */
int module_refusals_reread(struct ModuleRefusals *refusals);

/* "FILE:LINE" of the line that refuses the first of the modules, where all that know the device are
 * refused; else NULL. Where memory is too short to tell, the device counts as refused, by a phrase.
 * The string lives as long as @refusals. @refusals may be
 * NULL. Of a usb device its interfaces count, which have to have been read. */
const char *module_refusals_find(struct ModuleRefusals *refusals, const struct Device *device);

/* Whether interfaces of usb devices may make a difference. */
bool module_refusals_need_interfaces(const struct ModuleRefusals *refusals);

/* Where it reads: below which root modprobe.d's directories are, and in which directory the
 * modules.alias. */
const char *module_refusals_root(const struct ModuleRefusals *refusals);
const char *module_refusals_directory(const struct ModuleRefusals *refusals);
