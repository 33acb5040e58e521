/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-rendered.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/utsname.h>

#include "escape.h"
#include "log.h"
#include "module-asks.h"
#include "names.h"
#include "string-list.h"
#include "suggest.h"

#define REMEDY "run tdx-authctl modules render"

/* --- files --- */

/* Calls @on_line with each comment that @path begins with. Returns 0 or a negative errno. */
static int read_head(const char *path, int (*on_line)(const char *line, void *userdata),
		     void *userdata)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r = 0;

	if (!file)
		return -errno;
	(void)take_fd(&fd); /* the stream's */
	while (r == 0 && getline(&line, &size, file) > 0 && *line == '#')
		r = on_line(line, userdata);
	return r == 0 && ferror(file) ? -EIO : r;
}

static int add_kernel(struct Rendered *rendered, const char *escaped)
{
	_cleanup_free_ char *word = strndup(escaped, strcspn(escaped, "\n")),
			    *version = word ? unescape_text(word) : NULL;

	if (word && !version) /* who else wrote it has not escaped it */
		version = TAKE_PTR(word);
	return strings_take(&rendered->kernels, TAKE_PTR(version));
}

static int on_config_line(const char *line, void *userdata)
{
	struct Rendered *rendered = userdata;
	const char *kernel = startswith(line, MODULE_KERNEL), *mode = startswith(line, MODULE_MODE);
	char word[16];

	if (kernel)
		return add_kernel(rendered, kernel);
	if (!mode)
		return 0;
	(void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(mode, "\n"), mode);
	for (enum ModuleMode i = 0; i < _MODULES_MAX; i++)
		if (streq(word, module_mode_words[i]))
			rendered->mode = i;
	return 0;
}

struct Asked {
	const char *next; /* of what the policy asks for */
	bool any, differs;
};

static int on_asks_line(const char *line, void *userdata)
{
	struct Asked *asked = userdata;
	const char *rest;

	if (!startswith(line, MODULE_ASKS))
		return 0;
	asked->any = true;
	rest = startswith(asked->next, line);
	if (rest)
		asked->next = rest;
	asked->differs = asked->differs || !rest;
	return 0;
}

/* --- comparing --- */

/* Returns 0 with RENDERED_CURRENT where @config is of what @policy asks for, or -ENOMEM. */
static int compare_asks(const struct Policy *policy, const char *config, enum RenderedState *ret)
{
	_cleanup_free_ char *asks = module_asks(policy);
	struct Asked asked = {.next = asks};

	if (!asks)
		return -ENOMEM;
	if (read_head(config, on_asks_line, &asked) < 0 || !asked.any)
		*ret = RENDERED_UNKNOWN;
	else if (asked.differs || *asked.next)
		*ret = RENDERED_OTHER_POLICY;
	return 0;
}

/* A kernel without modules has none that could be loaded. */
static bool is_for_running(const struct Rendered *rendered, const char *root)
{
	_cleanup_free_ char *file = NULL;

	for (size_t i = 0; i < rendered->kernels.n; i++)
		if (streq(string_at(&rendered->kernels, i), rendered->running))
			return true;
	if (asprintf(&file, "%s/lib/modules/%s/modules.alias", root, rendered->running) < 0) {
		file = NULL;
		return false;
	}
	return access(file, F_OK) < 0;
}

/* For tests. */
static const char *module_root(void)
{
	const char *dir = secure_getenv("TDX_AUTH_MODULE_ROOT");

	return dir ? dir : "";
}

/* All but the kernels. Returns 0 or -ENOMEM. */
static int compare_file(const struct Policy *policy, const char *config, struct Rendered *ret)
{
	int r;

	ret->mode = _MODULES_INVALID;
	ret->wanted = policy->modules.mode == _MODULES_INVALID ? MODULES_OFF : policy->modules.mode;
	r = read_head(config, on_config_line, ret);
	if (r == -ENOMEM)
		return r;
	if (r < 0 && r != -ENOENT)
		ret->state = RENDERED_UNKNOWN;
	else if (ret->mode == _MODULES_INVALID && ret->wanted != MODULES_OFF)
		ret->state = RENDERED_NOTHING;
	else if (ret->mode != _MODULES_INVALID && ret->mode != ret->wanted)
		ret->state = RENDERED_OTHER_MODE;
	else if (ret->wanted != MODULES_OFF)
		return compare_asks(policy, config, &ret->state);
	return 0;
}

static bool is_in_force(const struct Rendered *rendered)
{
	return rendered->state == RENDERED_CURRENT && rendered->wanted != MODULES_OFF;
}

