/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "capture.h"
#include "escape.h"
#include "phase.h"
#include "state-find.h"

#define FILE_NAME "state"

/* One run of the daemon: what it knows, and the file. */
struct Run {
	struct Registry registry;
	struct State state;
	int opened;
};

static struct Run run;

static void open_run(void *argument)
{
	(void)argument;
	run = (struct Run){0};
	run.opened = state_open(&run.state, &run.registry, false);
}

static void close_run(void)
{
	state_close(&run.state);
	registry_done(&run.registry);
}

/* Starts another run; what it logs. */
static char *restart(void)
{
	close_run();
	return capture(STDERR_FILENO, open_run, NULL);
}

static struct Known *add(const char *path, ino_t ino, int authorized)
{
	const struct Device device = {.bus = BUS_USB,
				      .syspath = (char *)path,
				      .sysname = (char *)"x",
				      .dev = 7,
				      .ino = ino,
				      .authorized = authorized};

	return registry_add(&run.registry, &device, false);
}

static void flush(void *argument)
{
	(void)argument;
	state_flush(&run.state, &run.registry);
}

static void note(struct Known *known)
{
	state_note(&run.state, known);
	flush(NULL);
}

static char *file_path(const char *suffix)
{
	char name[32];

	(void)snprintf(name, sizeof(name), FILE_NAME "%s", suffix);
	return runtime_path(name);
}

