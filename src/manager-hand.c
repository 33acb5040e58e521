/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-hand.h"

#include <errno.h>

#include "audit.h"
#include "escape.h"
#include "log.h"
#include "manager-bus.h"
#include "manager-pending.h"
#include "manager-saving.h"
#include "record.h"

/* Two writers at a device at once, and the kernel says nothing of which came last. So a decision by
 * hand takes back what no worker has begun. What one has begun, it waits for before it authorizes;
 * it refuses at once, as a probe may be stalled for ever, and once more after. */
struct Hand {
	hand_done_t done;
	void *userdata;
	bool is_permanent;
	bool is_to_go; /* out of the machine, once it is written down: what is gone cannot be */
	bool is_out;   /* a worker has it, or will */
	bool is_overlapped; /* it was sent out while something else was on its way */
	struct {
		int authorized;
		bool is_ours, is_by_hand;
		char driver[POLICY_DRIVER_MAX + 1];
	} former;			    /* how the device was known before */
	char driver[POLICY_DRIVER_MAX + 1]; /* of the decision */
	char unsaved[256];		    /* why the removal is not for good; "": it is */
};

static void decide(struct Manager *m, ino_t ino, const struct HandRequest *request,
		   const char *unsaved, hand_done_t done, void *userdata);

static void fail(hand_done_t done, void *userdata, enum Problem problem, const char *text)
{
	done(&(struct HandResult){.problem = problem, .text = text, .driver = ""}, userdata);
}

static void fail_pending(struct Pending *pending, enum Problem problem, const char *text)
{
	struct Hand *hand = pending->hand;
	hand_done_t done = hand->done;
	void *userdata = hand->userdata;

	pending_free(pending);
	fail(done, userdata, problem, text);
}

/* --- what is known of the device --- */

static struct Known *known_of(struct Manager *m, const struct Device *device)
{
	struct Known *known = registry_find_ino(&m->registry, device->ino);

	return known && known->dev == device->dev ? known : NULL;
}

static void note(struct Manager *m, struct Known *known)
{
	known->is_written = false;
	known->is_noted = false;
	state_note(&m->state, known);
	state_flush(&m->state, &m->registry);
}

/* Before the write: a start after a kill in its midst leaves the device as it finds it, if that is
 * refused. */
static void note_intention(struct Manager *m, struct Hand *hand, struct Known *known)
{
	hand->former.authorized = known->authorized;
	hand->former.is_ours = known->is_ours;
	hand->former.is_by_hand = known->is_by_hand;
	(void)snprintf(hand->former.driver, sizeof(hand->former.driver), "%s", known->driver);
	known_note_state(known, -1, NULL, false);
	known_note_by_hand(known, true);
	note(m, known);
}

static void restore(const struct Hand *hand, struct Known *known)
{
	known_note_state(known, hand->former.authorized, hand->former.driver, hand->former.is_ours);
	known_note_by_hand(known, hand->former.is_by_hand);
}

/* What changed nothing is no decision by hand, and what the policy wanted meanwhile is to be done.
 */
static void note_failure(const struct Hand *hand, struct Known *known,
			 const struct EnforceReply *reply)
{
	restore(hand, known);
	if (reply->authorized >= 0 && (reply->authorized != hand->former.authorized ||
				       !streq(reply->authorized_driver, hand->former.driver))) {
		known_note_state(known, reply->authorized, reply->authorized_driver, false);
		known_note_by_hand(known, true);
	}
	known->is_stale = known->is_due = true;
}

/* A worker that never came to keep the device for the driver that it was given to: any other one
 * may have it, which nobody decided. */
static bool is_unheld(const struct EnforceRequest *request, const struct EnforceReply *reply)
{
	return reply->error == -ETIME && request->gate == GATE_OVERRIDE && request->authorize &&
	       *request->driver;
}

/* NULL: to none. */
static const char *driver_given_to(const struct EnforceRequest *request,
				   const struct EnforceReply *reply)
{
	if (!request->authorize)
		return NULL;
	if (request->set_driver)
		return request->driver;
	return request->gate == GATE_OVERRIDE ? reply->authorized_driver : "";
}

/* A probe that stalls is nothing that failed: the decision is in force. */
static void note_result(struct Manager *m, const struct Hand *hand, struct Known *known,
			const struct EnforceRequest *request, const struct EnforceReply *reply)
{
	if (is_unheld(request, reply)) {
		known_note_state(known, -1, NULL, true);
		known_note_by_hand(known, false);
		known->is_stale = known->is_due = true;
	} else if (reply->error == 0 || reply->error == -ETIME) {
		bool is_to_come = reply->authorized < 0 && request->gate == GATE_NONE;

		known_note_state(known, is_to_come ? request->authorize : reply->authorized,
				 reply->authorized_driver, false);
		known_note_by_hand(known, true);
		known_note_given(known, driver_given_to(request, reply));
	} else {
		note_failure(hand, known, reply);
	}
	note(m, known);
}

