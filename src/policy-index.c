/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-index.h"

#include <errno.h>

#include "glob-match.h"

/* What rules are filed under; the most telling first, which is taken where several tell as much. */
enum Kind {
	KIND_IDS, /* bus, vendor and device */
	KIND_DEVICE,
	KIND_LISTED,
	KIND_NAME,
	KIND_ATTRIBUTE,
	KIND_MODALIAS, /* the first characters of it */
	KIND_VENDOR,
	KIND_BUS,
	KIND_ANY,
	_KIND_MAX,
};

#define KEYS_MAX 64    /* that one rule is filed under: the product of its lists */
#define PREFIX_MAX 255 /* characters of a modalias that are looked at */

#define EMPTY UINT32_MAX	 /* a slot without rules */
#define LIST (UINT32_C(1) << 31) /* in a slot: not a rule but where in `lists` its rules begin */
#define LAST (UINT32_C(1) << 31) /* in a list: no rule follows */

/* The rules of one key. Most keys have one rule, which is then found with one memory access less;
 * in a large policy that is what a lookup costs. */
struct Slot {
	uint32_t key;
	uint32_t rules; /* the number of the rule, or of several, or EMPTY */
};

struct PolicyIndex {
	struct Slot *slots;
	unsigned shift;				  /* there are 1 << (32 - shift) slots */
	uint32_t *lists;			  /* numbers of rules, ascending within a list */
	unsigned kinds;				  /* bits of those that are in use */
	unsigned prefix_longest;		  /* of the lengths in `prefixes` */
	uint64_t prefixes[(PREFIX_MAX + 1) / 64]; /* bits of the lengths that are in use */
};

/* --- keys: two that are equal by chance cost time and no more, as rules are tried in the end ---
 */

#define FNV_PRIME 0x100000001b3

static uint64_t hash_byte(uint64_t hash, unsigned char byte)
{
	return (hash ^ byte) * FNV_PRIME;
}

static uint64_t hash_number(uint64_t hash, uint32_t number)
{
	hash ^= number;
	hash *= 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

/* FNV-1a. Letters in one case: ids of pnp devices are the same in both. */
static uint64_t hash_text(uint64_t hash, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = hash_byte(hash,
				 (unsigned char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] | 0x20 : s[i]));
	return hash;
}

static uint64_t seed(enum Kind kind, uint32_t number)
{
	return hash_number(hash_number(0xcbf29ce484222325, kind), number);
}

/* The highest bits of the product depend on all bits of the hash. */
static uint32_t key_of(uint64_t hash)
{
	return (uint32_t)(hash * 0x9e3779b97f4a7c15 >> 32);
}

static uint32_t key_of_ids(enum Bus bus, uint32_t vendor, uint32_t device)
{
	return key_of(hash_number(hash_number(seed(KIND_IDS, bus), vendor), device));
}

static uint32_t key_of_id(enum Kind kind, enum Bus bus, uint32_t id)
{
	return key_of(hash_number(seed(kind, bus), id));
}

static uint32_t key_of_text(uint64_t start, const char *s, size_t len)
{
	return key_of(hash_text(start, s, len));
}

static uint32_t key_of_attribute(const char *name, const char *value)
{
	uint64_t hash = hash_text(seed(KIND_ATTRIBUTE, 0), name, strlen(name));

	return key_of_text(hash_byte(hash, '='), value, strlen(value));
}

static uint32_t key_of_bus(enum Bus bus)
{
	return key_of(seed(KIND_BUS, bus));
}

static uint32_t key_of_any(void)
{
	return key_of(seed(KIND_ANY, 0));
}

/* --- what a rule can be filed under --- */

struct Keys {
	uint32_t keys[KEYS_MAX];
	size_t n; /* 0: not of this kind */
	unsigned prefix_lengths[KEYS_MAX];
};

static const struct Condition *find_condition(const struct Match *match, enum ConditionType type,
					      enum IdField field)
{
	for (uint32_t i = 0; i < match->n_conditions; i++)
		if (match->conditions[i].type == type &&
		    (type != CONDITION_ID || match->conditions[i].field == field))
			return &match->conditions[i];
	return NULL;
}

/* The condition on an id, if it names whole numbers only. */
static const struct Condition *find_exact_id(const struct Match *match, enum IdField field)
{
	const struct Condition *condition = find_condition(match, CONDITION_ID, field);

	for (uint32_t i = 0; condition && i < condition->n; i++)
		if (condition->numbers[i].mask != UINT32_MAX)
			return NULL;
	return condition && condition->n <= KEYS_MAX ? condition : NULL;
}

