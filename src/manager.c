/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "device-read.h"
#include "known.h"
#include "log.h"
#include "names.h"
#include "path-queue.h"
#include "phase.h"
#include "protection.h"
#include "record.h"
#include "sysfs-io.h"
#include "udev.h"

#define MAX_ATTEMPTS 3	   /* of a request whose worker died */
#define EVENTS_PER_TURN 64 /* so that replies and deadlines are never starved by a flood */
#define MAX_PENDING 128	   /* requests at once: each keeps a descriptor open */

const struct ManagerOptions manager_defaults = {
	.keep_user_decisions = true,
	.n_workers = 4,
	.deadline_usec = WORKER_DEADLINE_USEC,
	.execute = enforce_execute,
};

struct Manager {
	struct ManagerOptions options;
	struct Policy *policy;
	struct WorkerPool *pool;
	sd_event *event;
	struct udev *udev;
	struct udev_monitor *monitor;
	struct Registry registry;
	struct Pending *first_pending;
	unsigned pending;
	struct PathQueue waiting; /* devices that wait for their turn to be looked at */
	bool audit;
	bool is_started; /* every device that was there was decided over once */
	struct Phase phase;
	struct ManagerCounts counts;
};

static bool is_pending(const struct Manager *m, const struct Known *known);
static int on_node(const char *syspath, void *userdata);
static void look_at_waiting(struct Manager *m);

/* A request on its way: what its outcome's record will need. */
struct Pending {
	struct Pending *next, **link; /* *link is this one */
	struct Manager *manager;
	struct Device *device;
	struct Policy *policy; /* that the decision points into */
	struct Decision decision;
	struct EnforceRequest request;
	int dirfd;
	unsigned attempts;
};

/* --- what is known --- */

/* Whether exactly this device, not another at its path, was decided over. */
static bool is_known(struct Manager *m, const char *syspath, int dirfd)
{
	struct Known *known = registry_find(&m->registry, syspath);
	dev_t dev;
	ino_t ino;

	if (!known || sysfs_identity(dirfd, &dev, &ino) < 0 || known->dev != dev ||
	    known->ino != ino)
		return false;
	known->generation = m->registry.generation;
	return !known->is_stale;
}

/* Forgets a device that is gone. One that its rule had no room for may come in its place; if that
 * is gone as well, the next. */
static void forget(struct Manager *m, struct Known *known)
{
	while (known && (known = registry_forget(&m->registry, known))) {
		_cleanup_free_ char *path = strdup(known->syspath);

		known->is_stale = true;
		(void)on_node(known->syspath, m);
		if (!path || !path_queue_is_empty(&m->waiting))
			return;
		known = registry_find(&m->registry, path);
		if (known && (!known->is_stale || is_pending(m, known)))
			return;
	}
}

/* --- outcomes --- */

static void pending_free(struct Pending *pending)
{
	if (!pending)
		return;
	*pending->link = pending->next;
	if (pending->next)
		pending->next->link = pending->link;
	pending->manager->pending--;
	device_free(pending->device);
	policy_unref(pending->policy);
	if (pending->dirfd >= 0)
		(void)close(pending->dirfd);
	free(pending);
}

static struct Pending *pending_new(struct Manager *m)
{
	struct Pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pending->manager = m;
	pending->dirfd = -1;
	pending->next = m->first_pending;
	pending->link = &m->first_pending;
	if (pending->next)
		pending->next->link = &pending->next;
	m->first_pending = pending;
	m->pending++;
	return pending;
}

static void on_done(const struct EnforceReply *reply, void *userdata);

static int submit(struct Pending *pending)
{
	pending->attempts++;
	return worker_pool_submit(pending->manager->pool, pending->dirfd, &pending->request,
				  on_done, pending);
}

/* Whether a request for exactly this device is on its way. */
static bool is_pending(const struct Manager *m, const struct Known *known)
{
	for (const struct Pending *p = m->first_pending; p; p = p->next)
		if (p->device->dev == known->dev && p->device->ino == known->ino)
			return true;
	return false;
}

