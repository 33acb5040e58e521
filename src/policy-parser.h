/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"
#include "vector.h"
#include "yaml-reader.h"

/* What the files that read the policy language share. */

/* A match that is being read, and the one that it stands in. */
struct MatchBuilder {
	struct MatchBuilder *outer;
	enum Bus bus;
	struct Vector conditions;
	struct Vector matches; /* of the `not`, `parent` or `ancestor` that is being read */
};

struct Parser {
	struct YamlReader yaml;
	struct Policy *policy;
	struct Rule rule; /* the rule being read */
	bool match_seen, action_seen, count_seen, over_seen;
	yaml_mark_t rule_mark;
	struct MatchBuilder *match;
	struct Vector values; /* numbers or globs of the key being read */
	bool short_class;     /* one of these numbers is a class with digits left out */
	void *names;	      /* tsearch() tree of the rule names of this file */
};

/* The key `match` of a rule. */
int parse_rule_match(struct Parser *p, const struct Key *key);

/* The bus that a device must be on to fit, by name or by its modalias; _BUS_INVALID: any. */
enum Bus match_bus(const struct Match *match);

/* Refuses the current value. */
#define fail_here(p, ...) reader_fail(&(p)->yaml, (p)->yaml.event.start_mark, __VA_ARGS__)
