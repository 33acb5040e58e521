/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-files.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "escape.h"
#include "io.h"
#include "log.h"
#include "names.h"
#include "policy-index.h"
#include "policy-parse.h"
#include "trusted-open.h"

static const char *const policy_dirs[] = {POLICY_DIR_VENDOR, POLICY_DIR_RUNTIME, POLICY_DIR_OWNER};

static void (*on_refusal)(const struct PolicyRefusal *refusal, void *userdata);
static void *on_refusal_userdata;

void policy_on_refusal(void (*callback)(const struct PolicyRefusal *refusal, void *userdata),
		       void *userdata)
{
	on_refusal = callback;
	on_refusal_userdata = userdata;
}

static void log_refusal(const struct PolicyRefusal *refusal)
{
	_cleanup_free_ char *file = escape_text(refusal->file),
			    *message = escape_text(refusal->message);
	char place[32] = "";

	if (refusal->line > 0)
		(void)snprintf(place, sizeof(place), ":%u:%u", refusal->line, refusal->column);
	log_record(LOG_ERR, MESSAGE_ID_POLICY_REFUSED, NULL, 0, "policy refused: %s%s%s%s",
		   file ? file : "", place, refusal->file ? ": " : "",
		   message ? message : "out of memory");
	if (on_refusal)
		on_refusal(refusal, on_refusal_userdata);
}

_printf_(2, 3) static int refuse(int error, const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	va_end(ap);
	log_refusal(&(struct PolicyRefusal){.message = message ? message : "out of memory"});
	return error;
}

/* What the parser found. */
static void refuse_for(const struct ParseErrors *errors, const char *root, const char *file)
{
	_cleanup_free_ char *path = NULL, *total = NULL;

	if (asprintf(&path, "%s%s", root ? root : "", file) < 0)
		path = NULL;
	for (size_t i = 0; i < errors->n && i < PARSE_ERRORS_MAX; i++)
		log_refusal(&(struct PolicyRefusal){path, errors->items[i].line,
						    errors->items[i].column,
						    errors->items[i].message});
	if (errors->n <= PARSE_ERRORS_MAX)
		return;
	if (asprintf(&total, "%zu errors in all", errors->n) < 0)
		total = NULL;
	log_refusal(&(struct PolicyRefusal){.file = path, .message = total ? total : "more"});
}

/* Opens what may be trusted; says why where it may not. */
static int open_trusted(const char *root, const char *path, int flags)
{
	_cleanup_free_ char *problem = NULL;
	int fd = trusted_open(root, path, flags, &problem);

	return fd < 0 ? refuse(fd, "%s", problem ? problem : strerror(-fd)) : fd;
}

/* Reads all of @fd, up to one byte more than @max, so that the parser sees that it is too much. */
static int read_whole(int fd, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = malloc(max + 1);
	ssize_t n = text ? read_full(fd, text, max + 1) : -ENOMEM;

	if (n < 0)
		return (int)n;
	*ret = TAKE_PTR(text);
	*ret_size = (size_t)n;
	return 0;
}

/* Opens @file and reads it if it may be trusted. A device or a pipe is never read. */
static int read_file(const char *root, const char *file, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = open_trusted(root, file, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return refuse(-errno, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(-EINVAL, "%s: not a regular file", file);
	r = read_whole(fd, max, ret, ret_size);
	return r < 0 ? refuse(r, "%s: %s", file, strerror(-r)) : 0;
}

static int parse_text(struct Policy *policy, const char *root, const char *file, const char *text,
		      size_t size)
{
	_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
	int r = policy_parse(policy, file, text, size, &errors);

	refuse_for(&errors, root, file);
	if (r == -EBADMSG)
		return r;
	return r < 0 ? refuse(r, "%s: %s", file, strerror(-r)) : 0;
}

static int load_file(struct Policy *policy, const char *root, const char *file)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = read_file(root, file, policy->size_max, &text, &size);

	return r < 0 ? r : parse_text(policy, root, file, text, size);
}

static int load_standard_input(struct Policy *policy)
{
	static const char name[] = "<stdin>";
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = read_whole(STDIN_FILENO, policy->size_max, &text, &size);

	return r < 0 ? refuse(r, "%s: %s", name, strerror(-r))
		     : parse_text(policy, NULL, name, text, size);
}

/* --- drop-ins --- */

struct DropIn {
	char *name;
	char *dir;
};

struct DropIns {
	struct DropIn *items;
	size_t n;
};

static void drop_in_done(struct DropIn *item)
{
	free(item->name);
	free(item->dir);
}

static void drop_ins_done(struct DropIns *list)
{
	for (size_t i = 0; i < list->n; i++)
		drop_in_done(&list->items[i]);
	free(list->items);
}

/* A name that is there already is taken over by the later directory. */
static int add_drop_in(struct DropIns *list, const char *dir, const char *name)
{
	struct DropIn item = {strdup(name), strdup(dir)};
	struct DropIn *items = NULL;

	if (item.name && item.dir)
		items = reallocarray(list->items, list->n + 1, sizeof(*items));
	if (!items) {
		drop_in_done(&item);
		return -ENOMEM;
	}
	list->items = items;
	for (size_t i = 0; i < list->n; i++)
		if (streq(items[i].name, name)) {
			drop_in_done(&items[i]);
			items[i] = item;
			return 0;
		}
	items[list->n++] = item;
	return 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), length = strlen(suffix);

	return name[0] != '.' && n > length && streq(name + n - length, suffix);
}

