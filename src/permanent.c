/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "permanent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "decide.h"
#include "generate-rule.h"
#include "inventory.h"
#include "mount.h"
#include "names.h"
#include "phase.h"
#include "policy-files.h"
#include "policy-parse.h"
#include "policy-write.h"
#include "replace-file.h"
#include "trusted-open.h"
#include "vital.h"

static const char head[] =
	"# Decisions by hand that last. tdx-authctl writes this file anew with each \"authorize\n"
	"# --permanent\" and \"deny --permanent\"; a rule that is taken out is forgotten.\n"
	"version: 1\n"
	"rules:\n";

struct Work {
	const struct PermanentWish *wish;
	FILE *out; /* what is in the way */
	const char *root;
	int lockfd;
	int dirfd;	       /* of the owner's drop-ins */
	char *path;	       /* of our file, as rules have it */
	struct Policy *policy; /* in the files now */
	struct Phase phase;
	struct Inventory inventory;
	const struct Device *device; /* of the inventory */
	struct Decision *before, *after;
	const char *driver; /* that the rule names, or NULL */
	char *text;	    /* of our file as it is to be */
	size_t size;
};

static void work_done(struct Work *work)
{
	closep(&work->dirfd);
	closep(&work->lockfd);
	free(work->path);
	policy_unref(work->policy);
	inventory_done(&work->inventory);
	free(work->before);
	free(work->after);
	free(work->text);
}

_printf_(3, 4) static int refuse(struct Work *work, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vfprintf(work->out, format, ap);
	va_end(ap);
	return error;
}

static int out_of_memory(struct Work *work)
{
	return refuse(work, -ENOMEM, "out of memory");
}

/* --- the place --- */

/* Where what is written to an overlay ends up. The caller frees it; NULL where nobody can tell. */
static char *upper_dir(const struct Mount *mount)
{
	const char *found = strstr(mount->options, "upperdir=");

	found = found ? found + strlen("upperdir=") : "";
	return *found ? strndup(found, strcspn(found, ",")) : NULL;
}

static bool is_in_memory(const char *path)
{
	_cleanup_mount_ struct Mount mount = {0};
	_cleanup_free_ char *upper = NULL;

	if (mount_of_path(path, &mount) < 0)
		return false;
	if (streq(mount.type, "overlay")) {
		upper = upper_dir(&mount);
		return upper && is_in_memory(upper);
	}
	return streq(mount.type, "tmpfs") || streq(mount.type, "ramfs") ||
	       streq(mount.type, "rootfs");
}

static int make_dirs(struct Work *work, const char *path)
{
	_cleanup_free_ char *way = strdup(path);

	if (!way)
		return out_of_memory(work);
	for (char *slash = way + 1; (slash = strchrnul(slash, '/')); slash++) {
		char end = *slash;

		*slash = '\0';
		if (mkdir(way, 0755) < 0 && errno != EEXIST)
			return refuse(work, -errno, "%s: %s", way,
				      errno == EROFS ? "the file system is read-only"
						     : strerror(errno));
		*slash = end;
		if (!end)
			break;
	}
	return 0;
}

/* Others who write wait for their turn. Whoever can open what is locked could have all of them wait
 * for ever, and the drop-ins are for everybody to read. */
static int lock(struct Work *work)
{
	_cleanup_free_ char *path = runtime_path(PERMANENT_LOCK);
	int r = runtime_make_dir();

	if (!path)
		return out_of_memory(work);
	if (r == 0)
		work->lockfd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r == 0 && (work->lockfd < 0 || flock(work->lockfd, LOCK_EX) < 0))
		r = -errno;
	return r < 0 ? refuse(work, r, "%s: %s", path, strerror(-r)) : 0;
}

