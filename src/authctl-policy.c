/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "generate.h"
#include "log.h"
#include "output.h"
#include "policy-files.h"
#include "policy-json.h"
#include "policy-write.h"
#include "profile.h"

int verb_policy_show(const struct Options *options, char *const *args)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	struct json_object *json;

	(void)args;
	if (view_load_policy(options, &policy) < 0)
		return EXIT_FAILED;
	if (options->json) {
		int r = policy_to_json(policy, &json);

		return finish(r < 0 ? r : json_print_yaml(json), "print");
	}
	policy_write(stdout, policy);
	return finish(fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO, "print");
}

/* --- profiles --- */

static int print_profiles_json(const struct Vector *profiles)
{
	const struct Profile *profile = profiles->data;
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < profiles->n; i++) {
		struct json_object *object = json_object_new_object();

		json_add_string(object, "profile", profile[i].name);
		json_add_string(object, "purpose", profile[i].purpose);
		(void)json_object_array_add(list, object);
	}
	return json_print(list);
}

static int print_profiles(const struct Vector *profiles)
{
	const struct Profile *profile = profiles->data;
	struct Table table = {.n_columns = 2};

	table_add(&table, "PROFILE");
	table_add(&table, "FOR");
	for (size_t i = 0; i < profiles->n; i++) {
		table_add_word(&table, profile[i].name);
		table_add(&table, profile[i].purpose);
	}
	return table_print(&table);
}

static int list_profiles(const struct Options *options)
{
	_cleanup_profiles_ struct Vector profiles = {0};

	if (profiles_read(&profiles) < 0)
		return EXIT_FAILED;
	return finish(options->json ? print_profiles_json(&profiles) : print_profiles(&profiles),
		      "print");
}

/* With its comments, as these say what it is for and what it lacks. */
static int print_profile(const struct Options *options)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	_cleanup_free_ char *file = NULL, *text = NULL;
	struct json_object *json;
	size_t size;
	int r = profile_find(options->profile, &file);

	if (r < 0)
		return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	if (policy_load_text(file, &text, &size, &policy) < 0)
		return EXIT_FAILED;
	if (options->json) {
		r = policy_to_json(policy, &json);
		return finish(r < 0 ? r : json_print_yaml(json), "print");
	}
	return finish(fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0 ? 0 : -EIO,
		      "print");
}

static int generate_by_profile(const struct Options *options)
{
	if (options->snapshot) {
		log_error("--profile and --snapshot exclude each other: a profile goes by no "
			  "device that is there");
		return EXIT_USAGE;
	}
	return streq(options->profile, "help") ? list_profiles(options) : print_profile(options);
}

int verb_policy_generate(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	struct json_object *json;
	int r;

	(void)args;
	if (options->profile)
		return generate_by_profile(options);
	r = view_open_all(&view, options);
	if (r >= 0 && options->json) {
		r = policy_generate_json(&view, &json);
		r = r < 0 ? r : json_print_yaml(json);
	} else if (r >= 0) {
		r = policy_generate(stdout, &view);
	}
	if (r == -EFBIG) {
		log_error("cannot generate: the policy would be larger than a file of one may be");
		return EXIT_FAILED;
	}
	return finish(r, "generate");
}
