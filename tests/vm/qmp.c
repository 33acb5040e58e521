/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "channel.h"
#include "qmp.h"

#define MESSAGE_MAX (1U << 20)

struct qmp {
	int fd;
	/* Bytes that came and were not looked at yet; a message ends at a newline. */
	char *input;
	size_t size;
	/* Events that came while an answer was waited for. */
	json_object *events;
	char *error;
};

static inline void json_putp(json_object **object)
{
	json_object_put(*object);
}

int qmp_new(int fd, struct qmp **ret)
{
	_cleanup_(qmp_freep) struct qmp *qmp = calloc(1, sizeof(*qmp));

	if (!qmp) {
		(void)close(fd);
		return -ENOMEM;
	}
	qmp->fd = fd;
	qmp->events = json_object_new_array();
	if (!qmp->events)
		return -ENOMEM;
	*ret = TAKE_PTR(qmp);
	return 0;
}

void qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return;
	(void)close(qmp->fd);
	json_object_put(qmp->events);
	free(qmp->input);
	free(qmp->error);
	free(qmp);
}

const char *qmp_error(const struct qmp *qmp)
{
	return qmp->error ? qmp->error : "";
}

static int fill(struct qmp *qmp, uint64_t deadline)
{
	char buffer[4096], *bigger;
	ssize_t n;

	n = channel_read_some(qmp->fd, buffer, sizeof(buffer), deadline);
	if (n < 0)
		return (int)n;
	if (qmp->size + (size_t)n > MESSAGE_MAX)
		return -EMSGSIZE;
	bigger = realloc(qmp->input, qmp->size + (size_t)n);
	if (!bigger)
		return -ENOMEM;
	memcpy(bigger + qmp->size, buffer, (size_t)n);
	qmp->input = bigger;
	qmp->size += (size_t)n;
	return 0;
}

static int read_message(struct qmp *qmp, uint64_t deadline, json_object **ret)
{
	_cleanup_(json_putp) json_object *message = NULL;
	char *end;
	size_t length;
	int r;

	while (!qmp->size || !(end = memchr(qmp->input, '\n', qmp->size))) {
		r = fill(qmp, deadline);
		if (r < 0)
			return r;
	}
	*end = '\0';
	length = (size_t)(end - qmp->input) + 1;
	message = json_tokener_parse(qmp->input);
	qmp->size -= length;
	memmove(qmp->input, qmp->input + length, qmp->size);
	if (!message)
		return -EBADMSG;
	*ret = TAKE_PTR(message);
	return 0;
}

/* The next message that is an answer; keeps the events before it. */
static int read_answer(struct qmp *qmp, uint64_t deadline, json_object **ret)
{
	json_object *message;
	int r;

	for (;;) {
		r = read_message(qmp, deadline, &message);
		if (r < 0)
			return r;
		if (!json_object_object_get_ex(message, "event", NULL))
			break;
		json_object_array_add(qmp->events, message);
	}
	*ret = message;
	return 0;
}

int qmp_handshake(struct qmp *qmp, uint64_t deadline)
{
	_cleanup_(json_putp) json_object *greeting = NULL;
	int r;

	r = read_answer(qmp, deadline, &greeting);
	if (r < 0)
		return r;
	if (!json_object_object_get_ex(greeting, "QMP", NULL))
		return -EBADMSG;
	return qmp_execute(qmp, "qmp_capabilities", NULL, deadline);
}

static int keep_error(struct qmp *qmp, json_object *error)
{
	json_object *text = NULL;

	(void)json_object_object_get_ex(error, "desc", &text);
	free(qmp->error);
	qmp->error = strdup(text ? json_object_get_string(text) : "(no description)");
	return -EREMOTEIO;
}

static int ask(struct qmp *qmp, const char *command, json_object *arguments, uint64_t deadline,
	       json_object **ret)
{
	_cleanup_(json_putp) json_object *request = json_object_new_object(), *answer = NULL;
	json_object *error, *value = NULL;
	const char *text;
	int r;

	json_object_object_add(request, "execute", json_object_new_string(command));
	if (arguments)
		json_object_object_add(request, "arguments", arguments);
	text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	r = channel_write(qmp->fd, text, strlen(text), deadline);
	if (r < 0)
		return r;
	r = read_answer(qmp, deadline, &answer);
	if (r < 0)
		return r;
	if (json_object_object_get_ex(answer, "error", &error))
		return keep_error(qmp, error);
	(void)json_object_object_get_ex(answer, "return", &value);
	if (ret)
		*ret = json_object_get(value);
	return 0;
}

int qmp_execute(struct qmp *qmp, const char *command, json_object *arguments, uint64_t deadline)
{
	return ask(qmp, command, arguments, deadline, NULL);
}

int qmp_query(struct qmp *qmp, const char *command, uint64_t deadline, json_object **ret)
{
	return ask(qmp, command, NULL, deadline, ret);
}

static bool is_event(json_object *event, const char *name)
{
	json_object *value;

	return json_object_object_get_ex(event, "event", &value) &&
	       streq(json_object_get_string(value), name);
}

static bool is_deleted(json_object *event, const char *id)
{
	json_object *data, *device;

	return is_event(event, "DEVICE_DELETED") &&
	       json_object_object_get_ex(event, "data", &data) &&
	       json_object_object_get_ex(data, "device", &device) &&
	       streq(json_object_get_string(device), id);
}

static int wait_matching(struct qmp *qmp, bool (*matches)(json_object *event, const char *wanted),
			 const char *wanted, uint64_t deadline)
{
	json_object *message;
	int r;

	for (size_t looked = 0;;) {
		for (; looked < json_object_array_length(qmp->events); looked++) {
			if (matches(json_object_array_get_idx(qmp->events, looked), wanted)) {
				json_object_array_del_idx(qmp->events, looked, 1);
				return 0;
			}
		}
		r = read_message(qmp, deadline, &message);
		if (r < 0)
			return r;
		json_object_array_add(qmp->events, message);
	}
}

int qmp_wait_deleted(struct qmp *qmp, const char *id, uint64_t deadline)
{
	return wait_matching(qmp, is_deleted, id, deadline);
}

int qmp_wait_event(struct qmp *qmp, const char *name, uint64_t deadline)
{
	return wait_matching(qmp, is_event, name, deadline);
}
