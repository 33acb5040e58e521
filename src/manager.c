/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>

#include "log.h"
#include "manager-bind.h"
#include "manager-bus.h"
#include "manager-device.h"
#include "manager-explain.h"
#include "manager-modules.h"
#include "manager-reload.h"
#include "manager-saving.h"
#include "manager-state.h"
#include "manager-usb.h"
#include "metrics.h"
#include "names.h"
#include "protection.h"
#include "record.h"
#include "sysfs-io.h"
#include "udev.h"
#include "uevent-socket.h"

#define EVENTS_PER_TURN 64 /* so that replies and deadlines are never starved by a flood */
#define PATIENCE 3	   /* deadlines of a worker that a start, or an apply, lasts at most */

const struct ManagerOptions manager_defaults = {
	.keep_user_decisions = true,
	.n_peers_max = 32,
	.n_workers = 4,
	.deadline_usec = WORKER_DEADLINE_USEC,
	.metrics = true,
	.execute = enforce_execute,
};

/* --- marks --- */

void manager_read_phase(struct Manager *m)
{
	struct Phase former = m->phase;

	m->phase = *phase_now();
	if (former.is_frozen != m->phase.is_frozen || former.is_sealed != m->phase.is_sealed)
		manager_bus_phase_changed(m);
}

/* --- rules that need devices --- */

/* Counts the rules that admit fewer devices than they need, and says which when they come to. */
static void check_minimum(struct Manager *m)
{
	unsigned missing = registry_missing(&m->registry, record_missing);

	if (missing == m->counts.missing)
		return;
	m->counts.missing = missing;
	manager_bus_missing_changed(m);
}

/* --- scans --- */

int manager_scan(struct Manager *m)
{
	int r;

	manager_take_usb(m);
	manager_take_buses(m);
	m->registry.generation++;
	r = udev_for_each_node(manager_look, m);
	if (r < 0)
		log_error("cannot enumerate devices: %s", strerror(-r));
	m->is_sweep_due = r >= 0;
	manager_sweep(m);
	return r;
}

/* The same for the first time, or once more after a restart: what had a driver before anybody could
 * say anything is noted once in a boot. */
static int first_scan(struct Manager *m)
{
	int r;

	m->is_noting_first = first_drivers_are_due();
	r = manager_scan(m);
	if (m->is_noting_first && r >= 0)
		first_drivers_note(&m->first_drivers);
	m->is_noting_first = false;
	first_drivers_done(&m->first_drivers);
	return r;
}

/* The end of a start or an apply, from now: devices that keep coming must not keep it from ending.
 */
static uint64_t last_moment(const struct Manager *m)
{
	return now_usec() + PATIENCE * m->options.deadline_usec;
}

/* Runs the loop until every request has its outcome. Returns 0; -EINTR where a signal ended it;
 * -ETIME where it is @until, in microseconds, and some have none. */
static int drain(struct Manager *m, uint64_t until)
{
	int r = 0;

	while (r >= 0 && m->pending > 0) {
		uint64_t now = now_usec();

		if (now >= until)
			return -ETIME;
		r = sd_event_run(m->event, until - now);
		if (r >= 0 && sd_event_get_state(m->event) == SD_EVENT_FINISHED)
			return -EINTR;
	}
	return r < 0 ? r : 0;
}

int manager_apply(struct Manager *m)
{
	uint64_t until = last_moment(m);
	bool is_told = m->options.alone && !first_drivers_are_due();
	unsigned before;
	int r;

	r = manager_remember(m); /* where a daemon runs, this is by hand to it */
	if (r == -EAGAIN && m->options.alone)
		return r;
	/* A device authorized here may have made others: a virtio transport its virtio device. */
	do {
		before = m->counts.devices;
		r = before ? manager_scan(m) : first_scan(m);
		if (r >= 0)
			r = drain(m, until);
		if (r >= 0 && m->counts.devices != before && now_usec() >= until)
			r = -ETIME;
	} while (r >= 0 && m->counts.devices != before);
	state_flush(&m->state, &m->registry);
	if (!is_told) /* once in a boot, of many who look at one device each */
		manager_tell_unprotected(m);
	if (r < 0)
		log_error("not every device was decided over: %s",
			  r == -ETIME ? "they keep coming, or keep workers waiting" : strerror(-r));
	else
		check_minimum(m);
	return r;
}

/* --- what others are told --- */

