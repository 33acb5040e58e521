/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "profile.h"

#include <errno.h>

#include "escape.h"
#include "log.h"
#include "names.h"
#include "suggest.h"
#include "util.h"

/* For tests. */
static const char *profile_dir(void)
{
	const char *dir = secure_getenv("TDX_AUTH_PROFILE_DIRECTORY");

	return isempty(dir) ? PROFILE_DIR : dir;
}

void profiles_done(struct Vector *profiles)
{
	struct Profile *profile = profiles->data;

	for (size_t i = 0; i < profiles->n; i++) {
		free(profile[i].name);
		free(profile[i].purpose);
	}
	vector_done(profiles);
}

/* --- what is there --- */

/* The text of the first comment at the beginning of @file that is no tag for machines: a new
 * string. */
static char *read_purpose(FILE *file)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, file) > 0) {
		const char *text = startswith(line, "# ");

		if (!text)
			break;
		line[strcspn(line, "\n")] = '\0';
		if (!startswith(text, "SPDX-"))
			return strdup(text);
	}
	return strdup("");
}

static char *profile_path(const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s" POLICY_SUFFIX, profile_dir(), name) < 0 ? NULL : path;
}

/* The profile of the file @entry, or none. */
static int add_profile(struct Vector *profiles, const char *entry)
{
	const char *suffix = strrchr(entry, '.');
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *name = NULL, *path = NULL, *purpose = NULL;

	if (entry[0] == '.' || !suffix || !streq(suffix, POLICY_SUFFIX))
		return 0;
	name = strndup(entry, (size_t)(suffix - entry));
	path = name ? profile_path(name) : NULL;
	if (!path)
		return -ENOMEM;
	file = fopen(path, "re");
	if (!file)
		return -errno;
	purpose = read_purpose(file);
	if (!purpose ||
	    vector_add(profiles, &(struct Profile){name, purpose}, sizeof(struct Profile)) < 0)
		return -ENOMEM;
	(void)TAKE_PTR(name);
	(void)TAKE_PTR(purpose);
	return 0;
}

static int compare_profiles(const void *a, const void *b)
{
	return strcmp(((const struct Profile *)a)->name, ((const struct Profile *)b)->name);
}

static int scan(struct Vector *profiles)
{
	_cleanup_closedir_ DIR *dir = opendir(profile_dir());
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		r = add_profile(profiles, entry->d_name);
		if (r < 0)
			return r;
	}
}

int profiles_read(struct Vector *ret)
{
	int r = scan(ret);

	if (r == 0 && ret->n == 0)
		r = -ENOENT;
	if (r < 0) {
		_cleanup_free_ char *safe = escape_text(profile_dir());

		log_error("%s: %s", safe ? safe : "?",
			  r == -ENOENT ? "no profile is there" : strerror(-r));
		return r;
	}
	if (ret->n > 0)
		qsort(ret->data, ret->n, sizeof(struct Profile), compare_profiles);
	return 0;
}

/* --- the one that is meant --- */

/* Logs that there is none called @typed, and which ones there are. */
static void tell_unknown(const struct Vector *profiles, const char *typed)
{
	const struct Profile *profile = profiles->data;
	_cleanup_free_ const char **words = calloc(profiles->n + 1, sizeof(*words));
	_cleanup_free_ char *safe = escape_text(typed), *all = NULL;
	const char *nearest = NULL;

	for (size_t i = 0; words && i < profiles->n; i++)
		words[i] = profile[i].name;
	if (words) {
		nearest = nearest_word(typed, words, profiles->n);
		all = join_words(words, profiles->n);
	}
	if (nearest)
		log_error("unknown profile \"%s\", the nearest is \"%s\"", safe ? safe : "?",
			  nearest);
	else
		log_error("unknown profile \"%s\": there are %s", safe ? safe : "?",
			  all ? all : "?");
}

int profile_find(const char *name, char **ret)
{
	_cleanup_profiles_ struct Vector profiles = {0};
	const struct Profile *profile;
	int r = profiles_read(&profiles);

	if (r < 0)
		return r;
	profile = profiles.data;
	/* one of these names, and so no path */
	for (size_t i = 0; i < profiles.n; i++)
		if (streq(profile[i].name, name)) {
			*ret = profile_path(name);
			return *ret ? 0 : -ENOMEM;
		}
	tell_unknown(&profiles, name);
	return -EINVAL;
}
