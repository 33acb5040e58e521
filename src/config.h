/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "enums.h"
#include "parse.h"

/* How the daemon does its work: tdx-authd.yaml(5). What it decides is the policy's. */
struct Config {
	uint32_t workers;	    /* that are kept warm */
	uint32_t write_timeout_sec; /* after which a write is given up */
	int log_level;		    /* as of syslog(3): records that are less urgent are dropped */
	enum AuditUse audit;
	bool metrics;
	bool rules_only;	      /* udev's rules decide where no daemon does */
	uint32_t bus_connections_max; /* to the daemon's own bus, at once */
};

extern const struct Config config_defaults;

/* Reads the @size bytes at @text. Returns 0 with *ret, where what is not said has its default;
 * -EBADMSG where *ret_errors, which the caller frees either way, says what is wrong; or -ENOMEM. */
int config_parse(const char *text, size_t size, struct Config *ret, struct ParseErrors *ret_errors);

/* The names of all keys, one after the other; NULL behind the last. */
const char *config_key(size_t i);
