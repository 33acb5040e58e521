/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "authctl.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>

#include "escape.h"
#include "io.h"
#include "log.h"
#include "policy-parse.h"
#include "suggest.h"
#include "terminal.h"
#include "view.h"

enum {
	OPT_POLICY = 1,
	OPT_JSON = 2,
	OPT_DRIVER = 4,
	OPT_ROOT = 8,
	OPT_SNAPSHOT = 16,
	OPT_EXPECT = 32,
	OPT_I_KNOW = 64,
	OPT_PERMANENT = 128,
	OPT_REMOVE = 256,
	OPT_KERNEL = 512,
	OPT_INITRD = 1024,
	OPT_REFUSED = 2048,
	OPT_TREE = 4096,
	OPT_NO_LEGEND = 8192,
	OPT_FULL = 16384,
	OPT_NO_PAGER = 32768, /* what the verb prints goes through a pager */
	OPT_PROFILE = 65536,
	_OPT_VERB_MAX = 131072,
	OPT_HELP = 131072,
	OPT_VERSION = 262144,
};

#define OPT_READ (OPT_POLICY | OPT_ROOT | OPT_JSON | OPT_SNAPSHOT)
#define OPT_TABLE (OPT_NO_LEGEND | OPT_FULL | OPT_NO_PAGER)
#define OPT_MODULES (OPT_POLICY | OPT_ROOT | OPT_SNAPSHOT | OPT_KERNEL)
#define ANY_NUMBER 1000000

/* To add a verb: a row here, its function in a file authctl-*.c, a section in tdx-authctl(1). */
static const struct Verb {
	const char *name; /* one word or two */
	const char *arguments;
	int least, most; /* arguments */
	int options;	 /* the OPT_ bits it takes */
	verb_run_t run;
	const char *help;
} verbs[] = {
	{"status", "", 0, 0, OPT_JSON, verb_status, "the daemon, the policy, and what holds"},
	{"monitor", "", 0, 0, OPT_JSON, verb_monitor, "decisions and devices, as they come"},
	{"list", "", 0, 0, OPT_READ | OPT_INITRD | OPT_REFUSED | OPT_TREE | OPT_TABLE, verb_list,
	 "every device, its verdict and why"},
	{"show", "DEV", 1, 1, OPT_READ | OPT_NO_PAGER, verb_show, "all about one device"},
	{"explain", "DEV|MODALIAS", 1, 1, OPT_READ | OPT_TABLE, verb_explain,
	 "each rule tried, and the outcome"},
	{"why", "PATH", 1, 1, OPT_READ & ~OPT_SNAPSHOT, verb_why,
	 "the devices behind a disk, mount or interface"},
	{"authorize", "DEV", 1, 1, OPT_DRIVER | OPT_PERMANENT, verb_authorize,
	 "let a driver have the device, now"},
	{"deny", "DEV", 1, 1, OPT_PERMANENT | OPT_REMOVE, verb_deny,
	 "take the device from its driver, now"},
	{"freeze", "", 0, 0, 0, verb_freeze, "no policy change, no authorizing by hand any more"},
	{"seal", "", 0, 0, 0, verb_seal, "no device becomes authorized any more"},
	{"reload", "", 0, 0, 0, verb_reload, "have the daemon read the policy again"},
	{"apply", "", 0, 0, OPT_POLICY | OPT_JSON | OPT_I_KNOW | OPT_INITRD, verb_apply,
	 "apply the policy once to all devices, without a daemon"},
	{"enable", "", 0, 0, OPT_ROOT | OPT_I_KNOW, verb_enable,
	 "have the policy done, and not only told, after a look at what it would refuse"},
	{"disable", "", 0, 0, OPT_ROOT, verb_disable, "have it told alone, from the next boot on"},
	{"udev", "PATH", 1, 1, 0, verb_udev, "for udev's rules: the verdict over a device"},
	{"snapshot", "", 0, 0, OPT_POLICY | OPT_ROOT | OPT_JSON, verb_snapshot,
	 "all devices, as JSON"},
	{"diff", "SNAPSHOT", 1, 1, OPT_POLICY | OPT_ROOT | OPT_JSON, verb_diff,
	 "what changed since"},
	{"policy check", "[FILE...]", 0, ANY_NUMBER, OPT_ROOT | OPT_JSON | OPT_I_KNOW,
	 verb_policy_check, "errors, and what is hardly meant"},
	{"policy show", "", 0, 0, OPT_POLICY | OPT_ROOT | OPT_JSON | OPT_NO_PAGER, verb_policy_show,
	 "all files as one policy, each rule with its place"},
	{"policy generate", "", 0, 0, OPT_SNAPSHOT | OPT_PROFILE | OPT_JSON, verb_policy_generate,
	 "a policy for the devices in use"},
	{"policy test", "", 0, 0, OPT_POLICY | OPT_ROOT | OPT_SNAPSHOT | OPT_EXPECT | OPT_JSON,
	 verb_policy_test, "the verdicts over a snapshot"},
	{"modules list", "", 0, 0, OPT_MODULES | OPT_JSON | OPT_TABLE, verb_modules_list,
	 "every kernel module, whether it may be loaded, and why"},
	{"modules render", "", 0, 0, OPT_MODULES, verb_modules_render,
	 "have modprobe and udev refuse the others"},
	{"modules check", "", 0, 0, OPT_MODULES | OPT_JSON, verb_modules_check,
	 "whether what was rendered is what would be"},
	{"modules explain", "MODULE", 1, 1, OPT_MODULES | OPT_JSON, verb_modules_explain,
	 "all about one module"},
};

