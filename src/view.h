/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "authctl.h"
#include "circumstances.h"
#include "inventory.h"
#include "output.h"
#include "verdict.h"

/* What a verb that only reads looks at: the policy, the devices, and what it decides over them. */
struct View {
	struct udev *udev;
	struct udev_hwdb *hwdb; /* NULL where the database is not installed */
	struct Policy *policy;
	struct Inventory inventory;
	struct Decision *decisions; /* over each device, in the order of the inventory */
	struct Circumstances circumstances;
	enum Protection mode; /* of the kernel's device authorization */
	bool of_snapshot;     /* the devices are not those that are there */
};

/* Reads the policy that @options name, "-" being standard input, for a verb that only looks at it.
 * Returns 0 or a negative errno after the log told why. */
int view_load_policy(const struct Options *options, struct Policy **ret);

/* Reads the policy that @options name. Returns 0 or a negative errno after the log told why. The
 * caller calls view_done() in each case. */
int view_open(struct View *view, const struct Options *options);

/* Reads the devices that are there, or those of options->snapshot, and decides over them, once. A
 * snapshot must hold all that the policy asks for. Returns 0
 * or a negative errno after the log told why. */
int view_read(struct View *view, const struct Options *options);

/* For verbs that judge by no policy: the devices, with all that policies could ask of them. */
int view_open_all(struct View *view, const struct Options *options);

/* The same as view_read(), and the device among them that a person means by @name: as find_device()
 * has it, or where there is none, the only one of that modalias, or whose name, with its bus or
 * without, begins so. That is for who looks: what changes a device takes its whole name. Returns 0,
 * or what find_device() returns, after the log told why. */
int view_find(struct View *view, const struct Options *options, const char *name,
	      const struct Device **ret);

/* Whether view_find() would find one, or several, by its whole name; and by less. */
bool view_has(struct View *view, const struct Options *options, const char *name);
bool view_has_like(struct View *view, const struct Options *options, const char *name);

void view_done(struct View *view);
#define _cleanup_view_ _cleanup_(view_done)

/* What the device is, for people, not escaped: a new string, "" if nothing is known; NULL when out
 * of memory. */
char *view_describe(const struct View *view, const struct Device *device);

/* The modules that fit @modalias, of the kernel that runs, or of the newest one in options->root:
 * as modules_for() returns them; -ENOENT where that root has none. */
int view_modules(const struct Options *options, const char *modalias, char ***ret);

/* What the device calls itself, not escaped: a new string, or NULL. */
char *view_label(const struct View *view, const struct Device *device);

/* The verdict over the device at @number. Returns 0 or -ENOMEM. */
int view_verdict(const struct View *view, size_t number, struct Verdict *ret);

/* How far a refusal on @bus holds; _PROTECTION_INVALID where the devices are those of a snapshot,
 * which does not tell. */
enum Protection view_protection(const struct View *view, enum Bus bus);
bool view_has_bus(const struct View *view, enum Bus bus);

/* "yes", "no", or NULL where the kernel has no means. */
const char *authorized_word(const struct Device *device);

/* Has what @options say of tables hold for this one, and what the terminal can do. */
void options_table(const struct Options *options, struct Table *table);

enum Colour verdict_colour(const struct Verdict *verdict);

/* "allow virtio-pci": a new string, NULL when out of memory. */
char *verdict_text(const struct Verdict *verdict);

/* Whether what the verb would change is of the system that runs, and the freeze keeps it: logs
 * @what came of that then, "nothing was changed". */
bool is_too_late(const struct Options *options, const char *what);

/* Logs why @what could not be done, where @r is negative, and returns the exit status. */
int finish(int r, const char *what);
