/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-list.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "root-open.h"
#include "string-list.h"

#define FILE_SIZE_MAX ((off_t)64 * 1024 * 1024) /* Debian's largest is one of 8 MiB */

/* --- names --- */

/* What is called @path without directories and without .ko and what compression adds to it. */
static char *name_of_path(const char *path)
{
	const char *base = strrchr(path, '/');
	char *name;

	base = base ? base + 1 : path;
	name = strndup(base, strcspn(base, "."));
	if (name)
		module_name_normalize(name);
	return name;
}

static int compare_modules(const void *a, const void *b)
{
	return strcmp(((const struct Module *)a)->name, ((const struct Module *)b)->name);
}

const struct Module *module_list_find(const struct ModuleList *list, const char *name)
{
	_cleanup_free_ char *normal = strdup(name);
	struct Module key = {.name = normal};

	if (!normal || list->n == 0)
		return NULL;
	module_name_normalize(normal);
	return bsearch(&key, list->modules, list->n, sizeof(key), compare_modules);
}

size_t module_number(const struct ModuleList *list, const struct Module *module)
{
	return (size_t)(module - list->modules);
}

static void module_done(struct Module *module)
{
	strings_done(&module->initcalls);
	free(module->needs);
	free(module->path);
	free(module->name);
}

/* --- files --- */

typedef int (*on_line_t)(char *line, void *userdata);

/* Calls @on_line with each line of @file, until one returns an error. */
static int read_stream(FILE *file, on_line_t on_line, void *userdata)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		r = on_line(line, userdata);
	}
	return r == 0 && ferror(file) ? -EIO : r;
}

/* The same for a file below @root. */
static int read_lines(const char *root, const char *path, on_line_t on_line, void *userdata)
{
	_cleanup_close_ int fd = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	_cleanup_fclose_ FILE *file = NULL;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) /* what has no end, or keeps who reads it waiting */
		return -EBADMSG;
	if (st.st_size > FILE_SIZE_MAX)
		return -EFBIG;
	file = fdopen(fd, "r");
	if (!file)
		return -errno;
	(void)take_fd(&fd); /* the stream's */
	return read_stream(file, on_line, userdata);
}

static int read_lines_of(const struct ModuleList *list, const char *name, on_line_t on_line,
			 void *userdata)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", list->directory, name) < 0)
		return -ENOMEM;
	return read_lines(list->root, path, on_line, userdata);
}

/* --- modules --- */

struct Found {
	struct Vector modules; /* of struct Module */
	struct Vector lines;   /* of strings, owned: what each needs, as paths */
};

static int add_module(struct Found *found, const char *path, const char *needs, bool is_builtin)
{
	struct Module module = {
		.name = name_of_path(path), .path = strdup(path), .is_builtin = is_builtin};

	if (module.name && module.path && strings_take(&found->lines, strdup(needs)) == 0) {
		if (vector_add(&found->modules, &module, sizeof(module)) == 0)
			return 0;
		free(((char **)found->lines.data)[--found->lines.n]);
	}
	module_done(&module);
	return -ENOMEM;
}

/* PATH: PATH... */
static int on_dep(char *line, void *userdata)
{
	char *needs = strchr(line, ':');

	if (!needs)
		return -EBADMSG;
	*needs++ = '\0';
	return add_module(userdata, line, needs, false);
}

static int on_builtin(char *line, void *userdata)
{
	return *line ? add_module(userdata, line, "", true) : 0;
}

struct Named {
	struct Module module;
	char *needs;
};

static int compare_named(const void *a, const void *b)
{
	const struct Named *x = a, *y = b;
	int by_name = compare_modules(&x->module, &y->module);

	/* what can be loaded in front of what is built in */
	return by_name ? by_name : (int)x->module.is_builtin - (int)y->module.is_builtin;
}

