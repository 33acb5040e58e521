/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modprobe-config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "glob-match.h"
#include "io.h"
#include "names.h"
#include "root-open.h"
#include "string-list.h"

#define FILE_SIZE_MAX ((off_t)16 * 1024 * 1024)
#define BLANKS "\t "	     /* what libkmod parts words by */
#define SPACES " \t\n\v\f\r" /* and those of soft dependencies */

const char *const modprobe_directories[] = {
	"/etc/modprobe.d",     "/run/modprobe.d", "/usr/local/lib/modprobe.d",
	"/usr/lib/modprobe.d", "/lib/modprobe.d", NULL,
};

void module_name_normalize(char *name)
{
	bool in_bracket = false;

	for (; *name; name++) {
		if (*name == '[')
			in_bracket = true;
		else if (*name == ']')
			in_bracket = false;
		else if (*name == '-' && !in_bracket)
			*name = '_';
	}
}

/* --- lines --- */

/* One line and those that a backslash at its end adds to it. A backslash before any other character
 * vanishes, and what is behind a NUL does: so has it libkmod, whose strings end there. */
struct Reader {
	const char *text, *end;
	unsigned line; /* that is next, from 1 */
};

static bool next_line(struct Reader *reader, char *buffer, unsigned *ret_line)
{
	size_t n = 0;

	if (reader->text == reader->end)
		return false;
	*ret_line = reader->line;
	while (reader->text < reader->end) {
		char c = *reader->text++;

		if (c == '\n') {
			reader->line++;
			break;
		}
		if (c != '\\' || reader->text == reader->end) {
			buffer[n++] = c;
			continue;
		}
		c = *reader->text++;
		if (c == '\n')
			reader->line++;
		else
			buffer[n++] = c;
	}
	buffer[n] = '\0';
	return true;
}

/* Cuts the next word off *@pos and ends it there; NULL where there is none. */
static char *next_word(char **pos)
{
	char *word = *pos + strspn(*pos, BLANKS);
	size_t n = strcspn(word, BLANKS);

	if (n == 0)
		return NULL;
	*pos = word + n;
	if (**pos)
		*(*pos)++ = '\0';
	return word;
}

static void line_done(struct ModprobeLine *line)
{
	free(line->name);
	free(line->text);
}

static bool is_gate(const struct ModprobeLine *line)
{
	const char *rest = startswith(line->text, MODULE_GATE);

	return rest && (!*rest || *rest == ' ');
}

static bool is_ours(const struct ModprobeLine *line)
{
	const char *base = strrchr(line->file, '/');

	return streq(base ? base + 1 : line->file, MODULE_CONFIG_NAME) || is_gate(line);
}

static int add_line(struct ModprobeConfig *config, const struct ModprobeLine *like,
		    const char *name, const char *text)
{
	struct ModprobeLine line = *like;

	line.name = strdup(name);
	line.text = strdup(text);
	if (line.name && line.text) {
		module_name_normalize(line.name);
		line.is_ours = is_ours(&line);
		if (line.is_ours && config->without_ours) {
			line_done(&line);
			return 0;
		}
		if (vector_add(&config->lines, &line, sizeof(line)) == 0)
			return 0;
	}
	line_done(&line);
	return -ENOMEM;
}

/* Whether the @n bytes at @word say that what follows comes before, or after, the module. */
static bool is_side(const char *word, size_t n)
{
	return (n == 4 && memcmp(word, "pre:", 4) == 0) ||
	       (n == 5 && memcmp(word, "post:", 5) == 0);
}

/* What is in front of the first of these belongs to neither side: kmod_config_add_softdep(). */
static const char *softdep_begin(const char *text)
{
	for (;;) {
		size_t n;

		text += strspn(text, SPACES);
		n = strcspn(text, SPACES);
		if (n == 0 || is_side(text, n))
			return text;
		text += n;
	}
}

static int parse_line(struct ModprobeConfig *config, struct ModprobeLine *like, char *text)
{
	static const char *const words[_MODPROBE_COMMAND_MAX] = {"blacklist", "install", "softdep",
								 "alias"};
	const char *word, *name;
	char *module;

	if (*text == '#')
		return 0;
	word = next_word(&text);
	name = word ? next_word(&text) : NULL;
	if (!name)
		return 0;
	for (enum ModprobeCommand i = 0; i < _MODPROBE_COMMAND_MAX; i++) {
		if (!streq(word, words[i]))
			continue;
		like->command = i;
		if (i == MODPROBE_BLACKLIST)
			text += strlen(text);
		else if (!*text)
			return 0; /* libkmod ignores the line */
		if (i == MODPROBE_ALIAS) {
			module = next_word(&text);
			if (!module)
				return 0;
			module_name_normalize(module);
			return add_line(config, like, name, module);
		}
		return add_line(config, like, name,
				i == MODPROBE_SOFTDEP ? softdep_begin(text) : text);
	}
	return 0;
}