static const struct option long_options[] = {
	{"policy", required_argument, NULL, OPT_POLICY},
	{"root", required_argument, NULL, OPT_ROOT},
	{"json", no_argument, NULL, OPT_JSON},
	{"initrd", no_argument, NULL, OPT_INITRD},
	{"refused", no_argument, NULL, OPT_REFUSED},
	{"tree", no_argument, NULL, OPT_TREE},
	{"no-legend", no_argument, NULL, OPT_NO_LEGEND},
	{"full", no_argument, NULL, OPT_FULL},
	{"no-pager", no_argument, NULL, OPT_NO_PAGER},
	{"driver", required_argument, NULL, OPT_DRIVER},
	{"snapshot", required_argument, NULL, OPT_SNAPSHOT},
	{"expect", required_argument, NULL, OPT_EXPECT},
	{"profile", required_argument, NULL, OPT_PROFILE},
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"i-know", no_argument, NULL, OPT_I_KNOW},
	{"permanent", no_argument, NULL, OPT_PERMANENT},
	{"remove", no_argument, NULL, OPT_REMOVE},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

/* In the order of the help; a verb's own help has those that it takes. */
static const struct OptionHelp {
	int option;
	const char *form, *help;
} option_helps[] = {
	{OPT_POLICY, "--policy FILE", "this policy (\"-\": standard input), not the drop-ins"},
	{OPT_ROOT, "--root DIR", "the drop-ins of the system in this directory"},
	{OPT_SNAPSHOT, "--snapshot FILE", "the devices of a snapshot, not those that are there"},
	{OPT_EXPECT, "--expect FILE", "the verdicts that must come out"},
	{OPT_PROFILE, "--profile NAME", "what is made for a platform; \"help\" lists them"},
	{OPT_KERNEL, "--kernel VERSION", "for this kernel alone; may be repeated"},
	{OPT_DRIVER, "--driver NAME", "the only driver that may bind"},
	{OPT_PERMANENT, "--permanent", "for later boots, too"},
	{OPT_REMOVE, "--remove", "take the device out of the machine"},
	{OPT_I_KNOW, "--i-know", "though the policy refuses what the machine runs on"},
	{OPT_REFUSED, "--refused", "those without a driver for it, and what would allow them"},
	{OPT_INITRD, "--initrd", "as in an initrd"},
	{OPT_TREE, "--tree", "each device behind the one that it hangs on"},
	{OPT_JSON, "--json", "print JSON"},
	{OPT_FULL, "--full", "cut nothing to the width of the terminal"},
	{OPT_NO_LEGEND, "--no-legend", "print no headings and nothing behind the table"},
	{OPT_NO_PAGER, "--no-pager", "print to the terminal, not to a pager"},
};

