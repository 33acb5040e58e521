/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "explain.h"

#include "mismatch.h"
#include "suggest.h"

#define UNTOLD "unknown from a modalias"

void explanation_done(struct Explanation *explanation)
{
	struct Tried *tried = explanation->tried.data;
	struct Verdict *verdicts = explanation->verdicts.data;

	for (size_t i = 0; i < explanation->tried.n; i++)
		free(tried[i].outcome);
	for (size_t i = 0; i < explanation->verdicts.n; i++)
		verdict_done(&verdicts[i]);
	vector_done(&explanation->tried);
	vector_done(&explanation->verdicts);
	vector_done(&explanation->depends_on);
}

const struct Verdict *explanation_verdict(const struct Explanation *explanation)
{
	return explanation->verdicts.n == 1 ? explanation->verdicts.data : NULL;
}

/* Takes over tried->outcome. */
static int add_tried(struct Explanation *explanation, const struct Tried *tried)
{
	if (tried->outcome && vector_add(&explanation->tried, tried, sizeof(*tried)) == 0)
		return 0;
	free(tried->outcome);
	return -ENOMEM;
}

/* Takes over *verdict. Two that do the same are one. */
static int add_verdict(struct Explanation *explanation, struct Verdict *verdict)
{
	struct Verdict *known = explanation->verdicts.data;

	for (size_t i = 0; i < explanation->verdicts.n; i++)
		if (streq(known[i].word, verdict->word) &&
		    streq_or_null(known[i].driver, verdict->driver)) {
			verdict_done(&known[i]);
			known[i] = *verdict;
			return 0;
		}
	if (vector_add(&explanation->verdicts, verdict, sizeof(*verdict)) == 0)
		return 0;
	verdict_done(verdict);
	return -ENOMEM;
}

static int judge(struct Explanation *explanation, const struct Decision *decision)
{
	struct Verdict verdict;
	int r = verdict_of(explanation->device, decision,
			   explanation->view->mode == PROTECTION_AUDIT, &verdict);

	return r < 0 ? r : add_verdict(explanation, &verdict);
}

/* --- a device --- */

static const char *how_it_decides(const struct Decision *decision)
{
	switch (decision->by) {
	case DECIDED_BY_COUNT:
		return "fits, but admits no more devices";
	case DECIDED_BY_FREEZE:
		return "fits, but admits none after the freeze";
	case DECIDED_BY_SEAL:
		return "fits, but nothing is authorized after the seal";
	case DECIDED_BY_MODPROBE:
		return "fits, but modprobe.d refuses the modules that know the device";
	case DECIDED_BY_EXEMPTION:
		return "fits, but no policy decides over the device";
	default:
		return "fits, and decides";
	}
}

static int try_rule(struct Explanation *explanation, const struct Rule *rule,
		    const struct Decision *decision, const struct Moment *moment)
{
	struct Mismatch mismatch = {0};
	struct Tried tried = {.rule = rule, .fits = ANSWER_YES};

	if (rule != decision->rule && !rule_matches(rule, explanation->device, moment, &mismatch)) {
		tried.fits = ANSWER_NO;
		tried.failed_key = mismatch.key;
		tried.outcome = mismatch_text(rule, &mismatch, explanation->device, moment);
	} else {
		tried.outcome = strdup(how_it_decides(decision));
	}
	return add_tried(explanation, &tried);
}

int explain_device(struct Explanation *explanation, const struct Decision *decision,
		   const struct Moment *moment)
{
	const struct Policy *policy = explanation->view->policy;

	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		const struct Rule *rule = policy_rule(policy, i);
		int r = try_rule(explanation, rule, decision, moment);

		if (r < 0)
			return r;
		if (rule == decision->rule)
			break;
	}
	return judge(explanation, decision);
}

/* --- a modalias --- */

/* "may fit: revision, serial: unknown from a modalias" */
static char *maybe_text(const struct Vector *unknown)
{
	_cleanup_free_ char *keys = join_words(unknown->data, unknown->n);
	char *text;

	if (!keys || asprintf(&text, "may fit: %s: " UNTOLD, keys) < 0)
		return NULL;
	return text;
}

static int add_dependency(struct Explanation *explanation, const char *key)
{
	for (size_t i = 0; i < explanation->depends_on.n; i++)
		if (streq(string_at(&explanation->depends_on, i), key))
			return 0;
	return vector_add(&explanation->depends_on, &key, sizeof(key));
}

static int add_dependencies(struct Explanation *explanation, const struct Vector *unknown)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < unknown->n; i++)
		r = add_dependency(explanation, string_at(unknown, i));
	return r;
}

/* What the list of hardened devices goes by, of what is not told. */
static int add_dependencies_of_kernel(struct Explanation *explanation)
{
	static const char *const fields[] = {"vendor", "device", "class"};
	static const enum IdField ids[] = {ID_VENDOR, ID_DEVICE, ID_CLASS};
	const struct Device *device = explanation->device;
	int r = 0;

	if (device->bus == BUS_VIRTIO)
		return add_dependency(explanation, "device");
	if (device->bus == BUS_PLATFORM)
		return add_dependency(explanation, "name");
	if (bus_info[device->bus].listed_key)
		return add_dependency(explanation, bus_info[device->bus].listed_key);
	for (size_t i = 0; r == 0 && i < ELEMENTSOF(ids); i++)
		if (!device_has_id(device, ids[i]))
			r = add_dependency(explanation, fields[i]);
	return r;
}

