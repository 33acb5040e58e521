/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* write-sample RULES DIRECTORY: writes the policy of sample.h, as files that the daemon loads. */

#include <errno.h>
#include <limits.h>

#include "policy-parse.h"
#include "sample.h"

int main(int argc, char **argv)
{
	size_t n = argc == 3 ? strtoul(argv[1], NULL, 10) : 0, next = 0;

	if (n < SAMPLE_RULES_MIN) {
		fprintf(stderr, "usage: write-sample RULES DIRECTORY\n");
		return EXIT_FAILURE;
	}
	for (unsigned i = 0; next < n; i++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_fclose_ FILE *f = NULL;
		char path[PATH_MAX];
		size_t size;

		(void)snprintf(path, sizeof(path), "%s/50-sample-%02u.yaml", argv[2], i);
		text = sample_text(n, next, n, PARSE_SIZE_MAX, &size, &next);
		f = text ? fopen(path, "we") : NULL;
		if (!f || fwrite(text, 1, size, f) != size || fflush(f) != 0) {
			fprintf(stderr, "write-sample: %s: %s\n", path, strerror(errno));
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