/* --- what is on its way --- */

/* Something earlier that writes to the same device, or NULL. */
static struct Pending *earlier_writer(const struct Pending *pending)
{
	struct Pending *earlier = pending_before(pending);

	while (earlier && earlier->readings.n > 0)
		earlier = pending_before(earlier);
	return earlier;
}

/* Takes back what is not with a worker, and has the rest be forgotten when it comes. */
static void supersede(struct Manager *m, struct Pending *pending, struct Known *known)
{
	struct Pending *earlier = pending_before(pending), *next;

	for (; earlier; earlier = next) {
		bool is_waiting = earlier->hand && !earlier->hand->is_out;

		next = pending_before(earlier);
		earlier->is_superseded = true;
		if (earlier->readings.n > 0)
			continue;
		if (!is_waiting && !worker_pool_cancel(m->pool, earlier))
			continue;
		if (earlier->hand) {
			restore(earlier->hand, known);
			fail_pending(earlier, PROBLEM_FAILED,
				     "another decision by hand came before it was carried out");
		} else {
			pending_free(earlier);
		}
	}
}

static enum Problem problem_of(int error)
{
	switch (error) {
	case 0:
		return PROBLEM_NONE;
	case -ENODEV:
		return PROBLEM_NO_SUCH_DEVICE;
	case -ETIME:
	case -EAGAIN:
		return PROBLEM_STALLED;
	case -ENOENT:
		return PROBLEM_NOT_SUPPORTED;
	default:
		return PROBLEM_FAILED;
	}
}

/* A decision that is in force and on its way to the disk. */
struct Unsaved {
	struct Manager *manager;
	ino_t ino;
	bool is_to_go;
	hand_done_t done;
	void *userdata;
	char driver[POLICY_DRIVER_MAX + 1]; /* that is bound */
};

/* What is in the way may be named as a host likes. */
static void on_saved(const char *problem, void *userdata)
{
	struct Unsaved *unsaved = userdata;
	_cleanup_free_ char *safe = problem ? escape_text(problem) : NULL;
	const struct HandResult result = {problem ? PROBLEM_NOT_SAVED : PROBLEM_NONE, safe,
					  unsaved->driver};

	/* at the end of the manager nobody takes it out any more */
	if (unsaved->is_to_go && unsaved->manager->pool)
		decide(unsaved->manager, unsaved->ino, &(struct HandRequest){.remove = true},
		       problem, unsaved->done, unsaved->userdata);
	else
		unsaved->done(&result, unsaved->userdata);
	free(unsaved);
}

/* The answer comes when it is written. */
static void make_permanent(struct Manager *m, const struct Device *device,
			   const struct Decision *decision, bool has_driver, bool is_to_go,
			   const struct HandResult *result, hand_done_t done, void *userdata)
{
	struct Unsaved *unsaved = calloc(1, sizeof(*unsaved));

	if (!unsaved) {
		fail(done, userdata, PROBLEM_NOT_SAVED, strerror(ENOMEM));
		return;
	}
	unsaved->manager = m;
	unsaved->ino = device->ino;
	unsaved->is_to_go = is_to_go;
	unsaved->done = done;
	unsaved->userdata = userdata;
	(void)snprintf(unsaved->driver, sizeof(unsaved->driver), "%s", result->driver);
	manager_save(m, device, is_to_go ? ACTION_REMOVE : decision->action,
		     has_driver ? decision->driver : NULL, on_saved, unsaved);
}

