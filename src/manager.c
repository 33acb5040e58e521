/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager.h"

#include <errno.h>
#include <search.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "device-read.h"
#include "log.h"
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

/* A device that was decided over; the identity tells it from a later one at the same path. */
struct Known {
	char *syspath;
	dev_t dev;
	ino_t ino;
	unsigned generation; /* of the scan that saw it last */
};

/* A device that waits for its turn to be looked at. */
struct Waiting {
	struct Waiting *next;
	char syspath[];
};

struct Manager {
	struct ManagerOptions options;
	struct Policy *policy;
	struct WorkerPool *pool;
	sd_event *event;
	struct udev *udev;
	struct udev_monitor *monitor;
	void *known; /* tsearch() tree of struct Known by syspath */
	unsigned generation;
	struct Pending *first_pending;
	unsigned pending;
	struct Waiting *first_waiting, *last_waiting;
	bool audit;
	struct ManagerCounts counts;
};

/* A request on its way: what its outcome's record will need. */
struct Pending {
	struct Pending *next, **link; /* *link is this one */
	struct Manager *manager;
	struct Device *device;
	struct Decision decision; /* points into the policy, which lives as long as the manager */
	struct EnforceRequest request;
	int dirfd;
	unsigned attempts;
};

/* --- what is known --- */

static int compare_known(const void *a, const void *b)
{
	return strcmp(((const struct Known *)a)->syspath, ((const struct Known *)b)->syspath);
}

static void known_free(void *p)
{
	struct Known *known = p;

	free(known->syspath);
	free(known);
}

static struct Known *find_known(struct Manager *m, const char *syspath)
{
	struct Known key = {.syspath = (char *)syspath};
	struct Known *const *found = tfind(&key, &m->known, compare_known);

	return found ? *found : NULL;
}

static void forget(struct Manager *m, struct Known *known)
{
	(void)tdelete(known, &m->known, compare_known);
	known_free(known);
}

static int remember(struct Manager *m, const struct Device *device)
{
	struct Known *known = find_known(m, device->syspath);

	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known)
			return -ENOMEM;
		known->syspath = strdup(device->syspath);
		if (!known->syspath || !tsearch(known, &m->known, compare_known)) {
			known_free(known);
			return -ENOMEM;
		}
	}
	known->dev = device->dev;
	known->ino = device->ino;
	known->generation = m->generation;
	return 0;
}