static void print_options(int options)
{
	for (size_t i = 0; i < ELEMENTSOF(option_helps); i++)
		if (options & option_helps[i].option)
			(void)printf("  %-17s %s\n", option_helps[i].form, option_helps[i].help);
	(void)printf("  %-17s %s\n", "-h, --help", "this text");
}

#define DEV_HELP "DEV is BUS:NAME as in list, a NAME that one device has, or a path below /sys.\n"

static void print_verb_help(const struct Verb *verb)
{
	(void)printf("Usage: tdx-authctl %s%s%s [OPTION...]\n\n%c%s.\n", verb->name,
		     *verb->arguments ? " " : "", verb->arguments,
		     toupper((unsigned char)*verb->help), verb->help + 1);
	if (strstr(verb->arguments, "DEV"))
		(void)printf("\n" DEV_HELP);
	(void)printf("\nOptions:\n");
	print_options(verb->options);
	(void)printf("\nSee tdx-authctl(1).\n");
}

static void print_help(void)
{
	(void)printf("Usage: tdx-authctl VERB [ARGUMENT...] [OPTION...]\n\n"
		     "Authorize the devices of a confidential guest.\n\nVerbs:\n");
	for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
		(void)printf("  %-15s %-12s  %s\n", verbs[i].name, verbs[i].arguments,
			     verbs[i].help);
	(void)printf("\n" DEV_HELP "\nOptions, of which \"VERB --help\" has those that a verb "
		     "takes:\n");
	print_options(_OPT_VERB_MAX - 1);
	(void)printf("  %-17s %s\n\n"
		     "See tdx-authctl(1) and tdx-auth.policy(5).\n",
		     "--version", "the version");
}

static int usage_hint(void)
{
	(void)fprintf(stderr, "Try \"tdx-authctl --help\".\n");
	return EXIT_USAGE;
}

/* Whether @words begin with the words of @name; *ret_n is how many they are. */
static bool is_named(const char *name, int n, char *const *words, int *ret_n)
{
	const char *second = strchr(name, ' ');
	size_t len = second ? (size_t)(second - name) : strlen(name);

	*ret_n = second ? 2 : 1;
	return n >= *ret_n && strlen(words[0]) == len && memcmp(words[0], name, len) == 0 &&
	       (!second || streq(words[1], second + 1));
}

/* The second word of @verb where @group is its first; NULL else. */
static const char *word_in_group(const struct Verb *verb, const char *group)
{
	const char *rest = startswith(verb->name, group);

	return rest && *rest == ' ' ? rest + 1 : NULL;
}

/* Logs which verbs begin with the word @group. Returns false where none does. */
static bool tell_group(const char *group, const char *typed)
{
	_cleanup_free_ char *list = NULL, *safe = escape_text(typed);
	const char *words[ELEMENTSOF(verbs)], *nearest;
	size_t n = 0;

	for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
		const char *word = word_in_group(&verbs[i], group);

		if (word)
			words[n++] = word;
	}
	if (n == 0)
		return false;
	list = join_words(words, n);
	nearest = typed ? nearest_word(typed, words, n) : NULL;
	if (!typed)
		log_error("%s takes one of: %s", group, list ? list : "?");
	else if (nearest)
		log_error("unknown verb \"%s %s\", the nearest is \"%s %s\"", group,
			  safe ? safe : "?", group, nearest);
	else
		log_error("unknown verb \"%s %s\": %s takes one of: %s", group, safe ? safe : "?",
			  group, list ? list : "?");
	return true;
}

/* The verb of which what was typed is the second word, or the first word of one that is near to it;
 * NULL: none. Static. */