int rendered_compare(const struct Policy *policy, struct Rendered *ret)
{
	_cleanup_free_ char *config = NULL;
	const char *root = module_root();
	struct utsname running;
	bool is_owners;
	int r;

	*ret = (struct Rendered){0};
	ret->running = uname(&running) == 0 ? strdup(running.release) : NULL;
	if (!ret->running || asprintf(&config, "%s" MODULE_CONFIG_OWNER, root) < 0) {
		config = NULL;
		return -ENOMEM;
	}
	is_owners = access(config, F_OK) == 0;
	free(config);
	if (asprintf(&config, "%s%s", root,
		     is_owners ? MODULE_CONFIG_OWNER : MODULE_CONFIG_VENDOR) < 0) {
		config = NULL;
		return -ENOMEM;
	}
	r = compare_file(policy, config, ret);
	if (r == 0 && is_in_force(ret) && !is_for_running(ret, root))
		ret->state = RENDERED_OTHER_KERNEL;
	return r;
}

int rendered_compare_for(const struct Policy *policy, const char *config,
			 const struct Vector *kernels, struct Rendered *ret)
{
	int r;

	*ret = (struct Rendered){0};
	r = compare_file(policy, config, ret);
	if (r < 0 || !is_in_force(ret))
		return r;
	if (ret->kernels.n != kernels->n)
		ret->state = RENDERED_OTHER_KERNEL;
	for (size_t i = 0; i < kernels->n; i++)
		if (!strings_have(&ret->kernels, string_at(kernels, i)))
			ret->state = RENDERED_OTHER_KERNEL;
	return 0;
}

void rendered_done(struct Rendered *rendered)
{
	strings_done(&rendered->kernels);
	free(rendered->running);
}

/* --- words --- */

const char *rendered_state_to_string(enum RenderedState state)
{
	static const char *const words[_RENDERED_STATE_MAX] = {
		[RENDERED_CURRENT] = "current",		  [RENDERED_NOTHING] = "nothing",
		[RENDERED_OTHER_MODE] = "other-mode",	  [RENDERED_OTHER_POLICY] = "other-policy",
		[RENDERED_OTHER_KERNEL] = "other-kernel", [RENDERED_UNKNOWN] = "unknown",
	};

	return words[state];
}

static char *kernel_text(const struct Rendered *rendered)
{
	_cleanup_free_ char *names = join_words(rendered->kernels.data, rendered->kernels.n),
			    *safe = names ? escape_text(names) : NULL,
			    *running = escape_text(rendered->running);
	char *text;

	if (!safe || !running ||
	    asprintf(&text,
		     "NOT RENDERED FOR THE KERNEL THAT RUNS, %s, but for: %s; modules that only it "
		     "has are denied: " REMEDY,
		     running, safe) < 0)
		return NULL;
	return text;
}

char *rendered_text(const struct Rendered *rendered)
{
	const char *wanted = module_mode_to_string(rendered->wanted);
	char *text = NULL;
	int n = 0;

	switch (rendered->state) {
	case RENDERED_CURRENT:
		n = asprintf(&text, "%s%s", wanted,
			     rendered->wanted == MODULES_OFF ? ": the policy keeps none out" : "");
		break;
	case RENDERED_NOTHING:
		n = asprintf(&text,
			     "NOT IN FORCE: the policy says %s, and nothing is rendered: " REMEDY,
			     wanted);
		break;
	case RENDERED_OTHER_MODE:
		n = asprintf(
			&text,
			"NOT IN FORCE: the policy says %s, and what is rendered says %s: " REMEDY,
			wanted, module_mode_to_string(rendered->mode));
		break;
	case RENDERED_OTHER_POLICY:
		n = asprintf(&text, "NOT IN FORCE: what is rendered is of another policy: " REMEDY);
		break;
	case RENDERED_OTHER_KERNEL:
		return kernel_text(rendered);
	default:
		n = asprintf(&text,
			     "%s, and whether what is rendered is of this policy cannot be "
			     "told: " REMEDY,
			     wanted);
	}
	return n < 0 ? NULL : text;
}

void rendered_warn(const struct Policy *policy)
{
	struct Rendered rendered;
	_cleanup_free_ char *text = NULL;

	if (rendered_compare(policy, &rendered) == 0)
		text = rendered_text(&rendered);
	if (!text)
		log_warning("cannot tell whether the module policy is in force: %s",
			    strerror(ENOMEM));
	else if (rendered.state != RENDERED_CURRENT)
		log_warning("modules: %s", text);
	rendered_done(&rendered);
}
