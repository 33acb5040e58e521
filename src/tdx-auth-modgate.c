/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What modprobe.d has in the place of a module that the policy does not allow: says so, and does
 * not load it. libkmod runs it for udev, systemd, the kernel's request_module() and modprobe alike,
 * by /bin/sh, with the module's name in $MODPROBE_MODULE (libkmod-module.c, command_do()). Whatever
 * goes wrong here, the module is not loaded: nothing is but by the word "audit" on the command
 * line, which has modprobe go on. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "escape.h"
#include "names.h"
#include "util.h"

#ifndef MODPROBES /* a test has its own */
#define MODPROBES "/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe"
#endif

#define ANCESTORS_MAX 3 /* the shell, and whoever called it, which may be one itself */
#define BYTES_MAX 4096	/* of a command line */
#define WORDS_MAX (BYTES_MAX / 2 + 1)

struct Request {
	const char *module;	   /* as it was asked for here; not escaped */
	char *reason;		   /* escaped; NULL: unknown */
	char caller[32];	   /* the name of the process that wants it, or "" */
	char bytes[BYTES_MAX + 2]; /* modprobe's command line: strings, then "" */
	char *words[WORDS_MAX + 1];
	char *const *parameters; /* of these: what it is to give the module it was asked for */
	const char *alias;	 /* and what it was asked for, NULL: unknown */
};

/* --- the reason --- */

/* The line of @module in @path: its name, a tab, and the reason. */
static char *look_up(const char *path, const char *module)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0, n = strlen(module);

	while (file && getline(&line, &size, file) > 0) {
		_cleanup_free_ char *reason = NULL;

		if (strncmp(line, module, n) != 0 || line[n] != '\t')
			continue;
		line[strcspn(line, "\n")] = '\0';
		/* who wrote it has escaped it; who else may have, has not */
		reason = unescape_text(line + n + 1);
		return escape_text(reason ? reason : line + n + 1);
	}
	return NULL;
}

static char *find_reason(const char *module)
{
	/* the owner's takes the place of the vendor's, as modprobe.d's does */
	const char *path =
		access(MODULE_TABLE_OWNER, F_OK) == 0 ? MODULE_TABLE_OWNER : MODULE_TABLE_VENDOR;
	_cleanup_free_ char *word = escape_word(module);

	return word ? look_up(path, word) : NULL;
}

/* --- who wants it --- */

static ssize_t read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buffer, size - 1);
	buffer[n < 0 ? 0 : n] = '\0';
	return n;
}

/* "PID (COMM) STATE PPID ...": proc(5); COMM may have anything in it. */
static pid_t read_stat(pid_t pid, char comm[static 32])
{
	char text[512];
	const char *open, *close;
	int parent = 0;

	*comm = '\0';
	if (read_proc(pid, "stat", text, sizeof(text)) <= 0)
		return 0;
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || sscanf(close, ") %*c %d", &parent) != 1)
		return 0;
	(void)snprintf(comm, 32, "%.*s", (int)(close - open - 1), open + 1);
	return parent;
}

static bool names_module(const char *word, const char *module)
{
	for (; *word && *module; word++, module++)
		if (*word != *module && !(*word == '-' && *module == '_'))
			return false;
	return *word == *module;
}

/* Puts the strings at @bytes, which "" ends, into @words, and NULL. Returns how many. */
static int split(char *bytes, char *words[static WORDS_MAX + 1])
{
	int n = 0;

	for (char *word = bytes; *word && n < WORDS_MAX; word += strlen(word) + 1)
		words[n++] = word;
	words[n] = NULL;
	return n;
}

/* Goes past the options as modprobe does: kmod's tools/modprobe.c, do_modprobe(). Returns the
 * number of the first operand. */
static int skip_options(int n, char **words, bool *ret_all, bool *ret_unsure)
{
	enum { OPT_OTHER = 256 };
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"remove", no_argument, NULL, 'r'},
		{"remove-dependencies", no_argument, NULL, OPT_OTHER},
		{"remove-holders", no_argument, NULL, OPT_OTHER},
		{"wait", required_argument, NULL, 'w'},
		{"resolve-alias", no_argument, NULL, 'R'},
		{"first-time", no_argument, NULL, OPT_OTHER},
		{"ignore-install", no_argument, NULL, 'i'},
		{"ignore-remove", no_argument, NULL, 'i'},
		{"use-blacklist", no_argument, NULL, 'b'},
		{"force", no_argument, NULL, 'f'},
		{"force-modversion", no_argument, NULL, OPT_OTHER},
		{"force-vermagic", no_argument, NULL, OPT_OTHER},
		{"show-depends", no_argument, NULL, 'D'},
		{"showconfig", no_argument, NULL, 'c'},
		{"show-config", no_argument, NULL, 'c'},
		{"show-modversions", no_argument, NULL, OPT_OTHER},
		{"dump-modversions", no_argument, NULL, OPT_OTHER},
		{"show-exports", no_argument, NULL, OPT_OTHER},
		{"dry-run", no_argument, NULL, 'n'},
		{"show", no_argument, NULL, 'n'},
		{"config", required_argument, NULL, 'C'},
		{"dirname", required_argument, NULL, 'd'},
		{"set-version", required_argument, NULL, 'S'},
		{"syslog", no_argument, NULL, 's'},
		{"quiet", no_argument, NULL, 'q'},
		{"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	*ret_all = *ret_unsure = false;
	optind = opterr = 0;
	while ((c = getopt_long(n, words, "arw:RibfDcnC:d:S:sqvVh", options, NULL)) >= 0) {
		*ret_all = *ret_all || c == 'a';
		*ret_unsure = *ret_unsure || c == '?';
	}
	return optind;
}

