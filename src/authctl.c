/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "authctl.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>

#include "escape.h"
#include "io.h"
#include "log.h"
#include "policy-parse.h"

enum { OPT_POLICY = 1, OPT_JSON = 2, OPT_DRIVER = 4, OPT_HELP = 8, OPT_VERSION = 16 };

/* To add a verb: a row here, its function in a file authctl-*.c, a section in tdx-authctl(1). */
static const struct Verb {
	const char *name;
	const char *arguments;
	int n_arguments;
	int options; /* the OPT_ bits it takes */
	verb_run_t run;
	const char *help;
} verbs[] = {
	{"list", "", 0, OPT_POLICY | OPT_JSON, verb_list, "every device, its verdict and why"},
	{"show", "DEV", 1, OPT_POLICY | OPT_JSON, verb_show, "all about one device"},
	{"authorize", "DEV", 1, OPT_DRIVER, verb_authorize, "let a driver have the device, now"},
	{"deny", "DEV", 1, 0, verb_deny, "take the device from its driver, now"},
	{"freeze", "", 0, 0, verb_freeze, "no policy change and no authorizing by hand any more"},
	{"apply", "", 0, OPT_POLICY | OPT_JSON, verb_apply, "apply the policy once to all devices"},
};

static const struct option long_options[] = {
	{"policy", required_argument, NULL, OPT_POLICY}, {"json", no_argument, NULL, OPT_JSON},
	{"driver", required_argument, NULL, OPT_DRIVER}, {"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},	 {0},
};

static void print_help(void)
{
	(void)printf("Usage: tdx-authctl VERB [ARGUMENT] [OPTION...]\n\n"
		     "Authorize the devices of a confidential guest.\n\nVerbs:\n");
	for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
		(void)printf("  %-10s %-4s  %s\n", verbs[i].name, verbs[i].arguments,
			     verbs[i].help);
	(void)printf("\nDEV is BUS:NAME as in list, a NAME that one device has, or a path below "
		     "/sys.\n\n"
		     "Options:\n"
		     "  --policy FILE  this policy, not the drop-ins in policy.d\n"
		     "  --driver NAME  with authorize: the only driver that may bind\n"
		     "  --json         print JSON\n"
		     "  -h, --help     this text\n"
		     "  --version      the version\n\n"
		     "See tdx-authctl(1) and tdx-auth.policy(5).\n");
}

static int usage_hint(void)
{
	(void)fprintf(stderr, "Try \"tdx-authctl --help\".\n");
	return EXIT_USAGE;
}

/* No guess at what was meant: the nearest verb to "help" is "deny". */
static const struct Verb *find_verb(const char *name)
{
	_cleanup_free_ char *safe = escape_text(name);

	for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
		if (streq(verbs[i].name, name))
			return &verbs[i];
	log_error("unknown verb \"%s\"", safe ? safe : "?");
	return NULL;
}

int exit_status_of(int error)
{
	switch (error) {
	case -ENODEV:
	case -ENOTSUP:
		return EXIT_NO_DEVICE;
	case -ENOTUNIQ:
		return EXIT_USAGE;
	default:
		return EXIT_FAILED;
	}
}

static const char *option_name(int option)
{
	for (const struct option *o = long_options; o->name; o++)
		if (o->val == option)
			return o->name;
	return "?";
}

static int check_options(const struct Verb *verb, int seen)
{
	for (int option = OPT_POLICY; option <= OPT_DRIVER; option <<= 1)
		if ((seen & option) && !(verb->options & option)) {
			log_error("%s does not take --%s", verb->name, option_name(option));
			return -1;
		}
	return 0;
}

/* Without SIGCHLD blocked, or with it ignored, sd_event_add_child(3) would miss workers. */
static void block_sigchld(void)
{
	sigset_t set;

	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int run_verb(const struct Options *options, int seen, int n, char *const *args)
{
	const struct Verb *verb;

	if (n == 0) {
		log_error("a verb is missing");
		return usage_hint();
	}
	verb = find_verb(args[0]);
	if (!verb || check_options(verb, seen) < 0)
		return usage_hint();
	if (n - 1 != verb->n_arguments) {
		log_error("%s takes %s", verb->name,
			  verb->n_arguments ? verb->arguments : "no argument");
		return usage_hint();
	}
	if (options->driver && *options->driver && !driver_name_valid(options->driver)) {
		log_error("\"%s\" cannot be the name of a driver", options->driver);
		return EXIT_USAGE;
	}
	block_sigchld();
	return verb->run(options, args + 1);
}

int authctl_main(int argc, char **argv)
{
	struct Options options = {0};
	int seen = 0, c;

	open_standard_fds();
	log_open("tdx-authctl", false);
	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
		switch (c) {
		case OPT_POLICY:
			options.policy = optarg;
			break;
		case OPT_DRIVER:
			options.driver = optarg;
			break;
		case OPT_JSON:
			options.json = true;
			break;
		case 'h':
		case OPT_HELP:
			print_help();
			return EXIT_DONE;
		case OPT_VERSION:
			(void)printf("tdx-authctl %s\n", PACKAGE_VERSION);
			return EXIT_DONE;
		default:
			return usage_hint();
		}
		seen |= c;
	}
	return run_verb(&options, seen, argc - optind, argv + optind);
}
