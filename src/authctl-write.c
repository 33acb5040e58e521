/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "authctl.h"
#include "by-hand.h"
#include "escape.h"
#include "find-device.h"
#include "log.h"
#include "manager.h"
#include "output.h"
#include "phase.h"
#include "policy-files.h"
#include "udev.h"
#include "view.h"
#include "vital.h"

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

static void print_done(const char *name, const struct EnforceRequest *request,
		       const struct EnforceReply *reply)
{
	_cleanup_free_ char *driver = escape_text(reply->driver),
			    *only = escape_text(reply->authorized_driver);

	if (request->authorize)
		(void)printf("%s: authorized%s%s, driver: %s\n", name,
			     isempty(only) ? "" : " only for ", only ? only : "",
			     isempty(driver) ? "none" : driver);
	else
		(void)printf("%s: denied\n", name);
}

static int refuse_frozen(const char *what)
{
	log_error("after the freeze %s any more; it lasts until the machine starts again", what);
	return EXIT_REFUSED;
}

static bool is_frozen(void)
{
	struct Phase phase;

	phase_read(&phase);
	return phase.is_frozen;
}

static int set(const char *typed, const struct EnforceRequest *request)
{
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_free_ char *name = NULL, *safe = NULL;
	_cleanup_close_ int dirfd = -1;
	struct EnforceRequest insisting;
	struct EnforceReply reply;
	struct Obstacle obstacle;
	int r;

	if (request->authorize && is_frozen())
		return refuse_frozen("no device is authorized by hand");
	r = find_device(typed, NULL, &dirfd, &device);

	if (r < 0)
		return exit_status_of(r);
	name = device_name(device);
	safe = escape_text(name);
	if (by_hand_obstacle(device, request, &obstacle)) {
		log_error("%s: %s", safe ? safe : "?", obstacle.text);
		return EXIT_FAILED;
	}
	if (request->set_driver)
		warn_of_unknown_driver(device, request->driver);
	insisting = by_hand_insisting(device, request);
	r = worker_run_once(dirfd, &insisting, WORKER_DEADLINE_USEC, &reply);
	if (r < 0) {
		log_error("cannot start a worker: %s", strerror(-r));
		return EXIT_FAILED;
	}
	if (reply.error < 0) {
		log_error("%s: %s", safe ? safe : "?", enforce_explain(reply.step, reply.error));
		return exit_status_of(reply.error);
	}
	print_done(safe ? safe : "?", request, &reply);
	return EXIT_DONE;
}

int verb_authorize(const struct Options *options, char *const *args)
{
	struct EnforceRequest request = {
		.authorize = true, .by_hand = true, .set_driver = options->driver};

	if (options->driver)
		(void)snprintf(request.driver, sizeof(request.driver), "%s", options->driver);
	return set(args[0], &request);
}

int verb_deny(const struct Options *options, char *const *args)
{
	(void)options;
	return set(args[0], &(struct EnforceRequest){.by_hand = true});
}

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

int verb_apply(const struct Options *options, char *const *args)
{
	_cleanup_manager_ struct Manager *manager = NULL;
	struct ManagerOptions manager_options = manager_defaults;
	const struct ManagerCounts *counts;
	struct Policy *policy;
	int r;

	(void)args;
	if (is_frozen())
		return refuse_frozen("no policy is applied");
	/* asked for by its owner, the policy goes before what was decided by hand */
	manager_options.keep_user_decisions = false;
	if (options->policy && streq(options->policy, "-")) {
		log_error("apply takes its policy from a file, of which it is checked who may "
			  "change it, not from standard input");
		return EXIT_USAGE;
	}
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

static int set_marks(int (*set_mark)(struct udev *udev))
{
	_cleanup_(udev_unrefp) struct udev *udev = udev_new();

	return udev ? set_mark(udev) : -ENOMEM;
}

int verb_freeze(const struct Options *options, char *const *args)
{
	int r = set_marks(by_hand_freeze);

	(void)options;
	(void)args;
	if (r < 0)
		return finish(r, "freeze");
	(void)printf("frozen until the machine starts again\n");
	return EXIT_DONE;
}

int verb_seal(const struct Options *options, char *const *args)
{
	int r = set_marks(by_hand_seal);

	(void)options;
	(void)args;
	if (r < 0)
		return finish(r, "seal");
	r = by_hand_lock_kernel();
	if (r < 0 && r != -ENODEV)
		return finish(r, "lock the kernel's device authorization");
	if (r < 0)
		log_warning("this kernel has no lock: tdx-auth authorizes nothing any more, but "
			    "whoever may write to sysfs still can");
	(void)printf("sealed until the machine starts again\n");
	return EXIT_DONE;
}
