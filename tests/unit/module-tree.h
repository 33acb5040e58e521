/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <ftw.h>
#include <sys/stat.h>

#include "test.h"
#include "util.h"

/* A directory of a system with kernels of the test's own. */

static char tree_root[] = "/tmp/tdx-auth-modules-XXXXXX";

static inline void tree_put(const char *name, const char *text)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *file = NULL;

	assert_true(asprintf(&path, "%s%s", tree_root, name) > 0);
	for (char *p = path + strlen(tree_root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
}

static inline int tree_make(void **state)
{
	(void)strcpy(strrchr(tree_root, '-') + 1, "XXXXXX");
	return mkdtemp(tree_root) ? 0 : -1;
}

static inline int tree_on_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static inline int tree_remove(void **state)
{
	return nftw(tree_root, tree_on_entry, 8, FTW_DEPTH | FTW_PHYS);
}
