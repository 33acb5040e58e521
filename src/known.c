/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "known.h"

#include <errno.h>
#include <search.h>

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct Known *)a)->syspath, ((const struct Known *)b)->syspath);
}

static int compare_inos(const void *a, const void *b)
{
	ino_t x = ((const struct Known *)a)->ino, y = ((const struct Known *)b)->ino;

	return (x > y) - (x < y);
}

static void known_free(void *p)
{
	struct Known *known = p;

	free(known->syspath);
	free(known->shown);
	free(known->given_to);
	free(known);
}

struct Known *registry_find(const struct Registry *registry, const char *syspath)
{
	struct Known key = {.syspath = (char *)syspath};
	struct Known *const *found = tfind(&key, &registry->tree, compare_paths);

	return found ? *found : NULL;
}

struct Known *registry_find_ino(const struct Registry *registry, ino_t ino)
{
	struct Known key = {.ino = ino};
	struct Known *const *found = tfind(&key, &registry->ino_tree, compare_inos);

	return found ? *found : NULL;
}

/* Has the device be found by its inode number, from now on or no longer. A directory that was moved
 * is found as the one that was seen last. */
static void index_ino(struct Registry *registry, struct Known *known)
{
	struct Known **found = tsearch(known, &registry->ino_tree, compare_inos);

	if (found)
		*found = known;
}

static void unindex_ino(struct Registry *registry, struct Known *known)
{
	if (registry_find_ino(registry, known->ino) == known)
		(void)tdelete(known, &registry->ino_tree, compare_inos);
}

/* --- what rules admit --- */

static uint32_t *counter_of(const struct Registry *registry, const struct Rule *rule)
{
	return &registry->admitted[rule - policy_rule(registry->policy, 0)];
}

static bool is_admitted(const struct Known *known)
{
	return known->rule && known->by == DECIDED_BY_RULE;
}

static void release(struct Registry *registry, struct Known *known)
{
	if (is_admitted(known))
		--*counter_of(registry, known->rule);
	known->rule = NULL;
}

const uint32_t *registry_admitted_beside(struct Registry *registry, struct Known *known)
{
	release(registry, known);
	return registry->admitted;
}

/* What firmware describes appears with its ids and loses them: they are shown while it is present.
 * NULL for devices of other buses, and when out of memory. */
static char *shown_by(const struct Device *device)
{
	char *shown;

	if (!bus_info[device->bus].listed_key && device->bus != BUS_PLATFORM)
		return NULL;
	if (asprintf(&shown, "%s\n%s", device->modalias ? device->modalias : "",
		     device->text_ids ? device->text_ids : "") < 0)
		return NULL;
	return shown;
}

bool known_shows(const struct Known *known, const struct Device *device)
{
	_cleanup_free_ char *shown = shown_by(device);

	return known->shown && shown && streq(known->shown, shown);
}

void registry_note(struct Registry *registry, struct Known *known, const struct Device *device,
		   const struct Decision *decision)
{
	if (!known->is_decided || known->action != decision->action ||
	    known->rule != decision->rule || known->by != decision->by)
		known->is_noted = false;
	free(known->shown);
	known->shown = shown_by(device);
	known->is_decided = true;
	known->is_unrefused = known->is_waiting = false;
	release(registry, known);
	known->bus = device->bus;
	known->gate = device->gate;
	known->action = decision->action;
	known->rule = decision->rule;
	known->by = decision->by;
	known->refused_by = decision->refused_by;
	known->is_stale = false;
	if (is_admitted(known))
		++*counter_of(registry, known->rule);
}

void known_note_wanted(struct Known *known, enum Action wanted)
{
	if (known->wanted != wanted)
		known->is_noted = false;
	known->wanted = wanted;
}

/* --- how devices are left --- */

void known_note_state(struct Known *known, int authorized, const char *driver, bool is_ours)
{
	if (!driver)
		driver = "";
	if (known->authorized != authorized || known->is_ours != is_ours ||
	    !streq(known->driver, driver))
		known->is_noted = false;
	known->authorized = authorized;
	known->is_ours = is_ours;
	(void)snprintf(known->driver, sizeof(known->driver), "%s", driver);
}