static int open_place(struct Work *work)
{
	_cleanup_free_ char *path = NULL, *problem = NULL;
	struct statvfs st;
	int r;

	if (asprintf(&path, "%s" POLICY_DIR_OWNER, work->root) < 0 ||
	    asprintf(&work->path, POLICY_DIR_OWNER "/%s", PERMANENT_FILE) < 0)
		return out_of_memory(work);
	r = access(path, F_OK) < 0 ? make_dirs(work, path) : 0;
	if (r < 0)
		return r;
	work->dirfd = trusted_open(work->root, POLICY_DIR_OWNER, O_RDONLY | O_DIRECTORY, &problem);
	if (work->dirfd < 0)
		return refuse(work, work->dirfd, "%s", problem ? problem : path);
	if (fstatvfs(work->dirfd, &st) < 0)
		return refuse(work, -errno, "%s: %s", path, strerror(errno));
	if (st.f_flag & ST_RDONLY)
		return refuse(work, -EROFS, "%s: the file system is read-only", path);
	if (is_in_memory(path))
		return refuse(work, -EROFS, "%s is in memory and does not outlive the machine",
			      path);
	return lock(work);
}

/* --- what is there --- */

/* What a rule names a device by, and what the policy in the files asks for. */
static int needs_of(const struct Policy *policy, struct Needs *ret)
{
	int r = 0;

	ret->interfaces = true;
	for (enum Bus bus = 0; r == 0 && bus < _BUS_MAX; bus++)
		for (int i = 0; r == 0 && bus_info[bus].texts[i]; i++)
			r = needs_add(ret, bus_info[bus].texts[i]);
	for (size_t i = 0; r == 0 && i < policy->needs.attributes.n; i++)
		r = needs_add(ret, string_at(&policy->needs.attributes, i));
	return r;
}

static int decide_all(struct Work *work, const struct Policy *policy, struct Decision **ret)
{
	*ret = calloc(work->inventory.n + 1, sizeof(**ret));
	return *ret ? policy_decide_all(policy, work->inventory.devices, work->inventory.n,
					phase_moment, &work->phase, *ret)
		    : -ENOMEM;
}

/* The device that was meant, and not another one at its path. */
static int find_device(struct Work *work)
{
	const struct Device *wanted = work->wish->device;
	const char *problem;

	work->device = inventory_find(&work->inventory, wanted->syspath);
	for (size_t i = 0; !work->device && i < work->inventory.unreadable.n; i++)
		if (streq(string_at(&work->inventory.unreadable, i), wanted->syspath))
			return refuse(work, -EIO, "not all of the device can be read");
	if (!work->device || work->device->dev != wanted->dev || work->device->ino != wanted->ino)
		return refuse(work, -ENODEV, "the device is gone");
	problem = device_exempt(work->device);
	if (problem)
		return refuse(work, -EINVAL, "%s", problem);
	problem = rule_obstacle(work->device);
	return problem ? refuse(work, -EINVAL, "no rule can name it: of devices like this, %s",
				problem)
		       : 0;
}

static int check_freeze(struct Work *work)
{
	phase_read(&work->phase);
	return work->phase.is_frozen
		       ? refuse(work, -EPERM,
				"after the freeze the policy does not change any more")
		       : 0;
}

static int read_devices(struct Work *work)
{
	_cleanup_(needs_done) struct Needs needs = {0};
	int r;

	if (needs_of(work->policy, &needs) < 0)
		return out_of_memory(work);
	r = inventory_read(&needs, &work->inventory);
	if (r < 0)
		return refuse(work, r, "cannot enumerate devices: %s", strerror(-r));
	r = check_freeze(work);
	if (r < 0)
		return r;
	if (decide_all(work, work->policy, &work->before) < 0)
		return out_of_memory(work);
	return find_device(work);
}

/* --- the rule --- */

static void choose_driver(struct Work *work)
{
	const char *driver = work->wish->driver;

	if (work->wish->action != ACTION_ALLOW)
		return;
	if (driver)
		work->driver = *driver ? driver : NULL;
	else
		work->driver = rule_driver(work->device);
}

static bool is_ours(const struct Work *work, const struct Rule *rule)
{
	return streq(rule->file, work->path);
}

