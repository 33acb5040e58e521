/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <syslog.h>

#include "util.h"
#include "yaml-reader.h"

struct Parser {
	struct YamlReader yaml;
	struct Config config;
};

const struct Config config_defaults = {
	.workers = 4,
	.write_timeout_sec = 10,
	.log_level = LOG_INFO,
	.audit = AUDIT_AUTO,
	.metrics = true,
	.bus_connections_max = 32,
};

static int parse_workers(struct Parser *p, const struct Key *key)
{
	return reader_number(&p->yaml, key->name, 1, 8, &p->config.workers);
}

static int parse_write_timeout(struct Parser *p, const struct Key *key)
{
	return reader_number(&p->yaml, key->name, 1, 600, &p->config.write_timeout_sec);
}

static int parse_bus_connections(struct Parser *p, const struct Key *key)
{
	return reader_number(&p->yaml, key->name, 1, 256, &p->config.bus_connections_max);
}

static int parse_log_level(struct Parser *p, const struct Key *key)
{
	static const char *const words[] = {"error", "warning", "info", "debug"};
	static const int levels[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	int i, r = reader_word(&p->yaml, key->name, "level", words, ELEMENTSOF(words), &i);

	if (r >= 0)
		p->config.log_level = levels[i];
	return r;
}

static int parse_audit(struct Parser *p, const struct Key *key)
{
	int i, r = reader_word(&p->yaml, key->name, "value", audit_use_words, _AUDIT_USE_MAX, &i);

	if (r >= 0)
		p->config.audit = (enum AuditUse)i;
	return r;
}

static int parse_metrics(struct Parser *p, const struct Key *key)
{
	return reader_bool(&p->yaml, key->name, &p->config.metrics);
}

static int parse_rules_only(struct Parser *p, const struct Key *key)
{
	return reader_bool(&p->yaml, key->name, &p->config.rules_only);
}

static int parse_version(struct Parser *p, const struct Key *key)
{
	return reader_version(&p->yaml, key->name);
}

static const struct Key keys[] = {
	{"version", parse_version},
	{"workers", parse_workers},
	{"write-timeout-sec", parse_write_timeout},
	{"log-level", parse_log_level},
	{"audit", parse_audit},
	{"metrics", parse_metrics},
	{"bus-connections-max", parse_bus_connections},
	{"rules-only", parse_rules_only},
	{NULL},
};

const char *config_key(size_t i)
{
	return i < ELEMENTSOF(keys) ? keys[i].name : NULL;
}

int config_parse(const char *text, size_t size, struct Config *ret, struct ParseErrors *ret_errors)
{
	struct Parser p = {.yaml = {.noun = "configuration",
				    .errors = ret_errors,
				    .parser = &p,
				    .size_max = PARSE_SIZE_MAX},
			   .config = config_defaults};
	int r;

	*ret_errors = (struct ParseErrors){0};
	r = reader_read(&p.yaml, text, size, keys);
	if (r >= 0)
		*ret = p.config;
	return r;
}