/* Notes how the device was left, and decides anew where that was put off meanwhile. */
static void settle(struct Manager *m, const struct Device *device, const struct EnforceReply *reply)
{
	struct Known *known = registry_find(&m->registry, device->syspath);

	if (!known || known->dev != device->dev || known->ino != device->ino)
		return;
	known_note_state(known, reply->authorized, reply->authorized_driver, true);
	if (known->is_stale)
		(void)on_node(device->syspath, m);
}

static void on_done(const struct EnforceReply *reply, void *userdata)
{
	struct Pending *pending = userdata;
	_cleanup_device_ struct Device *device = NULL;
	struct Manager *m = pending->manager;

	if (reply->error == -ESHUTDOWN && pending->attempts < MAX_ATTEMPTS && submit(pending) == 0)
		return;
	if (reply->error == 0 && pending->request.to_default)
		m->counts.returned++;
	else if (reply->error == 0 && pending->request.authorize)
		m->counts.authorized++;
	else if (reply->error == 0)
		m->counts.refused++;
	else if (reply->error != -ENODEV)
		m->counts.failed++;
	record_outcome(pending->device, &pending->decision, &pending->request, reply);
	device = TAKE_PTR(pending->device);
	pending_free(pending);
	settle(m, device, reply);
	look_at_waiting(m);
}

/* Sends the request on its way; the device and the descriptor go with it. */
static int enforce(struct Manager *m, struct Device **device, const struct Decision *decision,
		   const struct EnforceRequest *request, int *dirfd)
{
	struct Pending *pending = pending_new(m);
	int r;

	if (!pending)
		return -ENOMEM;
	pending->device = TAKE_PTR(*device);
	pending->policy = policy_ref(m->policy);
	pending->decision = *decision;
	pending->request = *request;
	pending->dirfd = take_fd(dirfd);
	r = submit(pending);
	if (r < 0)
		pending_free(pending);
	return r;
}

/* --- decisions --- */

