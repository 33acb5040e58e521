/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-explain.h"

#include <errno.h>

#include "device-read.h"
#include "escape.h"
#include "sysfs-io.h"
#include "verdict.h"

#define QUESTIONS_MAX 8 /* at once: each may keep a worker busy for as long as a probe lasts */

/* Something to be told of a device, and what is read for it. */
struct Question {
	struct Question *next, **link;
	struct Manager *manager;
	struct BusCall *call;
	struct Policy *policy; /* that it was read for */
	struct Device *device;
	int dirfd;
	struct Vector readings;
	void (*answer)(struct Question *question); /* ends the call */
	const char *key;			   /* of what is personal */
	char *personal;
};

static void question_free(struct Question *question)
{
	*question->link = question->next;
	if (question->next)
		question->next->link = question->link;
	question->manager->n_questions--;
	readings_done(&question->readings);
	device_free(question->device);
	policy_unref(question->policy);
	if (question->dirfd >= 0)
		(void)close(question->dirfd);
	free(question->personal);
	free(question);
}

static struct Question *question_new(struct Manager *m, struct BusCall *call)
{
	struct Question *question = calloc(1, sizeof(*question));

	if (!question)
		return NULL;
	*question = (struct Question){.next = m->first_question,
				      .link = &m->first_question,
				      .manager = m,
				      .call = call,
				      .policy = policy_ref(m->policy),
				      .dirfd = -1};
	if (question->next)
		question->next->link = &question->next;
	m->first_question = question;
	m->n_questions++;
	return question;
}

void manager_drop_questions(struct Manager *m)
{
	while (m->first_question)
		question_free(m->first_question);
}

static void fail(struct BusCall *call, int error)
{
	enum Problem problem = error == -ENODEV			     ? PROBLEM_NO_SUCH_DEVICE
			       : error == -ETIME || error == -EAGAIN ? PROBLEM_STALLED
								     : PROBLEM_FAILED;

	bus_call_done(call, problem, enforce_explain(STEP_READ, error), NULL);
}

static void fail_question(struct Question *question, int error)
{
	struct BusCall *call = question->call;

	question_free(question);
	fail(call, error);
}

static void on_read(const struct EnforceReply *reply, void *userdata)
{
	struct Question *question = userdata;
	int r = reply->error < 0 ? reply->error : readings_result(&question->readings);

	r = sysfs_tell_absence(question->dirfd, r);
	if (r < 0)
		fail_question(question, r);
	else
		question->answer(question);
}

/* Has the rest be read, if anything is left to read. */
static void go_on(struct Question *question)
{
	int r;

	if (question->readings.n == 0) {
		question->answer(question);
		return;
	}
	r = worker_pool_read(question->manager->pool, question->readings.data, question->readings.n,
			     on_read, question);
	if (r < 0)
		fail_question(question, r);
}

/* NULL after the call was ended. */
static struct Question *ask(struct Manager *m, const struct Known *known, struct BusCall *call)
{
	struct Question *question;
	int r;

	if (!known) {
		fail(call, -ENODEV);
		return NULL;
	}
	if (m->n_questions >= QUESTIONS_MAX) {
		bus_call_done(call, PROBLEM_BUSY, "too much is being asked about devices", NULL);
		return NULL;
	}
	question = question_new(m, call);
	if (!question) {
		fail(call, -ENOMEM);
		return NULL;
	}
	r = manager_open(known, &question->dirfd, &question->device);
	if (r < 0) {
		fail_question(question, r);
		return NULL;
	}
	return question;
}

/* --- explain --- */

/* Rules up to the one that decided; what was decided stands, whatever fits by now. */
static int try_rules(const struct Question *question, const struct Known *known, struct Vector *ret)
{
	const struct Policy *policy = question->policy;
	const struct Moment moment = {.is_hot = known->is_hot};
	int r = 0;

	for (size_t i = 0; r == 0 && i < policy_n_rules(policy); i++) {
		const struct Rule *rule = policy_rule(policy, i);
		_cleanup_free_ char *source = rule_name(rule);
		struct BusTried tried = {.source = source ? escape_text(source) : NULL};
		struct Mismatch mismatch = {0};

		if (rule != known->rule &&
		    !rule_matches(rule, question->device, &moment, &mismatch))
			tried.key = mismatch.key;
		r = tried.source ? vector_add(ret, &tried, sizeof(tried)) : -ENOMEM;
		if (r < 0)
			free(tried.source);
		if (rule == known->rule)
			break;
	}
	return r;
}