/* What modprobe was asked for. With --all every word is a module, and none a parameter of another;
 * of an option that is not known here nobody can tell what it does to the words behind it. */
static void read_words(struct Request *request)
{
	bool all, unsure;
	int n = split(request->bytes, request->words), first;

	if (n == 0)
		return;
	first = skip_options(n, request->words, &all, &unsure);
	request->parameters = request->words + n;
	if (!all && first < n) {
		request->alias = request->words[first];
		if (!unsure)
			request->parameters = request->words + first + 1;
	}
	for (int i = first; all && i < n; i++)
		if (n - first == 1 || names_module(request->words[i], request->module))
			request->alias = request->words[i];
}

/* The nearest process above that is no shell: modprobe, udev, or systemd. */
static void find_caller(struct Request *request)
{
	pid_t pid = getppid();

	for (int i = 0; i < ANCESTORS_MAX && pid > 0; i++) {
		pid_t parent = read_stat(pid, request->caller);
		ssize_t n;

		if (streq(request->caller, "sh") || streq(request->caller, "dash") ||
		    streq(request->caller, "bash")) {
			pid = parent;
			continue;
		}
		if (!streq(request->caller, "modprobe") && !streq(request->caller, "kmod"))
			return;
		n = read_proc(pid, "cmdline", request->bytes, BYTES_MAX);
		request->bytes[n < 0 ? 0 : n] = request->bytes[n < 0 ? 1 : n + 1] = '\0';
		read_words(request);
		if (n >= BYTES_MAX - 1 && request->parameters) /* the last one may be cut off */
			while (*request->parameters)
				request->parameters++;
		return;
	}
	*request->caller = '\0';
}

/* --- what is said --- */

/* " (wanted as pci:v00008086..., by modprobe)", or less of it. */
static char *circumstances(const struct Request *request)
{
	_cleanup_free_ char *alias = escape_word(request->alias),
			    *caller = escape_word(request->caller);
	bool has_alias = request->alias && !streq(request->alias, request->module),
	     has_caller = !isempty(caller);
	char *text;

	if (!has_alias && !has_caller)
		return strdup("");
	return asprintf(&text, " (%s%s%s%s%s)", has_alias ? "wanted as " : "",
			has_alias && alias ? alias : "", has_alias && has_caller ? ", " : "",
			has_caller ? "by " : "", has_caller ? caller : "") < 0
		       ? NULL
		       : text;
}

static char *message_of(const struct Request *request, bool audit)
{
	_cleanup_free_ char *module = escape_word(request->module),
			    *around = circumstances(request);
	char *text;

	if (!module || !around ||
	    asprintf(&text, "module %s%s %s: %s", module, around,
		     audit ? "would be denied" : "is denied",
		     request->reason ? request->reason
				     : "unknown to the policy that was rendered") < 0)
		return NULL;
	return text;
}

/* The journal's native protocol: a line a field, in one datagram. No value has a line's end. */
static bool tell_journal(const char *message, const char *module)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	_cleanup_free_ char *text = NULL, *safe = escape_word(module);

	return fd >= 0 && safe &&
	       asprintf(&text,
			"MESSAGE=%s\nPRIORITY=4\nSYSLOG_IDENTIFIER=tdx-auth-modgate\n"
			"MESSAGE_ID=" MESSAGE_ID_MODULE "\n" FIELD_MODULE "=%s\n",
			message, safe) >= 0 &&
	       sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
		      sizeof(address)) >= 0;
}

/* In the initrd there is no journal yet; what it will be takes the kernel's log in. */
static void tell_kernel(const char *message)
{
	_cleanup_close_ int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;

	if (fd < 0 || asprintf(&text, "<4>tdx-auth-modgate: %.800s\n", message) < 0 ||
	    write(fd, text, strlen(text)) < 0)
		return;
}

static void tell(const struct Request *request, bool audit)
{
	_cleanup_free_ char *message = message_of(request, audit);

	if (!message)
		return;
	(void)fprintf(stderr, "tdx-auth: %s\n", message);
	if (!tell_journal(message, request->module))
		tell_kernel(message);
}

/* --- audit --- */

/* Has modprobe load the module, with the options of modprobe.d and those that it was given by hand:
 * they went through no shell, and do not now. */
static void load(const struct Request *request)
{
	static const char *const paths[] = {MODPROBES};
	const char *args[WORDS_MAX + 8];
	size_t n = 0;

	args[n++] = "modprobe";
	args[n++] = "--ignore-install";
	args[n++] = "--";
	args[n++] = request->module;
	if (request->alias && names_module(request->alias, request->module))
		for (char *const *word = request->parameters; *word; word++)
			args[n++] = *word;
	args[n] = NULL;
	for (size_t i = 0; i < ELEMENTSOF(paths); i++)
		(void)execv(paths[i], (char *const *)args);
	(void)fprintf(stderr, "tdx-auth: cannot run modprobe: %s\n", strerror(errno));
}

int main(int argc, char **argv)
{
	struct Request request = {.module = getenv("MODPROBE_MODULE")};
	bool audit = argc == 2 && streq(argv[1], "audit");

	if (isempty(request.module)) {
		(void)fprintf(stderr,
			      "tdx-auth-modgate is what modprobe runs, see tdx-authctl(1)\n");
		return EXIT_FAILURE;
	}
	request.reason = find_reason(request.module);
	find_caller(&request);
	tell(&request, audit);
	free(request.reason);
	if (audit)
		load(&request);
	return EXIT_FAILURE;
}