static int resolve_needs(struct ModuleList *list, struct Module *module, char *needs)
{
	for (char *word = strtok(needs, " "); word; word = strtok(NULL, " ")) {
		_cleanup_free_ char *name = name_of_path(word);
		const struct Module *other = name ? module_list_find(list, name) : NULL;
		uint32_t *more;

		if (!name)
			return -ENOMEM;
		if (!other)
			return -EBADMSG;
		more = reallocarray(module->needs, module->n_needs + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		module->needs = more;
		module->needs[module->n_needs++] = (uint32_t)module_number(list, other);
	}
	return 0;
}

/* Takes over what was found, each name once. */
static int take_found(struct ModuleList *list, struct Found *found)
{
	size_t n = found->modules.n;
	_cleanup_free_ struct Named *all = calloc(n + 1, sizeof(*all));
	const char *last = NULL;
	int r = 0;

	list->modules = calloc(n + 1, sizeof(*list->modules));
	if (!all || !list->modules)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		all[i] = (struct Named){((struct Module *)found->modules.data)[i],
					((char **)found->lines.data)[i]};
	found->modules.n = found->lines.n = 0;
	qsort(all, n, sizeof(*all), compare_named);
	for (size_t i = 0; i < n; i++) {
		if (last && streq(last, all[i].module.name)) {
			module_done(&all[i].module);
			free(all[i].needs);
			continue;
		}
		last = all[i].module.name;
		all[list->n].needs = all[i].needs;
		list->modules[list->n++] = all[i].module;
	}
	for (size_t i = 0; i < list->n; i++) {
		if (r == 0)
			r = resolve_needs(list, &list->modules[i], all[i].needs);
		free(all[i].needs);
	}
	return r;
}

static void found_done(struct Found *found)
{
	for (size_t i = 0; i < found->modules.n; i++)
		module_done((struct Module *)found->modules.data + i);
	vector_done(&found->modules);
	strings_done(&found->lines);
}

/* Those of devices are "BUS:...". So are some that the guest alone asks by. */
static bool is_of_devices(const char *alias)
{
	static const char *const others[] = {"cpu:", "devname:", "ip_set_"};

	for (size_t i = 0; i < ELEMENTSOF(others); i++)
		if (startswith(alias, others[i]))
			return false;
	return strchr(alias, ':');
}

/* alias GLOB NAME */
static int on_alias(char *line, void *userdata)
{
	const char *alias = startswith(line, "alias ");
	char *name = strrchr(line, ' ');
	struct Module *module;

	if (!alias || name < alias)
		return 0;
	*name++ = '\0';
	module = (struct Module *)module_list_find(userdata, name);
	if (module && is_of_devices(alias))
		module->is_for_devices = true;
	return 0;
}

static int read_modules(struct ModuleList *list)
{
	_cleanup_(found_done) struct Found found = {0};
	int r = read_lines_of(list, "modules.dep", on_dep, &found);

	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	r = read_lines_of(list, "modules.builtin", on_builtin, &found);
	if (r == 0 || r == -ENOENT)
		r = take_found(list, &found);
	if (r == 0)
		r = read_lines_of(list, "modules.alias", on_alias, list);
	return r == -ENOENT ? -ENODATA : r;
}

/* --- init functions --- */

/* What is behind "__COUNTER_LINE_" at @s; NULL where that is not there. */
static const char *skip_place(const char *s)
{
	s += 2;
	for (int i = 0; i < 2; i++) {
		size_t n = strspn(s, "0123456789");

		if (n == 0 || s[n] != '_')
			return NULL;
		s += n + 1;
	}
	return s;
}

/* What initcall_blacklist= calls the function of such a symbol, and the module it is of: the kernel
 * builds __initcall__kmod_MODULE__COUNTER_LINE_FUNCTIONLEVEL of them, LEVEL being a digit, with an
 * s where it waits, or a word for what is of no module (include/linux/init.h: __initcall_id()).
 * Returns 0, -EINVAL, or -ENOMEM. */
static int parse_initcall(const char *symbol, char **ret_module, char **ret_function)
{
	const char *module = startswith(symbol, "__initcall__kmod_"), *end = module,
		   *function = NULL;
	size_t n;

	while (end && !function) {
		end = strstr(end, "__");
		function = end ? skip_place(end) : NULL;
		end = end && !function ? end + 1 : end;
	}
	if (!function)
		return -EINVAL;
	n = strlen(function);
	if (n > 0 && function[n - 1] == 's')
		n--;
	if (n < 2 || !isdigit((unsigned char)function[n - 1]))
		return -EINVAL;
	*ret_module = strndup(module, (size_t)(end - module));
	*ret_function = strndup(function, n - 1);
	return *ret_module && *ret_function ? 0 : -ENOMEM;
}

/* ADDRESS TYPE SYMBOL */
static int on_symbol(char *line, void *userdata)
{
	struct ModuleList *list = userdata;
	_cleanup_free_ char *module = NULL, *function = NULL;
	struct Module *found;
	char *symbol = strstr(line, " __initcall__kmod_");
	int r;

	if (!symbol)
		return 0;
	symbol++;
	symbol[strcspn(symbol, " \t")] = '\0';
	r = parse_initcall(symbol, &module, &function);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	list->has_initcalls = true;
	found = (struct Module *)module_list_find(list, module);
	if (!found || !found->is_builtin)
		return 0;
	return strings_take(&found->initcalls, TAKE_PTR(function));
}

static int read_kallsyms(struct ModuleList *list)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/kallsyms", "re");

	return file ? read_stream(file, on_symbol, list) : -errno;
}

