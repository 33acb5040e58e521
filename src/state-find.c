/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state-find.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>

#include "escape.h"
#include "names.h"
#include "phase.h"
#include "util.h"

void finding_done(struct Finding *finding)
{
	free(finding->driver);
	free(finding->verdict);
	free(finding->source);
	*finding = (struct Finding){0};
}

/* Past the next word of a line. */
static const char *skip_word(const char *line)
{
	line += strcspn(line, " \n");
	return line + (*line == ' ');
}

/* A copy of the next word; "" where there is none. */
static char *take_word(const char **line)
{
	char *word = strndup(*line, strcspn(*line, " \n"));

	*line = skip_word(*line);
	return word;
}

/* "BEFORE AUTHORIZED WHOSE DRIVER VERDICT SOURCE": nothing where the last two are not there yet.
 * Each is a word. */
static int take_line(const char *rest, struct Finding *finding)
{
	finding_done(finding);
	rest = skip_word(rest);
	finding->is_unsettled = !!startswith(rest, "- o ");
	for (unsigned i = 0; i < 2; i++)
		rest = skip_word(rest);
	finding->driver = take_word(&rest);
	finding->verdict = take_word(&rest);
	finding->source = take_word(&rest);
	if (!finding->driver || !finding->verdict || !finding->source)
		return -ENOMEM;
	if (!*finding->source)
		finding_done(finding);
	return 0;
}

/* Lines are whole, or the last one is not finished; a later one takes the place of earlier ones. */
static int read_lines(FILE *file, const char *added, const char *gone, struct Finding *finding)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getline(&line, &room, file)) > 0) {
		const char *rest;

		if (line[n - 1] != '\n')
			break;
		rest = startswith(line, added);
		if (rest)
			r = take_line(rest, finding);
		else if (streq(line, gone))
			finding_done(finding);
	}
	return r < 0 ? r : ferror(file) ? -EIO : 0;
}

int state_find(const char *syspath, dev_t dev, ino_t ino, struct Finding *ret)
{
	_cleanup_free_ char *path = runtime_path(STATE_FILE), *word = escape_word(syspath),
			    *added = NULL, *gone = NULL;
	_cleanup_fclose_ FILE *file = path ? fopen(path, "re") : NULL;
	int r;

	*ret = (struct Finding){0};
	if (!path || !word)
		return -ENOMEM;
	if (!file)
		return -errno;
	if (asprintf(&added, "+ %s %" PRIu64 " %" PRIu64 " ", word, (uint64_t)dev, (uint64_t)ino) <
	    0) {
		added = NULL;
		return -ENOMEM;
	}
	if (asprintf(&gone, "- %s\n", word) < 0) {
		gone = NULL;
		return -ENOMEM;
	}
	r = read_lines(file, added, gone, ret);
	if (r < 0)
		finding_done(ret);
	return r < 0 ? r : ret->verdict ? 0 : -ENOENT;
}

/* Lines are only added, and what is written anew is another file. */
bool state_has_grown(struct stat *last)
{
	_cleanup_free_ char *path = runtime_path(STATE_FILE);
	struct stat before = *last;

	if (!path || stat(path, last) < 0) {
		*last = (struct stat){0};
		return true;
	}
	return last->st_dev != before.st_dev || last->st_ino != before.st_ino ||
	       last->st_size != before.st_size;
}

bool state_is_kept(void)
{
	_cleanup_free_ char *path = runtime_path(STATE_FILE);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fd >= 0 && fcntl(fd, F_GETLK, &all) == 0 && all.l_type != F_UNLCK;
}
