/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "system-bus.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "names.h"
#include "test.h"

#define PATIENCE_MSEC 10000
#define POLL_MSEC 10
#define NOBODY 65534

#define POLKIT_NAME "org.freedesktop.PolicyKit1"

static char *file_in(const char *dir, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	return path;
}

/* --- the bus --- */

static char *write_config(struct Testbed *bed)
{
	char *path = file_in(bed->runtime_dir, "dbus.conf");
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	(void)fprintf(f,
		      "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration "
		      "1.0//EN\" "
		      "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
		      "<busconfig><type>system</type><auth>EXTERNAL</auth>\n"
		      "<listen>%s</listen>\n"
		      /* as /usr/share/dbus-1/system.conf has it */
		      "<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/>\n"
		      "<deny send_type=\"method_call\"/><allow send_type=\"signal\"/>\n"
		      "<allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
		      "<allow send_requested_reply=\"true\" send_type=\"error\"/>\n"
		      "<allow receive_type=\"method_call\"/><allow receive_type=\"signal\"/>\n"
		      "<allow receive_type=\"method_return\"/><allow receive_type=\"error\"/>\n"
		      "<allow send_destination=\"org.freedesktop.DBus\"/></policy>\n"
		      "<policy user=\"root\"><allow own=\"" POLKIT_NAME "\"/>\n"
		      "<allow send_destination=\"" POLKIT_NAME "\"/></policy>\n"
		      "<limit name=\"max_connections_per_user\">3000</limit>\n"
		      "<limit name=\"max_completed_connections\">3000</limit>\n"
		      "<include>%s</include>\n</busconfig>\n",
		      getenv(SYSTEM_BUS_ADDRESS_VARIABLE), getenv("TDX_AUTH_BUS_POLICY"));
	assert_int_equal(fclose(f), 0);
	return path;
}

pid_t start_system_bus(struct Testbed *bed)
{
	_cleanup_free_ char *config = write_config(bed), *option = NULL;
	char path[] = "PATH=/usr/bin:/bin";
	char *const environment[] = {path, NULL};
	char program[] = "dbus-daemon", nofork[] = "--nofork", nopidfile[] = "--nopidfile";
	pid_t pid;

	assert_int_equal(chmod(bed->runtime_dir, 0755), 0); /* nobody is to come there, too */
	assert_true(asprintf(&option, "--config-file=%s", config) > 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execvpe(program, (char *const[]){program, option, nofork, nopidfile, NULL},
			      environment);
		_exit(EXIT_FAILURE);
	}
	for (int waited = 0; waited < PATIENCE_MSEC; waited += POLL_MSEC) {
		_cleanup_bus_ sd_bus *bus = connect_system();
		const char *name;

		if (bus && sd_bus_get_unique_name(bus, &name) >= 0)
			return pid;
		(void)poll(NULL, 0, POLL_MSEC);
	}
	fail_msg("dbus-daemon does not listen");
	return -1;
}

void wait_for_name(const char *name)
{
	_cleanup_bus_ sd_bus *bus = connect_system();

	for (int waited = 0; waited < PATIENCE_MSEC; waited += POLL_MSEC) {
		if (sd_bus_get_name_creds(bus, name, 0, NULL) >= 0)
			return;
		(void)poll(NULL, 0, POLL_MSEC);
	}
	fail_msg("nobody owns the name %s", name);
}

sd_bus *connect_as_nobody(void)
{
	const char *name;
	sd_bus *bus;

	/* the kernel notes who connects when he does, SO_PEERCRED of unix(7) */
	assert_int_equal(seteuid(NOBODY), 0);
	bus = connect_system();
	assert_non_null(bus);
	assert_true(sd_bus_get_unique_name(bus, &name) >= 0);
	assert_int_equal(seteuid(0), 0);
	return bus;
}

/* --- polkit --- */

struct Polkit {
	const char *dir, *answer;
};

static void note_question(const struct Polkit *polkit, const char *action, bool is_interactive)
{
	_cleanup_free_ char *path = file_in(polkit->dir, "asked");
	_cleanup_fclose_ FILE *f = fopen(path, "ae");

	if (f)
		(void)fprintf(f, "%s%s ", action, is_interactive ? "!" : "");
}

static int answer_yes(sd_bus_message *question, bool is_authorized, bool is_challenge)
{
	return sd_bus_reply_method_return(question, "(bba{ss})", is_authorized, is_challenge, 0);
}

static void wait_for_file(const char *path)
{
	while (access(path, F_OK) < 0)
		(void)poll(NULL, 0, POLL_MSEC);
}

static int on_check(sd_bus_message *question, void *userdata, sd_bus_error *error)
{
	const struct Polkit *polkit = userdata;
	const char *answer = polkit->answer, *kind, *action, *only;
	_cleanup_free_ char *go = file_in(polkit->dir, "answer");
	uint32_t flags;

	if (sd_bus_message_enter_container(question, 'r', "sa{sv}") < 0 ||
	    sd_bus_message_read(question, "s", &kind) < 0 ||
	    sd_bus_message_skip(question, "a{sv}") < 0 ||
	    sd_bus_message_exit_container(question) < 0 ||
	    sd_bus_message_read(question, "s", &action) < 0 ||
	    sd_bus_message_skip(question, "a{ss}") < 0 ||
	    sd_bus_message_read(question, "u", &flags) < 0 || !streq(kind, "system-bus-name"))
		return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "not as polkit has it");
	note_question(polkit, action, flags & 1);
	only = startswith(answer, "only ");
	if (only)
		return answer_yes(question, streq(only, action), false);
	if (streq(answer, "error"))
		return sd_bus_error_set(error, POLKIT_NAME ".Error.Failed", "no");
	if (streq(answer, "never"))
		return 1;
	if (streq(answer, "later"))
		wait_for_file(go);
	return answer_yes(question, streq(answer, "yes") || streq(answer, "later"),
			  streq(answer, "challenge"));
}

static const sd_bus_vtable polkit_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", on_check,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int polkit_main(int argc, char **argv)
{
	struct Polkit polkit = {argv[1], argv[2]};
	sd_bus *bus = connect_system();

	if (argc != 3 || !bus ||
	    sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
				     POLKIT_NAME ".Authority", polkit_vtable, &polkit) < 0 ||
	    sd_bus_request_name(bus, POLKIT_NAME, 0) < 0)
		return EXIT_FAILURE;
	for (;;) {
		int r = sd_bus_process(bus, NULL);

		if (r < 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
			return EXIT_FAILURE;
	}
}

pid_t start_polkit(struct Testbed *bed, const char *answer)
{
	pid_t pid = testbed_spawn(bed, polkit_main, "polkit", bed->runtime_dir, answer, NULL);

	wait_for_name(POLKIT_NAME);
	return pid;
}

void let_polkit_answer(struct Testbed *bed)
{
	_cleanup_free_ char *path = file_in(bed->runtime_dir, "answer");

	(void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

char *polkit_was_asked(struct Testbed *bed)
{
	_cleanup_free_ char *path = file_in(bed->runtime_dir, "asked");
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!f || getdelim(&text, &size, '\0', f) < 0) {
		free(text);
		return strdup("");
	}
	return text;
}
