/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "supposed.h"

#include "glob-match.h"
#include "hardened.h"

static enum Answer answer(bool is_so)
{
	return is_so ? ANSWER_YES : ANSWER_NO;
}

/* --- globs on what is known in part --- */

/* Whether @glob fits a text that begins with the @n bytes at @s. */
static enum Answer glob_on_beginning(const char *glob, const char *s, size_t n)
{
	size_t literal = glob_prefix(glob);

	if (memcmp(glob, s, literal < n ? literal : n) != 0)
		return ANSWER_NO;
	if (!glob[literal] && literal < n)
		return ANSWER_NO;
	return literal <= n && streq(glob + literal, "*") ? ANSWER_YES : ANSWER_MAYBE;
}

/* Any of the condition's globs; @is_whole: the text is those bytes and no more, and ends there. */
static enum Answer globs_on(const struct Condition *condition, const char *s, size_t n,
			    bool is_whole)
{
	enum Answer best = ANSWER_NO;

	for (uint32_t i = 0; i < condition->n && best != ANSWER_YES; i++) {
		const char *glob = condition->globs[i];
		enum Answer one = is_whole ? answer(glob_match_n(glob, s, n, false))
					   : glob_on_beginning(glob, s, n);

		best = one > best ? one : best;
	}
	return best;
}

/* --- conditions --- */

static enum Answer modalias_answer(const struct Condition *condition,
				   const struct Modalias *modalias)
{
	if (modalias->device->bus == BUS_PNP) /* has none in sysfs */
		return ANSWER_NO;
	return globs_on(condition, modalias->device->modalias, modalias->known, modalias->is_whole);
}

/* A platform device is called by what is known of its modalias, and perhaps a number behind it. */
static enum Answer name_answer(const struct Condition *condition, const struct Modalias *modalias)
{
	return globs_on(condition, modalias->device->sysname, strlen(modalias->device->sysname),
			false);
}

/* acpi: a modalias without wildcard lists all ids; a pnp device may always list more. */
static bool lists_all(const struct Modalias *modalias)
{
	return modalias->device->bus == BUS_ACPI && modalias->is_whole;
}

/* All ids must be covered by what gives the device, any by what takes it: match.c. */
static enum Answer listed_answer(const struct Condition *condition, const struct Modalias *modalias,
				 bool gives)
{
	const char *pos = NULL, *id;
	size_t len;

	while ((id = device_next_listed_id(modalias->device, &pos, &len)))
		if (condition_fits_id(condition, modalias->device, id, len) != gives)
			return gives ? ANSWER_NO : ANSWER_YES;
	return lists_all(modalias) ? answer(gives) : ANSWER_MAYBE;
}

static enum Answer class_answer(const struct Condition *condition, const struct Modalias *modalias)
{
	const uint32_t told = modalias->class_mask | 0xff000000; /* a class has 24 bits */
	enum Answer best = ANSWER_NO;

	for (uint32_t i = 0; i < condition->n; i++) {
		const struct Number *number = &condition->numbers[i];
		enum Answer one = number->mask & ~told ? ANSWER_MAYBE : ANSWER_YES;

		if ((modalias->class_bits ^ number->value) & number->mask & told)
			continue;
		best = one > best ? one : best;
	}
	return best;
}

static enum Answer id_answer(const struct Condition *condition, const struct Modalias *modalias)
{
	const struct Device *device = modalias->device;

	if (!device_has_id(device, condition->field))
		return condition->field == ID_CLASS ? class_answer(condition, modalias)
						    : ANSWER_MAYBE;
	for (uint32_t i = 0; i < condition->n; i++)
		if (number_fits(&condition->numbers[i], device->ids[condition->field]))
			return ANSWER_YES;
	return ANSWER_NO;
}

/* The device has the interface that is told, if one is, and may have others. */
static enum Answer interfaces_answer(const struct Condition *condition, const struct Device *device)
{
	bool fits = false;

	if (device->n_interfaces == 0)
		return ANSWER_MAYBE;
	for (uint32_t i = 0; i < condition->n; i++)
		fits = fits || number_fits(&condition->numbers[i], device->interfaces[0]);
	switch (condition->quantity) {
	case QUANTITY_ONE_OF:
		return fits ? ANSWER_YES : ANSWER_MAYBE;
	case QUANTITY_NONE_OF:
		return fits ? ANSWER_NO : ANSWER_MAYBE;
	case QUANTITY_ALL_OF:
		return fits && condition->n == 1 ? ANSWER_YES : ANSWER_MAYBE;
	case QUANTITY_EQUALS:
		return fits ? ANSWER_MAYBE : ANSWER_NO;
	default:
		return ANSWER_MAYBE;
	}
}

