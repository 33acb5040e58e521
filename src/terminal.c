/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "util.h"

#define WIDTH_MIN 20
#define WIDTH_MAX 10000

static pid_t pager; /* 0: none */

/* What a pager shows a terminal shows. */
static bool is_terminal(void)
{
	return pager > 0 || isatty(STDOUT_FILENO);
}

static size_t width_of(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) < 0 ? 0 : size.ws_col;
}

size_t terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	unsigned long typed = columns ? strtoul(columns, NULL, 10) : 0;

	if (!is_terminal())
		return 0;
	if (typed >= WIDTH_MIN && typed <= WIDTH_MAX)
		return typed;
	return width_of(pager > 0 ? STDERR_FILENO : STDOUT_FILENO);
}

bool terminal_has_colours(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return is_terminal() && isempty(no) && !isempty(term) && !streq(term, "dumb");
}

bool terminal_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		const char *value = getenv(names[i]);

		if (!isempty(value))
			return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
	}
	return false;
}

/* --- the pager --- */

static const char *chosen_pager(void)
{
	const char *own = getenv("TDX_AUTH_PAGER");

	return own ? own : getenv("PAGER");
}

/* Does not return. */
__attribute__((noreturn)) static void run_pager(const char *command, int input, pid_t parent)
{
	(void)signal(SIGPIPE, SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || dup2(input, STDIN_FILENO) < 0)
		_exit(EXIT_FAILURE);
	(void)setenv("LESS", "FRSXMK", 0);
	(void)setenv("LESSCHARSET", terminal_is_utf8() ? "utf-8" : "ascii", 0);
	(void)setenv("LESSSECURE", "1", 1);
	if (command)
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	(void)execlp("less", "less", (char *)NULL);
	(void)execlp("more", "more", (char *)NULL);
	(void)execlp("cat", "cat", (char *)NULL);
	_exit(EXIT_FAILURE);
}

/* Who reads has the end of what is printed, and then as much time as he wants. */
static void wait_for_pager(void)
{
	(void)fflush(stdout);
	(void)close(STDOUT_FILENO);
	while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
		;
}

void pager_open(void)
{
	const char *command = chosen_pager();
	pid_t parent = getpid(), child;
	int ends[2];

	if (pager > 0 || !isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO) ||
	    (command && (!*command || streq(command, "cat"))) || pipe2(ends, O_CLOEXEC) < 0)
		return;
	child = fork();
	if (child == 0)
		run_pager(command, ends[0], parent);
	(void)close(ends[0]);
	if (child < 0) {
		(void)close(ends[1]);
		return;
	}
	pager = child;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)dup2(ends[1], STDOUT_FILENO);
	(void)close(ends[1]);
	(void)atexit(wait_for_pager);
}

bool pager_is_open(void)
{
	return pager > 0;
}