static bool is_policy_name(const char *name)
{
	return has_suffix(name, POLICY_SUFFIX);
}

static void warn_ignored(const char *root, const char *dir, const char *name)
{
	_cleanup_free_ char *path = NULL, *safe = NULL;

	if (asprintf(&path, "%s%s/%s", root ? root : "", dir, name) < 0)
		path = NULL;
	safe = path ? escape_text(path) : NULL;
	log_warning("%s: ignored, as its name does not end with " POLICY_SUFFIX, safe ? safe : "?");
}

/* Returns NULL with *ret_error 0 where there is no such directory. */
static DIR *open_dir(const char *root, const char *path, int *ret_error)
{
	_cleanup_free_ char *problem = NULL;
	_cleanup_close_ int fd = trusted_open(root, path, O_RDONLY | O_DIRECTORY, &problem);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	*ret_error = 0;
	if (dir)
		(void)take_fd(&fd);
	else if (fd != -ENOENT)
		*ret_error = refuse(fd < 0 ? fd : -errno, "%s", problem ? problem : path);
	return dir;
}

static int scan_dir(struct DropIns *list, const char *root, const char *path)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int r;

	dir = open_dir(root, path, &r);
	while (dir) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? refuse(-errno, "%s: %s", path, strerror(errno)) : 0;
		if (is_policy_name(entry->d_name)) {
			r = add_drop_in(list, path, entry->d_name);
			if (r < 0)
				return refuse(r, "%s: %s", path, strerror(-r));
		} else if (has_suffix(entry->d_name, ".yml")) {
			warn_ignored(root, path, entry->d_name);
		}
	}
	return r;
}

static int compare_drop_ins(const void *a, const void *b)
{
	return strcmp(((const struct DropIn *)a)->name, ((const struct DropIn *)b)->name);
}

/* Whether the drop-in is a link to /dev/null: how an owner takes a shipped file away. */
static bool is_masked(const char *root, const struct DropIn *item)
{
	_cleanup_free_ char *problem = NULL;
	_cleanup_close_ int dir = trusted_open(root, item->dir, O_PATH | O_DIRECTORY, &problem);
	char target[sizeof("/dev/null")];
	ssize_t n = dir < 0 ? -1 : readlinkat(dir, item->name, target, sizeof(target));

	return n == (ssize_t)strlen("/dev/null") && memcmp(target, "/dev/null", (size_t)n) == 0;
}

/* A file of the owner's that is not written yet. */
struct Supposed {
	const char *name, *text;
	size_t size;
};

/* Which drop-ins are meant. */
struct Choice {
	const char *root;		 /* NULL: the running system's */
	const struct Supposed *supposed; /* NULL: only those that are there */
	bool lasting;			 /* not those of this boot */
};

static int find_drop_ins(const struct Choice *choice, struct DropIns *list)
{
	const struct Supposed *supposed = choice->supposed;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ELEMENTSOF(policy_dirs); i++)
		if (!choice->lasting || !streq(policy_dirs[i], POLICY_DIR_RUNTIME))
			r = scan_dir(list, choice->root, policy_dirs[i]);
	if (r < 0 || !supposed)
		return r;
	r = add_drop_in(list, POLICY_DIR_OWNER, supposed->name);
	return r < 0 ? refuse(r, "%s", strerror(-r)) : 0;
}