struct Question {
	const struct Modalias *modalias;
	bool gives;
	struct Mismatch *mismatch; /* NULL: nobody asks */
	struct Vector *unknown;	   /* NULL: nobody asks */
	int error;
};

static enum Answer match_answer(struct Question *question, const struct Match *match);

static enum Answer not_answer(const struct Question *question, const struct Condition *condition)
{
	struct Question inner = {.modalias = question->modalias, .gives = !question->gives};
	enum Answer best = ANSWER_NO;

	for (uint32_t i = 0; i < condition->n; i++) {
		enum Answer one = match_answer(&inner, &condition->matches[i]);

		best = one > best ? one : best;
	}
	return (enum Answer)(ANSWER_YES - best);
}

static enum Answer condition_answer(const struct Question *question,
				    const struct Condition *condition)
{
	const struct Modalias *modalias = question->modalias;

	switch (condition->type) {
	case CONDITION_ID:
		return id_answer(condition, modalias);
	case CONDITION_LISTED:
		return listed_answer(condition, modalias, question->gives);
	case CONDITION_NAME:
		return name_answer(condition, modalias);
	case CONDITION_MODALIAS:
		return modalias_answer(condition, modalias);
	case CONDITION_NOT:
		return not_answer(question, condition);
	case CONDITION_INTERFACES:
		return interfaces_answer(condition, modalias->device);
	case CONDITION_ATTRIBUTE:
	case CONDITION_PARENT:
	case CONDITION_ANCESTOR:
		return ANSWER_MAYBE;
	}
	return ANSWER_MAYBE;
}

/* --- rules --- */

static enum Answer rule_out(const struct Question *question, const char *key,
			    const struct Condition *condition)
{
	if (question->mismatch)
		*question->mismatch = (struct Mismatch){key, condition};
	return ANSWER_NO;
}

static void note_unknown(struct Question *question, const char *key)
{
	struct Vector *unknown = question->unknown;

	for (size_t i = 0; unknown && i < unknown->n; i++)
		if (streq(string_at(unknown, i), key))
			return;
	if (unknown && vector_add(unknown, &key, sizeof(key)) < 0)
		question->error = -ENOMEM;
}

/* A condition that rules the device out does so whatever the others depend on. */
static enum Answer match_answer(struct Question *question, const struct Match *match)
{
	enum Answer least = ANSWER_YES;

	if (match->bus != _BUS_INVALID && match->bus != question->modalias->device->bus)
		return rule_out(question, bus_to_string(match->bus), NULL);
	for (uint32_t i = 0; i < match->n_conditions; i++) {
		enum Answer one = condition_answer(question, &match->conditions[i]);

		if (one == ANSWER_NO)
			return rule_out(question, match->conditions[i].key, &match->conditions[i]);
		least = one < least ? one : least;
	}
	for (uint32_t i = 0; least == ANSWER_MAYBE && i < match->n_conditions; i++)
		if (condition_answer(question, &match->conditions[i]) == ANSWER_MAYBE)
			note_unknown(question, match->conditions[i].key);
	return least;
}

int supposed_matches(const struct Rule *rule, const struct Modalias *modalias, enum Answer *ret,
		     struct Mismatch *ret_mismatch, struct Vector *unknown)
{
	struct Question question = {.modalias = modalias,
				    .gives = action_gives(rule->action),
				    .mismatch = ret_mismatch,
				    .unknown = unknown};

	*ret = match_answer(&question, &rule->match);
	if (*ret != ANSWER_NO && rule->when != (WHEN_COLD | WHEN_HOT)) {
		note_unknown(&question, "when");
		*ret = ANSWER_MAYBE;
	}
	return question.error;
}

/* --- the list of hardened devices --- */

static bool name_is_decided(const struct Modalias *modalias)
{
	const char *name = modalias->device->sysname;

	for (size_t i = 0; i < hardened_table_size; i++) {
		const struct HardenedEntry *entry = &hardened_table[i];

		if (entry->bus == BUS_PLATFORM && entry->text &&
		    glob_on_beginning(entry->text, name, strlen(name)) == ANSWER_MAYBE)
			return false;
	}
	return true;
}

bool supposed_hardened_is_known(const struct Modalias *modalias)
{
	static const unsigned pci_ids = 1U << ID_VENDOR | 1U << ID_DEVICE | 1U << ID_CLASS;
	const struct Device *device = modalias->device;
	const char *driver;

	switch (device->bus) {
	case BUS_PCI:
		return (device->have_ids & pci_ids) == pci_ids;
	case BUS_VIRTIO:
		return device_has_id(device, ID_DEVICE);
	case BUS_ACPI:
	case BUS_PNP: /* one id that is not on the list is enough */
		return lists_all(modalias) || !hardened_find(device, &driver);
	case BUS_PLATFORM:
		return name_is_decided(modalias);
	default:
		return true; /* the bus has a default of its own */
	}
}
