/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <syslog.h>

#include "fuzz.h"

/* The input is a configuration. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct Config config = {0};
	struct ParseErrors errors;
	int r = config_parse((const char *)data, size, &config, &errors);

	check(r == 0 || r == -EBADMSG);
	check((r == 0) == (errors.n == 0));
	for (size_t i = 0; i < errors.n && i < PARSE_ERRORS_MAX; i++) {
		check(errors.items[i].line > 0 && errors.items[i].column > 0);
		check(*errors.items[i].message);
	}
	parse_errors_done(&errors);
	if (r == 0) {
		check(config.workers >= 1 && config.workers <= 8);
		check(config.write_timeout_sec >= 1 && config.write_timeout_sec <= 600);
		check(config.log_level >= LOG_ERR && config.log_level <= LOG_DEBUG);
		check(config.audit < _AUDIT_USE_MAX);
		check(config.bus_connections_max >= 1 && config.bus_connections_max <= 256);
	}
	return 0;
}