const struct ManagerNotes *manager_notes(const struct Manager *m)
{
	static const struct ManagerNotes none;

	return m->options.notes ? m->options.notes : &none;
}

static void notify_status(struct Manager *m)
{
	const struct ManagerNotes *notes = manager_notes(m);

	check_minimum(m);
	(void)sd_notifyf(
		0,
		"STATUS=%s%s%s%s%s%s%u devices: %u authorized, %u refused, %u returned to the "
		"kernel, "
		"%u left as they were, %u failed, %u beyond this kernel, events lost %u times, "
		"messages dropped: %u forged, %u malformed%s",
		notes->impairment ? notes->impairment : "", notes->impairment ? "; " : "",
		notes->configuration ? notes->configuration : "", notes->configuration ? "; " : "",
		m->options.remark ? m->options.remark : "",
		m->state_timer ? "decisions NOT NOTED, another tdx-auth keeps their file; " : "",
		m->counts.devices, m->counts.authorized, m->counts.refused, m->counts.returned,
		m->counts.unchanged, m->counts.failed, m->counts.unsupported, m->counts.overflows,
		m->counts.forged, m->counts.malformed,
		m->counts.missing ? "; DEGRADED: devices that rules need are missing" : "");
}

#define METRICS_PAUSE_USEC (1000 * UINT64_C(1000))  /* between two, however much happens */
#define METRICS_GRACE_USEC (20 * UINT64_C(1000))    /* for a device that is on its way */
#define METRICS_IDLE_USEC (60 * METRICS_PAUSE_USEC) /* the same where nothing does */

static void fill_metrics(const struct Manager *m, struct Metrics *ret)
{
	*ret = (struct Metrics){
		.authorized = m->counts.authorized,
		.refused = m->counts.refused,
		.returned = m->counts.returned,
		.failed = m->counts.failed,
		.unsupported = m->counts.unsupported,
		.overflows = m->counts.overflows,
		.forged = m->counts.forged,
		.malformed = m->counts.malformed,
		.rules = policy_n_rules(m->policy),
		.missing_rules = m->counts.missing,
		.loads = m->loads,
		.loaded_usec = m->loaded_usec,
		.policy_refused = m->options.remark,
		.impaired = manager_notes(m)->impairment,
		.frozen = m->phase.is_frozen,
		.sealed = m->phase.is_sealed,
	};
	for (const struct Known *known = m->registry.first; known; known = known->next)
		if (known->is_decided && known->by != DECIDED_BY_EXEMPTION)
			ret->devices[known->bus][known->action]++;
}

static void write_metrics(struct Manager *m)
{
	struct Metrics metrics;
	int r;

	m->counts_written = m->counts;
	manager_read_phase(m);
	if (!m->options.metrics)
		return;
	fill_metrics(m, &metrics);
	r = metrics_write(&metrics);
	if (r < 0 && !m->is_metrics_broken)
		log_warning("cannot write " RUNTIME_DIR "/" METRICS_FILE ": %s", strerror(-r));
	m->is_metrics_broken = r < 0;
}

/* Has them written then, unless they are to be sooner. */
static void schedule_metrics(struct Manager *m, uint64_t usec)
{
	if (!m->metrics_timer || m->metrics_due <= usec)
		return;
	m->metrics_due = usec;
	(void)sd_event_source_set_time(m->metrics_timer, usec);
	(void)sd_event_source_set_enabled(m->metrics_timer, SD_EVENT_ONESHOT);
}

void manager_schedule_metrics(struct Manager *m)
{
	schedule_metrics(m, now_usec() + METRICS_PAUSE_USEC);
}

void manager_status_changed(struct Manager *m)
{
	notify_status(m);
	manager_schedule_metrics(m);
}

static int on_metrics_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct Manager *m = userdata;
	uint64_t now = now_usec();

	/* a device on its way comes first, but not one that stays there */
	if (m->pending > 0 && now < m->metrics_due + METRICS_PAUSE_USEC) {
		(void)sd_event_source_set_time(source, now + METRICS_GRACE_USEC);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	notify_status(m);
	write_metrics(m);
	m->metrics_due = UINT64_MAX;
	schedule_metrics(m, now_usec() + METRICS_IDLE_USEC);
	return 0;
}

/* --- events --- */

/* Whether the event is of a device that policies are about. */
static bool is_governed(const struct Uevent *event)
{
	enum Bus bus = bus_from_string(event->subsystem);

	return bus != _BUS_INVALID &&
	       (!bus_info[bus].devtype || streq_or_null(bus_info[bus].devtype, event->devtype));
}

