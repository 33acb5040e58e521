/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-device.h"

#include <errno.h>

#include "audit.h"
#include "device-read.h"
#include "manager-bind.h"
#include "manager-bus.h"
#include "manager-pending.h"
#include "manager-usb.h"
#include "parent.h"
#include "record.h"
#include "sysfs-io.h"

bool manager_audits(const struct Manager *m, enum Bus bus)
{
	return !m->is_enforcing || (m->kernel_audits && !bus_info[bus].native);
}

/* Whether exactly this device is on its way. */
static bool is_pending(const struct Manager *m, const struct Known *known)
{
	return pending_find(m, known->dev, known->ino);
}

/* --- what is known --- */

/* What is known of exactly this device, not of another at its path, or NULL. */
static struct Known *find_exactly(struct Manager *m, const char *syspath, dev_t dev, ino_t ino)
{
	struct Known *known = registry_find(&m->registry, syspath);

	return known && known->dev == dev && known->ino == ino ? known : NULL;
}

/* Notes a device that is still to be decided over. NULL when out of memory. */
static struct Known *note_device(struct Manager *m, const struct Device *device)
{
	struct Known *known = registry_find(&m->registry, device->syspath);

	if (known && (known->dev != device->dev || known->ino != device->ino))
		manager_bus_removed(m, known); /* another one was at its path */
	manager_read_phase(m); /* a device that came after the freeze comes after its mark */
	known = registry_add(&m->registry, device,
			     m->is_started || phase_is_hot(&m->phase, device->ino));
	if (known)
		known->is_stale = true;
	return known;
}

/* Looks again at a device that something was wanted of while it was on its way. */
static void come_back(struct Manager *m, const char *syspath, dev_t dev, ino_t ino)
{
	struct Known *known = find_exactly(m, syspath, dev, ino);

	if (!known || !known->is_due || is_pending(m, known))
		return;
	known->is_due = false;
	(void)manager_look(syspath, m);
}

bool manager_is_there(const struct Known *known)
{
	_cleanup_close_ int dirfd = sysfs_open(known->syspath);
	dev_t dev;
	ino_t ino;

	return dirfd >= 0 && sysfs_identity(dirfd, &dev, &ino) == 0 && dev == known->dev &&
	       ino == known->ino && sysfs_is_alive(dirfd);
}

int manager_open(const struct Known *known, int *ret_dirfd, struct Device **ret)
{
	_cleanup_close_ int dirfd = sysfs_open(known->syspath);
	dev_t dev;
	ino_t ino;
	int r;

	if (dirfd < 0)
		return dirfd;
	r = sysfs_identity(dirfd, &dev, &ino);
	if (r >= 0 && (dev != known->dev || ino != known->ino))
		return -ENODEV;
	if (r >= 0)
		r = device_read_at_once(known->syspath, dirfd, ret);
	if (r < 0) /* what identifies it cannot be read: what refuses it may */
		r = device_read_authorization(known->syspath, dirfd, ret);
	if (r < 0)
		return r;
	manager_recall(known, *ret);
	*ret_dirfd = take_fd(&dirfd);
	return 0;
}

static struct Known *forget(struct Manager *m, struct Known *known)
{
	state_note_gone(&m->state, known);
	manager_bus_removed(m, known);
	return registry_forget(&m->registry, known);
}

/* Forgets a device that is gone. One that its rule had no room for may come in its place; if that
 * is gone as well, the next. */
void manager_forget(struct Manager *m, struct Known *known)
{
	while (known && (known = forget(m, known))) {
		_cleanup_free_ char *path = strdup(known->syspath);

		known->is_stale = true;
		if (!path)
			return;
		(void)manager_look(path, m);
		if (!path_queue_is_empty(&m->waiting))
			return;
		known = registry_find(&m->registry, path);
		if (known && manager_is_there(known))
			return;
	}
}

void manager_sweep(struct Manager *m)
{
	struct Known *known;

	if (!m->is_sweep_due || !path_queue_is_empty(&m->waiting))
		return;
	m->is_sweep_due = false;
	do { /* from the start again, as with one device others may go */
		known = m->registry.first;
		while (known && known->generation == m->registry.generation)
			known = known->next;
		if (known)
			manager_forget(m, known);
	} while (known);
}

/* --- outcomes --- */

static void on_done(const struct EnforceReply *reply, void *userdata);

static int submit(struct Pending *pending)
{
	pending->attempts++;
	return worker_pool_submit(pending->manager->pool, pending->dirfd, &pending->request,
				  on_done, pending);
}