static void finish(struct Pending *pending, const struct EnforceReply *reply,
		   const struct Obstacle *obstacle)
{
	struct Manager *m = pending->manager;
	struct Hand *hand = pending->hand;
	struct Known *known = known_of(m, pending->device);
	hand_done_t done = hand->done;
	void *userdata = hand->userdata;
	struct HandResult result = {.problem = problem_of(reply->error), .driver = reply->driver};
	_cleanup_device_ struct Device *device = NULL;
	bool is_to_last = reply->error == 0 && hand->is_permanent, is_to_go = hand->is_to_go,
	     has_driver = pending->request.set_driver;
	struct Decision decision = pending->decision;
	char driver[POLICY_DRIVER_MAX + 1], unsaved[sizeof(hand->unsaved)];

	/* the decision's own goes with what was on its way */
	(void)snprintf(driver, sizeof(driver), "%s", decision.driver ? decision.driver : "");
	(void)snprintf(unsaved, sizeof(unsaved), "%s", hand->unsaved);
	decision.driver = driver;
	if (reply->error < 0) {
		result.text = enforce_explain(reply->step, reply->error);
	} else if (*unsaved) {
		result.problem = PROBLEM_NOT_SAVED;
		result.text = unsaved;
	}
	if (obstacle) {
		result.problem = obstacle->problem;
		result.text = obstacle->text;
	}
	manager_count_outcome(m, &pending->request, reply->error);
	record_outcome(pending->device, &pending->decision, &pending->request, reply);
	audit_outcome(pending->device, &pending->decision, &pending->request, reply);
	if (known && !pending->is_superseded) {
		note_result(m, hand, known, &pending->request, reply);
		manager_bus_changed(m, known);
	}
	device = TAKE_PTR(pending->device);
	pending_free(pending);
	if (is_to_last)
		make_permanent(m, device, &decision, has_driver, is_to_go, &result, done, userdata);
	else
		done(&result, userdata);
	manager_go_on(m, device);
}

static void send_out(struct Pending *pending);

static void on_done(const struct EnforceReply *reply, void *userdata)
{
	struct Pending *pending = userdata;
	struct Hand *hand = pending->hand;
	bool is_to_be_repeated = reply->error == -ESHUTDOWN && pending->attempts < MAX_ATTEMPTS;
	struct Obstacle obstacle;
	bool is_too_late = reply->error == -EKEYREJECTED && by_hand_is_over(&obstacle);

	hand->is_out = false;
	if (!is_to_be_repeated &&
	    (!hand->is_overlapped || reply->error == -ENODEV || pending->is_superseded))
		finish(pending, reply, is_too_late ? &obstacle : NULL);
	else if (is_to_be_repeated || !earlier_writer(pending))
		send_out(pending);
}

static void send_out(struct Pending *pending)
{
	struct Hand *hand = pending->hand;
	struct Obstacle obstacle;

	if (pending->request.authorize && by_hand_is_over(&obstacle)) {
		finish(pending, &(struct EnforceReply){.error = -EPERM, .authorized = -1},
		       &obstacle);
		return;
	}
	pending->attempts++;
	hand->is_overlapped = earlier_writer(pending);
	hand->is_out = true;
	if (worker_pool_submit(pending->manager->pool, pending->dirfd, &pending->request, on_done,
			       pending) < 0) {
		hand->is_out = false;
		finish(pending, &(struct EnforceReply){.error = -ENOMEM, .authorized = -1}, NULL);
	}
}

/* The latest decision by hand that is on its way to the device, or NULL. */
static struct Pending *latest(const struct Manager *m, const struct Device *device)
{
	struct Pending *pending = pending_find(m, device->dev, device->ino);

	while (pending && !pending->hand)
		pending = pending_before(pending);
	return pending;
}

void manager_hand_note(struct Manager *m, const struct Device *device,
		       const struct EnforceReply *reply)
{
	struct Pending *pending = latest(m, device);

	if (!pending || reply->error == -EAGAIN)
		return;
	pending->hand->former.authorized = reply->authorized;
	pending->hand->former.is_ours = true;
	(void)snprintf(pending->hand->former.driver, sizeof(pending->hand->former.driver), "%s",
		       reply->authorized_driver);
}

void manager_hand_go_on(struct Manager *m, const struct Device *device)
{
	struct Pending *pending = latest(m, device);

	if (pending && !pending->hand->is_out && !earlier_writer(pending))
		send_out(pending);
}

/* --- decisions --- */

static struct EnforceRequest request_of(const struct Device *device,
					const struct HandRequest *request)
{
	struct EnforceRequest ret = {.authorize = request->authorize,
				     .remove = request->remove,
				     .set_driver = request->driver};

	if (request->driver)
		(void)snprintf(ret.driver, sizeof(ret.driver), "%s", request->driver);
	return by_hand_insisting(device, &ret);
}

static struct Decision decision_of(const struct HandRequest *request, const char *driver)
{
	enum Action refusal = request->remove ? ACTION_REMOVE : ACTION_DENY;

	return (struct Decision){
		.action = request->authorize ? ACTION_ALLOW : refusal,
		.driver = request->driver ? driver : NULL,
		.by = DECIDED_BY_HAND,
	};
}

static bool may_not(const struct Manager *m, const struct HandRequest *request,
		    struct Obstacle *ret)
{
	if (request->permanent && !m->options.has_files) {
		*ret = (struct Obstacle){PROBLEM_NOT_SUPPORTED,
					 "nothing can be made permanent here"};
		return true;
	}
	return (request->authorize || request->permanent) && by_hand_is_over(ret);
}

