/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-notes.h"

#include <errno.h>

#include "names.h"
#include "string-list.h"
#include "suggest.h"

/* --- kernels --- */

/* Adds @text, and the kernels from the one at @first on that have it. Those before have it not. */
static int add_of_kernels(const struct KernelModules *kernels, size_t n, size_t first,
			  const char *text, struct Vector *notes)
{
	_cleanup_vector_ struct Vector versions = {0};
	_cleanup_free_ char *names = NULL;
	int r = 0;

	for (size_t i = first; r == 0 && i < n; i++)
		if (strings_have(&kernels[i].notes, text))
			r = vector_add(&versions, &kernels[i].list.version, sizeof(char *));
	if (r < 0)
		return r;
	if (versions.n == n)
		return strings_add(notes, "%s", text);
	names = join_words(versions.data, versions.n);
	return names ? strings_add(notes, "%s %s: %s", versions.n == 1 ? "kernel" : "kernels",
				   names, text)
		     : -ENOMEM;
}

/* Whether a note before the one at @number of the kernel at @kernel says the same. */
static bool is_told(const struct KernelModules *kernels, size_t kernel, size_t number)
{
	const struct Vector *notes = &kernels[kernel].notes;
	const char *text = string_at(notes, number);

	for (size_t i = 0; i < kernel; i++)
		if (strings_have(&kernels[i].notes, text))
			return true;
	for (size_t i = 0; i < number; i++)
		if (streq(string_at(notes, i), text))
			return true;
	return false;
}

int module_notes_of_kernels(const struct KernelModules *kernels, size_t n, struct Vector *notes)
{
	int r = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; r == 0 && k < kernels[i].notes.n; k++)
			if (!is_told(kernels, i, k))
				r = add_of_kernels(kernels, n, i, string_at(&kernels[i].notes, k),
						   notes);
	return r;
}

/* --- what is allowed by name --- */

static bool is_vendors(const char *file)
{
	const char *rest = startswith(file, POLICY_DIR_VENDOR);

	return rest && *rest == '/';
}

static bool fits_any(const char *glob, const struct ModuleList *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (module_name_fits(glob, list->modules[i].name))
			return true;
	return false;
}

static int note_missing(const struct ModuleList *list, const char *glob, const struct Place *place,
			struct Vector *notes)
{
	_cleanup_free_ const char **names = calloc(list->n + 1, sizeof(*names));
	const char *nearest;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		names[i] = list->modules[i].name;
	nearest = strpbrk(glob, "*?[") ? NULL : nearest_word(glob, names, list->n);
	return strings_add(notes,
			   "%s:%u: modules: allow has \"%s\", and no kernel has such a module%s%s",
			   place->file, place->line, glob, nearest ? "; the nearest is " : "",
			   nearest ? nearest : "");
}

int module_notes_of_allow(const struct Policy *policy, const struct ModuleList *list,
			  struct Vector *notes)
{
	const struct Place *places = policy->modules.places.data;
	int r = 0;

	for (size_t i = 0; r == 0 && i < policy->modules.allow.n; i++) {
		const char *glob = string_at(&policy->modules.allow, i);

		if (!is_vendors(places[i].file) && !fits_any(glob, list))
			r = note_missing(list, glob, &places[i], notes);
	}
	return r;
}

/* --- what the machine keeps out --- */

/* Whether somebody meant it, for which a line in modprobe.d is a contradiction: not what is allowed
 * as it is no driver. A blacklist is about what devices ask for alone. */
static bool contradicts(const struct ModprobeLine *line, enum ModuleReason reason)
{
	switch (reason) {
	case MODULE_RULE:
	case MODULE_DEVICE:
	case MODULE_HARDENED:
		return true;
	case MODULE_LISTED:
	case MODULE_NEEDED:
	case MODULE_BEHIND:
		return line->command == MODPROBE_INSTALL;
	default:
		return false;
	}
}

int module_notes_of_refusals(const struct ModuleList *list, const struct ModuleVerdict *verdicts,
			     const struct ModprobeConfig *config, struct Vector *notes)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++) {
		const char *name = list->modules[i].name;
		const struct ModprobeLine *line;
		_cleanup_free_ char *why = NULL;

		if (!module_is_allowed(&verdicts[i]))
			continue;
		line = modprobe_config_refusal(config, name);
		if (!line || !contradicts(line, verdicts[i].reason))
			continue;
		why = module_verdict_why(&verdicts[i]);
		r = why ? strings_add(notes,
				      "%s is allowed (%s), and not loaded all the same: %s:%u %s",
				      name, why, line->file, line->line,
				      line->command == MODPROBE_INSTALL
					      ? "has an install for it that loads nothing"
					      : "blacklists it")
			: -ENOMEM;
	}
	return r;
}