/* What the decision over a device depends on beside it. */
static struct Moment moment_of(struct Manager *m, struct Known *known)
{
	return (struct Moment){
		.is_hot = known->is_hot,
		.is_frozen = phase_is_frozen(&m->phase, known->ino),
		.admitted = registry_admitted_beside(&m->registry, known),
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

static int decide(struct Manager *m, struct Known *known, bool is_first, struct Device **device,
		  int *dirfd)
{
	struct Moment moment = moment_of(m, known);
	struct EnforceRequest request;
	struct Decision decision;
	enum EnforcePlan plan;
	const char *why;

	m->counts.devices += is_first;
	policy_decide(m->policy, *device, &moment, &decision);
	registry_note(&m->registry, known, &decision);
	if (m->audit && !bus_info[(*device)->bus].native) {
		record_audit(*device, &decision);
		m->counts.unchanged++;
		return 0;
	}
	plan = enforce_plan(*device, &decision, &request, &why);
	if (plan == PLAN_NOTHING && known_is_to_be_given_back(known, *device, &decision)) {
		request = (struct EnforceRequest){.authorize = true};
		plan = PLAN_WRITE;
	}
	if (plan != PLAN_NOTHING && is_kept(m, known, *device, is_first)) {
		record_kept(*device, &decision);
		m->counts.unchanged++;
		return 0;
	}
	known_note_state(known, (*device)->authorized, (*device)->authorized_driver,
			 known->is_ours);
	switch (plan) {
	case PLAN_NOTHING:
		record_unchanged(*device, &decision);
		m->counts.unchanged++;
		return 0;
	case PLAN_UNSUPPORTED:
		record_unsupported(*device, &decision, why);
		m->counts.unsupported++;
		if ((*device)->authorized != 1)
			return 0;
		break;
	case PLAN_WRITE:
		break;
	}
	return enforce(m, device, &decision, &request, dirfd);
}

/* A device of which not all could be read is not decided over. On a bus that authorizes by itself
 * it would be open: it is refused then, and looked at again by its next event or scan. Returns
 * @error. */
static int refuse_unreadable(struct Manager *m, const char *syspath, int *dirfd, int error)
{
	static const struct Decision refusal = {.action = ACTION_DENY, .by = DECIDED_BY_FAILURE};
	_cleanup_device_ struct Device *device = NULL;

	if (error == -ENODEV || error == -ENOTSUP ||
	    device_read(syspath, *dirfd, NULL, &device) < 0)
		return error;
	if (bus_info[device->bus].native && !device_exempt(device) && device->authorized == 1)
		(void)enforce(m, &device, &refusal, &(struct EnforceRequest){0}, dirfd);
	return error;
}

/* Reads and decides over the device at @syspath. Only what was decided over is remembered: a
 * device that could not be gets another chance by its next event or scan. */
static int look_at(struct Manager *m, const char *syspath)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = sysfs_open(syspath);
	struct Known *known, *before;
	bool is_first;
	int r;

	if (dirfd < 0)
		return dirfd;
	if (is_known(m, syspath, dirfd))
		return 0;
	r = device_read(syspath, dirfd, &m->policy->needs, &device);
	if (r < 0)
		return refuse_unreadable(m, syspath, &dirfd, r);
	phase_read(&m->phase); /* a device that came after the freeze comes after its mark */
	before = registry_find(&m->registry, syspath);
	is_first = !before || before->dev != device->dev || before->ino != device->ino;
	known = registry_add(&m->registry, device,
			     m->is_started || phase_is_hot(&m->phase, device->ino));
	if (!known)
		return -ENOMEM;
	known->is_stale = true;
	if (is_pending(m, known)) /* settle() comes back to it */
		return 0;
	r = decide(m, known, is_first, &device, &dirfd);
	if (r < 0 && (known = registry_find(&m->registry, syspath)))
		(void)registry_forget(&m->registry, known);
	return r;
}

/* What goes wrong with one device is logged here and is no reason to stop serving the others. */
static void look_and_record(struct Manager *m, const char *syspath)
{
	int r = look_at(m, syspath);

	if (r == -ENODEV) {
		record_vanished(syspath);
	} else if (r < 0 && r != -ENOTSUP) {
		m->counts.failed++;
		record_unreadable(syspath, r);
	}
}

static void look_at_waiting(struct Manager *m)
{
	char *path;

	while (m->pending < MAX_PENDING && (path = path_queue_take(&m->waiting))) {
		look_and_record(m, path);
		free(path);
	}
}

/* The one handler, for a device found by a scan and for one an event told of. */
static int on_node(const char *syspath, void *userdata)
{
	struct Manager *m = userdata;

	if (m->pending < MAX_PENDING)
		look_and_record(m, syspath);
	else if (path_queue_add(&m->waiting, syspath) < 0)
		record_unreadable(syspath, -ENOMEM);
	return 0;
}

/* --- rules that need devices --- */

/* Counts the rules that admit fewer devices than they need, and says which when they come to. */
static void check_minimum(struct Manager *m)
{
	m->counts.missing = registry_missing(&m->registry, record_missing);
}

/* --- scans --- */

/* Forgets the devices that the last scan did not see: their remove events were lost. */
static void sweep(struct Manager *m)
{
	struct Known *known;

	do { /* from the start again, as with one device others may go */
		known = m->registry.first;
		while (known && known->generation == m->registry.generation)
			known = known->next;
		if (known)
			forget(m, known);
	} while (known);
}

static int scan(struct Manager *m)
{
	int r;

	m->registry.generation++;
	r = udev_for_each_node(m->udev, on_node, m);
	if (r < 0)
		log_error("cannot enumerate devices: %s", strerror(-r));
	else if (path_queue_is_empty(&m->waiting))
		sweep(m);
	return r;
}

/* Runs the loop until every request has its outcome; -EINTR where a signal ended it. Bounded, as
 * every request is. */
static int drain(struct Manager *m)
{
	int r = 0;

	while (r >= 0 && m->pending > 0) {
		r = sd_event_run(m->event, UINT64_MAX);
		if (r >= 0 && sd_event_get_state(m->event) == SD_EVENT_FINISHED)
			return -EINTR;
	}
	return r < 0 ? r : 0;
}

int manager_apply(struct Manager *m)
{
	unsigned before;
	int r;

	/* A device authorized here may have made others: a virtio transport its virtio device. */
	do {
		before = m->counts.devices;
		r = scan(m);
		if (r >= 0)
			r = drain(m);
	} while (r >= 0 && m->counts.devices != before);
	if (r < 0)
		log_error("not every device was decided over: %s", strerror(-r));
	else
		check_minimum(m);
	return r;
}

/* --- events --- */

static void notify_status(struct Manager *m)
{
	check_minimum(m);
	(void)sd_notifyf(
		0,
		"STATUS=%s%u devices: %u authorized, %u refused, %u returned to the kernel, "
		"%u left as they were, %u failed, %u beyond this kernel%s",
		m->options.remark ? m->options.remark : "", m->counts.devices, m->counts.authorized,
		m->counts.refused, m->counts.returned, m->counts.unchanged, m->counts.failed,
		m->counts.unsupported,
		m->counts.missing ? "; DEGRADED: devices that rules need are missing" : "");
}

/* Whether exactly this device is at its path, and is not on its way out: its attributes go before
 * the event is sent, and its directory after (drivers/base/core.c, device_del()). */
static bool is_there(const struct Known *known)
{
	_cleanup_close_ int dirfd = sysfs_open(known->syspath);
	dev_t dev;
	ino_t ino;

	return dirfd >= 0 && sysfs_identity(dirfd, &dev, &ino) == 0 && dev == known->dev &&
	       ino == known->ino && faccessat(dirfd, ATTR_UEVENT, F_OK, 0) == 0;
}

static void handle_event(struct Manager *m, struct udev_device *event)
{
	const char *syspath = udev_device_get_syspath(event);
	const char *action = udev_device_get_action(event);
	struct Known *known;

	if (!syspath || !action)
		return;
	if (!streq(action, "remove")) {
		(void)on_node(syspath, m);
		return;
	}
	/* another one may be at its path by now, and have been decided over: a scan is faster than
	 * the events that are still on their way */
	known = registry_find(&m->registry, syspath);
	if (known && !is_there(known))
		forget(m, known);
}

static int on_monitor(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct Manager *m = userdata;

	for (unsigned i = 0; i < EVENTS_PER_TURN; i++) {
		_cleanup_udev_device_ struct udev_device *event = NULL;

		errno = 0;
		event = udev_monitor_receive_device(m->monitor);
		if (event) {
			handle_event(m, event);
			continue;
		}
		if (errno == ENOBUFS) {
			log_warning("events were lost; looking at every device again");
			(void)scan(m);
		}
		break;
	}
	notify_status(m);
	return 0;
}

static int start_following(struct Manager *m)
{
	int r = udev_kernel_monitor_new(m->udev, &m->monitor);

	if (r < 0) {
		log_error("cannot listen to the kernel's events: %s", strerror(-r));
		return r;
	}
	r = sd_event_add_io(m->event, NULL, udev_monitor_get_fd(m->monitor), EPOLLIN, on_monitor,
			    m);
	if (r >= 0)
		r = sd_event_set_watchdog(m->event, true);
	if (r < 0)
		log_error("cannot set up the event loop: %s", strerror(-r));
	return r;
}

/* The first start of the daemon in this boot is the one that counts. */
static void mark_start(struct Manager *m)
{
	int r = phase_start(m->registry.latest);

	if (r < 0)
		log_warning(
			"cannot note the start in " RUNTIME_DIR
			", so a restart takes what is plugged from now on for there at start: %s",
			strerror(-r));
}

int manager_run(struct Manager *m)
{
	int r = start_following(m);

	if (r < 0)
		return r;
	r = scan(m);
	if (r < 0)
		return r;
	r = drain(m);
	if (r == -EINTR)
		return 0;
	m->is_started = true;
	if (r >= 0)
		mark_start(m);
	if (r >= 0) {
		(void)sd_notify(0, "READY=1");
		notify_status(m);
		r = sd_event_loop(m->event);
	}
	(void)sd_notify(0, "STOPPING=1");
	if (r < 0)
		log_error("the event loop failed: %s", strerror(-r));
	return r < 0 ? r : 0;
}

/* --- birth and death --- */

const struct ManagerCounts *manager_counts(const struct Manager *m)
{
	return &m->counts;
}

static int block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)signal(SIGCHLD, SIG_DFL); /* inherited as ignored, children would go unnoticed */
	(void)signal(SIGPIPE, SIG_IGN);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

