/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

int bench_run_each(size_t n, bench_run_t run, void *userdata)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t next = 0;
	long n_running = 0;
	int status, r = 0;

	while (next < n || n_running > 0) {
		if (next < n && (n_running == 0 || n_running < cores)) {
			pid_t pid = fork();

			if (pid < 0)
				return -errno;
			if (pid == 0)
				_exit(run(next, userdata) < 0);
			n_running++;
			next++;
			continue;
		}
		if (wait(&status) < 0)
			return -errno;
		if (status != 0)
			r = -EREMOTEIO;
		n_running--;
	}
	return r;
}

int bench_compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}