/* A name that no rule of ours has: the next number. */
static unsigned next_number(const struct Work *work)
{
	unsigned long highest = 0;

	for (size_t i = 0; i < policy_n_rules(work->policy); i++) {
		const struct Rule *rule = policy_rule(work->policy, i);
		const char *digits = is_ours(work, rule) && rule->name
					     ? startswith(rule->name, PERMANENT_RULE)
					     : NULL;
		unsigned long number = digits ? strtoul(digits, NULL, 10) : 0;

		if (number > highest && number < UINT32_MAX)
			highest = number;
	}
	return (unsigned)highest + 1;
}

static void write_reason(FILE *file, const struct Work *work)
{
	_cleanup_free_ char *name = device_name(work->device), *reason = NULL;
	char day[sizeof("2026-11-30")] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm))
		(void)strftime(day, sizeof(day), "%F", &tm);
	if (!name || asprintf(&reason, "%s, by hand on %s", name, day) < 0)
		return;
	(void)fputs("    reason: ", file);
	yaml_write_text(file, reason);
	(void)fputc('\n', file);
}

/* Our file with a rule for the device, of which @max devices may have it (0: any number), before
 * those of the others that are not about this one. */
static int write_text(struct Work *work, unsigned max)
{
	static const struct Moment any = {0};
	_cleanup_free_ char *rule = rule_text(work->device, work->wish->action, work->driver);
	FILE *file;

	free(TAKE_PTR(work->text));
	file = rule ? open_memstream(&work->text, &work->size) : NULL;
	if (!file)
		return out_of_memory(work);
	(void)fprintf(file, "%s  - name: " PERMANENT_RULE "%u\n%s", head, next_number(work), rule);
	if (max > 0)
		(void)fprintf(file, "    count: { max: %u, over: deny }\n", max);
	write_reason(file, work);
	for (size_t i = 0; i < policy_n_rules(work->policy); i++) {
		const struct Rule *other = policy_rule(work->policy, i);

		if (is_ours(work, other) && !rule_matches(other, work->device, &any, NULL))
			policy_write_rule(file, other);
	}
	if (fclose(file) != 0)
		return out_of_memory(work);
	if (work->size > PARSE_SIZE_MAX)
		return refuse(work, -EFBIG, "%s: would be too large", work->path);
	return 0;
}

static int load_wanted(struct Work *work, struct Policy **ret)
{
	int r = policy_load_with(work->root, PERMANENT_FILE, work->text, work->size, ret);

	return r < 0 ? refuse(work, r, "the policy would not be accepted with it") : 0;
}

/* How many devices the first rule of ours in @policy is for: this one, and those like it that the
 * policy allows as well. */
static unsigned count_alike(const struct Work *work, const struct Policy *policy)
{
	static const struct Moment any = {0};
	const struct Rule *rule = NULL;
	unsigned n = 1;

	for (size_t i = 0; !rule && i < policy_n_rules(policy); i++)
		if (is_ours(work, policy_rule(policy, i)))
			rule = policy_rule(policy, i);
	for (size_t i = 0; rule && i < work->inventory.n; i++)
		n += work->inventory.devices[i] != work->device &&
		     work->before[i].action == ACTION_ALLOW &&
		     rule_matches(rule, work->inventory.devices[i], &any, NULL);
	return n;
}

/* Of what is allowed no more than is there now: a host can plug more of the same. */
static int write_rules(struct Work *work)
{
	_cleanup_policy_ struct Policy *unlimited = NULL;
	int r = write_text(work, 0);

	if (r < 0 || work->wish->action != ACTION_ALLOW)
		return r;
	r = load_wanted(work, &unlimited);
	return r < 0 ? r : write_text(work, count_alike(work, unlimited));
}

/* --- what would come of it --- */

static int check_device(struct Work *work, const struct Decision *decision)
{
	_cleanup_free_ char *source = NULL;

	if (decision->rule && is_ours(work, decision->rule) &&
	    decision->action == work->wish->action)
		return 0;
	source = decision_source(decision, work->device->bus);
	if (decision->rule && is_ours(work, decision->rule))
		return refuse(work, -ENOTUNIQ,
			      "a device that came before it cannot be told from it, and would be "
			      "taken for it");
	return refuse(work, -EEXIST, "%s comes first and decides otherwise",
		      source ? source : "another rule");
}

