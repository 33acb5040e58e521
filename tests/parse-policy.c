/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Usage: parse-policy FILE...
 * Prints "FILE: good", or "FILE:LINE:COLUMN: MESSAGE" for each error. Who owns a file does not
 * matter here, as it does to policy_load(). */
#include <errno.h>
#include <stdio.h>

#include "escape.h"
#include "policy-parse.h"

static int read_file(const char *file, char **ret, size_t *ret_size)
{
	FILE *f = fopen(file, "re");

	if (!f)
		return -errno;
	*ret = malloc(PARSE_SIZE_MAX + 1);
	*ret_size = *ret ? fread(*ret, 1, PARSE_SIZE_MAX + 1, f) : 0;
	(void)fclose(f);
	return *ret ? 0 : -ENOMEM;
}

static int parse_file(const char *file)
{
	_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
	_cleanup_policy_ struct Policy *policy = policy_new();
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = policy ? read_file(file, &text, &size) : -ENOMEM;

	if (r == 0)
		r = policy_parse(policy, file, text, size, &errors);
	for (size_t i = 0; i < errors.n && i < PARSE_ERRORS_MAX; i++) {
		_cleanup_free_ char *safe = escape_text(errors.items[i].message);

		(void)printf("%s:%u:%u: %s\n", file, errors.items[i].line, errors.items[i].column,
			     safe ? safe : "out of memory");
	}
	if (r == 0)
		(void)printf("%s: good\n", file);
	else if (r != -EBADMSG)
		(void)fprintf(stderr, "%s: %s\n", file, strerror(-r));
	return r == -EBADMSG ? 0 : r;
}

int main(int argc, char **argv)
{
	int r = 0;

	for (int i = 1; r == 0 && i < argc; i++)
		r = parse_file(argv[i]);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
