/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "decide.h"
#include "policy-parse.h"

/* The devices that were decided over, in the order in which they came, and how many of them each
 * rule admits. */

/* The identity tells a device from a later one at the same path. */
struct Known {
	struct Known *previous, *next; /* in the order in which they came */
	char *syspath;
	dev_t dev;
	ino_t ino;
	unsigned generation; /* of the scan that saw it last */
	bool is_hot;	     /* it came after the start */
	bool is_stale;	     /* it is to be decided over anew, whatever was decided */
	bool is_due;	     /* it is to be looked at once what is on its way is done */
	bool is_decided;     /* it was decided over once */
	bool is_unrefused;   /* it was to be refused, and could not be */
	bool is_waiting;     /* it is to be authorized once the device above it is */
	char *shown;	     /* what it showed then, of a bus whose devices change their ids */
	int before;	     /* `authorized` as it was first seen; of a root hub: whether it gave
			      * devices to drivers then; of what a gate holds: whether it had one */
	int authorized;	     /* as it was seen or left last; -1 unknown */
	char driver[POLICY_DRIVER_MAX + 1]; /* that it was held to then */
	bool is_ours;			    /* it was left so by us */
	bool is_by_hand;		    /* somebody else decided over it */
	bool is_presumed;  /* that it is by hand, while nothing told what others noted */
	char *given_to;	   /* and gave it to this driver, "" for any, through us; NULL: did not */
	bool is_cut_short; /* an earlier run ended before it knew what came of a decision by hand */
	bool is_written;   /* a write is on its way to it */
	bool is_noted;	   /* state.h: it is written down as it is */
	enum Gate gate;	   /* that holds it, valid once it is decided, as are: */
	bool keeps_driver; /* it had one at first, which only that gives it */
	bool is_untaken;   /* it is to be offered to drivers again */
	unsigned n_offers; /* how often it was, and was not taken */
	enum Bus bus;	   /* of the device, and what is wanted of it, valid once it is decided */
	enum Action action;
	enum Action wanted; /* the same, with our own word in the place of a kernel's without one */
	enum DecidedBy by;
	const struct Rule *rule; /* the rule of that decision, or NULL; the policy's */
	const char *refused_by;	 /* with DECIDED_BY_MODPROBE */
};

struct Registry {
	struct Known *first, *last;
	size_t n;
	void *tree;	/* tsearch() tree of them by syspath */
	void *ino_tree; /* the same by inode number */
	unsigned generation;
	const struct Policy *policy;
	uint32_t *admitted; /* for each rule of the policy, the devices that it admits */
	bool *missing;	    /* for each, whether that is fewer than it needs, and was told */
	ino_t latest;	    /* the largest inode number of a device */
};

/* Starts to count by the rules of @policy, which must live until the next call. All devices are
 * stale then. Returns 0 or -ENOMEM, which changes nothing. */
int registry_set_policy(struct Registry *registry, const struct Policy *policy);

/* The device at @syspath, or NULL. */
struct Known *registry_find(const struct Registry *registry, const char *syspath);

/* The device whose sysfs directory has this inode number, or NULL. */
struct Known *registry_find_ino(const struct Registry *registry, ino_t ino);

/* Adds @device, or finds it; another device at its path takes the place of the former. Returns NULL
 * when out of memory. */
struct Known *registry_add(struct Registry *registry, const struct Device *device, bool is_hot);

/* Adds a device of an earlier run, or puts it in the place of another one at its path. NULL when
 * out of memory. registry_sort() then brings them into the order in which they came, and returns 0
 * or -ENOMEM. */
struct Known *registry_restore(struct Registry *registry, const char *syspath, dev_t dev,
			       ino_t ino);
int registry_sort(struct Registry *registry);

/* Takes out the one at @syspath, if there is one, or all; nobody comes in their places. */
void registry_drop(struct Registry *registry, const char *syspath);
void registry_drop_all(struct Registry *registry);

/* Notes that @decision was made over @known, which is @device, in place of an earlier one. */
void registry_note(struct Registry *registry, struct Known *known, const struct Device *device,
		   const struct Decision *decision);

/* Notes what is wanted of the device by that decision, where the kernel may have no word of its
 * own.
 */
void known_note_wanted(struct Known *known, enum Action wanted);

/* Whether @device shows the ids that were decided over. */
bool known_shows(const struct Known *known, const struct Device *device);

/* How many devices the rules admit without @known, for the decision over it. Valid until the next
 * registry_note(). */
const uint32_t *registry_admitted_beside(struct Registry *registry, struct Known *known);

/* Notes how the device was seen, or, with @is_ours, left; @authorized is -1 where nobody knows. */
void known_note_state(struct Known *known, int authorized, const char *driver, bool is_ours);
void known_note_by_hand(struct Known *known, bool is_by_hand);

/* Notes to which driver it was given by hand, for when that comes: NULL for none, "" for any. Where
 * memory is short, it is not offered to it. */
void known_note_given(struct Known *known, const char *driver);

/* The decision that registry_note() noted, as far as it is known still: what a former policy
 * decided by has no rule any more. */
struct Decision known_decision(const struct Known *known);

/* Whether somebody else decided over the device, once for as long as it is there. The kernel does
 * not say who of user space it was, and on usb and thunderbolt not even that it was user space: but
 * who leaves it otherwise than we did is not us. What was cut short counts where it refuses: a
 * device that is authorized may be so as nothing had been written yet, against the policy. */
bool known_is_by_hand(const struct Known *known, const struct Device *device);

/* Whether the bus gave the device to drivers by its own default, and we took it away: there the
 * kernel knows no "default" to go back to. */
bool known_is_to_be_given_back(const struct Known *known, const struct Device *device,
			       const struct Decision *decision);

/* Whether a write that never came back may still give the device to drivers, and @decision refuses
 * it: usbcore's readers see nothing of a write that waits for the device's lock. */
bool known_may_be_given_yet(const struct Known *known, const struct Device *device,
			    const struct Decision *decision);

/* Forgets @known, which is freed. Returns the first device to have come of those that the rule,
 * which now admits one less, had no room for, or NULL. */
struct Known *registry_forget(struct Registry *registry, struct Known *known);

/* How many rules admit fewer devices than they need; @tell gets those of which that is new. */
unsigned registry_missing(struct Registry *registry,
			  void (*tell)(const struct Rule *rule, unsigned admitted));

void registry_done(struct Registry *registry);