/* Takes over @policy, also on failure. */
static int set_policy(struct Manager *m, struct Policy *policy)
{
	int r = registry_set_policy(&m->registry, policy);

	if (r < 0) {
		policy_unref(policy);
		return r;
	}
	policy_unref(m->policy);
	m->policy = policy;
	(void)malloc_trim(0); /* two policies were there for a moment; one stays */
	return 0;
}

/* Puts the policy in force as it is now; the former one stays where it cannot be read, or may not
 * change any more. */
static void reload(struct Manager *m)
{
	struct Policy *policy = NULL;
	int r;

	phase_read(&m->phase);
	if (m->phase.is_frozen) {
		log_error("the policy is not loaded anew: it does not change after the freeze");
		return;
	}
	r = m->options.load(&policy, m->options.userdata);
	phase_read(&m->phase);
	if (r >= 0 && m->phase.is_frozen) {
		policy_unref(policy);
		r = -EPERM;
	}
	if (r >= 0)
		r = set_policy(m, policy);
	if (r < 0) {
		log_error("the policy is not loaded anew; the former one stays in force");
		m->options.remark = "policy REFUSED, the former one is in force; ";
		return;
	}
	m->options.remark = NULL;
	m->options.loaded(m->policy, m->options.userdata);
	log_record(LOG_INFO, MESSAGE_ID_POLICY_LOADED, NULL, 0,
		   "policy loaded: %zu rules; every device is decided over anew",
		   policy_n_rules(m->policy));
	(void)scan(m);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct Manager *m = userdata;

	(void)sd_notify(0, "RELOADING=1");
	reload(m);
	(void)sd_notify(0, "READY=1");
	notify_status(m);
	return 0;
}

