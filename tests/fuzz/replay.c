/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"
#include "util.h"

/* Runs a target on each file of a directory and reports in TAP: what fuzzing has reached is reached
 * by every run of the tests, without libFuzzer. Usage: fuzz-TARGET DIRECTORY */

#define SECONDS_MAX 60 /* that one file may take, under sanitizers on a busy machine */

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static uint8_t *read_input(int directory, const char *name, size_t *ret_size)
{
	_cleanup_close_ int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	uint8_t *data;
	struct stat st;
	ssize_t n;

	check(fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
	/* of exactly this size: a sanitizer sees what is read behind it */
	data = malloc((size_t)st.st_size);
	check(data || st.st_size == 0);
	n = read(fd, data, (size_t)st.st_size);
	check(n == st.st_size);
	*ret_size = (size_t)n;
	return data;
}

static _Noreturn void run_input(int directory, const char *name)
{
	size_t size;
	_cleanup_free_ uint8_t *data = read_input(directory, name, &size);

	(void)alarm(SECONDS_MAX);
	check(LLVMFuzzerTestOneInput(data, size) == 0);
	free(TAKE_PTR(data));
	exit(EXIT_SUCCESS); /* not _exit(): leaks are looked for on the way */
}

/* In a process of its own: one that crashes takes no other with it. */
static bool input_passes(int directory, const char *name)
{
	int status;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	check(pid >= 0);
	if (pid == 0)
		run_input(directory, name);
	while (waitpid(pid, &status, 0) < 0)
		check(errno == EINTR);
	if (WIFSIGNALED(status))
		printf("# killed by \"%s\"\n", strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct dirent **entries;
	int directory, n, failed = 0;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	directory = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = directory < 0 ? -1 : scandir(argv[1], &entries, is_file, alphasort);
	if (n <= 0) { /* "1..0" would be a test that was skipped */
		(void)fprintf(stderr, "%s: %s\n", argv[1], n < 0 ? strerror(errno) : "empty");
		return EXIT_FAILURE;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		bool passes = input_passes(directory, entries[i]->d_name);

		failed += !passes;
		printf("%sok %d - %s\n", passes ? "" : "not ", i + 1, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	(void)close(directory);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
