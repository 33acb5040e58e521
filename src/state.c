/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "escape.h"
#include "io.h"
#include "log.h"
#include "names.h"
#include "phase.h"

#define STATE_HEADER "tdx-auth-state "
#define STATE_VERSION 2				  /* 1 had no verdicts */
#define STATE_SIZE_MAX ((off_t)256 * 1024 * 1024) /* bytes; 10,000 devices take some 2 MiB */
#define SLACK 1024 /* lines beyond twice the devices before the file is written anew */

/* --- reading --- */

/* The next word of a line, ended in place; NULL at the end. */
static char *next_word(char **line)
{
	char *word = *line;
	size_t len = strcspn(word, " ");

	if (!*word)
		return NULL;
	*line = word + len + (word[len] == ' ');
	word[len] = '\0';
	return word;
}

static int parse_number(const char *word, uint64_t *ret)
{
	char *end;

	if (!word || *word < '0' || *word > '9')
		return -EBADMSG;
	errno = 0;
	*ret = strtoull(word, &end, 10);
	return errno || *end ? -EBADMSG : 0;
}

/* `authorized` as it was read: "0", "1", or "-" for unknown. */
static int parse_authorized(const char *word, int *ret)
{
	if (!word || !strchr("01-", word[0]) || !word[0] || word[1])
		return -EBADMSG;
	*ret = word[0] == '-' ? -1 : word[0] - '0';
	return 0;
}

/* Who left it so: we, somebody else by hand, or nobody. */
static const char whose[] = "oh-";

static char whose_letter(const struct Known *known)
{
	if (known->is_written || known->is_ours)
		return whose[0];
	return known->is_by_hand ? whose[1] : whose[2];
}

static int parse_whose(const char *word, bool *ret_is_ours, bool *ret_is_by_hand)
{
	if (!word || !*word || !strchr(whose, word[0]) || word[1])
		return -EBADMSG;
	*ret_is_ours = word[0] == whose[0];
	*ret_is_by_hand = word[0] == whose[1];
	return 0;
}

/* "DEV INO BEFORE AUTHORIZED WHOSE DRIVER VERDICT SOURCE", the rest of a line, with the numbers in
 * decimal. The last two are for others than the next start, which decides anew. */
static int parse_known(char *line, const char *syspath, struct Registry *registry)
{
	uint64_t dev, ino;
	int before, authorized;
	bool is_ours, is_by_hand;
	_cleanup_free_ char *driver = NULL;
	struct Known *known;
	char *word;

	if (parse_number(next_word(&line), &dev) < 0 || parse_number(next_word(&line), &ino) < 0 ||
	    parse_authorized(next_word(&line), &before) < 0 ||
	    parse_authorized(next_word(&line), &authorized) < 0 ||
	    parse_whose(next_word(&line), &is_ours, &is_by_hand) < 0)
		return -EBADMSG;
	word = next_word(&line);
	driver = unescape_text(word ? word : "");
	if (!driver || strlen(driver) > POLICY_DRIVER_MAX)
		return -EBADMSG;
	if ((next_word(&line) && !next_word(&line)) || *line)
		return -EBADMSG;
	known = registry_restore(registry, syspath, dev, ino);
	if (!known)
		return -ENOMEM;
	known->before = before;
	known_note_state(known, authorized, driver, is_ours);
	known_note_by_hand(known, is_by_hand);
	known->is_cut_short = is_by_hand && authorized < 0;
	known->is_noted = true;
	return 0;
}

/* "GAVE LATEST", the rest of a line. */
static int parse_usb(char *line, struct UsbDefault *ret)
{
	uint64_t gave, latest;

	if (parse_number(next_word(&line), &gave) < 0 || gave > 1 ||
	    parse_number(next_word(&line), &latest) < 0 || *line)
		return -EBADMSG;
	*ret = (struct UsbDefault){true, gave, latest};
	return 0;
}

