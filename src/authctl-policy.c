/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"
#include "log.h"
#include "output.h"
#include "policy-files.h"
#include "policy-json.h"
#include "policy-write.h"

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

int verb_policy_generate(const struct Options *options, char *const *args)
{
	_cleanup_view_ struct View view = {0};
	struct json_object *json;
	int r;

	(void)args;
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