/* The list of hardened devices goes by ids that are not told. */
static int judge_by_unknown_kernel(struct Explanation *explanation, const struct Decision *decision)
{
	struct Verdict verdict = {.word = action_to_string(ACTION_KERNEL)};
	_cleanup_free_ char *source = decision_source(decision, explanation->device->bus);

	if (!source ||
	    asprintf(&verdict.why, "%s: the list of hardened devices goes by what is " UNTOLD,
		     source) < 0)
		return -ENOMEM;
	if (add_dependencies_of_kernel(explanation) < 0) {
		verdict_done(&verdict);
		return -ENOMEM;
	}
	return add_verdict(explanation, &verdict);
}

static int judge_supposed(struct Explanation *explanation, const struct Decision *decision)
{
	if (decision->action == ACTION_KERNEL && !supposed_hardened_is_known(explanation->modalias))
		return judge_by_unknown_kernel(explanation, decision);
	return judge(explanation, decision);
}

static int suppose_rule(struct Explanation *explanation, const struct Rule *rule, enum Answer *ret)
{
	_cleanup_vector_ struct Vector unknown = {0};
	struct Mismatch mismatch = {0};
	struct Tried tried = {.rule = rule};
	int r = supposed_matches(rule, explanation->modalias, &tried.fits, &mismatch, &unknown);

	if (r < 0)
		return r;
	*ret = tried.fits;
	if (tried.fits == ANSWER_NO) {
		tried.failed_key = mismatch.key;
		tried.outcome = mismatch_text(rule, &mismatch, explanation->device, NULL);
	} else if (tried.fits == ANSWER_MAYBE) {
		tried.outcome = maybe_text(&unknown);
	} else {
		tried.outcome = strdup(explanation->depends_on.n > 0
					       ? "fits, and decides unless one before it does"
					       : "fits, and decides");
	}
	r = add_tried(explanation, &tried);
	return r < 0 ? r : add_dependencies(explanation, &unknown);
}

/* A root hub goes by its name, which is not told, and has these ids: drivers/usb/core/hcd.c. */
static bool may_be_root_hub(const struct Device *device)
{
	return device->bus == BUS_USB &&
	       (!device_has_id(device, ID_VENDOR) || device->ids[ID_VENDOR] == 0x1d6b) &&
	       (!device_has_id(device, ID_DEVICE) ||
		(device->ids[ID_DEVICE] >= 1 && device->ids[ID_DEVICE] <= 3));
}

static int judge_root_hub(struct Explanation *explanation)
{
	const struct Device hub = {.bus = BUS_USB, .sysname = (char *)"usb1"};
	struct Verdict verdict = {.word = "-", .why = strdup(device_exempt(&hub))};

	if (!verdict.why || add_dependency(explanation, "name") < 0) {
		verdict_done(&verdict);
		return -ENOMEM;
	}
	return add_verdict(explanation, &verdict);
}

int explain_modalias(struct Explanation *explanation)
{
	const struct Policy *policy = explanation->view->policy;
	enum Answer fits = ANSWER_NO;
	int r = 0;

	for (size_t i = 0; r == 0 && i < policy_n_rules(policy) && fits != ANSWER_YES; i++) {
		const struct Rule *rule = policy_rule(policy, i);
		struct Decision decision = {rule->action, rule->driver, rule, DECIDED_BY_RULE};

		r = suppose_rule(explanation, rule, &fits);
		if (r == 0 && fits != ANSWER_NO)
			r = judge_supposed(explanation, &decision);
	}
	if (r == 0 && fits != ANSWER_YES)
		r = judge_supposed(explanation,
				   &(struct Decision){.action = policy_default(
							      policy, explanation->device->bus)});
	if (r == 0 && may_be_root_hub(explanation->device))
		r = judge_root_hub(explanation);
	if (explanation->verdicts.n == 1) /* whatever is not told, it is the one */
		explanation->depends_on.n = 0;
	return r;
}

static int add_word(struct Vector *words, const char *word)
{
	return vector_add(words, &word, sizeof(word));
}

static int add_untold_of_bus(const struct Modalias *modalias, struct Vector *ret)
{
	const struct Device *device = modalias->device;
	const struct BusInfo *info = &bus_info[device->bus];
	int r = 0;

	for (const struct BusId *id = info->ids; r == 0 && id->attr; id++)
		if (!device_has_id(device, id->field))
			r = add_word(ret, id->attr);
	for (const char *const *text = info->texts; r == 0 && *text; text++)
		r = add_word(ret, *text);
	if (r == 0 && info->interfaces)
		r = add_word(ret, "interfaces");
	if (r == 0 && info->listed_key && !modalias->is_whole)
		r = add_word(ret, info->listed_key);
	if (r == 0 && device->bus == BUS_PLATFORM)
		r = add_word(ret, "name");
	return r;
}

int modalias_untold(const struct Modalias *modalias, struct Vector *ret)
{
	static const char *const of_any_bus[] = {"address", "attrs", "parent", "ancestor", "when"};
	int r = add_untold_of_bus(modalias, ret);

	for (size_t i = 0; r == 0 && i < ELEMENTSOF(of_any_bus); i++)
		r = add_word(ret, of_any_bus[i]);
	return r;
}
