/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modules.h"

#include <errno.h>
#include <libkmod.h>

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

int modules_for(const char *modalias, char ***ret)
{
	/* no configuration file: what fits, not what an admin made of it */
	static const char *const no_config[] = {NULL};
	_cleanup_(kmod_unrefp) struct kmod_ctx *ctx =
		kmod_new(NULL, (const char *const *)no_config);
	struct kmod_list *list = NULL;
	int r;

	if (!ctx)
		return -ENOMEM;
	r = kmod_module_new_from_lookup(ctx, modalias, &list);
	if (r < 0 && r != -ENOENT && r != -ENOSYS)
		return r;
	r = collect(list, ret);
	(void)kmod_module_unref_list(list);
	return r;
}

void modules_free(char **modules)
{
	for (char **m = modules; m && *m; m++)
		free(*m);
	free(modules);
}
