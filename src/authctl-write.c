/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "authctl.h"
#include "by-hand.h"
#include "client.h"
#include "escape.h"
#include "find-device.h"
#include "log.h"
#include "manager.h"
#include "names.h"
#include "output.h"
#include "permanent.h"
#include "phase.h"
#include "policy-files.h"
#include "sysfs-io.h"
#include "vital.h"

/* What a person wants of a device. */
struct Wish {
	struct EnforceRequest request;
	bool is_permanent;
};

/* The device that is meant, whatever comes to its place meanwhile. */
struct Target {
	struct Device *device;
	int dirfd;
	char *name;
	char *safe; /* the same, escaped */
};

static void target_done(struct Target *target)
{
	device_free(target->device);
	closep(&target->dirfd);
	free(target->name);
	free(target->safe);
}

/* Returns what find_device() returns. */
static int target_find(const char *typed, struct Target *ret)
{
	int r = find_device(typed, NULL, &ret->dirfd, &ret->device);

	if (r < 0)
		return r;
	ret->name = device_name(ret->device);
	ret->safe = escape_text(ret->name);
	return ret->name && ret->safe ? 0 : -ENOMEM;
}

/* A driver of the name may come later, with a module; more often it is a typing error. */
static void warn_of_unknown_driver(const struct Device *device, const char *driver)
{
	_cleanup_free_ char *path = NULL;

	if (!*driver ||
	    asprintf(&path, "/sys/bus/%s/drivers/%s", bus_to_string(device->bus), driver) < 0)
		return;
	if (access(path, F_OK) < 0)
		log_warning("no driver of the %s bus is called \"%s\" now",
			    bus_to_string(device->bus), driver);
}

/* @only and @driver as they came from the device; NULL and "" for none. */
static void print_done(const struct Target *target, const struct Wish *wish, const char *only,
		       const char *driver)
{
	_cleanup_free_ char *safe_driver = escape_text(driver), *safe_only = escape_text(only);

	if (wish->request.authorize)
		(void)printf("%s: authorized%s%s, driver: %s\n", target->safe,
			     isempty(safe_only) ? "" : " only for ", safe_only ? safe_only : "",
			     isempty(safe_driver) ? "none" : safe_driver);
	else
		(void)printf("%s: %s\n", target->safe, wish->request.remove ? "removed" : "denied");
}

/* --- through the daemon --- */

/* The one dictionary that both methods take. */
static int append_wish(sd_bus_message *call, const struct Wish *wish)
{
	const struct EnforceRequest *request = &wish->request;
	int r = sd_bus_message_open_container(call, 'a', "{sv}");

	if (r >= 0 && request->set_driver)
		r = sd_bus_message_append(call, "{sv}", "driver", "s", request->driver);
	if (r >= 0 && request->remove)
		r = sd_bus_message_append(call, "{sv}", "remove", "b", true);
	if (r >= 0 && wish->is_permanent)
		r = sd_bus_message_append(call, "{sv}", "permanent", "b", true);
	return r < 0 ? r : sd_bus_message_close_container(call);
}

static void print_answer(const struct Target *target, const struct Wish *wish,
			 sd_bus_message *answer)
{
	_cleanup_free_ char *driver = NULL, *only = NULL;
	const char *text;

	if (wish->request.authorize && sd_bus_message_read(answer, "s", &text) >= 0)
		driver = client_text(text);
	/* a kernel without the series has no attribute that shows it, and the daemon took it */
	if (sysfs_read(target->dirfd, ATTR_AUTHORIZED_DRIVER, &only) < 0 &&
	    wish->request.set_driver)
		only = strdup(wish->request.driver);
	print_done(target, wish, only, driver);
}

/* Returns what client_call() returns. */
static int set_through(struct Client *client, const struct Target *target, const struct Wish *wish)
{
	_cleanup_message_ sd_bus_message *call = NULL, *answer = NULL;
	int r = client_new_device_call(client, target->device->ino,
				       wish->request.authorize ? "Authorize" : "Deny", &call);

	if (r >= 0)
		r = append_wish(call, wish);
	if (r < 0) {
		log_error("%s: %s", target->safe, strerror(-r));
		return r;
	}
	r = client_call(client, target->name, call, &answer);
	if (r >= 0)
		print_answer(target, wish, answer);
	return r;
}