void manager_count_outcome(struct Manager *m, const struct EnforceRequest *request, int error)
{
	struct ManagerCounts *counts = &m->counts;

	if (error == 0 && request->to_default)
		counts->returned++;
	else if (error == 0 && request->authorize)
		counts->authorized++;
	else if (error == 0)
		counts->refused++;
	else if (error != -ENODEV)
		counts->failed++;
}

static bool is_refusal(const struct EnforceRequest *request)
{
	return !request->authorize && !request->to_default;
}

/* A device that could not be refused is to be looked at by its next event, and when another one
 * was: that may have stood in the way, behind it, or have made a worker free. */
static void note_outcome(struct Manager *m, struct Known *known,
			 const struct EnforceRequest *request, const struct EnforceReply *reply)
{
	known->is_written = false;
	if (reply->error != -EAGAIN) /* then nothing was written */
		known_note_state(known, reply->authorized, reply->authorized_driver, true);
	state_note(&m->state, known);
	/* whose worker did not come to keep the device for its driver again; or which was decided
	 * before the seal, and not carried out */
	if ((reply->error == -ETIME && request->gate == GATE_OVERRIDE && request->authorize) ||
	    reply->error == -EKEYREJECTED) {
		known->is_stale = true;
		(void)path_queue_add(&m->waiting, known->syspath);
	}
	if (reply->error == 0 || reply->error == -ENODEV || !is_refusal(request))
		return;
	known->is_stale = true;
	known->is_unrefused = true;
	m->has_unrefused = true;
}

static void look_again_at_unrefused(struct Manager *m)
{
	if (!m->has_unrefused)
		return;
	m->has_unrefused = false;
	for (struct Known *known = m->registry.first; known; known = known->next) {
		if (!known->is_unrefused)
			continue;
		known->is_unrefused = path_queue_add(&m->waiting, known->syspath) < 0;
		m->has_unrefused = m->has_unrefused || known->is_unrefused;
	}
}

/* Devices below that wait for one that may be authorized by now. */
static void look_again_below(struct Manager *m, const char *syspath)
{
	if (!m->has_waiting)
		return;
	m->has_waiting = false;
	for (struct Known *known = m->registry.first; known; known = known->next) {
		const char *rest = startswith(known->syspath, syspath);

		if (known->is_waiting && rest && *rest == '/' &&
		    path_queue_add(&m->waiting, known->syspath) == 0) {
			known->is_waiting = false;
			known->is_stale = true;
		}
		m->has_waiting = m->has_waiting || known->is_waiting;
	}
}

static void on_done(const struct EnforceReply *reply, void *userdata)
{
	struct Pending *pending = userdata;
	_cleanup_device_ struct Device *device = NULL;
	struct Manager *m = pending->manager;
	bool was_refused = reply->error == 0 && is_refusal(&pending->request),
	     is_other = reply->error == -ESTALE;
	struct Known *known;

	if (reply->error == -ESHUTDOWN && pending->attempts < MAX_ATTEMPTS && submit(pending) == 0)
		return;
	known = find_exactly(m, pending->device->syspath, pending->device->dev,
			     pending->device->ino);
	if (!manager_offers_again(m, known, reply)) {
		manager_count_outcome(m, &pending->request, reply->error);
		record_outcome(pending->device, &pending->decision, &pending->request, reply);
		audit_outcome(pending->device, &pending->decision, &pending->request, reply);
	}
	device = TAKE_PTR(pending->device);
	if (pending->is_superseded)
		manager_hand_note(m, device, reply);
	else if (known)
		note_outcome(m, known, &pending->request, reply);
	state_flush(&m->state, &m->registry); /* what others decide from now on is theirs */
	if (known)
		manager_bus_changed(m, known);
	pending_free(pending);
	if (was_refused)
		look_again_at_unrefused(m);
	if (is_other)
		manager_look_at_newcomer(m, device->syspath);
	manager_go_on(m, device);
}

void manager_go_on(struct Manager *m, const struct Device *device)
{
	manager_hand_go_on(m, device);
	look_again_below(m, device->syspath); /* it may be authorized now */
	come_back(m, device->syspath, device->dev, device->ino);
	manager_look_at_waiting(m);
}

/* Before a write it has to be in the file: what a kill comes after may have been written. */
static void note_written(struct Manager *m, struct Known *known, bool is_written)
{
	if (!known)
		return;
	known->is_written = is_written;
	known->is_noted = false;
	state_note(&m->state, known);
	state_flush(&m->state, &m->registry);
}