/* "BUS GAVE", the rest of a line. */
static int parse_gate(char *line, struct GateDefault *ret)
{
	enum Bus bus = bus_from_string(next_word(&line));
	uint64_t gave;

	if (bus == _BUS_INVALID || parse_number(next_word(&line), &gave) < 0 || gave > 1 || *line)
		return -EBADMSG;
	ret[bus] = (struct GateDefault){true, gave};
	return 0;
}

static int parse_line(char *line, struct Registry *registry, struct State *state)
{
	const char *what = next_word(&line), *word;
	_cleanup_free_ char *syspath = NULL;

	if (what && streq(what, "usb"))
		return parse_usb(line, &state->usb);
	if (what && streq(what, "bus"))
		return parse_gate(line, state->gates);
	word = next_word(&line);
	syspath = word ? unescape_text(word) : NULL;
	if (!what || !syspath || *syspath != '/')
		return -EBADMSG;
	if (streq(what, "+"))
		return parse_known(line, syspath, registry);
	if (!streq(what, "-") || *line)
		return -EBADMSG;
	registry_drop(registry, syspath);
	return 0;
}

/* A file of an earlier version is what a daemon finds that took the place of an earlier one. */
static int parse_header(const char *line)
{
	const char *version = startswith(line, STATE_HEADER);
	uint64_t n;

	if (!version || parse_number(version, &n) < 0)
		return -EBADMSG;
	return n >= 1 && n <= STATE_VERSION ? 0 : -EPROTONOSUPPORT;
}

int state_parse(const char *text, size_t size, struct Registry *registry, struct State *state,
		size_t *ret_lines)
{
	const char *end;
	size_t lines = 0;

	while (size > 0 && (end = memchr(text, '\n', size))) {
		size_t len = (size_t)(end - text);
		_cleanup_free_ char *line = strndup(text, len);
		int r;

		if (!line)
			return -ENOMEM;
		if (strlen(line) != len)
			return -EBADMSG;
		r = lines == 0 ? parse_header(line) : parse_line(line, registry, state);
		if (r < 0)
			return r;
		lines++;
		text = end + 1;
		size -= len + 1;
	}
	*ret_lines = lines;
	return registry_sort(registry);
}

/* --- writing --- */

static bool add_text(struct State *state, const char *text)
{
	size_t len = strlen(text);

	if (state->room - state->n < len) {
		size_t room = 2 * (state->n + len);
		char *buffer = realloc(state->buffer, room);

		if (!buffer)
			return false;
		state->buffer = buffer;
		state->room = room;
	}
	memcpy(state->buffer + state->n, text, len);
	state->n += len;
	return true;
}

/* Adds a line; where memory is short, the file will lack it. */
_printf_(2, 3) static void add_line(struct State *state, const char *format, ...)
{
	_cleanup_free_ char *line = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&line, format, ap) < 0)
		line = NULL;
	va_end(ap);
	if (!line || !add_text(state, line))
		state->is_broken = true;
	state->lines++;
}

static char authorized_letter(int authorized)
{
	return authorized < 0 ? '-' : authorized ? '1' : '0';
}

/* What is in force by hand shows in how the device was left. */
const char *state_verdict(const struct Known *known)
{
	if (known->is_by_hand && known->authorized >= 0)
		return action_to_string(known->authorized ? ACTION_ALLOW : ACTION_DENY);
	return known->is_decided && !known->is_stale ? action_to_string(known->wanted) : NULL;
}

char *state_source(const struct Known *known)
{
	struct Decision decision = known_decision(known);

	if (known->is_by_hand)
		decision.by = DECIDED_BY_HAND;
	return decision_source(&decision, known->bus);
}

/* Of a device that a write is on its way to nobody knows how it is left, but that it was us. */
static void add_known(struct State *state, const struct Known *known)
{
	const char *verdict = state_verdict(known);
	_cleanup_free_ char *syspath = escape_word(known->syspath),
			    *driver = escape_word(known->is_written ? "" : known->driver),
			    *raw_source = verdict ? state_source(known) : strdup(""),
			    *source = raw_source ? escape_word(raw_source) : NULL;

	if (!syspath || !driver || !source) {
		state->is_broken = true;
		return;
	}
	add_line(state, "+ %s %" PRIu64 " %" PRIu64 " %c %c %c %s%s%s%s%s\n", syspath,
		 (uint64_t)known->dev, (uint64_t)known->ino, authorized_letter(known->before),
		 authorized_letter(known->is_written ? -1 : known->authorized), whose_letter(known),
		 driver, verdict ? " " : "", verdict ? verdict : "", verdict ? " " : "", source);
}