int modprobe_config_parse(struct ModprobeConfig *config, const char *name, const char *text,
			  size_t size)
{
	struct Reader reader = {text, text + size, 1};
	struct ModprobeLine like = {.file = strdup(name)};
	_cleanup_free_ char *buffer = malloc(size + 1);
	int r = 0;

	if (!buffer || !like.file ||
	    vector_add(&config->files, &like.file, sizeof(like.file)) < 0) {
		free((char *)like.file);
		return -ENOMEM;
	}
	while (r == 0 && next_line(&reader, buffer, &like.line))
		r = parse_line(config, &like, buffer);
	return r;
}

/* --- files --- */

static int add_file(struct ModprobeConfig *config, const char *root, const char *path)
{
	_cleanup_close_ int fd = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) /* a link to /dev/null masks a name */
		return 0;
	if (st.st_size > FILE_SIZE_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = read_full(fd, text, (size_t)st.st_size);
	return n < 0 ? (int)n : modprobe_config_parse(config, path, text, (size_t)n);
}

struct File {
	char *path;	  /* as it is called below the root */
	const char *name; /* by which it is in order */
};

static bool is_config_name(const char *name)
{
	size_t n = strlen(name);

	return name[0] != '.' && n > strlen(".conf") && streq(name + n - strlen(".conf"), ".conf");
}

static bool has_name(const struct Vector *files, const char *name)
{
	const struct File *all = files->data;

	for (size_t i = 0; i < files->n; i++)
		if (streq(all[i].name, name))
			return true;
	return false;
}

static int add_name(struct Vector *files, const char *directory, const char *name)
{
	struct File file = {0};

	if (!is_config_name(name) || has_name(files, name))
		return 0;
	if (asprintf(&file.path, "%s/%s", directory, name) < 0)
		return -ENOMEM;
	file.name = file.path + strlen(directory) + 1;
	if (vector_add(files, &file, sizeof(file)) == 0)
		return 0;
	free(file.path);
	return -ENOMEM;
}

static int list_directory(const char *root, const char *directory, struct Vector *files)
{
	_cleanup_close_ int fd = root_open(root, directory, O_RDONLY | O_DIRECTORY);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (dir)
		(void)take_fd(&fd);
	while (r == 0 && dir && (entry = readdir(dir)))
		r = add_name(files, directory, entry->d_name);
	return r;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct File *)a)->name, ((const struct File *)b)->name);
}

static int read_files(struct ModprobeConfig *config, const char *root, const struct Vector *files)
{
	const struct File *all = files->data;

	for (size_t i = 0; i < files->n; i++)
		if (add_file(config, root, all[i].path) == -ENOMEM)
			return -ENOMEM;
	return 0;
}

/* libkmod has it among the others, by its name: kmod_new(). */
static int add_softdeps(const char *kernel, struct Vector *files)
{
	struct File file = {0};

	if (!kernel)
		return 0;
	if (asprintf(&file.path, "%s/modules.softdep", kernel) < 0)
		return -ENOMEM;
	file.name = file.path + strlen(kernel) + 1;
	if (vector_add(files, &file, sizeof(file)) == 0)
		return 0;
	free(file.path);
	return -ENOMEM;
}

int modprobe_config_read(const char *root, const char *kernel, struct ModprobeConfig *config)
{
	_cleanup_vector_ struct Vector files = {0};
	int r = 0;

	for (const char *const *directory = modprobe_directories; r == 0 && *directory; directory++)
		r = list_directory(root, *directory, &files);
	if (r == 0)
		r = add_softdeps(kernel, &files);
	if (files.n > 0)
		qsort(files.data, files.n, sizeof(struct File), compare_files);
	if (r == 0)
		r = read_files(config, root, &files);
	for (size_t i = 0; i < files.n; i++)
		free(((struct File *)files.data)[i].path);
	return r;
}

/* Cuts the next word off *@pos, without the quotes that keep blanks in it; NULL at the end. */
static char *next_parameter(char **pos)
{
	char *word = *pos + strspn(*pos, " \t\n"), *to = word, *p = word;
	bool is_quoted = false;

	if (!*word)
		return NULL;
	for (; *p && (is_quoted || !strchr(" \t\n", *p)); p++) {
		if (*p == '"')
			is_quoted = !is_quoted;
		else
			*to++ = *p;
	}
	*pos = *p ? p + 1 : p;
	*to = '\0';
	return word;
}

/* libkmod does not take "-" for "_" here; who wrote it meant the module all the same. */
static int add_blacklisted(struct ModprobeConfig *config, const struct ModprobeLine *like,
			   const char *names)
{
	_cleanup_free_ char *copy = strdup(names);
	char *rest = copy, *name;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && (name = strsep(&rest, ",")))
		if (*name)
			r = add_line(config, like, name, "");
	return r;
}

