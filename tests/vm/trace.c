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
static bool parse_config_access(const char *line, char address[8], struct trace_config_access *ret)
{
	const char *p = strstr(line, "pci_cfg_");
	char arrow[3];

	if (!p || sscanf(p, "pci_cfg_%*s %*s %7s @0x%x %2s 0x%x", address, &ret->offset, arrow,
			 &ret->value) != 4)
		return false;
	ret->write = streq(arrow, "<-");
	return true;
}

/* memory_region_ops_write cpu 0 mr 0x55 addr 0xfe000014 value 0x1 size 4 name 'nvme' */
static bool parse_memory_access(const char *line, uint64_t *ret)
{
	const char *p = strstr(line, "memory_region_ops_");

	return p && sscanf(p, "memory_region_ops_%*s cpu %*d mr %*s addr %" SCNx64, ret) == 1;
}

static bool is_bar_access(uint64_t address, const struct trace_device *device)
{
	for (size_t i = 0; i < device->n_ranges; i++)
		if (address >= device->ranges[i].start && address <= device->ranges[i].end)
			return true;
	return false;
}

/* The byte that a line sends to the serial port, or -1. */
static int serial_byte(const char *line)
{
	const char *p = strstr(line, "memory_region_ops_write");
	unsigned int value;

	if (!p || !strstr(p, "name 'serial'") ||
	    sscanf(p, "memory_region_ops_write cpu %*d mr %*s addr 0x3f8 value %x", &value) != 1)
		return -1;
	return (int)(value & 0xff);
}

static FILE *open_at(const char *path, long position)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f || fseek(f, position, SEEK_SET) < 0)
		return NULL;
	return TAKE_PTR(f);
}

int trace_find_console(const char *path, const char *text, long *ret)
{
	_cleanup_fclose_ FILE *f = open_at(path, 0);
	char line[512], console[1024];
	size_t n = 0;
	int c;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		c = serial_byte(line);
		if (c < 0)
			continue;
		if (c != '\n') {
			if (n < sizeof(console) - 1)
				console[n++] = (char)(c ? c : ' ');
			continue;
		}
		console[n] = '\0';
		n = 0;
		if (strstr(console, text)) {
			*ret = ftell(f);
			return 0;
		}
	}
	return -ENOENT;
}

static void count_line(const char *line, struct trace_count *count, unsigned int *counter)
{
	if (count->config + count->bars == 0)
		(void)snprintf(count->first, sizeof(count->first), "%.*s", (int)strcspn(line, "\n"),
			       line);
	(*counter)++;
}

int trace_count_accesses(const char *path, long position, const struct trace_device *devices,
			 struct trace_count *counts, size_t n)
{
	_cleanup_fclose_ FILE *f = open_at(path, position);
	struct trace_config_access access;
	char line[512], address[8];
	uint64_t memory;

	memset(counts, 0, n * sizeof(*counts));
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (parse_memory_access(line, &memory)) {
			for (size_t i = 0; i < n; i++)
				if (is_bar_access(memory, &devices[i]))
					count_line(line, &counts[i], &counts[i].bars);
		} else if (parse_config_access(line, address, &access)) {
			for (size_t i = 0; i < n; i++)
				if (streq(address, devices[i].address))
					count_line(line, &counts[i], &counts[i].config);
		}
	}
	return 0;
}

int trace_config_accesses(const char *path, long position, long end,
			  const struct trace_device *device, struct trace_config_access **ret,
			  size_t *ret_n)
{
	_cleanup_fclose_ FILE *f = open_at(path, position);
	_cleanup_free_ struct trace_config_access *accesses = NULL;
	struct trace_config_access access, *bigger;
	char line[512], address[8];
	size_t n = 0;

	if (!f)
		return -errno;
	while ((end == 0 || ftell(f) < end) && fgets(line, sizeof(line), f)) {
		if (!parse_config_access(line, address, &access) ||
		    !streq(address, device->address))
			continue;
		bigger = reallocarray(accesses, n + 1, sizeof(*accesses));
		if (!bigger)
			return -ENOMEM;
		accesses = bigger;
		accesses[n++] = access;
	}
	*ret = TAKE_PTR(accesses);
	*ret_n = n;
	return 0;
}

/* memory_region_ops_write cpu 0 mr 0x55 addr 0x64 value 0xad size 1 name 'i8042-cmd' */
static bool is_region_access(const char *line, const char *name)
{
	const char *p = strstr(line, "memory_region_ops_");
	const char *region = p ? strstr(p, " name '") : NULL;

	return region && startswith(region + strlen(" name '"), name);
}

int trace_kernel_start(const char *path, long *ret)
{
	_cleanup_fclose_ FILE *f = open_at(path, 0);
	char line[512];
	long at = -1;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (is_region_access(line, "fwcfg"))
			at = ftell(f);
	if (at < 0)
		return -ENOENT;
	*ret = at;
	return 0;
}

int trace_count_region(const char *path, long position, const char *name, unsigned int *ret_count,
		       char first[static 256])
{
	_cleanup_fclose_ FILE *f = open_at(path, position);
	char line[512];

	*ret_count = 0;
	first[0] = '\0';
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (is_region_access(line, name) && (*ret_count)++ == 0)
			(void)snprintf(first, 256, "%.*s", (int)strcspn(line, "\n"), line);
	return 0;
}