/* --- without it --- */

static bool is_over(enum Problem problem)
{
	return problem == PROBLEM_FROZEN || problem == PROBLEM_SEALED;
}

/* Returns an exit status. */
static int write_now(const struct Target *target, const struct Wish *wish)
{
	struct EnforceRequest request = by_hand_insisting(target->device, &wish->request);
	struct EnforceReply reply;
	int r = worker_run_once(target->dirfd, &request, WORKER_DEADLINE_USEC, &reply);

	if (r < 0) {
		log_error("cannot start a worker: %s", strerror(-r));
		return EXIT_FAILED;
	}
	if (reply.error < 0) {
		log_error("%s: %s", target->safe, enforce_explain(reply.step, reply.error));
		return exit_status_of(reply.error);
	}
	print_done(target, wish, reply.authorized_driver, reply.driver);
	return EXIT_DONE;
}

/* What was done stays done where it cannot be written down. Returns an exit status. */
static int save(const struct Target *target, const struct Wish *wish)
{
	const struct EnforceRequest *request = &wish->request;
	enum Action refusal = request->remove ? ACTION_REMOVE : ACTION_DENY;
	const struct PermanentWish permanent = {
		.device = target->device,
		.action = request->authorize ? ACTION_ALLOW : refusal,
		.driver = request->set_driver ? request->driver : NULL,
	};
	_cleanup_free_ char *problem = NULL, *safe = NULL;
	int r = permanent_set(&permanent, &problem);

	if (r >= 0)
		return EXIT_DONE;
	safe = escape_text(problem);
	log_error("%s: " CLIENT_NOT_SAVED "%s", target->safe, safe ? safe : "?");
	return r == -EPERM ? EXIT_REFUSED : EXIT_FAILED;
}

/* @error: why the daemon is not asked. Returns an exit status. */
static int set_directly(const struct Target *target, const struct Wish *wish, int error)
{
	struct Obstacle obstacle;
	int status, saved = EXIT_DONE;

	if ((wish->request.authorize && by_hand_is_over(&obstacle)) ||
	    by_hand_obstacle(target->device, &wish->request, &obstacle)) {
		log_error("%s: %s", target->safe, obstacle.text);
		return is_over(obstacle.problem) ? EXIT_REFUSED : EXIT_FAILED;
	}
	/* what is gone cannot be written down any more */
	if (wish->is_permanent && wish->request.remove)
		saved = save(target, wish);
	status = write_now(target, wish);
	if (status == EXIT_DONE)
		client_tell_direct(error);
	if (wish->is_permanent && !wish->request.remove && status == EXIT_DONE)
		saved = save(target, wish);
	return status == EXIT_DONE ? saved : status;
}

/* Returns an exit status. What takes away is not to fail for a daemon that hangs. */
static int set(const char *typed, const struct Wish *wish)
{
	_cleanup_(target_done) struct Target target = {.dirfd = -1};
	_cleanup_client_ struct Client *client = NULL;
	int r = target_find(typed, &target);

	if (r < 0)
		return exit_status_of(r);
	if (wish->request.set_driver)
		warn_of_unknown_driver(target.device, wish->request.driver);
	r = client_open(&client);
	if (r >= 0)
		r = set_through(client, &target, wish);
	if (r == -ESRCH || (client_is_silent(r) && !wish->request.authorize))
		return set_directly(&target, wish, r);
	return r < 0 ? exit_status_of(r) : EXIT_DONE;
}

int verb_authorize(const struct Options *options, char *const *args)
{
	struct Wish wish = {
		.request = {.authorize = true, .set_driver = options->driver},
		.is_permanent = options->permanent,
	};

	if (options->driver)
		(void)snprintf(wish.request.driver, sizeof(wish.request.driver), "%s",
			       options->driver);
	return set(args[0], &wish);
}

int verb_deny(const struct Options *options, char *const *args)
{
	return set(args[0], &(struct Wish){.request = {.remove = options->remove},
					   .is_permanent = options->permanent});
}
