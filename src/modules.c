/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modules.h"

#include <errno.h>
#include <libkmod.h>
#include <sys/utsname.h>
#include <syslog.h>

#include "root-open.h"
#include "util.h"

DEFINE_TRIVIAL_CLEANUP(struct kmod_ctx *, kmod_unref)

static int collect(struct kmod_list *list, char ***ret)
{
	char **modules;
	struct kmod_list *item;
	int n = 0;

	kmod_list_foreach(item, list) n++;
	modules = calloc((size_t)n + 1, sizeof(*modules));
	if (!modules)
		return -ENOMEM;
	n = 0;
	kmod_list_foreach(item, list)
	{
		struct kmod_module *module = kmod_module_get_module(item);

		modules[n] = strdup(kmod_module_get_name(module));
		(void)kmod_module_unref(module);
		if (!modules[n]) {
			modules_free(modules);
			return -ENOMEM;
		}
		n++;
	}
	*ret = modules;
	return n;
}

static int module_directory(const char *root, const char *version, char **ret)
{
	struct utsname running;

	_cleanup_free_ char *path = NULL;

	*ret = NULL;
	if (!version && uname(&running) < 0)
		return -errno;
	if (asprintf(&path, "/lib/modules/%s", version ? version : running.release) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (root_resolve(root, path, ret) >= 0)
		return 0;
	/* of what is not there nothing is found */
	return asprintf(ret, "%s%s", root ? root : "", path) < 0 ? -ENOMEM : 0;
}

int modules_for(const char *root, const char *version, const char *modalias, char ***ret)
{
	/* no configuration file: what fits, not what an admin made of it */
	static const char *const no_config[] = {NULL};
	_cleanup_(kmod_unrefp) struct kmod_ctx *ctx = NULL;
	_cleanup_free_ char *directory = NULL;
	struct kmod_list *list = NULL;
	int r = module_directory(root, version, &directory);

	if (r < 0)
		return r;
	ctx = kmod_new(directory, (const char *const *)no_config);
	if (!ctx)
		return -ENOMEM;
	kmod_set_log_priority(ctx, LOG_CRIT); /* what it has to say is for who debugs libkmod */
	r = kmod_module_new_from_lookup(ctx, modalias, &list);
	if (r < 0 && r != -ENOENT && r != -ENOSYS)
		return r;
	r = collect(list, ret);
	(void)kmod_module_unref_list(list);
	return r;
}

bool modules_have_aliases(const char *root, const char *version)
{
	static const char *const names[] = {"modules.alias.bin", "modules.alias"};
	_cleanup_free_ char *directory = NULL;

	if (module_directory(root, version, &directory) < 0)
		return false;
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		_cleanup_free_ char *file = NULL;

		if (asprintf(&file, "%s/%s", directory, names[i]) >= 0 && access(file, R_OK) == 0)
			return true;
	}
	return false;
}

void modules_free(char **modules)
{
	for (char **m = modules; m && *m; m++)
		free(*m);
	free(modules);
}
