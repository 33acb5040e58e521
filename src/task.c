/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "io.h"

#define TEXT_MAX ((size_t)64 * 1024)
#define KILL_MSEC 1000 /* that a process has to end in when it is killed */

/* What has come from the process: an int, and then its text. */
struct Answer {
	int fd; /* its other end closes when the process is gone */
	char *data;
	size_t n;
};

struct Task {
	struct Answer answer;
	pid_t pid;
	task_done_t done;
	void *userdata;
	sd_event_source *io, *deadline;
};

/* --- in the process --- */

/* The log's socket, as the journal's library has it, is of this kind, and no other one is. */
static bool is_datagram_socket(int fd)
{
	int type;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

/* What the starter listens to stays open for as long as this process does, which may be stuck in
 * the kernel when the starter is long gone: the next one would find its place taken. */
static void close_inherited(int kept)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > STDERR_FILENO && fd != kept && fd != dirfd(dir) && !is_datagram_socket(fd))
			(void)close(fd);
	}
}

_Noreturn static void work_and_tell(task_work_t work, void *userdata, pid_t starter, int fd)
{
	char *text = NULL;
	size_t size = 0;
	sigset_t none;
	FILE *out;
	int result = -ENOMEM;

	(void)prctl(PR_SET_NAME, "tdx-auth-task");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != starter) /* it died before it could be told */
		_exit(EXIT_FAILURE);
	close_inherited(fd);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	out = open_memstream(&text, &size);
	if (out) {
		result = work(out, userdata);
		if (fclose(out) != 0)
			size = 0;
	}
	if (write_full(fd, &result, sizeof(result)) < 0 ||
	    write_full(fd, text, size < TEXT_MAX ? size : TEXT_MAX) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

/* Returns the process, with the end of the pipe that it answers by in *ret_fd; or a negative errno.
 */
static pid_t start_process(task_work_t work, void *userdata, int *ret_fd)
{
	_cleanup_close_ int reader = -1, writer = -1;
	pid_t pid, starter = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	reader = fds[0];
	writer = fds[1];
	(void)fcntl(reader, F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		work_and_tell(work, userdata, starter, writer);
	*ret_fd = take_fd(&reader);
	return pid;
}

/* --- in the starter --- */

static void answer_done(struct Answer *answer)
{
	if (answer->fd >= 0)
		(void)close(answer->fd);
	free(answer->data);
}

/* Returns 1 where all has come, 0 where more may, or a negative errno. */
static int receive(struct Answer *answer)
{
	const size_t max = sizeof(int) + TEXT_MAX;

	if (!answer->data)
		answer->data = malloc(max + 1);
	if (!answer->data)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(answer->fd, answer->data + answer->n, max - answer->n);

		if (n == 0)
			return 1;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			answer->n += (size_t)n;
	}
}

/* What the process returned, with its text in *ret, which is the answer's. */
static int result_of(struct Answer *answer, const char **ret)
{
	int result;

	*ret = "";
	if (!answer->data || answer->n < sizeof(result))
		return -EIO;
	memcpy(&result, answer->data, sizeof(result));
	answer->data[answer->n] = '\0';
	*ret = answer->data + sizeof(result);
	return result;
}

/* Returns 0 where all has come, or why it has not. */
static int wait_for(struct Answer *answer, uint64_t until)
{
	int r = 0;

	while (r == 0) {
		struct pollfd polled = {.fd = answer->fd, .events = POLLIN};
		uint64_t now = now_usec();

		if (now >= until)
			return -ETIME;
		if (poll(&polled, 1, (int)((until - now) / 1000 + 1)) < 0 && errno != EINTR)
			return -errno;
		r = receive(answer);
	}
	return r < 0 ? r : 0;
}

/* Whether the process that was killed comes to its end: one that is stuck in the kernel keeps its
 * descriptors open, and is not waited for. */
static bool has_closed(int fd)
{
	struct pollfd polled = {.fd = fd};

	return poll(&polled, 1, KILL_MSEC) == 1;
}

int task_run(task_work_t work, void *userdata, uint64_t deadline_usec, char **ret_text)
{
	_cleanup_(answer_done) struct Answer answer = {.fd = -1};
	uint64_t until = now_usec() + deadline_usec;
	pid_t pid = start_process(work, userdata, &answer.fd);
	const char *text = "";
	int r;

	if (ret_text)
		*ret_text = NULL;
	if (pid < 0)
		return pid;
	r = wait_for(&answer, until);
	if (r == 0)
		r = result_of(&answer, &text);
	else
		(void)kill(pid, SIGKILL);
	if (r != -ETIME || has_closed(answer.fd))
		(void)waitpid(pid, NULL, 0);
	if (ret_text)
		*ret_text = strdup(text);
	return r;
}

static void finish(struct Task *task, int result, const char *text)
{
	sd_event_source_disable_unref(TAKE_PTR(task->io));
	sd_event_source_disable_unref(TAKE_PTR(task->deadline));
	task->done(result, text, task->userdata); /* the last, as it may free the task */
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct Task *task = userdata;
	const char *text = "";
	int r = receive(&task->answer);

	if (r == 0)
		return 0;
	if (r > 0)
		r = result_of(&task->answer, &text);
	finish(task, r, text);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct Task *task = userdata;

	(void)kill(task->pid, SIGKILL);
	finish(task, -ETIME, "");
	return 0;
}

/* It was reaped: sd-event does that, whenever a process that was stuck in the kernel ends. A source
 * that belongs to the loop would stay there, with its descriptor, for as long as the loop. */
static int on_exit_of_process(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	(void)sd_event_source_set_floating(source, false);
	return 0;
}

int task_start(sd_event *event, task_work_t work, void *work_data, uint64_t deadline_usec,
	       task_done_t done, void *done_data, struct Task **ret)
{
	_cleanup_(task_freep) struct Task *task = calloc(1, sizeof(*task));
	int r;

	if (!task)
		return -ENOMEM;
	task->answer.fd = -1;
	task->done = done;
	task->userdata = done_data;
	task->pid = start_process(work, work_data, &task->answer.fd);
	if (task->pid < 0)
		return (int)task->pid;
	r = sd_event_add_child(event, NULL, task->pid, WEXITED, on_exit_of_process, NULL);
	if (r >= 0)
		r = sd_event_add_io(event, &task->io, task->answer.fd, EPOLLIN, on_answer, task);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &task->deadline, CLOCK_MONOTONIC,
					       deadline_usec, 0, on_deadline, task);
	if (r < 0) {
		(void)kill(task->pid, SIGKILL);
		return r;
	}
	*ret = TAKE_PTR(task);
	return 0;
}

void task_free(struct Task *task)
{
	if (!task)
		return;
	if (task->io) /* it is still at work */
		(void)kill(task->pid, SIGKILL);
	sd_event_source_disable_unref(task->io);
	sd_event_source_disable_unref(task->deadline);
	answer_done(&task->answer);
	free(task);
}