/* The symbols of that kernel, where somebody left them. */
static int read_initcalls(struct ModuleList *list, const char *root, bool is_running)
{
	static const char *const places[] = {"/boot/System.map-%s", "/lib/modules/%s/System.map",
					     "/usr/lib/debug/boot/System.map-%s"};

	if (is_running) {
		int r = read_kallsyms(list);

		if (r == -ENOMEM || list->has_initcalls)
			return r;
	}
	for (size_t i = 0; i < ELEMENTSOF(places) && !list->has_initcalls; i++) {
		_cleanup_free_ char *path = NULL;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (asprintf(&path, places[i], list->version) < 0 ||
		    read_lines(root, path, on_symbol, list) == -ENOMEM)
			return -ENOMEM;
#pragma GCC diagnostic pop
	}
	return 0;
}

/* --- the kernel --- */

static int compare_versions(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	int by_version = strverscmp(x, y);

	return by_version ? by_version : strcmp(x, y);
}

static bool has(const char *root, const char *version, const char *name)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "/lib/modules/%s/%s", version, name) < 0) {
		path = NULL;
		return false;
	}
	fd = root_open(root, path, O_PATH);
	return fd >= 0;
}

/* Where depmod(8) looks for modules, for a start: Documentation/kbuild/modules.rst. */
static bool has_modules(const char *root, const char *version)
{
	return has(root, version, "kernel") || has(root, version, "updates") ||
	       has(root, version, "extra");
}

/* Returns 0, -ENODATA where nothing is found by that name, or -ENOMEM. */
static int add_version(const char *root, const char *name, struct Vector *versions,
		       struct Vector *incomplete)
{
	int r = 0;

	if (has(root, name, "modules.dep"))
		return strings_add(versions, "%s", name);
	if (incomplete && has_modules(root, name))
		r = strings_add(incomplete, "%s", name);
	return r < 0 ? r : -ENODATA;
}

static void sort_versions(struct Vector *versions)
{
	if (versions->n > 0)
		qsort(versions->data, versions->n, sizeof(char *), compare_versions);
}

int module_list_versions(const char *root, struct Vector *versions, struct Vector *incomplete)
{
	_cleanup_close_ int fd = root_open(root, "/lib/modules", O_RDONLY | O_DIRECTORY);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int none = -ENOENT;

	if (!dir)
		return fd < 0 ? fd : -errno;
	(void)take_fd(&fd);
	while ((entry = readdir(dir))) {
		int r = entry->d_name[0] != '.'
				? add_version(root, entry->d_name, versions, incomplete)
				: 0;

		if (r == -ENOMEM)
			return r;
		if (r < 0)
			none = r;
	}
	if (incomplete)
		sort_versions(incomplete);
	sort_versions(versions);
	return versions->n > 0 ? 0 : none;
}

static bool is_running(const char *root, const char *version)
{
	struct utsname running;

	return !root && uname(&running) == 0 && streq(running.release, version);
}

int module_list_read(const char *root, const char *version, struct ModuleList *ret)
{
	_cleanup_close_ int fd = -1;
	int r;

	*ret = (struct ModuleList){0};
	ret->version = strdup(version);
	if (!ret->version)
		return -ENOMEM;
	if (strchr(ret->version, '/') || ret->version[0] == '.')
		return -ENOENT;
	ret->root = root;
	if (asprintf(&ret->directory, "/lib/modules/%s", ret->version) < 0) {
		ret->directory = NULL;
		return -ENOMEM;
	}
	fd = root_open(root, ret->directory, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fd;
	r = read_modules(ret);
	return r < 0 ? r : read_initcalls(ret, root, is_running(root, ret->version));
}

void module_list_done(struct ModuleList *list)
{
	for (size_t i = 0; i < list->n; i++)
		module_done(&list->modules[i]);
	free(list->modules);
	free(list->directory);
	free(list->version);
}
