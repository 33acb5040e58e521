/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "escape.h"
#include "io.h"
#include "log.h"
#include "names.h"
#include "trusted-open.h"
#include "util.h"

static void log_refusal(const char *file, const struct ParseError *error, const char *reason)
{
	_cleanup_free_ char *safe_file = escape_text(file), *safe_reason = escape_text(reason);
	char place[32] = "";

	if (error)
		(void)snprintf(place, sizeof(place), ":%u:%u", error->line, error->column);
	log_record(LOG_ERR, MESSAGE_ID_CONFIG_REFUSED, NULL, 0, "configuration refused: %s%s%s%s",
		   safe_file ? safe_file : "", place, file ? ": " : "",
		   safe_reason ? safe_reason : "out of memory");
}

static int parse(const char *file, const char *text, size_t size, struct Config *ret)
{
	_cleanup_(parse_errors_done) struct ParseErrors errors = {0};
	int r = config_parse(text, size, ret, &errors);

	for (size_t i = 0; i < errors.n && i < PARSE_ERRORS_MAX; i++)
		log_refusal(file, &errors.items[i], errors.items[i].message);
	if (r < 0 && r != -EBADMSG)
		log_refusal(file, NULL, strerror(-r));
	return r;
}

static int read_config(const char *file, int fd, struct Config *ret)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		n = -errno;
	else if (!S_ISREG(st.st_mode))
		n = -EINVAL;
	else if (!(text = malloc(PARSE_SIZE_MAX + 1)))
		n = -ENOMEM;
	else /* one byte more than there may be, so that the parser sees that it is too much */
		n = read_full(fd, text, PARSE_SIZE_MAX + 1);
	if (n >= 0)
		return parse(file, text, (size_t)n, ret);
	log_refusal(file, NULL, n == -EINVAL ? "not a regular file" : strerror((int)-n));
	return (int)n;
}

/* Returns -ENOENT, without a word in the log, where there is no such file. */
static int load(const char *file, struct Config *ret)
{
	_cleanup_free_ char *problem = NULL;
	_cleanup_close_ int fd =
		trusted_open(NULL, file, O_RDONLY | O_NONBLOCK | O_NOCTTY, &problem);

	if (fd >= 0)
		return read_config(file, fd, ret);
	if (fd == -ENOENT)
		return fd;
	/* a problem says itself where it is, which may be a directory on the way */
	log_refusal(problem ? NULL : file, NULL, problem ? problem : strerror(-fd));
	return fd;
}

int config_load(const char *file, struct Config *ret)
{
	int r;

	if (file) {
		r = load(file, ret);
		if (r == -ENOENT)
			log_refusal(file, NULL, strerror(ENOENT));
		return r;
	}
	r = load(CONFIG_OWNER, ret);
	if (r == -ENOENT)
		r = load(CONFIG_VENDOR, ret);
	if (r != -ENOENT)
		return r;
	*ret = config_defaults;
	return 0;
}