/* Whether the device is refused for the sole reason that the one which is meant is there: it would
 * come in its place when that goes, or the next time, when it comes first. */
static bool is_next(const struct Work *work, const struct Decision *before,
		    const struct Decision *after)
{
	return after->by == DECIDED_BY_COUNT && is_ours(work, after->rule) &&
	       before->by != DECIDED_BY_COUNT;
}

static int check_other(struct Work *work, size_t i)
{
	const struct Decision *before = &work->before[i], *after = &work->after[i];
	_cleanup_free_ char *name = NULL;

	if (is_next(work, before, after)) {
		name = device_name(work->inventory.devices[i]);
		return refuse(work, -ENOTUNIQ,
			      "%s would come in its place, as the rule cannot tell it apart",
			      name ? name : "another device");
	}
	if (before->action == after->action && streq_or_null(before->driver, after->driver))
		return 0;
	name = device_name(work->inventory.devices[i]);
	return refuse(work, -ENOTUNIQ, "%s, too, would %s then, as the rule cannot tell it apart",
		      name ? name : "another device",
		      action_gives(after->action) ? "be authorized" : "be refused");
}

static int check_outcome(struct Work *work, const struct Policy *wanted)
{
	int r = decide_all(work, wanted, &work->after) < 0 ? out_of_memory(work) : 0;

	for (size_t i = 0; r == 0 && i < work->inventory.n; i++)
		r = work->inventory.devices[i] == work->device ? check_device(work, &work->after[i])
							       : check_other(work, i);
	return r;
}

static int check_vital(struct Work *work, const struct Policy *wanted)
{
	int n = work->wish->action == ACTION_ALLOW ? 0 : policy_check_vital_here(wanted, VITAL_ALL);

	if (n < 0)
		return refuse(work, n, "cannot tell whether the machine runs on it");
	return n > 0 ? refuse(work, -EBUSY,
			      "the machine would not come up again without what is behind it")
		     : 0;
}

/* --- the file --- */

static int set(struct Work *work)
{
	_cleanup_policy_ struct Policy *wanted = NULL;
	int r = open_place(work);

	if (r == 0 && policy_load_from_root(work->root, &work->policy) < 0)
		r = refuse(work, -EBADMSG,
			   "the policy as it is installed is refused: mend it first");
	if (r == 0)
		r = read_devices(work);
	if (r < 0)
		return r;
	choose_driver(work);
	r = write_rules(work);
	if (r == 0)
		r = load_wanted(work, &wanted);
	if (r == 0)
		r = check_outcome(work, wanted);
	if (r == 0)
		r = check_vital(work, wanted);
	if (r == 0) /* all that may have lasted for as long as a host liked */
		r = check_freeze(work);
	if (r < 0)
		return r;
	r = replace_file_at(work->dirfd, PERMANENT_FILE, work->text, work->size);
	return r < 0 ? refuse(work, r, "%s: %s", work->path, strerror(-r)) : 0;
}

static int set_and_tell(FILE *out, void *userdata)
{
	const struct PermanentWish *wish = userdata;
	_cleanup_(work_done) struct Work work = {.wish = wish,
						 .out = out,
						 .root = wish->root ? wish->root : "",
						 .lockfd = -1,
						 .dirfd = -1};

	return set(&work);
}

int permanent_set(const struct PermanentWish *wish, char **ret_problem)
{
	int r = task_run(set_and_tell, (void *)wish, TASK_DEADLINE_USEC, ret_problem);

	if (r < 0 && isempty(*ret_problem)) {
		free(*ret_problem);
		*ret_problem =
			strdup(r == -ETIME ? "a device keeps who looks waiting" : strerror(-r));
	}
	return r < 0 ? r : 0;
}

int permanent_start(sd_event *event, const struct PermanentWish *wish, task_done_t done,
		    void *userdata, struct Task **ret)
{
	return task_start(event, set_and_tell, (void *)wish, TASK_DEADLINE_USEC, done, userdata,
			  ret);
}
