/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "authctl.h"
#include "config-file.h"
#include "driver-wait.h"
#include "escape.h"
#include "initrd.h"
#include "log.h"
#include "manager.h"
#include "names.h"
#include "phase.h"
#include "policy-start.h"
#include "state-find.h"
#include "sysfs-io.h"
#include "udev-property.h"

#define PATIENCE_USEC UINT64_C(15000000) /* udev's own is three minutes: udevd.conf(5) */
#define PAUSE_USEC 10000

/* The verdict over one device, for the udev rules, which want it before they load a module for the
 * device. Where a daemon runs, or somebody else decides at the moment, it is theirs. */
struct Question {
	const char *syspath;
	int dirfd;
	dev_t dev;
	ino_t ino;
};

static int print_found(const struct Question *question)
{
	struct Finding finding;
	_cleanup_free_ char *source = NULL;
	int r = state_find(question->syspath, question->dev, question->ino, &finding);

	if (r < 0)
		return r;
	source = unescape_text(finding.source);
	r = udev_print_verdict(finding.verdict, source ? source : finding.source);
	finding_done(&finding);
	return r;
}

/* A machine whose owner does without the daemon says so; an initrd has none. */
static bool is_ours_to_decide(void)
{
	struct Config config = config_defaults;

	if (initrd_is_here())
		return true;
	return config_load(NULL, &config) >= 0 && config.rules_only;
}

/* Whether a daemon is meant to run, also while it is not there: it starts, or starts again. */
static bool is_guarded(void)
{
	_cleanup_free_ char *path = runtime_path(MARK_GUARDED);

	return !path || access(path, F_OK) == 0;
}

/* Over all devices: rules count them, and one may wait for another. @question is NULL where a
 * driver came. Returns -EAGAIN where somebody else decides. */
static int decide(const struct Question *question)
{
	_cleanup_manager_ struct Manager *manager = NULL;
	struct ManagerOptions options = manager_defaults;
	_cleanup_free_ char *source = NULL;
	struct PolicyStart start;
	const char *verdict;
	int r = policy_start(NULL, &start);

	if (r < 0)
		return r;
	options.alone = true;
	options.keeps_verdicts = initrd_is_here(); /* whose policy does not change */
	options.metrics = false;
	options.n_workers = 1;
	if (manager_new(start.policy, &options, &manager) < 0)
		return -EIO;
	r = manager_apply(manager);
	if (r < 0 || !question)
		return r;
	r = manager_read_verdict(manager, question->syspath, &verdict, &source);
	if (r >= 0 && !sysfs_is_alive(question->dirfd)) /* that is of another one at its path */
		r = -ENODEV;
	return r < 0 ? r : udev_print_verdict(verdict, source);
}

static int answer(const struct Question *question)
{
	uint64_t until = now_usec() + PATIENCE_USEC;
	struct stat last = {0};
	int r;

	do {
		r = state_has_grown(&last) ? print_found(question) : -ENOENT;
		if (r != -ENOENT)
			return r;
		if (!state_is_kept() && is_ours_to_decide()) {
			r = decide(question);
			if (r != -EAGAIN)
				return r;
		} else if (!state_is_kept() && !is_guarded()) {
			return udev_print_verdict("none", "no daemon runs");
		}
		(void)usleep(PAUSE_USEC);
	} while (now_usec() < until);
	return -ETIME;
}

/* Whether it is a daemon that decides at the moment, which hears of drivers itself. */
static bool is_daemons(void)
{
	_cleanup_free_ char *bus = runtime_path(BUS_SOCKET);

	return state_is_kept() && (is_guarded() || (bus && access(bus, F_OK) == 0));
}

/* A driver came, for which devices wait. Who decides at the moment may have passed them before it
 * did. */
static int offer_devices(const char *path)
{
	uint64_t until = now_usec() + PATIENCE_USEC;
	int r = -EAGAIN;

	if (!is_ours_to_decide())
		return EXIT_DONE;
	while (r == -EAGAIN && !is_daemons() && now_usec() < until) {
		if (!state_is_kept())
			r = driver_is_waited_for(path) ? decide(NULL) : 0;
		if (r == -EAGAIN)
			(void)usleep(PAUSE_USEC);
	}
	if (r == -EAGAIN && is_daemons())
		return EXIT_DONE;
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int verb_udev(const struct Options *options, char *const *args)
{
	struct Question question = {.syspath = args[0], .dirfd = -1};
	_cleanup_free_ char *safe = escape_text(args[0]);
	_cleanup_close_ int dirfd = -1;
	int r;

	(void)options;
	log_open("tdx-authctl", true);
	/* udev keeps what comes on standard error to itself */
	if (initrd_is_here() && access(JOURNAL_SOCKET, W_OK) < 0)
		log_to_kernel();
	if (startswith(args[0], SYSFS_BUSES "/"))
		return offer_devices(args[0]);
	if (!startswith(args[0], SYSFS_DEVICES "/")) {
		log_error("udev takes the path of a device below " SYSFS_DEVICES);
		return EXIT_USAGE;
	}
	question.dirfd = dirfd = sysfs_open(args[0]);
	r = dirfd < 0 ? dirfd : sysfs_identity(dirfd, &question.dev, &question.ino);
	if (r >= 0)
		r = udev_check_event(dirfd);
	if (r >= 0)
		r = answer(&question);
	if (r >= 0)
		return EXIT_DONE;
	log_error("%s: no verdict, so no module is loaded for it: %s", safe ? safe : "?",
		  r == -ETIME	 ? "the daemon has none yet"
		  : r == -ESTALE ? "the event is of a device that was there before it"
				 : strerror(-r));
	return r == -ENODEV ? EXIT_NO_DEVICE : EXIT_FAILED;
}
