/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "match.h"
#include "policy.h"

/* The marks that a boot has for a policy: the start, after which devices count as plugged; the
 * freeze, from which until the machine starts again the policy does not change, nobody authorizes
 * by hand, and only rules with `after-freeze` admit devices; and the seal, from which no device
 * becomes authorized at all.
 *
 * Each is a file in /run/tdx-auth, so that it holds over restarts of the daemon and for tools
 * without it, and holds the inode number of the sysfs directory that was the latest then. Those
 * numbers grow from one to the next for as long as the kernel runs (fs/kernfs/dir.c,
 * __kernfs_new_node(): counted up, with a generation above it), and so tell which devices came
 * later. */
struct Phase {
	bool is_started, is_frozen, is_sealed;
	ino_t started, frozen, sealed; /* the latest device before each */
};

/* Reads the marks. What cannot be read is taken for a mark before the first device. */
void phase_read(struct Phase *ret);

/* The same for who asks for every device: reads them again only when something came to their
 * directory (inotify(7)). A mark that was set once stays so, also where its file is removed: that
 * is no way to loosen anything. Static; for one thread. */
const struct Phase *phase_now(void);

/* Whether the device of this inode number was plugged after the start. */
static inline bool phase_is_hot(const struct Phase *phase, ino_t ino)
{
	return phase->is_started && ino > phase->started;
}

/* Whether it came after the freeze. */
static inline bool phase_is_frozen(const struct Phase *phase, ino_t ino)
{
	return phase->is_frozen && ino > phase->frozen;
}

/* Whether the device may not be given to drivers any more: it came after the seal, or is refused.
 */
static inline bool phase_is_sealed(const struct Phase *phase, const struct Device *device)
{
	return phase->is_sealed && (device->ino > phase->sealed || device->authorized == 0);
}

/* What a decision over the device goes by. One of a snapshot has no number and was there at start.
 */
void phase_moment(const struct Device *device, struct Moment *ret, void *phase);

/* Set the marks, where they are not set: @latest is the largest inode number of a device that is
 * there. Returns 0 or a negative errno. */
int phase_start(ino_t latest);
int phase_freeze(ino_t latest);
int phase_seal(ino_t latest);

/* Makes /run/tdx-auth, where it is not there. Returns 0 or a negative errno. */
int runtime_make_dir(void);

/* Whether what @policy decides would be told alone: it says so, and none was enforced in this boot,
 * which goes on so until its end. */
bool phase_would_audit(const struct Policy *policy);

/* Whether that is so of the policy in force, of which manager_note_mode() has left a mark. */
bool phase_is_audit(void);

/* Writes a file in /run/tdx-auth whole or not at all; one that is there stays, unless it is to be
 * replaced. What has words of a policy in it, which may name serial numbers, is private: for its
 * owner's eyes. Returns 0 or a negative errno. */
enum {
	RUNTIME_REPLACE = 1,
	RUNTIME_PRIVATE = 2,
};
int runtime_write(const char *name, const char *data, size_t size, int flags);

/* The path of a file in /run/tdx-auth: a new string, NULL when out of memory. */
char *runtime_path(const char *name);
