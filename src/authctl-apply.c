/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "authctl.h"
#include "by-hand.h"
#include "client.h"
#include "initrd.h"
#include "log.h"
#include "manager.h"
#include "names.h"
#include "output.h"
#include "policy-files.h"
#include "policy-start.h"
#include "view.h"
#include "vital.h"

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

/* Takes over @policy. Returns 0 with how many devices there were, and what became of them; or a
 * negative errno after the log told why. */
static int apply(struct Policy *policy, struct ManagerCounts *ret)
{
	_cleanup_manager_ struct Manager *manager = NULL;
	struct ManagerOptions options = manager_defaults;
	int r;

	/* asked for by its owner, the policy goes before what was decided by hand */
	options.keep_user_decisions = false;
	r = manager_new(policy, &options, &manager);
	if (r < 0)
		return r;
	r = manager_apply(manager);
	*ret = *manager_counts(manager);
	return r;
}

/* --- in an initrd --- */

/* Nothing that the machine runs on is there yet, so nobody can tell what the policy would take
 * away, and what is refused is no failure. Returns an exit status. */
static int apply_in_initrd(void)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	struct ManagerCounts counts;
	struct PolicyStart start;
	int r;

	log_to_kernel();
	r = policy_start(NULL, &start);
	if (r < 0)
		return finish(r, "load the built-in policy");
	if (start.error < 0)
		log_error("THE POLICY IN THE INITRD IS REFUSED: mend it, and make the initrd anew");
	policy = policy_ref(start.policy);
	r = apply(start.policy, &counts);
	if (r < 0)
		return finish(r, "apply the policy in the initrd");
	r = initrd_note(start.error < 0, policy);
	if (r < 0) /* it is in force all the same */
		log_error("cannot note in " RUNTIME_DIR
			  " which policy was applied, so later nobody can tell: %s",
			  strerror(-r));
	log_info("the policy was applied before udev: %u devices, %u authorized, %u refused, %u "
		 "failed, %u beyond this kernel",
		 counts.devices, counts.authorized, counts.refused, counts.failed,
		 counts.unsupported);
	return EXIT_DONE;
}

int verb_apply(const struct Options *options, char *const *args)
{
	struct ManagerCounts counts;
	struct Obstacle obstacle;
	struct Policy *policy;
	int r;

	(void)args;
	if (by_hand_is_over(&obstacle)) {
		log_error("%s", obstacle.text);
		return EXIT_REFUSED;
	}
	if (options->policy && streq(options->policy, "-")) {
		log_error("apply takes its policy from a file, of which it is checked who may "
			  "change it, not from standard input");
		return EXIT_USAGE;
	}
	r = check_no_daemon(options);
	if (r != EXIT_DONE)
		return r;
	if (options->initrd)
		return apply_in_initrd();
	if (policy_load(options->policy, &policy) < 0)
		return EXIT_FAILED;
	r = options->i_know || phase_would_audit(policy) ? 0
							 : policy_check_vital(policy, VITAL_ALL);
	if (r != 0) {
		log_error("nothing was applied; --i-know applies it all the same");
		policy_unref(policy);
		return r < 0 ? EXIT_FAILED : EXIT_REFUSED;
	}
	if (apply(policy, &counts) < 0)
		return EXIT_FAILED;
	r = options->json ? print_counts_json(&counts) : print_counts(&counts);
	return r < 0 || counts.failed > 0 || counts.unsupported > 0 ? EXIT_FAILED : EXIT_DONE;
}