static int judge(const struct Question *question, const struct Known *known, struct Verdict *ret)
{
	struct Decision decision = known_decision(known);

	return verdict_of(question->device, &decision, question->manager->kernel_audits, ret);
}

static void tell(struct Question *question, const struct Verdict *verdict,
		 const struct Vector *tried)
{
	_cleanup_free_ char *why = escape_text(verdict->why),
			    *driver = escape_text(verdict->driver);

	if (!why || !driver) {
		fail_question(question, -ENOMEM);
		return;
	}
	bus_call_explained(question->call,
			   &(struct BusExplanation){
				   .verdict = streq(verdict->word, "-") ? "kernel" : verdict->word,
				   .driver = driver,
				   .why = why,
				   .tried = tried->data,
				   .n_tried = tried->n,
			   });
	question_free(question);
}

/* A policy came that may ask for more. */
static void explain_anew(struct Question *question, const struct Known *known)
{
	struct Manager *m = question->manager;
	struct BusCall *call = question->call;

	question_free(question);
	manager_explain(m, known, call);
}

static void answer_explain(struct Question *question)
{
	const struct Known *known =
		registry_find_ino(&question->manager->registry, question->device->ino);
	_cleanup_vector_ struct Vector tried = {0};
	struct Verdict verdict = {0};
	int r = known && known->is_decided ? 0 : -ENODEV;

	if (r >= 0 && question->policy != question->manager->policy) {
		explain_anew(question, known);
		return;
	}
	if (r >= 0)
		r = judge(question, known, &verdict);
	if (r >= 0)
		r = try_rules(question, known, &tried);
	if (r < 0)
		fail_question(question, r);
	else
		tell(question, &verdict, &tried);
	for (size_t i = 0; i < tried.n; i++)
		free(((struct BusTried *)tried.data)[i].source);
	verdict_done(&verdict);
}

void manager_explain(struct Manager *m, const struct Known *known, struct BusCall *call)
{
	struct Question *question = ask(m, known, call);
	int r;

	if (!question)
		return;
	device_free(question->device);
	question->device = NULL;
	question->answer = answer_explain;
	r = device_read_without_waiting(known->syspath, question->dirfd, &m->policy->needs,
					&question->readings, &question->device);
	if (r < 0)
		fail_question(question, r);
	else
		go_on(question);
}

/* --- what is personal --- */

/* The attribute, which is also the key. NULL: the bus has none. */
static const char *personal_of(enum Bus bus)
{
	switch (bus) {
	case BUS_USB:
		return "serial";
	case BUS_THUNDERBOLT:
		return "unique_id";
	default:
		return NULL;
	}
}

static void answer_personal(struct Question *question)
{
	_cleanup_free_ char *safe = escape_text(question->personal);
	const char *const pair[] = {question->key, safe};

	if (!safe) {
		fail_question(question, -ENOMEM);
		return;
	}
	bus_call_told(question->call, pair, question->personal ? 1 : 0);
	question_free(question);
}

/* Not every device has a serial number. */
static int open_personal(struct Question *question)
{
	struct Reading reading = {.text = &question->personal};

	question->key = personal_of(question->device->bus);
	if (!question->key)
		return 0;
	reading.fd = sysfs_open_attr(question->dirfd, question->key);
	if (reading.fd < 0)
		return reading.fd == -ENOENT ? 0 : reading.fd;
	if (vector_add(&question->readings, &reading, sizeof(reading)) == 0)
		return 0;
	(void)close(reading.fd);
	return -ENOMEM;
}

void manager_read_personal(struct Manager *m, const struct Known *known, struct BusCall *call)
{
	struct Question *question = ask(m, known, call);
	int r;

	if (!question)
		return;
	question->answer = answer_personal;
	r = open_personal(question);
	if (r < 0)
		fail_question(question, r);
	else
		go_on(question);
}