void manager_take_back(struct Manager *m)
{
	struct Pending *pending = m->first_pending, *next;

	for (; pending; pending = next) {
		const struct Device *device = pending->device;

		next = pending->next;
		if (pending->hand || pending->readings.n > 0 || pending->policy == m->policy ||
		    is_refusal(&pending->request) || !worker_pool_cancel(m->pool, pending))
			continue;
		note_written(m, find_exactly(m, device->syspath, device->dev, device->ino), false);
		pending_free(pending);
	}
}

/* Sends the request on its way; the device and the descriptor go with it. */
static int enforce(struct Manager *m, struct Device **device, const struct Decision *decision,
		   const struct EnforceRequest *request, int *dirfd)
{
	struct Known *known = find_exactly(m, (*device)->syspath, (*device)->dev, (*device)->ino);
	struct Pending *pending = pending_new(m);
	int r;

	if (!pending)
		return -ENOMEM;
	pending_take(pending, device, dirfd);
	pending->decision = *decision;
	pending->request = *request;
	enforce_aim(&pending->request, pending->device);
	note_written(m, known, true);
	r = submit(pending);
	if (r < 0) {
		note_written(m, known, false);
		pending_free(pending);
	}
	return r;
}

/* --- decisions --- */

/* What the decision over a device depends on beside it. */
static struct Moment moment_of(struct Manager *m, struct Known *known, const struct Device *device)
{
	return (struct Moment){
		.is_hot = known->is_hot,
		.is_frozen = phase_is_frozen(&m->phase, known->ino),
		.is_sealed = phase_is_sealed(&m->phase, device),
		.admitted = registry_admitted_beside(&m->registry, known),
		.refused_by = module_refusals_find(m->refusals, device),
	};
}

/* Whether the device stays as user space decided earlier: by hand, or in an earlier run. */
static bool is_kept(const struct Manager *m, const struct Known *known, const struct Device *device,
		    bool is_first)
{
	if (!m->options.keep_user_decisions)
		return false;
	return is_first ? device->authorized_by == ORIGIN_USER : known_is_by_hand(known, device);
}

/* What enforce_plan() says, and what only who knows the device's past can say. */
static enum EnforcePlan plan(struct Manager *m, struct Known *known, const struct Device *device,
			     const struct Decision *decision, struct EnforceRequest *request,
			     const char **ret_why)
{
	struct Decision wanted = *decision;
	enum EnforcePlan plan;

	manager_stand_in(m, known, device, &wanted);
	known_note_wanted(known, wanted.action);
	plan = enforce_plan(device, &wanted, request, ret_why);

	if (plan != PLAN_NOTHING)
		return plan;
	if (known_is_to_be_given_back(known, device, decision) ||
	    (decision->action == ACTION_KERNEL && device->authorized == 0 &&
	     manager_usb_would_give(m, device)))
		*request = (struct EnforceRequest){.authorize = true};
	else if (known_may_be_given_yet(known, device, decision))
		*request = (struct EnforceRequest){.insist = true};
	else
		return PLAN_NOTHING;
	return PLAN_WRITE;
}

/* Whether what the device is behind is refused: then it waits, as it could not work. */
static bool has_to_wait(struct Manager *m, struct Known *known, const struct Device *device,
			const struct Decision *decision, const struct EnforceRequest *request)
{
	_cleanup_free_ char *parent = NULL;

	if (!request->authorize || device->authorized != 0)
		return false;
	parent = refused_parent(device->syspath, device->bus);
	if (!parent)
		return false;
	known->is_waiting = m->has_waiting = true;
	record_waiting(device, decision, parent);
	return true;
}

/* Decides over the device and sends what it takes on its way. */
static int decide_and_enforce(struct Manager *m, struct Known *known, bool is_first,
			      struct Device **device, int *dirfd)
{
	struct Moment moment = moment_of(m, known, *device);
	struct EnforceRequest request;
	struct Decision decision;
	enum EnforcePlan what;
	const char *why;
	bool is_by_hand, is_presumed, is_new = !known->is_decided;

