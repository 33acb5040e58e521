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

/* --- apply --- */

static int print_counts_json(const struct ManagerCounts *counts)
{
	const struct {
		const char *key;
		unsigned value;
	} fields[] = {
		{"devices", counts->devices},	      {"authorized", counts->authorized},
		{"refused", counts->refused},	      {"returned", counts->returned},
		{"unchanged", counts->unchanged},     {"failed", counts->failed},
		{"unsupported", counts->unsupported}, {"missing", counts->missing},
	};
	struct json_object *object = json_object_new_object();

	for (size_t i = 0; i < ELEMENTSOF(fields); i++)
		json_object_object_add(object, fields[i].key,
				       json_object_new_int64(fields[i].value));
	return json_print(object);
}

static int print_counts(const struct ManagerCounts *counts)
{
	int n = printf("%u devices: %u authorized, %u refused, %u returned to the kernel, "
		       "%u left as they were, %u failed, %u beyond this kernel%s\n",
		       counts->devices, counts->authorized, counts->refused, counts->returned,
		       counts->unchanged, counts->failed, counts->unsupported,
		       counts->missing ? "; devices that rules need are missing" : "");

	return n < 0 || fflush(stdout) != 0 ? -errno : 0;
}

/* A daemon that runs takes what others write for decisions by hand, which no policy overrides: what
 * is applied here would outlast every reload. Returns an exit status. */
static int check_no_daemon(const struct Options *options)
{
	_cleanup_client_ struct Client *client = NULL;

	if (client_open(&client) == -ESRCH)
		return EXIT_DONE;
	if (options->policy) {
		log_warning("a daemon runs: what this policy changes is decided by hand to it, and "
			    "lasts until the devices go");
		return EXIT_DONE;
	}
	log_error("a daemon runs, to which what is applied now would be decided by hand and last; "
		  "nothing was applied. \"tdx-authctl reload\" has it read the policy again; to "
		  "put the policy before what was decided by hand as well, stop tdx-authd.socket "
		  "and the daemon, apply, "
		  "and start it");
	return EXIT_FAILED;
}

int verb_apply(const struct Options *options, char *const *args)
{
	_cleanup_manager_ struct Manager *manager = NULL;
	struct ManagerOptions manager_options = manager_defaults;
	const struct ManagerCounts *counts;
	struct Obstacle obstacle;
	struct Policy *policy;
	int r;

	(void)args;
	if (by_hand_is_over(&obstacle)) {
		log_error("%s", obstacle.text);
		return EXIT_REFUSED;
	}
	/* asked for by its owner, the policy goes before what was decided by hand */
	manager_options.keep_user_decisions = false;
	if (options->policy && streq(options->policy, "-")) {
		log_error("apply takes its policy from a file, of which it is checked who may "
			  "change it, not from standard input");
		return EXIT_USAGE;
	}
	r = check_no_daemon(options);
	if (r != EXIT_DONE)
		return r;
	if (policy_load(options->policy, &policy) < 0)
		return EXIT_FAILED;
	r = options->i_know ? 0 : policy_check_vital(policy, VITAL_ALL);
	if (r != 0) {
		log_error("nothing was applied; --i-know applies it all the same");
		policy_unref(policy);
		return r < 0 ? EXIT_FAILED : EXIT_REFUSED;
	}
	if (manager_new(policy, &manager_options, &manager) < 0)
		return EXIT_FAILED;
	r = manager_apply(manager);
	counts = manager_counts(manager);
	if (r < 0)
		return EXIT_FAILED;
	r = options->json ? print_counts_json(counts) : print_counts(counts);
	return r < 0 || counts->failed > 0 || counts->unsupported > 0 ? EXIT_FAILED : EXIT_DONE;
}
