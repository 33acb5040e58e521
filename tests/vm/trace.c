/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>

#include "trace.h"

int trace_device_parse(const char *name, const char *resource, struct trace_device *ret)
{
	const char *line = resource;

	*ret = (struct trace_device){0};
	if (strlen(name) != strlen("0000:00:00.0"))
		return -EINVAL;
	(void)snprintf(ret->address, sizeof(ret->address), "%s", name + strlen("0000:"));
	for (size_t i = 0; i < TRACE_RANGES && line; i++) {
		uint64_t start, end;

		if (sscanf(line, "%" SCNx64 " %" SCNx64, &start, &end) != 2)
			return -EINVAL;
		if (end > 0) {
			ret->ranges[ret->n_ranges].start = start;
			ret->ranges[ret->n_ranges++].end = end;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return 0;
}

int trace_position(const char *path, long *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f || fseek(f, 0, SEEK_END) < 0)
		return -errno;
	*ret = ftell(f);
	return 0;
}

/* pci_cfg_read e1000e 01:00.0 @0x4 -> 0x7 */
static bool is_config_access(const char *line, const struct trace_device *device)
{
	const char *p = strstr(line, "pci_cfg_");
	char address[8];

	return p && sscanf(p, "pci_cfg_%*s %*s %7s", address) == 1 &&
	       streq(address, device->address);
}

/* memory_region_ops_write cpu 0 mr 0x55 addr 0xfe000014 value 0x1 size 4 name 'nvme' */
static bool is_bar_access(const char *line, const struct trace_device *device)
{
	const char *p = strstr(line, "memory_region_ops_");
	uint64_t address;

	if (!p || sscanf(p, "memory_region_ops_%*s cpu %*d mr %*s addr %" SCNx64, &address) != 1)
		return false;
	for (size_t i = 0; i < device->n_ranges; i++)
		if (address >= device->ranges[i].start && address <= device->ranges[i].end)
			return true;
	return false;
}

int trace_count_accesses(const char *path, long position, const struct trace_device *device,
			 struct trace_count *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[512];

	*ret = (struct trace_count){0};
	if (!f || fseek(f, position, SEEK_SET) < 0)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (is_config_access(line, device))
			ret->config++;
		else if (is_bar_access(line, device))
			ret->bars++;
		else
			continue;
		if (ret->config + ret->bars == 1)
			(void)snprintf(ret->first, sizeof(ret->first), "%.*s",
				       (int)strcspn(line, "\n"), line);
	}
	return 0;
}