static int handle_event(struct Manager *m, const struct Uevent *event)
{
	_cleanup_free_ char *syspath = NULL;
	struct Known *known;

	if (manager_hear_of_driver(m, event) || !is_governed(event))
		return 0;
	if (asprintf(&syspath, "/sys%s", event->devpath) < 0)
		return -ENOMEM;
	if (!streq(event->action, "remove")) {
		int r = manager_look(syspath, m);

		manager_bus_event(m, syspath, event->action);
		return r;
	}
	/* another one may be at its path by now, and have been decided over: a scan is faster than
	 * the events that are still on their way */
	known = registry_find(&m->registry, syspath);
	if (known && !manager_is_there(known))
		manager_forget(m, known);
	return 0;
}

/* Somebody in the machine who may administer its network sends them. */
static void note_forgery(struct Manager *m)
{
	if (m->counts.forged++ == 0)
		log_warning("a message that looks like the kernel's, and is not, was dropped; "
			    "further ones are counted");
}

/* Takes one event. Returns 1; 0 where none waits; -ENOBUFS where some were lost, as is one of the
 * kernel's that cannot be read; or another negative errno. */
static int take_event(struct Manager *m)
{
	char buffer[UEVENT_SIZE_MAX];
	struct Uevent event;
	int r = uevent_receive(m->uevent_fd, buffer, &event);

	if (r > 0)
		return handle_event(m, &event) < 0 ? -ENOBUFS : 1;
	if (r == -EPERM) {
		note_forgery(m);
		return 1;
	}
	m->counts.overflows += r == -ENOBUFS;
	m->counts.malformed += r == -EBADMSG;
	return r == -EBADMSG ? -ENOBUFS : r;
}

static int on_monitor(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct Manager *m = userdata;
	bool is_lost = false;
	int r = 1;

	for (unsigned i = 0; r != 0 && i < EVENTS_PER_TURN; i++) {
		r = take_event(m);
		is_lost = is_lost || r == -ENOBUFS;
		/* to be deaf is not to live on: the service manager starts another one */
		if (r < 0 && r != -ENOBUFS)
			return sd_event_exit(m->event, r);
	}
	if (is_lost) {
		log_warning("events were lost; looking at every device again");
		(void)manager_scan(m);
	}
	/* others are told a little later: to tell them takes longer than to decide */
	schedule_metrics(m, now_usec() + METRICS_PAUSE_USEC);
	return 0;
}

static int on_end_of_turn(sd_event_source *source, void *userdata)
{
	struct Manager *m = userdata;

	manager_look_at_waiting(m);
	state_flush(&m->state, &m->registry);
	if (memcmp(&m->counts, &m->counts_written, sizeof(m->counts)) != 0)
		manager_schedule_metrics(m);
	return 0;
}

/* --- sleep --- */

/* A timer that never ends, but is cancelled when the clock is set, which a resume does, too
 * (timerfd_create(2); fs/timerfd.c, timerfd_resume()). Returns 0 or a negative errno. */
static int arm_clock(int fd)
{
	const struct itimerspec never = {.it_value = {.tv_sec = INT64_MAX}};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0
		       ? -errno
		       : 0;
}

/* Devices may be others than before, and may have lost what was written to them. */
static int on_clock(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct Manager *m = userdata;
	uint64_t expired;

	if (read(fd, &expired, sizeof(expired)) >= 0 || errno != ECANCELED)
		return 0;
	if (arm_clock(fd) < 0)
		log_warning("cannot tell any more when the machine sleeps: %m");
	log_info("the machine slept, or its clock was set; looking at every device again");
	for (struct Known *known = m->registry.first; known; known = known->next)
		known->is_stale = true;
	(void)manager_scan(m);
	return 0;
}

/* Without it, events tell of what a resume changes, if the kernel does. */
static void watch_sleep(struct Manager *m)
{
	int r;

	m->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	r = m->clock_fd < 0 ? -errno : arm_clock(m->clock_fd);
	if (r >= 0)
		r = sd_event_add_io(m->event, NULL, m->clock_fd, EPOLLIN, on_clock, m);
	if (r < 0)
		log_warning("cannot tell when the machine sleeps: %s", strerror(-r));
}

