/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "refused.h"

#include <errno.h>

#include "device-json.h"
#include "escape.h"
#include "generate-rule.h"

#define DEADLINE_SEC 20

void refused_set_deadline(void)
{
	(void)alarm(DEADLINE_SEC);
}

/* Whether nothing may have the device, by whoever's decision. Where the kernel has no means a
 * verdict is a wish, and a device without a driver is one that no driver fits. */
static bool is_refused(const struct Device *device, const struct Verdict *verdict)
{
	if (device->driver || device_exempt(device))
		return false;
	if (device->gate == GATE_NONE)
		return device->authorized == 0;
	return streq(verdict->word, "deny") || streq(verdict->word, "remove");
}

/* The rule that would allow @device, as lines of a list of rules: a new string, or NULL with
 * *ret_problem a static phrase. */
static char *remedy(const struct Device *device, const char **ret_problem)
{
	_cleanup_free_ char *rule = NULL;
	char *text;

	*ret_problem = rule_obstacle(device);
	if (*ret_problem)
		return NULL;
	rule = rule_text(device, ACTION_ALLOW, NULL);
	if (!rule || asprintf(&text, "  - name: NAME\n%s", rule) < 0) {
		*ret_problem = "out of memory";
		return NULL;
	}
	return text;
}

/* Each line of @text behind some blanks. */
static void print_indented(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		(void)printf("      %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static int print_one(const struct View *view, const struct Device *device,
		     const struct Verdict *verdict)
{
	_cleanup_free_ char *name = device_name(device), *safe = escape_text(name),
			    *what = view_describe(view, device), *safe_what = escape_text(what),
			    *rule = NULL;
	const char *problem;

	if (!safe || !what || !safe_what)
		return -ENOMEM;
	rule = remedy(device, &problem);
	(void)printf("%s%s%s\n    refused by: %s\n", safe, *safe_what ? ", " : "", safe_what,
		     verdict->why);
	if (!rule) {
		(void)printf("    no rule can allow it alone: of such devices %s\n", problem);
		return 0;
	}
	(void)printf("    what would allow it:\n");
	print_indented(rule);
	return 0;
}

int refused_print(const struct View *view)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < view->inventory.n; i++) {
		const struct Device *device = view->inventory.devices[i];
		_cleanup_(verdict_done) struct Verdict verdict = {0};

		r = view_verdict(view, i, &verdict);
		if (r < 0 || !is_refused(device, &verdict))
			continue;
		r = print_one(view, device, &verdict);
		n++;
	}
	if (r < 0)
		return r;
	if (n == 0)
		(void)printf("No device is refused.\n");
	else
		(void)printf(
			"\nA rule goes into a file of /etc/tdx-auth/policy.d that comes before "
			"the one that refuses the device, under \"rules:\", with a NAME and "
			"best with a \"driver:\"; what an initrd goes by is made anew by "
			"update-initramfs -u, with dracut by dracut -f.\n");
	return fflush(stdout) == 0 ? 0 : -errno;
}

int refused_print_json(const struct View *view)
{
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();
	int r;

	for (size_t i = 0; i < view->inventory.n; i++) {
		const struct Device *device = view->inventory.devices[i];
		_cleanup_(verdict_done) struct Verdict verdict = {0};
		_cleanup_free_ char *rule = NULL;
		struct json_object *object;
		const char *problem;

		r = view_verdict(view, i, &verdict);
		if (r < 0) {
			json_object_put(list);
			json_object_put(root);
			return r;
		}
		if (!is_refused(device, &verdict))
			continue;
		rule = remedy(device, &problem);
		object = verdict_to_json(view, device, &verdict);
		json_add_string(object, "rule", rule);
		(void)json_object_array_add(list, object);
	}
	json_object_object_add(root, "devices", list);
	return json_print(root);
}