static int start(struct Manager *m)
{
	int r = block_signals();

	if (r < 0)
		return r;
	m->udev = udev_new();
	if (!m->udev)
		return -ENOMEM;
	r = sd_event_default(&m->event);
	if (r < 0)
		return r;
	r = sd_event_add_signal(m->event, NULL, SIGTERM, NULL, NULL);
	if (r < 0)
		return r;
	r = sd_event_add_signal(m->event, NULL, SIGINT, NULL, NULL);
	if (r < 0)
		return r;
	r = sd_event_add_signal(m->event, NULL, SIGHUP, m->options.load ? on_hangup : NULL, m);
	if (r < 0)
		return r;
	return worker_pool_new(m->event, m->options.n_workers, m->options.deadline_usec,
			       m->options.execute, &m->pool);
}

int manager_new(struct Policy *policy, const struct ManagerOptions *options, struct Manager **ret)
{
	_cleanup_manager_ struct Manager *m = calloc(1, sizeof(*m));
	int r;

	if (!m) {
		policy_unref(policy);
		return -ENOMEM;
	}
	m->options = *options;
	m->policy = policy;
	if (registry_set_policy(&m->registry, policy) < 0)
		return -ENOMEM;
	m->audit = kernel_mode() == PROTECTION_AUDIT;
	r = start(m);
	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return r;
	}
	*ret = TAKE_PTR(m);
	return 0;
}

void manager_free(struct Manager *m)
{
	if (!m)
		return;
	worker_pool_free(m->pool);
	while (m->first_pending)
		pending_free(m->first_pending);
	path_queue_done(&m->waiting);
	registry_done(&m->registry);
	udev_monitor_unref(m->monitor);
	udev_unref(m->udev);
	sd_event_unref(m->event);
	policy_unref(m->policy);
	free(m);
}