static int start_following(struct Manager *m)
{
	int r;

	m->uevent_fd = uevent_socket_take();
	if (m->uevent_fd == -ENOENT)
		m->uevent_fd = uevent_socket_open();
	if (m->uevent_fd < 0) {
		log_error("cannot listen to the kernel's events: %s", strerror(-m->uevent_fd));
		return m->uevent_fd;
	}
	r = sd_event_add_io(m->event, NULL, m->uevent_fd, EPOLLIN, on_monitor, m);
	if (r >= 0)
		r = sd_event_add_post(m->event, NULL, on_end_of_turn, m);
	if (r >= 0) {
		watch_sleep(m);
		manager_watch_modules(m);
	}
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

/* Until a signal comes. */
static int serve(struct Manager *m)
{
	int r;

	check_minimum(m);
	write_metrics(m);
	manager_bus_start(m);
	(void)sd_notify(0, "READY=1");
	notify_status(m);
	m->metrics_due = now_usec() + METRICS_IDLE_USEC;
	r = sd_event_add_time(m->event, &m->metrics_timer, CLOCK_MONOTONIC, m->metrics_due, 0,
			      on_metrics_due, m);
	if (r >= 0) /* devices come first */
		r = sd_event_source_set_priority(m->metrics_timer, SD_EVENT_PRIORITY_IDLE);
	return r < 0 ? r : sd_event_loop(m->event);
}

int manager_run(struct Manager *m)
{
	int r = start_following(m);

	if (r < 0)
		return r;
	manager_remember_after_others(m);
	r = first_scan(m);
	if (r < 0)
		return r;
	r = drain(m, last_moment(m));
	if (r == -EINTR)
		return 0;
	if (r == -ETIME) {
		log_warning("devices keep coming, or keep workers waiting: those that come from "
			    "now on are plugged, not there at start");
		r = 0;
	}
	m->is_started = true;
	state_flush(&m->state, &m->registry); /* how the others were at first */
	manager_tell_unprotected(m);
	if (r >= 0)
		mark_start(m);
	if (r >= 0)
		r = serve(m);
	(void)sd_notify(0, "STOPPING=1");
	if (r < 0)
		log_error("the event loop failed: %s", strerror(-r));
	return r < 0 ? r : 0;
}

/* --- birth and death --- */

int manager_read_verdict(const struct Manager *m, const char *syspath, const char **ret_verdict,
			 char **ret_source)
{
	const struct Known *known = registry_find(&m->registry, syspath);
	const char *verdict = known ? state_verdict(known) : NULL;

	if (!verdict)
		return -ENOENT;
	*ret_source = state_source(known);
	*ret_verdict = verdict;
	return *ret_source ? 0 : -ENOMEM;
}

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

/* What is on its way keeps descriptors open: attributes of many devices and of those above them.
 * Only select(2) cannot cope with so many, and nothing here calls it. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void on_reloaded(int error, void *userdata)
{
	struct Manager *m = userdata;

	(void)error; /* the log and the status say it */
	(void)sd_notify(0, "READY=1");
	manager_status_changed(m);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct Manager *m = userdata;

	(void)sd_notify(0, "RELOADING=1");
	manager_reload(m, on_reloaded, m);
	return 0;
}

static int start(struct Manager *m)
{
	int r = block_signals();

	if (r < 0)
		return r;
	raise_descriptor_limit();
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
	m->policy_state = options->remark ? POLICY_BUILT_IN : POLICY_OK;
	m->state = STATE_CLOSED;
	m->uevent_fd = -1;
	m->clock_fd = -1;
	m->policy = policy;
	if (registry_set_policy(&m->registry, policy) < 0)
		return -ENOMEM;
	manager_note_load(m);
	manager_read_modules(m);
	m->kernel_audits = kernel_mode() == PROTECTION_AUDIT;
	manager_note_mode(m);
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
	worker_pool_free(TAKE_PTR(m->pool));
	manager_drop_pending(m);
	path_queue_done(&m->waiting);
	manager_drop_questions(m);
	manager_drop_reload(m);
	manager_drop_saving(m);
	manager_bus_stop(m);
	sd_event_source_unref(m->state_timer);
	state_close(&m->state);
	first_drivers_done(&m->first_drivers);
	registry_done(&m->registry);
	sd_event_source_unref(m->metrics_timer);
	sd_event_source_unref(m->offer_timer);
	manager_drop_modules(m);
	sd_event_unref(m->event);
	if (m->uevent_fd >= 0)
		(void)close(m->uevent_fd);
	if (m->clock_fd >= 0)
		(void)close(m->clock_fd);
	policy_unref(m->policy);
	free(m);
}
