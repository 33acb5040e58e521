/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-reload.h"

#include <errno.h>
#include <malloc.h>
#include <time.h>

#include "log.h"
#include "manager-bus.h"
#include "manager-device.h"
#include "manager-modules.h"
#include "names.h"
#include "phase.h"
#include "task.h"

struct Waiter {
	reload_done_t done;
	void *userdata;
};

/* Who asks while one is being checked waits for the next: the files may be others by then. */
struct Reload {
	struct Policy *policy; /* that is being checked */
	struct Task *check;
	struct Vector waiters; /* of struct Waiter: for this one */
	struct Vector later;   /* the same for the next */
};

static void start(struct Manager *m);

void manager_note_load(struct Manager *m)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	m->loaded_usec = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	m->loads++;
}

static void leave_mark(const char *name)
{
	int r = runtime_write(name, "", 0, 0);

	if (r < 0)
		log_warning("cannot leave the mark \"%s\" in " RUNTIME_DIR ": %s", name,
			    strerror(-r));
}

void manager_note_mode(struct Manager *m)
{
	/* also where the mark of that could not be left */
	m->is_enforcing = m->is_enforcing || !phase_would_audit(m->policy);
	leave_mark(m->is_enforcing ? MARK_ENFORCED : MARK_AUDIT);
	if (!m->is_enforcing)
		log_warning("the policy is in audit mode: what it would refuse is told, and "
			    "nothing is refused");
	else if (m->policy->mode == POLICY_AUDIT)
		log_warning("the policy is in audit mode, and one was enforced in this boot: this "
			    "one is, too, until the machine starts again");
}

int manager_set_policy(struct Manager *m, struct Policy *policy)
{
	int r = registry_set_policy(&m->registry, policy);

	if (r < 0) {
		policy_unref(policy);
		return r;
	}
	policy_unref(m->policy);
	m->policy = policy;
	manager_need_for_modules(m, policy);
	manager_note_mode(m);
	manager_note_load(m);
	(void)malloc_trim(0); /* two policies were there for a moment; one stays */
	return 0;
}

static void note_refusal(struct Manager *m)
{
	log_error("the policy is not loaded anew; the former one stays in force");
	m->options.remark = "policy REFUSED, the former one is in force; ";
	if (m->policy_state == POLICY_OK)
		m->policy_state = POLICY_FORMER;
	manager_bus_policy_changed(m);
}

static void note_acceptance(struct Manager *m)
{
	size_t n = policy_n_rules(m->policy);

	m->options.remark = NULL;
	m->policy_state = POLICY_OK;
	m->options.loaded(m->policy, m->options.userdata);
	log_record(LOG_INFO, MESSAGE_ID_POLICY_LOADED, NULL, 0,
		   "policy loaded: %zu rule%s; every device is decided over anew", n,
		   n == 1 ? "" : "s");
	manager_take_back(m);
	(void)manager_scan(m);
	manager_bus_policy_changed(m);
}

/* Tells who waited, and goes on with who came since. */
static void finish(struct Manager *m, int error)
{
	struct Reload *reload = m->reload;
	struct Vector told = reload->waiters;
	const struct Waiter *waiters = told.data;

	reload->waiters = reload->later;
	reload->later = (struct Vector){0};
	reload->check = NULL;
	for (size_t i = 0; i < told.n; i++)
		if (waiters[i].done)
			waiters[i].done(error, waiters[i].userdata);
	vector_done(&told);
	manager_status_changed(m);
	if (reload->waiters.n > 0) {
		start(m);
		return;
	}
	vector_done(&reload->waiters);
	free(reload);
	m->reload = NULL;
}

/* After the freeze nothing changes: what was asked for before it, neither. */
static bool is_too_late(struct Manager *m)
{
	manager_read_phase(m);
	if (m->phase.is_frozen)
		log_error("the policy is not loaded anew: it does not change after the freeze");
	return m->phase.is_frozen;
}

static void put_in_force(struct Manager *m, struct Policy *policy)
{
	int r = 0;

	if (is_too_late(m)) {
		policy_unref(policy);
		finish(m, -EPERM);
		return;
	}
	r = manager_set_policy(m, policy);
	if (r < 0)
		note_refusal(m);
	else
		note_acceptance(m);
	finish(m, r);
}

static void refuse(struct Manager *m, int error)
{
	note_refusal(m);
	finish(m, error);
}

static void on_checked(int result, const char *text, void *userdata)
{
	struct Manager *m = userdata;
	struct Policy *policy = TAKE_PTR(m->reload->policy);

	task_free(TAKE_PTR(m->reload->check));
	if (result == 0) {
		put_in_force(m, policy);
		return;
	}
	policy_unref(policy);
	if (result > 0)
		log_error("a restart of tdx-authd loads it all the same");
	else
		log_error("cannot tell what the machine runs on: %s",
			  result == -ETIME ? "a device, or a file system, keeps who looks waiting"
					   : strerror(-result));
	refuse(m, result > 0 ? -EBUSY : result);
}

static void start(struct Manager *m)
{
	struct Reload *reload = m->reload;
	struct Policy *policy = NULL;
	int r;

	if (is_too_late(m)) {
		finish(m, -EPERM);
		return;
	}
	r = m->options.load(&policy, m->options.userdata);
	if (r < 0) {
		refuse(m, -EBADMSG); /* a file's own -EPERM is not that of the freeze */
		return;
	}
	if (!m->options.check) {
		put_in_force(m, policy);
		return;
	}
	reload->policy = policy;
	r = task_start(m->event, m->options.check, policy, TASK_DEADLINE_USEC, on_checked, m,
		       &reload->check);
	if (r < 0)
		on_checked(r, "", m);
}

static int add_waiter(struct Manager *m, const struct Waiter *waiter)
{
	if (!m->reload)
		m->reload = calloc(1, sizeof(*m->reload));
	if (!m->reload)
		return -ENOMEM;
	return vector_add(m->reload->check ? &m->reload->later : &m->reload->waiters, waiter,
			  sizeof(*waiter));
}

void manager_reload(struct Manager *m, reload_done_t done, void *userdata)
{
	const struct Waiter waiter = {done, userdata};
	bool is_first = !m->reload;
	int r = m->options.load ? add_waiter(m, &waiter) : -EOPNOTSUPP;

	if (r < 0) {
		if (is_first)
			manager_drop_reload(m);
		if (done)
			done(r, userdata);
	} else if (is_first) {
		start(m);
	}
}

void manager_drop_reload(struct Manager *m)
{
	struct Reload *reload = m->reload;

	if (!reload)
		return;
	task_free(reload->check);
	policy_unref(reload->policy);
	vector_done(&reload->waiters);
	vector_done(&reload->later);
	free(reload);
	m->reload = NULL;
}