static struct Pending *pending_of(struct Manager *m, const struct HandRequest *request,
				  struct Device **device, int *dirfd)
{
	struct Pending *pending = pending_new(m);
	struct Hand *hand = calloc(1, sizeof(*hand));
	struct HandRequest first = *request;

	if (!pending || !hand) {
		pending_free(pending);
		free(hand);
		return NULL;
	}
	pending->hand = hand;
	hand->is_permanent = request->permanent;
	hand->is_to_go = request->permanent && request->remove;
	if (hand->is_to_go)
		first.remove = false;
	if (request->driver)
		(void)snprintf(hand->driver, sizeof(hand->driver), "%s", request->driver);
	pending->request = request_of(*device, &first);
	pending->decision = decision_of(&first, hand->driver);
	pending_take(pending, device, dirfd);
	return pending;
}

/* @unsaved: why what the request was part of is not for good, or NULL. */
static void decide(struct Manager *m, ino_t ino, const struct HandRequest *request,
		   const char *unsaved, hand_done_t done, void *userdata)
{
	struct Known *known = registry_find_ino(&m->registry, ino);
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = -1;
	struct EnforceRequest wanted;
	struct Pending *pending;
	struct Obstacle obstacle;
	int r = known && known->is_decided ? manager_open(known, &dirfd, &device) : -ENODEV;

	if (r < 0) {
		fail(done, userdata, problem_of(r), enforce_explain(STEP_READ, r));
		return;
	}
	wanted = request_of(device, request);
	if (may_not(m, request, &obstacle) || by_hand_obstacle(device, &wanted, &obstacle)) {
		fail(done, userdata, obstacle.problem, obstacle.text);
		return;
	}
	pending = pending_of(m, request, &device, &dirfd);
	if (!pending) {
		fail(done, userdata, PROBLEM_FAILED, strerror(ENOMEM));
		return;
	}
	pending->hand->done = done;
	pending->hand->userdata = userdata;
	(void)snprintf(pending->hand->unsaved, sizeof(pending->hand->unsaved), "%s",
		       unsaved ? unsaved : "");
	supersede(m, pending, known);
	note_intention(m, pending->hand, known);
	if (!pending->request.authorize || !earlier_writer(pending))
		send_out(pending);
}

void manager_decide_by_hand(struct Manager *m, ino_t ino, const struct HandRequest *request,
			    hand_done_t done, void *userdata)
{
	decide(m, ino, request, NULL, done, userdata);
}

/* --- the ends of a boot --- */

static bool tell(struct Obstacle *ret, enum Problem problem, const char *text)
{
	*ret = (struct Obstacle){problem, text};
	return false;
}

static void note_phase(struct Manager *m)
{
	manager_read_phase(m);
	manager_schedule_metrics(m);
}

bool manager_freeze(struct Manager *m, struct Obstacle *ret)
{
	int r = by_hand_freeze();

	note_phase(m);
	if (r < 0)
		return tell(ret, PROBLEM_FAILED, strerror(-r));
	log_info("frozen by hand until the machine starts again");
	return true;
}

bool manager_seal(struct Manager *m, struct Obstacle *ret)
{
	int r = by_hand_seal();

	note_phase(m);
	if (r < 0)
		return tell(ret, PROBLEM_FAILED, strerror(-r));
	log_info("sealed by hand until the machine starts again");
	r = by_hand_lock_kernel();
	if (r == -ENODEV) {
		log_warning("this kernel has no lock: tdx-auth authorizes nothing any more, but "
			    "whoever may write to sysfs still can");
		return true;
	}
	return r < 0 ? tell(ret, PROBLEM_KERNEL_NOT_LOCKED, strerror(-r)) : true;
}

bool manager_explain_reload(int error, struct Obstacle *ret)
{
	static const char frozen[] =
		"the policy does not change after the freeze; it lasts until the "
		"machine starts again",
			  vital[] =
				  "the policy takes away what the machine runs on, and the former "
				  "one stays in force; the journal says what",
			  refused[] =
				  "the policy was refused, and the former one stays in force; the "
				  "journal says why";

	*ret = (struct Obstacle){PROBLEM_POLICY_REFUSED, refused};
	if (error == -EPERM)
		*ret = (struct Obstacle){PROBLEM_FROZEN, frozen};
	else if (error == -EOPNOTSUPP)
		*ret = (struct Obstacle){PROBLEM_NOT_SUPPORTED, "this daemon loads no policy anew"};
	else if (error == -EBUSY)
		ret->text = vital;
	return error < 0;
}