	m->counts.devices += is_new;
	policy_decide(m->policy, *device, &moment, &decision);
	registry_note(&m->registry, known, *device, &decision);
	if (manager_audits(m, (*device)->bus)) {
		known_note_wanted(known, decision.action);
		state_note(&m->state, known);
		record_audit(*device, &decision, !m->is_enforcing);
		m->counts.unchanged++;
		return 0;
	}
	what = plan(m, known, *device, &decision, &request, &why);
	manager_excuse_loss(known, *device);
	is_by_hand = is_kept(m, known, *device, is_first);
	is_presumed = is_by_hand && (known->is_by_hand ? known->is_presumed : !!m->state_timer);
	known_note_state(known, (*device)->authorized, (*device)->authorized_driver,
			 known->is_ours && !is_by_hand);
	known_note_by_hand(known, is_by_hand);
	known->is_presumed = is_presumed;
	state_note(&m->state, known);
	if (what != PLAN_NOTHING && is_by_hand) {
		record_kept(*device, &decision);
		m->counts.unchanged++;
		return 0;
	}
	switch (what) {
	case PLAN_NOTHING:
		record_unchanged(*device, &decision, is_new && known->is_hot);
		m->counts.unchanged++;
		return 0;
	case PLAN_UNSUPPORTED:
		record_unsupported(*device, &decision, why);
		m->counts.unsupported++;
		if ((*device)->authorized != 1)
			return 0;
		break;
	case PLAN_WRITE:
		if (!has_to_wait(m, known, *device, &decision, &request))
			break;
		m->counts.unchanged++;
		return 0;
	}
	return enforce(m, device, &decision, &request, dirfd);
}

/* Those who listen are told when the write is on its way: it does not wait for them. */
static int decide(struct Manager *m, struct Known *known, bool is_first, struct Device **device,
		  int *dirfd)
{
	bool is_new = !known->is_decided;
	int r = decide_and_enforce(m, known, is_first, device, dirfd);

	manager_bus_decided(m, known, is_new);
	return r;
}

/* --- reading --- */

/* A device of which not all could be read is not decided over. What gives it to drivers meanwhile
 * goes by less than the policy: it is refused, and looked at again by its next event or scan.
 * Returns @error. */
static int refuse_unreadable(struct Manager *m, const char *syspath, int *dirfd, int error)
{
	static const struct Decision refusal = {.action = ACTION_DENY, .by = DECIDED_BY_FAILURE};
	_cleanup_device_ struct Device *device = NULL;
	struct Known *known;

	if (error == -ENODEV || error == -ENOTSUP ||
	    device_read_authorization(syspath, *dirfd, &device) < 0)
		return error;
	if (device->authorized != 1 || device_exempt(device) || manager_audits(m, device->bus))
		return error;
	known = find_exactly(m, syspath, device->dev, device->ino);
	if (is_kept(m, known, device, !known))
		return error;
	(void)note_device(m, device); /* so that what is written is no decision by hand */
	(void)enforce(m, &device, &refusal, &(struct EnforceRequest){0}, dirfd);
	return error;
}

/* What goes wrong with one device is logged here and is no reason to stop serving the others. */
static void record_failure(struct Manager *m, const char *syspath, int error)
{
	if (error == -ENODEV) {
		record_vanished(syspath);
	} else if (error < 0 && error != -ENOTSUP) {
		m->counts.failed++;
		record_unreadable(syspath, error);
	}
}

/* Of what was read and not decided over nothing is remembered, so that it gets another chance. */
static int decide_or_forget(struct Manager *m, const char *syspath, bool is_first,
			    struct Device **device, int *dirfd)
{
	struct Known *known = registry_find(&m->registry, syspath);
	int r = known ? decide(m, known, is_first, device, dirfd) : -ENOMEM;

	if (r < 0 && known)
		(void)forget(m, known);
	return r;
}

static void on_read(const struct EnforceReply *reply, void *userdata);

static int submit_reading(struct Pending *pending)
{
	pending->attempts++;
	return worker_pool_read(pending->manager->pool, pending->readings.data, pending->readings.n,
				on_read, pending);
}

/* Decides over a device of which everything was read, or where @r is negative, not. */
static void go_on(struct Manager *m, struct Device **device, int *dirfd, bool is_first, int r)
{
	_cleanup_free_ char *syspath = strdup((*device)->syspath);
	dev_t dev = (*device)->dev;
	ino_t ino = (*device)->ino;

	r = sysfs_tell_absence(*dirfd, r);
	if (r >= 0)
		r = device_read_state(*dirfd, *device);
	if (r < 0 || !syspath)
		r = refuse_unreadable(m, (*device)->syspath, dirfd, r < 0 ? r : -ENOMEM);
	else
		r = decide_or_forget(m, syspath, is_first, device, dirfd);
	if (!syspath)
		return;
	record_failure(m, syspath, r);
	come_back(m, syspath, dev, ino);
}