static bool is_all_literal(const struct Condition *condition)
{
	for (uint32_t i = 0; i < condition->n; i++)
		if (!glob_is_literal(condition->globs[i]))
			return false;
	return condition->n <= KEYS_MAX;
}

static void file_under_ids(const struct Match *match, struct Keys *ret)
{
	const struct Condition *vendor = find_exact_id(match, ID_VENDOR),
			       *device = find_exact_id(match, ID_DEVICE);

	if (!vendor || !device || (uint64_t)vendor->n * device->n > KEYS_MAX)
		return;
	for (uint32_t i = 0; i < vendor->n; i++)
		for (uint32_t j = 0; j < device->n; j++)
			ret->keys[ret->n++] = key_of_ids(match->bus, vendor->numbers[i].value,
							 device->numbers[j].value);
}

static void file_under_id(const struct Match *match, enum Kind kind, struct Keys *ret)
{
	const struct Condition *id =
		find_exact_id(match, kind == KIND_VENDOR ? ID_VENDOR : ID_DEVICE);

	for (uint32_t i = 0; id && i < id->n; i++)
		ret->keys[ret->n++] = key_of_id(kind, match->bus, id->numbers[i].value);
}

static void file_under_text(const struct Match *match, enum Kind kind, struct Keys *ret)
{
	const struct Condition *condition =
		find_condition(match, kind == KIND_LISTED ? CONDITION_LISTED : CONDITION_NAME, 0);
	uint64_t start = seed(kind, kind == KIND_LISTED ? (uint32_t)match->bus : 0);

	if (!condition || !is_all_literal(condition))
		return;
	for (uint32_t i = 0; i < condition->n; i++)
		ret->keys[ret->n++] =
			key_of_text(start, condition->globs[i], strlen(condition->globs[i]));
}

static void file_under_attribute(const struct Match *match, struct Keys *ret)
{
	for (uint32_t i = 0; i < match->n_conditions; i++) {
		const struct Condition *condition = &match->conditions[i];

		if (condition->type != CONDITION_ATTRIBUTE || !is_all_literal(condition))
			continue;
		for (uint32_t j = 0; j < condition->n; j++)
			ret->keys[ret->n++] = key_of_attribute(condition->key, condition->globs[j]);
		return;
	}
}

static void file_under_modalias(const struct Match *match, struct Keys *ret)
{
	const struct Condition *condition = find_condition(match, CONDITION_MODALIAS, 0);

	if (!condition || condition->n > KEYS_MAX)
		return;
	for (uint32_t i = 0; i < condition->n; i++) {
		size_t length = glob_prefix(condition->globs[i]);

		if (length > PREFIX_MAX)
			length = PREFIX_MAX;
		ret->prefix_lengths[i] = (unsigned)length;
		ret->keys[i] = key_of_text(seed(KIND_MODALIAS, 0), condition->globs[i], length);
	}
	ret->n = condition->n;
}

static void file_rule(const struct Rule *rule, enum Kind kind, struct Keys *ret)
{
	const struct Match *match = &rule->match;

	ret->n = 0;
	switch (kind) {
	case KIND_IDS:
		file_under_ids(match, ret);
		break;
	case KIND_DEVICE:
	case KIND_VENDOR:
		file_under_id(match, kind, ret);
		break;
	case KIND_LISTED:
	case KIND_NAME:
		file_under_text(match, kind, ret);
		break;
	case KIND_ATTRIBUTE:
		file_under_attribute(match, ret);
		break;
	case KIND_MODALIAS:
		file_under_modalias(match, ret);
		break;
	case KIND_BUS:
		if (match->bus != _BUS_INVALID)
			ret->keys[ret->n++] = key_of_bus(match->bus);
		break;
	default:
		ret->keys[ret->n++] = key_of_any();
	}
}

/* --- building --- */

struct Entry {
	uint32_t key;
	uint32_t rule;
};

