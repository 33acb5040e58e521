/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics.h"

#include <errno.h>
#include <inttypes.h>

#include "names.h"
#include "phase.h"
#include "util.h"

static void print_head(FILE *file, const char *name, const char *type, const char *help)
{
	(void)fprintf(file, "# TYPE tdx_auth_%s %s\n# HELP tdx_auth_%s %s\n", name, type, name,
		      help);
}

static void print_gauge(FILE *file, const char *name, uint64_t value, const char *help)
{
	print_head(file, name, "gauge", help);
	(void)fprintf(file, "tdx_auth_%s %" PRIu64 "\n", name, value);
}

static void print_counter(FILE *file, const char *name, uint64_t value, const char *help)
{
	print_head(file, name, "counter", help);
	(void)fprintf(file, "tdx_auth_%s_total %" PRIu64 "\n", name, value);
}

static void print_devices(FILE *file, const struct Metrics *metrics)
{
	print_head(file, "devices", "gauge", "Devices by what the policy wants of them.");
	for (enum Bus bus = 0; bus < _BUS_MAX; bus++)
		for (enum Action action = 0; action < _ACTION_MAX; action++)
			(void)fprintf(file,
				      "tdx_auth_devices{bus=\"%s\",verdict=\"%s\"} %" PRIu64 "\n",
				      bus_to_string(bus), action_to_string(action),
				      metrics->devices[bus][action]);
}

void metrics_print(FILE *file, const struct Metrics *metrics)
{
	print_devices(file, metrics);
	print_counter(file, "authorizations", metrics->authorized, "Devices that were authorized.");
	print_counter(file, "refusals", metrics->refused, "Devices that were refused.");
	print_counter(file, "returns", metrics->returned,
		      "Devices that were left to the kernel again.");
	print_counter(file, "failures", metrics->failed,
		      "Devices that are not as the policy wants them.");
	print_counter(file, "unsupported", metrics->unsupported,
		      "Devices that the kernel has no means for.");
	print_counter(file, "event_overflows", metrics->overflows,
		      "Times that events of the kernel were lost, and all devices looked at.");
	print_counter(file, "forged_messages", metrics->forged,
		      "Messages that were dropped, as they were not the kernel's.");
	print_counter(file, "malformed_messages", metrics->malformed,
		      "Messages of the kernel's that were dropped, as they could not be read.");
	print_gauge(file, "policy_rules", metrics->rules, "Rules of the policy in force.");
	print_gauge(file, "policy_rules_missing_devices", metrics->missing_rules,
		    "Rules that admit fewer devices than they need.");
	print_gauge(file, "policy_generation", metrics->loads,
		    "How often a policy came into force since the start.");
	print_head(file, "policy_loaded_timestamp_seconds", "gauge",
		   "When the policy in force was loaded.");
	(void)fprintf(file, "tdx_auth_policy_loaded_timestamp_seconds %" PRIi64 ".%06" PRIi64 "\n",
		      metrics->loaded_usec / 1000000, metrics->loaded_usec % 1000000);
	print_gauge(file, "policy_refused", metrics->policy_refused,
		    "Whether the policy that is installed could not be loaded.");
	print_gauge(file, "impaired", metrics->impaired,
		    "Whether something keeps the daemon from its work.");
	print_gauge(file, "frozen", metrics->frozen, "Whether the policy is frozen.");
	print_gauge(file, "sealed", metrics->sealed,
		    "Whether no device becomes authorized any more.");
	(void)fputs("# EOF\n", file);
}

int metrics_write(const struct Metrics *metrics)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	int r;

	if (!file)
		return -ENOMEM;
	metrics_print(file, metrics);
	r = fclose(file) == 0 && text ? runtime_write(METRICS_FILE, text, size, RUNTIME_REPLACE)
				      : -ENOMEM;
	free(text);
	return r;
}

void metrics_remove(void)
{
	_cleanup_free_ char *path = runtime_path(METRICS_FILE);

	if (path)
		(void)unlink(path);
}