bool known_is_by_hand(const struct Known *known, const struct Device *device)
{
	const char *driver = device->authorized_driver ? device->authorized_driver : "";
	/* a write that never came back left it who knows how */
	bool is_as_left = known->authorized < 0 ||
			  (known->authorized == device->authorized && streq(known->driver, driver));

	if (known->is_cut_short && device->authorized == 1)
		return false;
	if (device->gate != GATE_NONE) /* what others hold by its override is not ours to keep */
		return !device->override && (known->is_by_hand || !is_as_left);
	if (device->authorized_by == ORIGIN_USER)
		return known->is_by_hand || !known->is_ours || !is_as_left;
	if (device->authorized_by != _ORIGIN_INVALID)
		return false;
	return known->is_by_hand || (bus_info[device->bus].native && !is_as_left);
}

void known_note_given(struct Known *known, const char *driver)
{
	free(known->given_to);
	known->given_to = driver ? strdup(driver) : NULL;
}

void known_note_by_hand(struct Known *known, bool is_by_hand)
{
	if (known->is_by_hand != is_by_hand)
		known->is_noted = false;
	known->is_by_hand = is_by_hand;
	known->is_presumed = false;
	if (!is_by_hand)
		known_note_given(known, NULL);
	known->is_cut_short = false;
}

struct Decision known_decision(const struct Known *known)
{
	const struct Rule *rule = known->rule;

	return (struct Decision){
		.action = known->action,
		.driver = rule && known->by == DECIDED_BY_RULE ? rule->driver : NULL,
		.rule = rule,
		.by = known->by,
		.refused_by = known->refused_by,
	};
}

bool known_is_to_be_given_back(const struct Known *known, const struct Device *device,
			       const struct Decision *decision)
{
	return bus_info[device->bus].native && decision->action == ACTION_KERNEL &&
	       known->is_ours && known->before == 1 && device->authorized == 0;
}

bool known_may_be_given_yet(const struct Known *known, const struct Device *device,
			    const struct Decision *decision)
{
	return bus_info[device->bus].waits && known->authorized < 0 && device->authorized >= 0 &&
	       !action_gives(decision->action);
}

/* --- devices --- */

static void append(struct Registry *registry, struct Known *known)
{
	known->previous = registry->last;
	known->next = NULL;
	*(registry->last ? &registry->last->next : &registry->first) = known;
	registry->last = known;
	registry->n++;
}

static void take_out(struct Registry *registry, struct Known *known)
{
	*(known->previous ? &known->previous->next : &registry->first) = known->next;
	*(known->next ? &known->next->previous : &registry->last) = known->previous;
	registry->n--;
}

static struct Known *known_new(struct Registry *registry, const char *syspath)
{
	struct Known *known = calloc(1, sizeof(*known));

	if (!known)
		return NULL;
	known->syspath = strdup(syspath);
	if (!known->syspath || !tsearch(known, &registry->tree, compare_paths)) {
		known_free(known);
		return NULL;
	}
	append(registry, known);
	return known;
}

/* Where memory is short, the device is not found by its number. */
static void set_identity(struct Registry *registry, struct Known *known, dev_t dev, ino_t ino)
{
	unindex_ino(registry, known);
	known_note_given(known, NULL);
	known->dev = dev;
	known->ino = ino;
	index_ino(registry, known);
}

struct Known *registry_add(struct Registry *registry, const struct Device *device, bool is_hot)
{
	struct Known *known = registry_find(registry, device->syspath);

	if (!known)
		known = known_new(registry, device->syspath);
	if (!known)
		return NULL;
	known->generation = registry->generation;
	if (known->dev == device->dev && known->ino == device->ino)
		return known;
	release(registry, known);
	take_out(registry, known);
	append(registry, known);
	free(known->shown);
	known->shown = NULL;
	set_identity(registry, known, device->dev, device->ino);
	known->is_hot = is_hot;
	known->is_untaken = false;
	known->n_offers = 0;
	known->is_due = known->is_decided = known->is_unrefused = known->is_waiting = false;
	known->is_by_hand = known->is_cut_short = known->is_written = known->is_noted = false;
	known->is_presumed = false;
	known->before = device->gate == GATE_NONE ? device->authorized : device->driver != NULL;
	known_note_state(known, device->authorized, device->authorized_driver, false);
	if (device->ino > registry->latest)
		registry->latest = device->ino;
	return known;
}

