/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The init of the guests of bench-kernel.c, all that is in their initramfs. The host looks when its
 * first instruction is executed; then it finds out what an ioremap() costs, says so in one line,
 * and ends the guest.
 *
 * What maps and unmaps one page at the wish of user space is a read of a PCI device's ROM. The
 * rest of such a read is known: a read of a ROM that is not enabled gets no further than the
 * refusal, and enabling and disabling it is two reads and two writes of config space. The host runs
 * the guest such that the time stamp counter counts instructions. The median of many reads is one
 * without an interrupt. What is left has the check of the ROM's header in it, which adds a little
 * to an ioremap() and takes nothing from a difference. */

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <x86intrin.h>

#include "util.h"

#define READS 1001

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What one read of @size bytes at @offset costs; 0 where it does not have the result it should. */
static uint64_t cost(int fd, size_t size, off_t offset, ssize_t result)
{
	static uint64_t costs[READS];
	char buffer[64];
	uint64_t begin;

	for (size_t i = 0; i < READS; i++) {
		begin = __rdtsc();
		if (pread(fd, buffer, size, offset) != result)
			return 0;
		costs[i] = __rdtsc() - begin;
	}
	qsort(costs, READS, sizeof(costs[0]), compare);
	return costs[READS / 2];
}

/* The device with a ROM: the host gives only one to the guest. */
static void measure(const char *rom_path)
{
	char path[PATH_MAX], line[256];
	uint64_t refused, one, two, rom;
	_cleanup_close_ int rom_fd = open(rom_path, O_RDWR | O_CLOEXEC), config_fd = -1;

	(void)snprintf(path, sizeof(path), "%.*sconfig", (int)(strlen(rom_path) - strlen("rom")),
		       rom_path);
	config_fd = open(path, O_RDONLY | O_CLOEXEC);
	one = cost(config_fd, 4, 0x30, 4);
	two = cost(config_fd, 8, 0x30, 8);
	refused = cost(rom_fd, 1, 0, -1);
	if (pwrite(rom_fd, "1", 1, 0) != 1)
		return;
	rom = cost(rom_fd, 1, 0, 1);
	(void)snprintf(line, sizeof(line),
		       "bench: config %" PRIu64 " %" PRIu64 " rom %" PRIu64 " %" PRIu64 "\n", one,
		       two, refused, rom);
	/* At once, so that no message of the kernel comes between. */
	if (write(STDOUT_FILENO, line, strlen(line)) > 0)
		(void)tcdrain(STDOUT_FILENO);
}

int main(void)
{
	glob_t roms;

	(void)mkdir("/sys", 0755);
	(void)mount("sysfs", "/sys", "sysfs", 0, NULL);
	if (glob("/sys/bus/pci/devices/*/rom", 0, NULL, &roms) == 0)
		for (size_t i = 0; i < roms.gl_pathc; i++)
			measure(roms.gl_pathv[i]);
	(void)reboot(RB_AUTOBOOT);
	return EXIT_FAILURE;
}