void state_note(struct State *state, struct Known *known)
{
	if (state->fd < 0 || (known->is_noted && !known->is_written))
		return;
	add_known(state, known);
	known->is_noted = !known->is_written;
}

static void add_usb(struct State *state)
{
	if (state->usb.is_taken)
		add_line(state, "usb %d %" PRIu64 "\n", state->usb.gave,
			 (uint64_t)state->usb.latest);
}

static void add_gate(struct State *state, enum Bus bus)
{
	if (state->gates[bus].is_taken)
		add_line(state, "bus %s %d\n", bus_to_string(bus), state->gates[bus].gave);
}

void state_note_gate(struct State *state, enum Bus bus)
{
	if (state->fd >= 0)
		add_gate(state, bus);
}

void state_note_usb(struct State *state)
{
	if (state->fd >= 0)
		add_usb(state);
}

void state_note_gone(struct State *state, const struct Known *known)
{
	_cleanup_free_ char *syspath = NULL;

	if (state->fd < 0)
		return;
	syspath = escape_word(known->syspath);
	if (syspath)
		add_line(state, "- %s\n", syspath);
	else
		state->is_broken = true;
}

/* The path of the file and, with a suffix, of what is to take its place. */
static char *state_path(const char *suffix)
{
	char name[64];

	(void)snprintf(name, sizeof(name), STATE_FILE "%s", suffix);
	return runtime_path(name);
}

/* Not flock(2), whose locks a worker shares that outlives its daemon in the kernel. */
static int lock(int fd)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_SETLK, &all) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

/* A new file at @path that is locked from its start on. Returns a descriptor or a negative errno.
 */
static int create(const char *path)
{
	_cleanup_close_ int fd = -1;
	int r;

	(void)unlink(path); /* that a killed process left */
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = lock(fd);
	return r < 0 ? r : take_fd(&fd);
}

/* What is in the buffer becomes the file. */
static int replace(struct State *state)
{
	_cleanup_free_ char *path = state_path(""), *temporary = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (!path || asprintf(&temporary, "%s.%d", path, getpid()) < 0)
		return -ENOMEM;
	fd = create(temporary);
	if (fd < 0)
		return fd;
	r = write_full(fd, state->buffer, state->n);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(temporary);
		return r;
	}
	(void)close(state->fd);
	state->fd = take_fd(&fd);
	state->size = (off_t)state->n;
	return 0;
}

static void report_broken(int error)
{
	log_error("cannot note decisions in " RUNTIME_DIR
		  ", so a restart would take them for somebody else's: %s",
		  strerror(-error));
}

static int write_anew(struct State *state, const struct Registry *registry)
{
	bool was_broken = state->is_broken;
	int r;

	state->n = state->lines = 0;
	state->is_broken = false;
	add_line(state, STATE_HEADER "%d\n", STATE_VERSION);
	add_usb(state);
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		add_gate(state, bus);
	for (const struct Known *known = registry->first; known; known = known->next)
		add_known(state, known);
	r = state->is_broken ? -ENOMEM : replace(state);
	state->is_broken = r < 0;
	if (r == 0 && was_broken)
		log_info("decisions are noted in " RUNTIME_DIR " again");
	return r;
}

/* Lines that were written in part are taken back, so that the next ones do not end up in them. */
static int append(struct State *state)
{
	int r = write_full(state->fd, state->buffer, state->n);

	if (r == 0)
		state->size += (off_t)state->n;
	else if (ftruncate(state->fd, state->size) < 0)
		r = -errno;
	return r;
}

