/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-modules.h"

#include <errno.h>
#include <sys/inotify.h>

#include "log.h"
#include "modprobe-config.h"
#include "task.h"

/* Editors and package managers change several files, and each in several steps. */
#define PAUSE_USEC (500 * UINT64_C(1000))
#define CHANGES                                                                                    \
	(IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_CREATE | IN_DELETE_SELF |   \
	 IN_MOVE_SELF | IN_ATTRIB)

void manager_need_for_modules(const struct Manager *m, struct Policy *policy)
{
	if (module_refusals_need_interfaces(m->refusals))
		policy->needs.interfaces = true;
}

void manager_read_modules(struct Manager *m)
{
	int r = module_refusals_new(m->options.root, &m->refusals);

	if (r < 0)
		log_warning("cannot tell which modules modprobe.d refuses: %s", strerror(-r));
	manager_need_for_modules(m, m->policy);
}

static void decide_anew(struct Manager *m)
{
	int r = module_refusals_reread(m->refusals);

	if (r < 0)
		log_warning("cannot read modprobe.d anew, so what it refused before holds: %s",
			    strerror(-r));
	if (r <= 0)
		return;
	log_info("modprobe.d changed; every device is decided over anew");
	manager_need_for_modules(m, m->policy);
	for (struct Known *known = m->registry.first; known; known = known->next)
		known->is_stale = true;
	(void)manager_scan(m);
}

static void on_checked(int result, const char *text, void *userdata)
{
	struct Manager *m = userdata;

	(void)text; /* the log has it all */
	task_free(TAKE_PTR(m->modules_check));
	if (result == 0)
		decide_anew(m);
	else if (result > 0)
		log_error("what modprobe.d refuses now is not heeded, but what it did before; a "
			  "restart of tdx-authd heeds it all the same");
	else
		log_error("what modprobe.d refuses now is not heeded: cannot tell what the machine "
			  "runs on: %s",
			  result == -ETIME ? "a device, or a file system, keeps who looks waiting"
					   : strerror(-result));
}

/* Whatever comes with a package must not take away what the machine runs on; a policy that is
 * loaded anew does not, either. */
static void check(struct Manager *m)
{
	int r;

	task_free(TAKE_PTR(m->modules_check)); /* the files are others by now */
	if (!m->options.check) {
		decide_anew(m);
		return;
	}
	r = task_start(m->event, m->options.check, m->policy, TASK_DEADLINE_USEC, on_checked, m,
		       &m->modules_check);
	if (r < 0)
		on_checked(r, "", m);
}

static void watch(struct Manager *m);

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct Manager *m = userdata;

	m->modules_timer = sd_event_source_unref(m->modules_timer);
	watch(m); /* a directory may have come, or gone and come */
	manager_read_phase(m);
	if (m->phase.is_frozen)
		log_warning("modprobe.d changed, which has no effect on devices after the freeze");
	else
		check(m);
	return 0;
}

static bool is_component(const char *path, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = path; (p = strstr(p, name)); p++)
		if (p > path && p[-1] == '/' && (!p[n] || p[n] == '/'))
			return true;
	return false;
}

/* Whether a directory of this name may be on the way to one that is not there yet. */
static bool may_be_on_the_way(const struct Manager *m, const char *name)
{
	for (const char *const *directory = modprobe_directories; *directory; directory++)
		if (is_component(*directory, name))
			return true;
	return is_component(module_refusals_directory(m->refusals), name);
}

static bool concerns_us(const struct Manager *m, const struct inotify_event *event)
{
	size_t n = event->len > 0 ? strlen(event->name) : 0;

	if (n == 0) /* the directory itself */
		return !(event->mask & (IN_CREATE | IN_ATTRIB));
	if (event->mask & IN_ISDIR)
		return may_be_on_the_way(m, event->name);
	return streq(event->name, "modules.alias") ||
	       (n > 5 && streq(event->name + n - 5, ".conf"));
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct Manager *m = userdata;

	if (m->modules_timer || !concerns_us(m, event))
		return 0;
	if (sd_event_add_time(m->event, &m->modules_timer, CLOCK_MONOTONIC, now_usec() + PAUSE_USEC,
			      0, on_pause_over, m) < 0)
		log_warning("cannot follow a change of modprobe.d");
	return 0;
}

/* @path, or, where that is not there, the nearest directory above it that is. */
static int watch_path(struct Manager *m, const char *path, size_t number)
{
	_cleanup_free_ char *copy = strdup(path);
	int r = -ENOMEM;

	m->modules_watches[number] = sd_event_source_unref(m->modules_watches[number]);
	while (copy) {
		char *slash = strrchr(copy, '/');

		r = sd_event_add_inotify(m->event, &m->modules_watches[number], *copy ? copy : "/",
					 CHANGES | IN_ONLYDIR, on_change, m);
		if (r != -ENOENT || !slash)
			break;
		*slash = '\0';
	}
	return r;
}

static void watch(struct Manager *m)
{
	const char *root = module_refusals_root(m->refusals);
	size_t n = 0;
	int r = 0;

	for (const char *const *directory = modprobe_directories; r >= 0 && *directory;
	     directory++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s%s", root, *directory) < 0) {
			path = NULL;
			r = -ENOMEM;
		} else {
			r = watch_path(m, path, n++);
		}
	}
	if (r >= 0)
		r = watch_path(m, module_refusals_directory(m->refusals), n);
	if (r < 0)
		log_warning("cannot tell when modprobe.d changes: %s", strerror(-r));
}

void manager_watch_modules(struct Manager *m)
{
	if (m->refusals)
		watch(m);
}

void manager_drop_modules(struct Manager *m)
{
	task_free(m->modules_check);
	sd_event_source_unref(m->modules_timer);
	for (size_t i = 0; i < ELEMENTSOF(m->modules_watches); i++)
		sd_event_source_unref(m->modules_watches[i]);
	module_refusals_free(m->refusals);
}
