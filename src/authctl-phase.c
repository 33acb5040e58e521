/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "authctl.h"
#include "by-hand.h"
#include "client.h"
#include "log.h"
#include "names.h"
#include "sysfs-io.h"
#include "view.h"

/* Asks the daemon's manager for what takes no arguments. Returns what client_open() and
 * client_call() return. */
static int ask(const char *method, const char *subject)
{
	_cleanup_message_ sd_bus_message *call = NULL, *answer = NULL;
	_cleanup_client_ struct Client *client = NULL;
	int r = client_open(&client);

	if (r < 0)
		return r;
	r = client_new_call(client, method, &call);
	if (r < 0)
		log_error("%s: %s", subject, strerror(-r));
	return r < 0 ? r : client_call(client, subject, call, &answer);
}

/* Whether what only takes away is to be done without the daemon: one that hangs is no reason to
 * leave the machine open. */
static bool is_left_to_us(int error)
{
	return error == -ESRCH || client_is_silent(error);
}

/* Returns an exit status. */
static int freeze_directly(int error)
{
	int r = by_hand_freeze();

	if (r < 0)
		return finish(r, "freeze");
	client_tell_direct(error);
	return EXIT_DONE;
}

int verb_freeze(const struct Options *options, char *const *args)
{
	int r = ask("Freeze", "freeze");
	int status = is_left_to_us(r) ? freeze_directly(r) : r < 0 ? exit_status_of(r) : EXIT_DONE;

	(void)options;
	(void)args;
	if (status != EXIT_DONE)
		return status;
	(void)printf("frozen until the machine starts again\n");
	return EXIT_DONE;
}

static bool has_lock(void)
{
	_cleanup_close_ int dirfd = sysfs_open(SYSFS_AUTHORIZATION);

	return dirfd >= 0;
}

/* The last thing to do, as it is not to be taken back where something else fails. Returns an exit
 * status. */
static int lock_kernel(void)
{
	return has_lock() ? finish(by_hand_lock_kernel(), "lock the kernel's device authorization")
			  : EXIT_DONE;
}

/* Returns an exit status. */
static int seal_directly(int error)
{
	int r = by_hand_seal();

	if (r < 0)
		return finish(r, "seal");
	client_tell_direct(error);
	return lock_kernel();
}

/* A sandbox may leave the daemon no right to close the lock. Returns an exit status. */
static int seal(void)
{
	int r = ask("Seal", "seal");

	if (is_left_to_us(r))
		return seal_directly(r);
	if (r == -ENOLCK)
		return lock_kernel();
	return r < 0 ? exit_status_of(r) : EXIT_DONE;
}

int verb_seal(const struct Options *options, char *const *args)
{
	int status = seal();

	(void)options;
	(void)args;
	if (status != EXIT_DONE)
		return status;
	if (!has_lock())
		log_warning("this kernel has no lock: tdx-auth authorizes nothing any more, but "
			    "whoever may write to sysfs still can");
	(void)printf("sealed until the machine starts again\n");
	return EXIT_DONE;
}

int verb_reload(const struct Options *options, char *const *args)
{
	int r = ask("Reload", "reload");

	(void)options;
	(void)args;
	if (r == -ESRCH) {
		log_error("no daemon runs that could read the policy again; \"tdx-authctl apply\" "
			  "applies it once");
		return EXIT_FAILED;
	}
	if (r < 0)
		return exit_status_of(r);
	(void)printf("reloaded\n");
	return EXIT_DONE;
}