/* The daemon's own unit hides all of /proc but processes, and hands it on. */
static FILE *open_cmdline(const char *root, const char *name)
{
	const char *credentials = isempty(root) ? secure_getenv("CREDENTIALS_DIRECTORY") : NULL;
	_cleanup_free_ char *path = NULL;
	FILE *file = NULL;

	if (credentials && asprintf(&path, "%s/" CREDENTIAL_CMDLINE, credentials) >= 0)
		file = fopen(path, "re");
	if (file)
		return file;
	free(path);
	if (asprintf(&path, "%s%s", root ? root : "", name) < 0) {
		path = NULL;
		return NULL;
	}
	return fopen(path, "re");
}

int modprobe_config_read_cmdline(const char *root, struct ModprobeConfig *config)
{
	static const char name[] = "/proc/cmdline";
	struct ModprobeLine like = {.command = MODPROBE_BLACKLIST, .line = 1};
	_cleanup_free_ char *text = NULL, *file_name = NULL;
	_cleanup_fclose_ FILE *file = open_cmdline(root, name);
	char *pos, *word;
	size_t size = 0;
	int r = 0;

	if (!file || getline(&text, &size, file) <= 0)
		return 0;
	file_name = strdup(name);
	if (!file_name || vector_add(&config->files, &file_name, sizeof(file_name)) < 0)
		return -ENOMEM;
	like.file = TAKE_PTR(file_name);
	pos = text;
	while (r == 0 && (word = next_parameter(&pos))) {
		const char *names = startswith(word, "modprobe.blacklist=");

		if (names)
			r = add_blacklisted(config, &like, names);
	}
	return r;
}

void modprobe_config_done(struct ModprobeConfig *config)
{
	struct ModprobeLine *lines = config->lines.data;

	for (size_t i = 0; i < config->lines.n; i++)
		line_done(&lines[i]);
	vector_done(&config->lines);
	strings_done(&config->files);
}

/* --- what they say --- */

/* Whether the shell that is given @command surely loads no module: what people write there, in the
 * place of a module, to be rid of it. */
static bool loads_nothing(const char *command)
{
	static const char *const words[] = {"true", "false",  ":",	"exit",
					    "echo", "logger", "printf", "nologin"};
	size_t n;

	if (strstr(command, "modprobe") || strstr(command, "insmod"))
		return false;
	command += strspn(command, BLANKS);
	n = strcspn(command, BLANKS ";&|");
	while (memchr(command, '/', n)) {
		size_t head = strcspn(command, "/") + 1;

		command += head;
		n -= head;
	}
	for (size_t i = 0; i < ELEMENTSOF(words); i++)
		if (strlen(words[i]) == n && memcmp(words[i], command, n) == 0)
			return true;
	return false;
}

const struct ModprobeLine *modprobe_config_refusal(const struct ModprobeConfig *config,
						   const char *module)
{
	const struct ModprobeLine *lines = config->lines.data;
	bool has_command = false;

	for (size_t i = 0; i < config->lines.n; i++) {
		const struct ModprobeLine *line = &lines[i];

		if (line->command == MODPROBE_BLACKLIST && streq(line->name, module))
			return line;
		if (line->command != MODPROBE_INSTALL || has_command || line->is_ours ||
		    !glob_match(line->name, module))
			continue;
		if (loads_nothing(line->text))
			return line;
		has_command = true; /* the first decides */
	}
	return NULL;
}

const struct ModprobeLine *modprobe_config_softdep(const struct ModprobeConfig *config,
						   const char *module)
{
	const struct ModprobeLine *lines = config->lines.data;

	for (size_t i = 0; i < config->lines.n; i++)
		if (lines[i].command == MODPROBE_SOFTDEP && !lines[i].is_ours &&
		    glob_match(lines[i].name, module))
			return &lines[i];
	return NULL;
}

static const struct ModprobeLine *find_first(const struct ModprobeConfig *config,
					     enum ModprobeCommand command, const char *module)
{
	const struct ModprobeLine *lines = config->lines.data;

	for (size_t i = 0; i < config->lines.n; i++)
		if (lines[i].command == command && glob_match(lines[i].name, module))
			return &lines[i];
	return NULL;
}

const struct ModprobeLine *modprobe_config_bar(const struct ModprobeConfig *config,
					       const char *module,
					       const struct ModprobeLine **ret_instead)
{
	const struct ModprobeLine *softdep = find_first(config, MODPROBE_SOFTDEP, module),
				  *install = find_first(config, MODPROBE_INSTALL, module);
	const char *pos = softdep ? softdep->text : "";
	bool after;
	size_t len;

	*ret_instead = softdep_next(&pos, &len, &after) ? softdep : NULL;
	if (*ret_instead || !install)
		return NULL;
	if (is_gate(install) || loads_nothing(install->text))
		return install;
	*ret_instead = install;
	return NULL;
}

const char *softdep_next(const char **pos, size_t *ret_len, bool *ret_after)
{
	const char *word = *pos;

	for (;;) {
		word += strspn(word, SPACES);
		*ret_len = strcspn(word, SPACES);
		*pos = word + *ret_len;
		if (*ret_len == 0)
			return NULL;
		if (!is_side(word, *ret_len))
			return word;
		*ret_after = word[1] == 'o';
		word = *pos;
	}
}