static const char *nearest_verb(const char *typed)
{
	static char firsts[ELEMENTSOF(verbs)][16];
	const char *words[ELEMENTSOF(verbs)];

	for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
		const char *second = strchr(verbs[i].name, ' ');

		if (second && streq(second + 1, typed))
			return verbs[i].name;
		(void)snprintf(firsts[i], sizeof(firsts[i]), "%.*s",
			       (int)strcspn(verbs[i].name, " "), verbs[i].name);
		words[i] = firsts[i];
	}
	return nearest_word(typed, words, ELEMENTSOF(verbs));
}

static void tell_unknown(int n, char *const *words)
{
	_cleanup_free_ char *safe = escape_text(words[0]);
	const char *nearest;

	if (tell_group(words[0], n > 1 ? words[1] : NULL))
		return;
	nearest = nearest_verb(words[0]);
	if (nearest)
		log_error("unknown verb \"%s\", the nearest is \"%s\"", safe ? safe : "?", nearest);
	else
		log_error("unknown verb \"%s\"", safe ? safe : "?");
}

static const struct Verb *find_verb(int n, char *const *words, int *ret_n)
{
	for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
		if (is_named(verbs[i].name, n, words, ret_n))
			return &verbs[i];
	tell_unknown(n, words);
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
	case -EKEYREJECTED:
		return EXIT_REFUSED;
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
	for (int option = OPT_POLICY; option < _OPT_VERB_MAX; option <<= 1)
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

static unsigned count_standard_input(const struct Options *options, int n, char *const *args)
{
	unsigned found = (options->policy && streq(options->policy, "-")) +
			 (options->snapshot && streq(options->snapshot, "-"));

	for (int i = 0; i < n; i++)
		found += streq(args[i], "-");
	return found;
}

static bool has_empty(int n, char *const *args)
{
	for (int i = 0; i < n; i++)
		if (!*args[i])
			return true;
	return false;
}

static int check_arguments(const struct Verb *verb, const struct Options *options, int n,
			   char *const *args)
{
	if (n < verb->least || n > verb->most) {
		log_error("%s takes %s", verb->name, verb->most ? verb->arguments : "no argument");
		return -1;
	}
	if (has_empty(n, args)) {
		log_error("%s takes %s, and not \"\"", verb->name, verb->arguments);
		return -1;
	}
	if (count_standard_input(options, n, args) > 1) {
		log_error("standard input can be read once");
		return -1;
	}
	if (options->policy && options->root) {
		log_error("--policy and --root exclude each other");
		return -1;
	}
	if (options->initrd && (options->policy || options->root || options->snapshot)) {
		log_error("--initrd goes by the policy and the devices that are there");
		return -1;
	}
	if (options->driver && *options->driver && !driver_name_valid(options->driver)) {
		log_error("\"%s\" cannot be the name of a driver", options->driver);
		return -1;
	}
	return 0;
}

static int help(int n, char *const *args)
{
	const struct Verb *verb = NULL;
	int n_words;

	if (n > 0) {
		verb = find_verb(n, args, &n_words);
		if (!verb)
			return usage_hint();
	}
	if (verb)
		print_verb_help(verb);
	else
		print_help();
	return finish(fflush(stdout) == 0 ? 0 : -errno, "print");
}

static int run_verb(const struct Options *options, int seen, int n, char *const *args)
{
	const struct Verb *verb;
	int n_words;

	if (n == 0) {
		log_error("a verb is missing");
		return usage_hint();
	}
	verb = find_verb(n, args, &n_words);
	if (!verb || check_options(verb, seen) < 0 ||
	    check_arguments(verb, options, n - n_words, args + n_words) < 0)
		return usage_hint();
	if ((verb->options & OPT_NO_PAGER) && !(seen & (OPT_NO_PAGER | OPT_JSON)))
		pager_open();
	block_sigchld();
	return verb->run(options, args + n_words);
}

/* Logs that there is no such long option as @typed, or that it takes no argument. */
static void tell_unknown_option(const char *typed)
{
	_cleanup_free_ char *safe = escape_text(typed), *name = strndup(typed, strcspn(typed, "="));
	const char *words[ELEMENTSOF(long_options)], *nearest;
	size_t n = 0;

	for (const struct option *o = long_options; o->name; o++)
		words[n++] = o->name;
	nearest = name ? nearest_word(name, words, n) : NULL;
	if (nearest && streq(nearest, name))
		log_error("--%s takes no argument", nearest);
	else if (nearest)
		log_error("unknown option --%s, the nearest is --%s", safe ? safe : "?", nearest);
	else
		log_error("unknown option --%s", safe ? safe : "?");
}

/* Says what getopt_long(3) found: ':' for an argument that is missing; @typed is the word. */
static int refuse_option(int found, const char *typed)
{
	const char *name = startswith(typed, "--");

	if (found == ':')
		log_error("%s takes an argument", typed);
	else if (name)
		tell_unknown_option(name);
	else
		log_error("there is one short option: -h");
	return usage_hint();
}

/* Paths below it begin with a slash: "/" is "". */
static int take_root(struct Options *options, char *typed)
{
	_cleanup_closedir_ DIR *dir = typed ? opendir(typed) : NULL;
	size_t n;

	if (!dir) {
		_cleanup_free_ char *safe = escape_text(typed);

		log_error("--root %s: %s", safe ? safe : "?", strerror(errno));
		return -1;
	}
	n = strlen(typed);
	while (n > 0 && typed[n - 1] == '/')
		typed[--n] = '\0';
	options->root = typed;
	return 0;
}

static void options_done(struct Options *options)
{
	vector_done(&options->kernels);
}

int authctl_main(int argc, char **argv)
{
	_cleanup_(options_done) struct Options options = {0};
	int seen = 0, c, r;

	open_standard_fds();
	log_open("tdx-authctl", false);
	while ((c = getopt_long(argc, argv, ":h", long_options, NULL)) >= 0) {
		if (c == '?' || c == ':')
			return refuse_option(c, argv[optind - 1]);
		/* a variable that is not set, say: not the default in its place */
		if (optarg && !*optarg && c != OPT_DRIVER) {
			log_error("--%s takes a name, not \"\"", option_name(c));
			return usage_hint();
		}
		switch (c) {
		case OPT_POLICY:
			options.policy = optarg;
			break;
		case OPT_ROOT:
			r = take_root(&options, optarg);
			if (r < 0)
				return EXIT_FAILED;
			break;
		case OPT_DRIVER:
			options.driver = optarg;
			break;
		case OPT_SNAPSHOT:
			options.snapshot = optarg;
			break;
		case OPT_EXPECT:
			options.expect = optarg;
			break;
		case OPT_PROFILE:
			options.profile = optarg;
			break;
		case OPT_KERNEL:
			if (vector_add(&options.kernels, &optarg, sizeof(optarg)) < 0)
				return finish(-ENOMEM, "read the command line");
			break;
		case OPT_I_KNOW:
			options.i_know = true;
			break;
		case OPT_PERMANENT:
			options.permanent = true;
			break;
		case OPT_REMOVE:
			options.remove = true;
			break;
		case OPT_INITRD:
			options.initrd = true;
			break;
		case OPT_REFUSED:
			options.refused = true;
			break;
		case OPT_TREE:
			options.tree = true;
			break;
		case OPT_NO_LEGEND:
			options.no_legend = true;
			break;
		case OPT_FULL:
			options.full = true;
			break;
		case OPT_NO_PAGER:
			break;
		case OPT_JSON:
			options.json = true;
			break;
		case 'h':
			c = OPT_HELP;
			break;
		case OPT_HELP:
			break;
		case OPT_VERSION:
			(void)printf("tdx-authctl %s\n", PACKAGE_VERSION);
			return finish(fflush(stdout) == 0 ? 0 : -errno, "print");
		default:
			return usage_hint();
		}
		seen |= c;
	}
	if (seen & OPT_HELP)
		return help(argc - optind, argv + optind);
	return run_verb(&options, seen, argc - optind, argv + optind);
}