/* Whether exactly this device, not another at its path, was decided over. */
static bool is_known(struct Manager *m, const char *syspath, int dirfd)
{
	struct Known *known = find_known(m, syspath);
	dev_t dev;
	ino_t ino;

	if (!known || sysfs_identity(dirfd, &dev, &ino) < 0 || known->dev != dev ||
	    known->ino != ino)
		return false;
	known->generation = m->generation;
	return true;
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

static void look_at_waiting(struct Manager *m);
static void on_done(const struct EnforceReply *reply, void *userdata);

static int submit(struct Pending *pending)
{
	pending->attempts++;
	return worker_pool_submit(pending->manager->pool, pending->dirfd, &pending->request,
				  on_done, pending);
}

static void on_done(const struct EnforceReply *reply, void *userdata)
{
	struct Pending *pending = userdata;
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
	pending_free(pending);
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
	pending->decision = *decision;
	pending->request = *request;
	pending->dirfd = take_fd(dirfd);
	r = submit(pending);
	if (r < 0)
		pending_free(pending);
	return r;
}

/* --- decisions --- */

static int decide(struct Manager *m, struct Device **device, int *dirfd)
{
	struct EnforceRequest request;
	struct Decision decision;
	enum EnforcePlan plan;
	const char *why;

	m->counts.devices++;
	policy_decide(m->policy, *device, &decision);
	if (m->audit && !bus_info[(*device)->bus].native) {
		record_audit(*device, &decision);
		m->counts.unchanged++;
		return 0;
	}
	plan = enforce_plan(*device, &decision, &request, &why);
	if (plan != PLAN_NOTHING && m->options.keep_user_decisions &&
	    (*device)->authorized_by == ORIGIN_USER) {
		record_kept(*device, &decision);
		m->counts.unchanged++;
		return 0;
	}
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

/* Reads and decides over the device at @syspath. Only what was decided over is remembered: a
 * device that could not be gets another chance by its next event or scan. */
static int look_at(struct Manager *m, const char *syspath)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = sysfs_open(syspath);
	struct Known *known;
	int r;

	if (dirfd < 0)
		return dirfd;
	if (is_known(m, syspath, dirfd))
		return 0;
	r = device_read(syspath, dirfd, &device);
	if (r < 0)
		return r;
	r = remember(m, device);
	if (r < 0)
		return r;
	r = decide(m, &device, &dirfd);
	if (r < 0 && (known = find_known(m, syspath)))
		forget(m, known);
	return r;
}

static int make_wait(struct Manager *m, const char *syspath)
{
	size_t size = strlen(syspath) + 1;
	struct Waiting *waiting = malloc(sizeof(*waiting) + size);

	if (!waiting)
		return -ENOMEM;
	waiting->next = NULL;
	memcpy(waiting->syspath, syspath, size);
	if (m->last_waiting)
		m->last_waiting->next = waiting;
	else
		m->first_waiting = waiting;
	m->last_waiting = waiting;
	return 0;
}

static struct Waiting *next_waiting(struct Manager *m)
{
	struct Waiting *waiting = m->first_waiting;

	if (waiting) {
		m->first_waiting = waiting->next;
		if (!m->first_waiting)
			m->last_waiting = NULL;
	}
	return waiting;
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
	struct Waiting *waiting;

	while (m->pending < MAX_PENDING && (waiting = next_waiting(m))) {
		look_and_record(m, waiting->syspath);
		free(waiting);
	}
}

/* The one handler, for a device found by a scan and for one an event told of. */
static int on_node(const char *syspath, void *userdata)
{
	struct Manager *m = userdata;

	if (m->pending < MAX_PENDING)
		look_and_record(m, syspath);
	else if (make_wait(m, syspath) < 0)
		record_unreadable(syspath, -ENOMEM);
	return 0;
}

/* --- scans --- */

struct Sweep {
	struct Manager *manager;
	struct Known *stale;
};

static void find_stale(const void *node, VISIT visit, void *userdata)
{
	struct Known *known = *(struct Known *const *)node;
	struct Sweep *sweep = userdata;

	if ((visit == preorder || visit == leaf) && known->generation != sweep->manager->generation)
		sweep->stale = known;
}

/* Forgets the devices that the last scan did not see: their remove events were lost. */
static void sweep(struct Manager *m)
{
	struct Sweep found = {.manager = m};

	do {
		found.stale = NULL;
		twalk_r(m->known, find_stale, &found);
		if (found.stale)
			forget(m, found.stale);
	} while (found.stale);
}

static int scan(struct Manager *m)
{
	int r;

	m->generation++;
	r = udev_for_each_node(m->udev, on_node, m);
	if (r < 0)
		log_error("cannot enumerate devices: %s", strerror(-r));
	else if (!m->first_waiting)
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
	return r;
}

/* --- events --- */

static void notify_status(const struct Manager *m)
{
	(void)sd_notifyf(
		0,
		"STATUS=%s%u devices: %u authorized, %u refused, %u returned to the kernel, "
		"%u left as they were, %u failed, %u beyond this kernel",
		m->options.remark ? m->options.remark : "", m->counts.devices, m->counts.authorized,
		m->counts.refused, m->counts.returned, m->counts.unchanged, m->counts.failed,
		m->counts.unsupported);
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
	known = find_known(m, syspath);
	if (known)
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

/* It means "read your configuration again" to people, and must not end a guard. */
static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	log_warning("SIGHUP: the policy is read at start only; \"tdx-authctl apply\" and a restart "
		    "put a new one in force");
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
	r = sd_event_add_signal(m->event, NULL, SIGHUP, on_hangup, NULL);
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
		policy_free(policy);
		return -ENOMEM;
	}
	m->options = *options;
	m->policy = policy;
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
	struct Waiting *waiting;

	if (!m)
		return;
	worker_pool_free(m->pool);
	while (m->first_pending)
		pending_free(m->first_pending);
	while ((waiting = next_waiting(m)))
		free(waiting);
	tdestroy(m->known, known_free);
	udev_monitor_unref(m->monitor);
	udev_unref(m->udev);
	sd_event_unref(m->event);
	policy_free(m->policy);
	free(m);
}
