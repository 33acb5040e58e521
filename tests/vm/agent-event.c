/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-event.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "util.h"

#define DEVICES_MAX 1024

/* Opens what makes the kernel tell of each device. Returns how many there are now. */
static size_t open_devices(const char *bus, int *fds, size_t n)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	char path[300];

	(void)snprintf(path, sizeof(path), "/sys/bus/%s/devices", bus);
	dir = opendir(path);
	while (dir && n < DEVICES_MAX && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/uevent", entry->d_name);
		fds[n] = openat(dirfd(dir), path, O_WRONLY | O_CLOEXEC);
		n += fds[n] >= 0;
	}
	return n;
}

int agent_flood(const char *n, char *const *buses)
{
	static int fds[DEVICES_MAX];
	unsigned long count = strtoul(n, NULL, 10);
	size_t devices = 0;

	for (; *buses; buses++)
		devices = open_devices(*buses, fds, devices);
	for (unsigned long i = 0; devices > 0 && i < count; i++)
		if (write(fds[i % devices], "change", strlen("change")) < 0)
			return EXIT_FAILURE;
	return devices > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int agent_forge(const char *n)
{
	static const char message[] = "add@/devices/forged\0ACTION=add\0DEVPATH=/devices/forged\0"
				      "SUBSYSTEM=pci\0SEQNUM=1";
	const struct sockaddr_nl kernel_group = {.nl_family = AF_NETLINK, .nl_groups = 1};
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	for (unsigned long i = strtoul(n, NULL, 10); i > 0; i--)
		if (sendto(fd, message, sizeof(message), 0, (const struct sockaddr *)&kernel_group,
			   sizeof(kernel_group)) != (ssize_t)sizeof(message))
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