static int compare_keys(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int compare_entries(const void *a, const void *b)
{
	const struct Entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key ? 1 : -1;
	return (x->rule > y->rule) - (x->rule < y->rule);
}

/* All keys that any rule could be filed under, sorted. */
static int gather_keys(const struct Policy *policy, struct Vector *ret)
{
	struct Keys keys;

	for (size_t i = 0; i < policy_n_rules(policy); i++)
		for (enum Kind kind = 0; kind < _KIND_MAX; kind++) {
			file_rule(policy_rule(policy, i), kind, &keys);
			for (size_t j = 0; j < keys.n; j++)
				if (vector_add(ret, &keys.keys[j], sizeof(keys.keys[j])) < 0)
					return -ENOMEM;
		}
	if (ret->n > 0)
		qsort(ret->data, ret->n, sizeof(uint32_t), compare_keys);
	return 0;
}

/* Where @key would stand among the sorted ones, or, with @after, where the next larger one does. */
static size_t find_key(const struct Vector *sorted, uint32_t key, bool after)
{
	const uint32_t *keys = sorted->data;
	size_t low = 0, high = sorted->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (keys[middle] < key || (after && keys[middle] == key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* With how many rules, at most, the rule would be under one key. */
static size_t crowd(const struct Vector *sorted, const struct Keys *keys)
{
	size_t largest = 0;

	for (size_t i = 0; i < keys->n; i++) {
		size_t n = find_key(sorted, keys->keys[i], true) -
			   find_key(sorted, keys->keys[i], false);

		if (n > largest)
			largest = n;
	}
	return largest;
}

static void use_prefix(struct PolicyIndex *index, unsigned length)
{
	index->prefixes[length / 64] |= UINT64_C(1) << length % 64;
	if (length > index->prefix_longest)
		index->prefix_longest = length;
}

static int enter_rule(struct PolicyIndex *index, const struct Policy *policy, size_t number,
		      const struct Vector *sorted, struct Vector *entries)
{
	struct Keys best = {0}, keys;
	enum Kind best_kind = _KIND_MAX;
	size_t least = SIZE_MAX;

	for (enum Kind kind = 0; kind < _KIND_MAX; kind++) {
		size_t n;

		file_rule(policy_rule(policy, number), kind, &keys);
		n = crowd(sorted, &keys);
		if (keys.n > 0 && n < least) {
			least = n;
			best = keys;
			best_kind = kind;
		}
	}
	index->kinds |= 1U << best_kind;
	for (size_t i = 0; i < best.n; i++) {
		struct Entry entry = {best.keys[i], (uint32_t)number};
		unsigned length = best.prefix_lengths[i];

		if (best_kind == KIND_MODALIAS)
			use_prefix(index, length);
		if (vector_add(entries, &entry, sizeof(entry)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static struct Slot *find_slot(const struct PolicyIndex *index, uint32_t key)
{
	size_t mask = ((size_t)1 << (32 - index->shift)) - 1;

	for (size_t i = key >> index->shift;; i = (i + 1) & mask)
		if (index->slots[i].rules == EMPTY || index->slots[i].key == key)
			return &index->slots[i];
}

/* At least twice as many slots as keys: there is always an empty one, and it is never far. */
static int make_slots(struct PolicyIndex *index, struct Arena *arena, size_t n_keys)
{
	size_t n;

	index->shift = 31;
	while (index->shift > 0 && (UINT64_C(1) << (32 - index->shift)) < n_keys * 2)
		index->shift--;
	n = (size_t)1 << (32 - index->shift);
	if (n <= n_keys)
		return -ENOMEM;
	index->slots = arena_alloc(arena, n, sizeof(*index->slots));
	for (size_t i = 0; index->slots && i < n; i++)
		index->slots[i] = (struct Slot){.rules = EMPTY};
	return index->slots ? 0 : -ENOMEM;
}

/* Drops what is there twice. */
static size_t sort_entries(struct Entry *entries, size_t n)
{
	size_t kept = 0;

	if (n > 0)
		qsort(entries, n, sizeof(*entries), compare_entries);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || compare_entries(&entries[i], &entries[i - 1]) != 0)
			entries[kept++] = entries[i];
	return kept;
}

/* How many entries from @entries on have its key. */
static size_t count_same_key(const struct Entry *entries, size_t n)
{
	size_t same = 1;

	while (same < n && entries[same].key == entries[0].key)
		same++;
	return same;
}

static int fill(struct PolicyIndex *index, struct Arena *arena, struct Vector *vector)
{
	struct Entry *entries = vector->data;
	size_t n = sort_entries(entries, vector->n), n_keys = 0, n_listed = 0, same;

	if (n >= LIST)
		return -ENOMEM;
	for (size_t i = 0; i < n; i += same) {
		same = count_same_key(entries + i, n - i);
		n_keys++;
		n_listed += same > 1 ? same : 0;
	}
	index->lists = arena_alloc(arena, n_listed + 1, sizeof(*index->lists));
	if (!index->lists || make_slots(index, arena, n_keys) < 0)
		return -ENOMEM;
	n_listed = 0;
	for (size_t i = 0; i < n; i += same) {
		struct Slot *slot = find_slot(index, entries[i].key);

		same = count_same_key(entries + i, n - i);
		*slot = (struct Slot){entries[i].key, entries[i].rule};
		if (same == 1)
			continue;
		slot->rules = LIST | (uint32_t)n_listed;
		for (size_t j = 0; j < same; j++)
			index->lists[n_listed++] = entries[i + j].rule;
		index->lists[n_listed - 1] |= LAST;
	}
	return 0;
}

int policy_index(struct Policy *policy)
{
	_cleanup_vector_ struct Vector sorted = {0}, entries = {0};
	struct PolicyIndex *index = arena_alloc(&policy->arena, 1, sizeof(*index));
	int r;

	if (!index)
		return -ENOMEM;
	r = gather_keys(policy, &sorted);
	for (size_t i = 0; r == 0 && i < policy_n_rules(policy); i++)
		r = enter_rule(index, policy, i, &sorted, &entries);
	if (r == 0)
		r = fill(index, &policy->arena, &entries);
	if (r == 0)
		policy->index = index;
	return r;
}

/* --- looking up --- */

struct Search {
	const struct Policy *policy;
	const struct Device *device;
	const struct Moment *moment;
	size_t found; /* number of the first rule that matched so far */
};

/* Returns whether a rule further on may still be the first. */
static bool try_rule(struct Search *search, size_t number)
{
	if (number >= search->found)
		return false;
	if (!rule_matches(policy_rule(search->policy, number), search->device, search->moment,
			  NULL))
		return true;
	search->found = number;
	return false;
}

static void try_key(struct Search *search, uint32_t key)
{
	const struct PolicyIndex *index = search->policy->index;
	uint32_t rules = find_slot(index, key)->rules;
	const uint32_t *list;

	if (rules == EMPTY)
		return;
	if (!(rules & LIST)) {
		(void)try_rule(search, rules);
		return;
	}
	list = index->lists + (rules & ~LIST);
	while (try_rule(search, *list & ~LAST) && !(*list & LAST))
		list++;
}

static bool in_use(const struct Search *search, enum Kind kind)
{
	return search->policy->index->kinds & (1U << kind);
}

static void try_ids(struct Search *search)
{
	const struct Device *device = search->device;
	bool has_vendor = device_has_id(device, ID_VENDOR),
	     has_device = device_has_id(device, ID_DEVICE);

	if (has_vendor && has_device && in_use(search, KIND_IDS))
		try_key(search,
			key_of_ids(device->bus, device->ids[ID_VENDOR], device->ids[ID_DEVICE]));
	if (has_device && in_use(search, KIND_DEVICE))
		try_key(search, key_of_id(KIND_DEVICE, device->bus, device->ids[ID_DEVICE]));
	if (has_vendor && in_use(search, KIND_VENDOR))
		try_key(search, key_of_id(KIND_VENDOR, device->bus, device->ids[ID_VENDOR]));
}

static void try_texts(struct Search *search)
{
	const struct Device *device = search->device;
	const char *pos = NULL, *id;
	size_t len;

	while (in_use(search, KIND_LISTED) && (id = device_next_listed_id(device, &pos, &len)))
		try_key(search, key_of_text(seed(KIND_LISTED, device->bus), id, len));
	if (in_use(search, KIND_NAME) && device->sysname)
		try_key(search,
			key_of_text(seed(KIND_NAME, 0), device->sysname, strlen(device->sysname)));
	for (size_t i = 0; in_use(search, KIND_ATTRIBUTE) && i < device->n_attributes; i++)
		if (device->attributes[i].value)
			try_key(search, key_of_attribute(device->attributes[i].name,
							 device->attributes[i].value));
}

static void try_modalias(struct Search *search)
{
	const struct PolicyIndex *index = search->policy->index;
	const char *modalias = search->device->modalias;
	uint64_t hash = seed(KIND_MODALIAS, 0);

	if (!modalias || !in_use(search, KIND_MODALIAS))
		return;
	for (unsigned length = 0; length <= index->prefix_longest; length++) {
		if (index->prefixes[length / 64] >> length % 64 & 1)
			try_key(search, key_of(hash));
		if (!modalias[length])
			return;
		hash = hash_text(hash, modalias + length, 1);
	}
}

const struct Rule *policy_index_find(const struct Policy *policy, const struct Device *device,
				     const struct Moment *moment)
{
	struct Search search = {policy, device, moment, SIZE_MAX};

	try_ids(&search);
	try_texts(&search);
	try_modalias(&search);
	if (in_use(&search, KIND_BUS))
		try_key(&search, key_of_bus(device->bus));
	if (in_use(&search, KIND_ANY))
		try_key(&search, key_of_any());
	return search.found == SIZE_MAX ? NULL : policy_rule(policy, search.found);
}