static off_t file_size(void)
{
	_cleanup_free_ char *path = file_path("");
	struct stat st;

	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static void write_file(const char *text)
{
	_cleanup_free_ char *path = file_path("");
	_cleanup_fclose_ FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

static int setup(void **state)
{
	static char dir[32];

	(void)snprintf(dir, sizeof(dir), "/tmp/test-state.XXXXXX");
	*state = mkdtemp(dir);
	(void)setenv("TDX_AUTH_RUNTIME_DIRECTORY", dir, 1);
	open_run(NULL);
	return *state && run.opened == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	_cleanup_free_ char *path = file_path(""), *aside = file_path(".rejected");

	close_run();
	(void)unlink(path);
	(void)unlink(aside);
	return rmdir(*state);
}

static void test_a_restart_knows_how_devices_were_left(void **state)
{
	struct Known *refused = add("/sys/devices/a b\n", 9, 1),
		     *held = add("/sys/devices/c", 4, 0);
	_cleanup_free_ char *log = NULL;
	struct Known *known;

	(void)state;
	known_note_state(refused, 0, NULL, true);
	known_note_state(held, 1, "i8042 kbd", false);
	known_note_by_hand(held, true);
	note(refused);
	note(held);
	log = restart();
	assert_string_equal(log, "");
	assert_int_equal(run.registry.n, 2);
	/* in the order in which they came */
	known = run.registry.first;
	assert_string_equal(known->syspath, "/sys/devices/c");
	assert_int_equal(known->dev, 7);
	assert_int_equal(known->ino, 4);
	assert_int_equal(known->before, 0);
	assert_int_equal(known->authorized, 1);
	assert_string_equal(known->driver, "i8042 kbd");
	assert_true(known->is_by_hand && !known->is_ours);
	assert_true(known->is_stale);
	known = known->next;
	assert_true(known->is_ours && !known->is_by_hand);
	assert_string_equal(known->syspath, "/sys/devices/a b\n");
	assert_int_equal(known->before, 1);
	assert_int_equal(known->authorized, 0);
	assert_int_equal(run.registry.latest, 9);
}

static void test_what_a_write_was_on_its_way_to_is_ours(void **state)
{
	const struct Device by_hand = {.bus = BUS_USB, .authorized = 1},
			    refused = {.bus = BUS_USB, .authorized = 0};
	struct Known *known = add("/sys/devices/a", 1, 1);

	(void)state;
	known->is_written = true;
	note(known);
	free(restart());
	known = run.registry.first;
	assert_true(known->is_ours);
	assert_int_equal(known->authorized, -1);
	assert_false(known_is_by_hand(known, &by_hand));
	assert_false(known_is_by_hand(known, &refused));
}

static void test_a_device_that_went_is_forgotten(void **state)
{
	struct Known *known = add("/sys/devices/a", 1, 1);

	(void)state;
	note(known);
	state_note_gone(&run.state, known);
	flush(NULL);
	free(restart());
	assert_int_equal(run.registry.n, 0);
}

/* The machine stopped, or the process was killed, in the midst of it. */
static void test_a_line_without_its_end_is_left_out(void **state)
{
	_cleanup_free_ char *log = NULL;

	(void)state;
	write_file("tdx-auth-state 1\n+ /sys/devices/a 7 1 1 0 o \n+ /sys/devices/b 7 2 1 0 o");
	log = restart();
	assert_string_equal(log, "");
	assert_int_equal(run.registry.n, 1);
	note(add("/sys/devices/b", 2, 1));
	free(restart());
	assert_int_equal(run.registry.n, 2);
}

static void expect_set_aside(const char *text, const char *reason)
{
	_cleanup_free_ char *log = NULL, *aside = file_path(".rejected");
	struct stat st;

	write_file(text);
	log = restart();
	assert_non_null(strstr(log, "is set aside as state.rejected"));
	assert_non_null(strstr(log, reason));
	assert_int_equal(run.opened, 0);
	assert_int_equal(run.registry.n, 0);
	assert_int_equal(stat(aside, &st), 0);
	assert_int_equal(st.st_size, strlen(text));
	/* and goes on with a good one */
	note(add("/sys/devices/a", 1, 1));
	free(restart());
	assert_int_equal(run.registry.n, 1);
}

static void test_a_damaged_file_is_set_aside(void **state)
{
	static const char *const lines[] = {
		"x",
		"+",
		"+ /sys/devices/b 7 1 1 0",
		"+ /sys/devices/b 7 1 1 0 x ",
		"+ /sys/devices/b 7 1 2 0 o ",
		"+ /sys/devices/b 7 -1 1 0 o ",
		"+ /sys/devices/b 7 99999999999999999999 1 0 o ",
		"+ /sys/devices/b 7 1 1 0 o driver more",
		"+ /sys/devices/b 7 1 1 0 o \\q",
		"+ sys/devices/b 7 1 1 0 o ",
		"- /sys/devices/b more",
		"? /sys/devices/b",
		"",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
		(void)snprintf(text, sizeof(text),
			       "tdx-auth-state 1\n+ /sys/devices/a 7 1 1 0 o \n%s\n", lines[i]);
		expect_set_aside(text, "it is damaged");
	}
	expect_set_aside("version 1\n", "it is damaged");
}

/* As a daemon leaves it that an upgrade ends. */
static void test_a_file_of_the_first_version_is_read(void **state)
{
	struct Finding finding;
	struct Known *known;

	(void)state;
	write_file("tdx-auth-state 1\n+ /sys/devices/a 7 1 1 0 o \n");
	free(restart());
	known = registry_find(&run.registry, "/sys/devices/a");
	assert_non_null(known);
	assert_true(known->is_ours);
	assert_int_equal(state_find("/sys/devices/a", 7, 1, &finding), -ENOENT);
}

/* --- what others ask it --- */

static struct Known *decide(const char *path, ino_t ino, enum Action action)
{
	const struct Device device = {.bus = BUS_USB,
				      .syspath = (char *)path,
				      .sysname = (char *)"x",
				      .dev = 7,
				      .ino = ino};
	struct Known *known = add(path, ino, 0);

	registry_note(&run.registry, known, &device,
		      &(struct Decision){.action = action, .by = DECIDED_BY_DEFAULT});
	known_note_wanted(known, action);
	note(known);
	return known;
}

static void expect_finding(const char *path, ino_t ino, const char *verdict, const char *source)
{
	struct Finding finding;
	_cleanup_free_ char *text = NULL;

	assert_int_equal(state_find(path, 7, ino, &finding), 0);
	text = unescape_text(finding.source);
	assert_string_equal(finding.verdict, verdict);
	assert_string_equal(text, source);
	finding_done(&finding);
}

static void expect_no_finding(const char *path, ino_t ino)
{
	struct Finding finding;

	assert_int_equal(state_find(path, 7, ino, &finding), -ENOENT);
}

static void test_a_verdict_is_found_for_its_device_alone(void **state)
{
	(void)state;
	decide("/sys/devices/a", 1, ACTION_DENY);
	decide("/sys/devices/a b", 2, ACTION_ALLOW);
	expect_finding("/sys/devices/a", 1, "deny", "default for usb");
	expect_finding("/sys/devices/a b", 2, "allow", "default for usb");
	expect_no_finding("/sys/devices/a", 3); /* another one at its path */
	expect_no_finding("/sys/devices/c", 1);
}

static void test_the_latest_verdict_is_found(void **state)
{
	struct Known *known;

	(void)state;
	known = decide("/sys/devices/a", 1, ACTION_DENY);
	decide("/sys/devices/a", 1, ACTION_ALLOW);
	expect_finding("/sys/devices/a", 1, "allow", "default for usb");
	known_note_state(known, 0, NULL, false);
	known_note_by_hand(known, true);
	note(known);
	expect_finding("/sys/devices/a", 1, "deny", "by hand");
}

static void test_no_verdict_is_found_of_a_device_that_is_gone(void **state)
{
	struct Known *known;

	(void)state;
	known = decide("/sys/devices/a", 1, ACTION_ALLOW);
	state_note_gone(&run.state, known);
	flush(NULL);
	expect_no_finding("/sys/devices/a", 1);
}

/* One that is to be decided over anew: the next verdict may be another. */
static void test_no_verdict_is_found_of_a_device_that_is_stale(void **state)
{
	struct Known *known;

	(void)state;
	known = decide("/sys/devices/a", 1, ACTION_ALLOW);
	known->is_stale = true;
	known->is_noted = false;
	note(known);
	expect_no_finding("/sys/devices/a", 1);
}

static void open_beside_others(void *argument)
{
	(void)argument;
	run = (struct Run){0};
	run.opened = state_open(&run.state, &run.registry, true);
}

/* Of who decides by the same policy: a daemon may go by another one. */
static void test_a_verdict_stays_until_another_is_made(void **state)
{
	(void)state;
	decide("/sys/devices/a", 1, ACTION_ALLOW);
	decide("/sys/devices/b", 2, ACTION_ALLOW);
	close_run();
	free(capture(STDERR_FILENO, open_beside_others, NULL));
	assert_int_equal(run.registry.n, 2);
	expect_finding("/sys/devices/a", 1, "allow", "default for usb");
	decide("/sys/devices/b", 2, ACTION_DENY);
	expect_finding("/sys/devices/a", 1, "allow", "default for usb");
	expect_finding("/sys/devices/b", 2, "deny", "default for usb");
	free(restart());
	expect_no_finding("/sys/devices/a", 1);
	expect_no_finding("/sys/devices/b", 2);
}

static void test_nothing_is_added_to_a_line_without_its_end(void **state)
{
	static const char *const texts[] = {
		"",
		"tdx-auth-state 1\n+ /sys/devices/b 7 2 1 0 o \n",
		"tdx-auth-state 2\n+ /sys/devices/b 7 2 1 0 o  allow x\n+ /sys/devices/c 7 3",
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
		close_run();
		write_file(texts[i]);
		free(capture(STDERR_FILENO, open_beside_others, NULL));
		expect_no_finding("/sys/devices/b", 2);
		decide("/sys/devices/a", 1, ACTION_ALLOW);
		expect_finding("/sys/devices/a", 1, "allow", "default for usb");
		free(restart());
		assert_int_equal(run.registry.n, i == 0 ? 1 : 2);
	}
}

static void test_who_waits_for_a_verdict_sees_the_file_grow(void **state)
{
	struct stat last = {0};

	(void)state;
	assert_true(state_has_grown(&last));
	assert_false(state_has_grown(&last));
	decide("/sys/devices/a", 1, ACTION_ALLOW);
	assert_true(state_has_grown(&last));
	assert_false(state_has_grown(&last));
	free(restart()); /* which writes it anew */
	assert_true(state_has_grown(&last));
}

static void test_who_has_the_file_shows(void **state)
{
	bool *is_kept = mmap(NULL, sizeof(*is_kept), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(is_kept, MAP_FAILED);
	pid = fork(); /* to its own process a lock does not show */
	if (pid == 0) {
		*is_kept = state_is_kept();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(*is_kept);
	close_run();
	assert_false(state_is_kept());
}

static void test_a_file_of_a_later_version_is_set_aside(void **state)
{
	(void)state;
	expect_set_aside("tdx-auth-state 3\n* something else\n", "a later version wrote it");
}

/* As many lines as a busy year makes do not fill /run. */
static void test_the_file_does_not_grow_with_what_happens(void **state)
{
	struct Known *known = add("/sys/devices/a", 1, 1);

	(void)state;
	for (int i = 0; i < 20000; i++) {
		known_note_state(known, i & 1, NULL, true);
		note(known);
	}
	assert_true(file_size() < 65536);
	known_note_state(known, 0, "last", true);
	note(known);
	free(restart());
	assert_int_equal(run.registry.n, 1);
	assert_string_equal(run.registry.first->driver, "last");
}

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	(void)getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void note_one(void *known)
{
	note(known);
}

/* What it logs: its standard error is no file whose size is limited. */
static char *call_while_full(void (*call)(void *), void *argument, rlim_t size)
{
	int ends[2];
	char *text = calloc(1, 4096);
	int saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	(void)dup2(ends[1], STDERR_FILENO);
	limit_files(size);
	call(argument);
	limit_files(RLIM_INFINITY);
	(void)dup2(saved, STDERR_FILENO);
	n = read(ends[0], text, 4095);
	text[n < 0 ? 0 : n] = '\0';
	(void)close(saved);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return text;
}

static void test_a_full_disk_is_told_once_and_made_up_for(void **state)
{
	_cleanup_free_ char *first = NULL, *second = NULL, *again = NULL;
	struct Known *a = add("/sys/devices/a", 1, 1), *b = add("/sys/devices/b", 2, 1),
		     *c = add("/sys/devices/c", 3, 1);

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	first = call_while_full(note_one, a, (rlim_t)file_size() + 5);
	second = call_while_full(note_one, b, 3);
	again = call_while_full(note_one, c, RLIM_INFINITY);
	assert_non_null(strstr(first, "cannot note decisions in /run/tdx-auth"));
	assert_string_equal(second, "");
	assert_non_null(strstr(again, "decisions are noted in /run/tdx-auth again"));
	free(restart());
	assert_int_equal(run.registry.n, 3);
}

static void test_a_disk_that_is_full_at_start_is_made_up_for(void **state)
{
	_cleanup_free_ char *full = NULL, *again = NULL;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	note(add("/sys/devices/a", 1, 1));
	close_run();
	full = call_while_full(open_run, NULL, 3);
	assert_non_null(strstr(full, "cannot note decisions in /run/tdx-auth"));
	assert_int_equal(run.opened, 0);
	assert_int_equal(run.registry.n, 1); /* what was noted before is known */
	again = call_while_full(note_one, add("/sys/devices/b", 2, 1), RLIM_INFINITY);
	assert_non_null(strstr(again, "decisions are noted in /run/tdx-auth again"));
	free(restart());
	assert_int_equal(run.registry.n, 2);
}

static void test_one_process_has_the_file(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		struct State other;
		struct Registry registry = {0};

		_exit(state_open(&other, &registry, false) == -EAGAIN && other.fd < 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define STATE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_a_restart_knows_how_devices_were_left),
		STATE_TEST(test_what_a_write_was_on_its_way_to_is_ours),
		STATE_TEST(test_a_device_that_went_is_forgotten),
		STATE_TEST(test_a_line_without_its_end_is_left_out),
		STATE_TEST(test_a_damaged_file_is_set_aside),
		STATE_TEST(test_a_file_of_the_first_version_is_read),
		STATE_TEST(test_a_verdict_is_found_for_its_device_alone),
		STATE_TEST(test_the_latest_verdict_is_found),
		STATE_TEST(test_no_verdict_is_found_of_a_device_that_is_gone),
		STATE_TEST(test_no_verdict_is_found_of_a_device_that_is_stale),
		STATE_TEST(test_a_verdict_stays_until_another_is_made),
		STATE_TEST(test_nothing_is_added_to_a_line_without_its_end),
		STATE_TEST(test_who_waits_for_a_verdict_sees_the_file_grow),
		STATE_TEST(test_who_has_the_file_shows),
		STATE_TEST(test_a_file_of_a_later_version_is_set_aside),
		STATE_TEST(test_the_file_does_not_grow_with_what_happens),
		STATE_TEST(test_a_full_disk_is_told_once_and_made_up_for),
		STATE_TEST(test_a_disk_that_is_full_at_start_is_made_up_for),
		STATE_TEST(test_one_process_has_the_file),
	};

	return RUN_TESTS("state", tests);
}