/* What was read is complete now, or cannot be. */
static void on_read(const struct EnforceReply *reply, void *userdata)
{
	struct Pending *pending = userdata;
	struct Manager *m = pending->manager;
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = -1;
	bool is_first = pending->is_first,
	     is_outdated = pending->policy != m->policy || pending->is_superseded;
	int r = reply->error < 0 ? reply->error : readings_result(&pending->readings);

	if (reply->error == -ESHUTDOWN && pending->attempts < MAX_ATTEMPTS &&
	    submit_reading(pending) == 0)
		return;
	device = TAKE_PTR(pending->device);
	dirfd = take_fd(&pending->dirfd);
	pending_free(pending);
	/* else it is gone, and known to be */
	if (find_exactly(m, device->syspath, device->dev, device->ino)) {
		if (is_outdated) /* a policy came that may ask for more, or somebody decided */
			(void)manager_look(device->syspath, m);
		else
			go_on(m, &device, &dirfd, is_first, r);
	}
	manager_look_at_waiting(m);
}

static int start_reading(struct Manager *m, bool is_first, struct Device **device,
			 struct Vector *readings, int *dirfd)
{
	struct Pending *pending = pending_new(m);
	int r = -ENOMEM;

	if (pending) {
		pending->is_first = is_first;
		pending->readings = *readings;
		*readings = (struct Vector){0};
		r = submit_reading(pending); /* which calls nobody back yet */
	}
	if (r < 0) {
		pending_free(pending);
		return refuse_unreadable(m, (*device)->syspath, dirfd, r);
	}
	pending_take(pending, device, dirfd);
	return 0;
}

/* Whether a device shows other ids than those that were decided over: acpi devices show theirs only
 * while they are present (drivers/acpi/device_sysfs.c, create_pnp_modalias()). */
static bool has_changed(const struct Known *known, int dirfd)
{
	_cleanup_device_ struct Device *device = NULL;
	int r;

	if (!known->shown)
		return false;
	r = device_read(known->syspath, dirfd, NULL, &device);
	return r < 0 ? r != -ENODEV : !known_shows(known, device);
}

/* Reads and decides over the device at @syspath. */
static int look_at(struct Manager *m, const char *syspath)
{
	_cleanup_(readings_done) struct Vector readings = {0};
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = sysfs_open(syspath);
	struct Known *known;
	bool is_first;
	dev_t dev;
	ino_t ino;
	int r;

	if (dirfd < 0)
		return dirfd;
	r = sysfs_identity(dirfd, &dev, &ino);
	if (r < 0)
		return r;
	known = find_exactly(m, syspath, dev, ino);
	if (known) {
		known->generation = m->registry.generation;
		known->is_due = is_pending(m, known);
		look_again_below(m, syspath); /* somebody else may have authorized it */
		if (known->is_due || (!known->is_stale && !has_changed(known, dirfd)))
			return 0;
	}
	is_first = !known;
	r = device_read_without_waiting(syspath, dirfd, &m->policy->needs, &readings, &device);
	if (r < 0)
		return refuse_unreadable(m, syspath, &dirfd, r);
	known = note_device(m, device);
	if (!known)
		return -ENOMEM;
	if (is_first && m->is_noting_first)
		first_drivers_add(&m->first_drivers, device);
	if (is_first && is_root_hub(device))
		manager_take_root_hub(m, known, dirfd);
	return readings.n > 0 ? start_reading(m, is_first, &device, &readings, &dirfd)
			      : decide_or_forget(m, syspath, is_first, &device, &dirfd);
}

static void look_and_record(struct Manager *m, const char *syspath)
{
	record_failure(m, syspath, look_at(m, syspath));
}

void manager_look_at_waiting(struct Manager *m)
{
	char *path;

	while (m->pending < MAX_PENDING && (path = path_queue_take(&m->waiting))) {
		look_and_record(m, path);
		free(path);
	}
	manager_sweep(m);
	state_flush(&m->state, &m->registry);
}

int manager_look(const char *syspath, void *userdata)
{
	struct Manager *m = userdata;

	if (m->pending < MAX_PENDING)
		look_and_record(m, syspath);
	else if (path_queue_add(&m->waiting, syspath) < 0)
		record_unreadable(syspath, -ENOMEM);
	return 0;
}