/* All files are read, whatever is wrong with one, so that one run finds all errors. */
static int load_drop_ins(struct Policy *policy, const struct Choice *choice)
{
	_cleanup_(drop_ins_done) struct DropIns list = {0};
	const struct Supposed *supposed = choice->supposed;
	const char *root = choice->root;
	int r = find_drop_ins(choice, &list);

	if (r < 0)
		return r;
	if (list.n > 0)
		qsort(list.items, list.n, sizeof(*list.items), compare_drop_ins);
	for (size_t i = 0; i < list.n; i++) {
		_cleanup_free_ char *file = NULL;
		int loaded;

		if (asprintf(&file, "%s/%s", list.items[i].dir, list.items[i].name) < 0)
			return refuse(-ENOMEM, "%s: out of memory", list.items[i].dir);
		if (supposed && streq(list.items[i].name, supposed->name))
			loaded = parse_text(policy, root, file, supposed->text, supposed->size);
		else if (is_masked(root, &list.items[i]))
			continue;
		else
			loaded = load_file(policy, root, file);
		if (r == 0)
			r = loaded;
	}
	return r;
}

/* Takes over @policy where @r is not negative; drops it else. */
static int complete(struct Policy *policy, int r, struct Policy **ret)
{
	if (r >= 0 && policy_index(policy) < 0)
		r = refuse(-ENOMEM, "out of memory");
	if (r < 0)
		policy_unref(policy);
	else
		*ret = policy;
	/* what reading took beside the policy: malloc(3) would keep megabytes of it for a daemon
	 * that never asks for so much again */
	(void)malloc_trim(0);
	return r < 0 ? r : 0;
}

int policy_load_files(char *const *files, struct Policy **ret)
{
	struct Policy *policy = policy_new();
	int r = 0;

	if (!policy)
		return refuse(-ENOMEM, "out of memory");
	for (; *files; files++) {
		int loaded = streq(*files, "-") ? load_standard_input(policy)
						: load_file(policy, NULL, *files);

		if (r == 0)
			r = loaded;
	}
	return complete(policy, r, ret);
}

/* Many files made it. */
#define IN_FORCE_SIZE_MAX ((size_t)64 * 1024 * 1024)

int policy_load_in_force(const char *file, struct Policy **ret)
{
	struct Policy *policy = policy_new();

	if (!policy)
		return refuse(-ENOMEM, "out of memory");
	policy->size_max = IN_FORCE_SIZE_MAX;
	return complete(policy, load_file(policy, NULL, file), ret);
}

static int load_chosen(const struct Choice *choice, struct Policy **ret)
{
	bool is_here = isempty(choice->root);
	_cleanup_close_ int fd =
		is_here ? -1 : open_trusted(NULL, choice->root, O_PATH | O_DIRECTORY);
	struct Policy *policy;

	/* a system without policy is not a system that is not there */
	if (!is_here && fd < 0)
		return fd;
	policy = policy_new();
	if (!policy)
		return refuse(-ENOMEM, "out of memory");
	return complete(policy, load_drop_ins(policy, choice), ret);
}

int policy_load_from_root(const char *root, struct Policy **ret)
{
	return load_chosen(&(struct Choice){.root = root}, ret);
}

int policy_load_lasting(struct Policy **ret)
{
	return load_chosen(&(struct Choice){.lasting = true}, ret);
}

int policy_load_with(const char *root, const char *name, const char *text, size_t size,
		     struct Policy **ret)
{
	const struct Supposed supposed = {name, text, size};

	return load_chosen(&(struct Choice){.root = root, .supposed = &supposed}, ret);
}

int policy_load(const char *file, struct Policy **ret)
{
	struct Policy *policy;

	if (!file)
		return policy_load_from_root("", ret);
	policy = policy_new();
	if (!policy)
		return refuse(-ENOMEM, "out of memory");
	return complete(policy, load_file(policy, NULL, file), ret);
}

int policy_load_text(const char *file, char **ret_text, size_t *ret_size, struct Policy **ret)
{
	_cleanup_free_ char *text = NULL;
	struct Policy *policy = policy_new();
	int r;

	if (!policy)
		return refuse(-ENOMEM, "out of memory");
	r = read_file(NULL, file, policy->size_max, &text, ret_size);
	if (r >= 0)
		r = parse_text(policy, NULL, file, text, *ret_size);
	r = complete(policy, r, ret);
	if (r >= 0)
		*ret_text = TAKE_PTR(text);
	return r;
}
