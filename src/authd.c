/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "authd.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <systemd/sd-daemon.h>

#include "audit.h"
#include "config-file.h"
#include "io.h"
#include "log.h"
#include "manager.h"
#include "metrics.h"
#include "module-rendered.h"
#include "names.h"
#include "phase.h"
#include "policy-files.h"
#include "policy-start.h"
#include "policy-write.h"
#include "self-test.h"
#include "vital.h"

#define EXIT_USAGE 2

static void print_help(void)
{
	(void)printf("Usage: tdx-authd [OPTION...]\n\n"
		     "Authorize devices as the owner's policy says, as they come.\n\n"
		     "  --policy FILE  this policy, not the drop-ins in policy.d\n"
		     "  --config FILE  this configuration, not that in /etc/tdx-auth\n"
		     "  --debug        log decisions that change nothing, too\n"
		     "  -h, --help     this text\n"
		     "  --version      the version\n\n"
		     "See tdx-authd(8) and tdx-auth.policy(5).\n");
}

static int usage_hint(void)
{
	(void)fprintf(stderr, "Try \"tdx-authd --help\".\n");
	return EXIT_USAGE;
}

/* Where the policy and the configuration come from, and whether they could be read. */
struct Source {
	const char *file;	 /* the policy's; NULL: the drop-ins */
	bool is_frozen;		 /* it is the one that was in force at the freeze */
	bool is_degraded;	 /* the built-in policy is in force in its place */
	const char *config_file; /* NULL: the one of the system */
	struct Config config;	 /* in force */
	bool debug;		 /* asked for on the command line */
	struct ManagerNotes notes;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct Source *source)
{
	enum { OPT_POLICY = 256, OPT_CONFIG, OPT_DEBUG, OPT_HELP, OPT_VERSION };
	static const struct option options[] = {
		{"policy", required_argument, NULL, OPT_POLICY},
		{"config", required_argument, NULL, OPT_CONFIG},
		{"debug", no_argument, NULL, OPT_DEBUG},
		{"help", no_argument, NULL, OPT_HELP},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
		switch (c) {
		case OPT_POLICY:
			source->file = optarg;
			break;
		case OPT_CONFIG:
			source->config_file = optarg;
			break;
		case OPT_DEBUG:
			source->debug = true;
			break;
		case 'h':
		case OPT_HELP:
			print_help();
			return EXIT_SUCCESS;
		case OPT_VERSION:
			(void)printf("tdx-authd %s\n", PACKAGE_VERSION);
			return EXIT_SUCCESS;
		default:
			return usage_hint();
		}
	if (optind < argc) {
		(void)fprintf(stderr, "tdx-authd: unexpected argument: %s\n", argv[optind]);
		return usage_hint();
	}
	return -1;
}

/* --- configuration --- */

static void apply_log_level(const struct Source *source)
{
	log_set_max_priority(source->debug ? LOG_DEBUG : source->config.log_level);
}

/* How the work is done is nobody's reason not to do it. */
static void configure(struct Source *source)
{
	source->config = config_defaults;
	if (config_load(source->config_file, &source->config) < 0) {
		log_error("the default configuration is in force until the error is mended and "
			  "tdx-authd restarted");
		source->notes.configuration = "configuration REFUSED, the defaults are in force";
	}
	apply_log_level(source);
}

static bool takes_restart(const struct Config *a, const struct Config *b)
{
	return a->workers != b->workers || a->write_timeout_sec != b->write_timeout_sec ||
	       a->audit != b->audit || a->metrics != b->metrics ||
	       a->bus_connections_max != b->bus_connections_max;
}

/* Only the log's level changes while the daemon runs. */
static void configure_again(struct Source *source)
{
	struct Config config;

	if (config_load(source->config_file, &config) < 0) {
		log_error("the former configuration stays in force");
		source->notes.configuration = "configuration REFUSED, the former one is in force";
		return;
	}
	source->config.log_level = config.log_level;
	apply_log_level(source);
	if (takes_restart(&config, &source->config))
		log_warning("the configuration has changed in what takes a restart of tdx-authd");
	source->notes.configuration = NULL;
}

static void take_options(const struct Source *source, struct ManagerOptions *options)
{
	options->n_workers = source->config.workers;
	options->deadline_usec = source->config.write_timeout_sec * UINT64_C(1000000);
	options->metrics = source->config.metrics;
	options->n_peers_max = source->config.bus_connections_max;
	options->notes = &source->notes;
	if (!options->metrics)
		metrics_remove();
}

/* --- policy --- */

/* For a start after the freeze, where files may have changed. A former one that is there still may
 * allow what this one does not. */
static void note_in_force(const struct Policy *policy)
{
	size_t size;
	_cleanup_free_ char *path = runtime_path(POLICY_IN_FORCE),
			    *text = policy_text(policy, &size);
	int r = text ? runtime_write(POLICY_IN_FORCE, text, size, RUNTIME_REPLACE | RUNTIME_PRIVATE)
		     : -ENOMEM;

	if (r >= 0)
		return;
	log_warning("cannot note the policy in " RUNTIME_DIR
		    ", so a start after the freeze will not find it: %s",
		    strerror(-r));
	if (path)
		(void)unlink(path);
}

static int load(struct Source *source, struct Policy **ret)
{
	struct PolicyStart start;
	int r = policy_start(source->file, &start);

	source->is_frozen = start.is_frozen;
	source->is_degraded = start.error < 0;
	if (r < 0)
		return r;
	*ret = start.policy;
	if (!source->is_degraded)
		return 0;
	log_error("that is so until the error is mended and tdx-authd reloaded");
	(void)sd_notifyf(0, "ERRNO=%d", -start.error);
	return 0;
}

/* What is in force stays so where the policy cannot be read now, or would take away what the
 * machine runs on. */
static int load_again(struct Policy **ret, void *userdata)
{
	struct Source *source = userdata;

	configure_again(source);
	return policy_load(source->file, ret);
}

static int check_again(FILE *out, void *userdata)
{
	const struct Policy *policy = userdata;

	(void)out; /* the log has it all */
	return phase_would_audit(policy) ? 0 : policy_check_vital_here(policy, VITAL_ALL);
}

/* At start a policy that takes away what the machine runs on is not refused: which devices those
 * are the host decides, so it could have a looser policy by putting the root disk behind what this
 * one denies. It is said before it happens, as nothing may be after. */
static void warn_of_vital(const struct Policy *policy)
{
	if (!phase_would_audit(policy) && policy_check_vital(policy, VITAL_AT_START) > 0)
		log_error("the policy is in force all the same: what the host has the machine run "
			  "on is no reason for a looser one; see tdx-authd(8)");
	(void)malloc_trim(0); /* the devices were read for this alone */
}

static void on_loaded(const struct Policy *policy, void *userdata)
{
	struct Source *source = userdata;

	source->is_degraded = false;
	note_in_force(policy);
	rendered_warn(policy);
}

int authd_main(int argc, char **argv)
{
	_cleanup_manager_ struct Manager *manager = NULL;
	struct ManagerOptions options = manager_defaults;
	struct Source source = {0};
	struct Policy *policy = NULL;
	int r;

	open_standard_fds();
	r = parse_options(argc, argv, &source);
	if (r >= 0)
		return r;
	log_open("tdx-authd", true);
	configure(&source);
	audit_start(source.config.audit);
	source.notes.impairment = self_test();
	if (load(&source, &policy) < 0)
		return EXIT_FAILURE;
	take_options(&source, &options);
	options.load = load_again;
	options.check = check_again;
	options.has_files = !source.file;
	options.loaded = on_loaded;
	options.userdata = &source;
	if (!source.is_frozen)
		note_in_force(policy);
	rendered_warn(policy);
	warn_of_vital(policy);
	if (source.is_degraded)
		options.remark = "policy REFUSED, the built-in one is in force; ";
	if (manager_new(policy, &options, &manager) < 0)
		return EXIT_FAILURE;
	if (manager_run(manager) < 0)
		return EXIT_FAILURE;
	return source.is_degraded || source.notes.impairment || source.notes.configuration
		       ? EXIT_FAILURE
		       : EXIT_SUCCESS;
}