static void forget(struct Registry *registry, struct Known *known)
{
	release(registry, known);
	(void)tdelete(known, &registry->tree, compare_paths);
	unindex_ino(registry, known);
	take_out(registry, known);
	known_free(known);
}

struct Known *registry_forget(struct Registry *registry, struct Known *known)
{
	const struct Rule *rule = is_admitted(known) ? known->rule : NULL;
	struct Known *waiting = registry->first;

	if (waiting == known)
		waiting = known->next;
	forget(registry, known);
	while (rule && waiting && (waiting->rule != rule || waiting->by != DECIDED_BY_COUNT))
		waiting = waiting->next;
	return rule ? waiting : NULL;
}

/* --- an earlier run's --- */

struct Known *registry_restore(struct Registry *registry, const char *syspath, dev_t dev, ino_t ino)
{
	struct Known *known = registry_find(registry, syspath);

	if (!known)
		known = known_new(registry, syspath);
	if (!known)
		return NULL;
	set_identity(registry, known, dev, ino);
	known->is_stale = true;
	if (ino > registry->latest)
		registry->latest = ino;
	return known;
}

static int compare_arrivals(const void *a, const void *b)
{
	const struct Known *x = *(struct Known *const *)a, *y = *(struct Known *const *)b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

int registry_sort(struct Registry *registry)
{
	size_t n = registry->n, i = 0;
	_cleanup_free_ struct Known **all = calloc(n + 1, sizeof(void *));

	if (!all)
		return -ENOMEM;
	for (struct Known *known = registry->first; known; known = known->next)
		all[i++] = known;
	qsort(all, n, sizeof(void *), compare_arrivals);
	registry->first = registry->last = NULL;
	registry->n = 0;
	for (i = 0; i < n; i++)
		append(registry, all[i]);
	return 0;
}

void registry_drop(struct Registry *registry, const char *syspath)
{
	struct Known *known = registry_find(registry, syspath);

	if (known)
		forget(registry, known);
}

void registry_drop_all(struct Registry *registry)
{
	while (registry->first)
		forget(registry, registry->first);
}

/* --- rules --- */

int registry_set_policy(struct Registry *registry, const struct Policy *policy)
{
	uint32_t *admitted = calloc(policy_n_rules(policy) + 1, sizeof(*admitted));
	bool *missing = calloc(policy_n_rules(policy) + 1, sizeof(*missing));

	if (!admitted || !missing) {
		free(admitted);
		free(missing);
		return -ENOMEM;
	}
	free(registry->admitted);
	free(registry->missing);
	registry->admitted = admitted;
	registry->missing = missing;
	registry->policy = policy;
	for (struct Known *known = registry->first; known; known = known->next) {
		known->rule = NULL;
		known->is_stale = true;
	}
	return 0;
}

unsigned registry_missing(struct Registry *registry,
			  void (*tell)(const struct Rule *rule, unsigned admitted))
{
	unsigned n = 0;

	for (size_t i = 0; registry->policy->has_minimum && i < policy_n_rules(registry->policy);
	     i++) {
		const struct Rule *rule = policy_rule(registry->policy, i);
		bool is_missing = registry->admitted[i] < rule->count.min;

		if (is_missing && !registry->missing[i])
			tell(rule, registry->admitted[i]);
		registry->missing[i] = is_missing;
		n += is_missing;
	}
	return n;
}

static void leave(void *p)
{
	(void)p;
}

void registry_done(struct Registry *registry)
{
	tdestroy(registry->ino_tree, leave);
	tdestroy(registry->tree, known_free);
	free(registry->admitted);
	free(registry->missing);
	*registry = (struct Registry){0};
}
