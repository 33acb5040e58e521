/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A guest on this terminal: vm-shell [KERNEL PARAMETER]... */

#include <errno.h>
#include <limits.h>

#include "machine.h"

/* The strictest of several modes counts: ours is there only where none is asked for. */
static char *join(char **words)
{
	const char *mode = "dev_auth=enforce";
	_cleanup_free_ char *line = NULL;
	char *longer;

	for (char **word = words; *word; word++)
		if (startswith(*word, "dev_auth="))
			mode = "";
	if (asprintf(&line, "quiet lab.shell %s", mode) < 0)
		return NULL;
	for (; *words; words++) {
		if (asprintf(&longer, "%s %s", line, *words) < 0)
			return NULL;
		free(line);
		line = longer;
	}
	return TAKE_PTR(line);
}

int main(int argc, char **argv)
{
	_cleanup_(arguments_done) struct arguments a = {0};
	const char *lab = getenv("TDX_AUTH_LAB"), *logs = getenv("TDX_AUTH_LOGS");
	_cleanup_free_ char *cmdline = argc > 0 ? join(argv + 1) : NULL;
	struct vm_options options = {.kernel = "patched",
				     .init = VM_INIT_SYSTEMD,
				     .cmdline = cmdline,
				     .no_serial = true};
	struct machine machine = {.options = &options, .lab = lab, .qmp_fd = -1, .agent_fd = -1};
	char log[PATH_MAX];

	if (!lab || !logs || !cmdline) {
		fprintf(stderr, "vm-shell: run it as ./dev vm\n");
		return EXIT_FAILURE;
	}
	(void)snprintf(log, sizeof(log), "%s/shell.log", logs);
	machine.log = log;
	if (machine_arguments(&machine, &a) < 0)
		return EXIT_FAILURE;
	fprintf(stderr, "A guest starts; tdx-authd runs in it, policies go to "
			"/etc/tdx-auth/policy.d. Ctrl-a x ends it.\n");
	(void)execvp(a.v[0], a.v);
	fprintf(stderr, "vm-shell: %s: %s\n", a.v[0], strerror(errno));
	return EXIT_FAILURE;
}