void state_flush(struct State *state, const struct Registry *registry)
{
	bool was_broken = state->is_broken;
	int r;

	if (state->fd < 0 || state->n == 0)
		return;
	if (was_broken || state->lines > 2 * registry->n + SLACK)
		r = write_anew(state, registry);
	else
		r = append(state);
	state->n = 0;
	state->is_broken = r < 0;
	if (r < 0 && !was_broken)
		report_broken(r);
}

/* --- opening --- */

/* Opens the file, or makes an empty one, and locks it. Returns -EAGAIN where somebody else has. */
static int open_locked(const char *path)
{
	_cleanup_close_ int fd =
		open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st, now;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	r = lock(fd);
	if (r < 0)
		return r;
	/* who had the lock may have put another one in its place */
	if (lstat(path, &now) < 0 || now.st_dev != st.st_dev || now.st_ino != st.st_ino)
		return -EAGAIN;
	return take_fd(&fd);
}

/* Of the version that is written here, and its last line was finished. */
static bool is_whole(const char *text, size_t size)
{
	const char *version = startswith(text, STATE_HEADER);

	return version && strtoul(version, NULL, 10) == STATE_VERSION && text[size - 1] == '\n';
}

static int load(int fd, struct Registry *registry, struct State *state)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > STATE_SIZE_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = read_full(fd, text, (size_t)st.st_size);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	state->size = n;
	state->is_whole = is_whole(text, (size_t)n);
	return state_parse(text, (size_t)n, registry, state, &state->lines);
}

/* What a file that does not parse said so far counts for nothing. */
static void forget(struct State *state, struct Registry *registry)
{
	state->usb = (struct UsbDefault){0};
	memset(state->gates, 0, sizeof(state->gates));
	registry_drop_all(registry);
}

void state_read(struct State *state, struct Registry *registry)
{
	_cleanup_free_ char *path = state_path("");
	_cleanup_close_ int fd =
		path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;

	*state = STATE_CLOSED;
	if (fd >= 0 && load(fd, registry, state) < 0)
		forget(state, registry);
}

static void set_aside(const char *path, int error)
{
	_cleanup_free_ char *aside = state_path(".rejected");

	log_error(RUNTIME_DIR "/" STATE_FILE " is set aside as " STATE_FILE
			      ".rejected, and decisions of user space count as somebody else's: %s",
		  error == -EPROTONOSUPPORT ? "a later version wrote it"
		  : error == -EBADMSG	    ? "it is damaged"
					    : strerror(-error));
	if (!aside || rename(path, aside) < 0)
		(void)unlink(path);
}

int state_take(struct State *state, struct Registry *former)
{
	_cleanup_free_ char *path = state_path("");
	struct State theirs = STATE_CLOSED;
	int r = path ? runtime_make_dir() : -ENOMEM;

	if (r == 0)
		r = open_locked(path);
	if (r < 0)
		return r;
	state->fd = r;
	r = load(state->fd, former, &theirs);
	if (r < 0) {
		set_aside(path, r);
		forget(&theirs, former);
		theirs.is_whole = false;
	}
	state->size = theirs.size;
	state->lines = theirs.lines;
	state->is_whole = theirs.is_whole;
	/* who told a bus first knows what it did before */
	if (theirs.usb.is_taken)
		state->usb = theirs.usb;
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		if (theirs.gates[bus].is_taken)
			state->gates[bus] = theirs.gates[bus];
	return 0;
}

void state_rewrite(struct State *state, const struct Registry *registry)
{
	int r = write_anew(state, registry);

	state->n = 0;
	if (r < 0) /* the next flush tries again */
		report_broken(r);
}

int state_open(struct State *state, struct Registry *registry, bool keeps_verdicts)
{
	int r;

	*state = STATE_CLOSED;
	r = state_take(state, registry);
	if (r < 0) {
		if (r != -EAGAIN)
			report_broken(r);
		return r;
	}
	if (!keeps_verdicts || !state->is_whole)
		state_rewrite(state, registry);
	return 0;
}

void state_close(struct State *state)
{
	if (state->fd >= 0)
		(void)close(state->fd);
	free(state->buffer);
	*state = STATE_CLOSED;
}
