/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

void mount_done(struct Mount *mount)
{
	free(mount->point);
	free(mount->type);
	free(mount->source);
	free(mount->options);
	*mount = (struct Mount){0};
}

void unescape_octal(char *s)
{
	char *out = s;

	for (; *s; out++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out = *s++;
		}
	}
	*out = '\0';
}

FILE *mounts_open(void)
{
	return fopen("/proc/self/mountinfo", "re");
}

/* "27 1 254:0 / /usr rw,relatime shared:1 - ext4 /dev/vda rw,discard". Returns whether it is such a
 * line. */
static bool parse_line(const char *line, struct Mount *ret)
{
	const char *rest = strstr(line, " - ");
	unsigned major_number, minor_number;
	int end = 0;

	if (!rest || sscanf(line, "%d %*d %u:%u %*s %ms", &ret->id, &major_number, &minor_number,
			    &ret->point) != 4)
		return false;
	if (sscanf(rest, " - %ms %ms %n", &ret->type, &ret->source, &end) != 2)
		return false;
	ret->dev = makedev(major_number, minor_number);
	ret->options = end > 0 ? strndup(rest + end, strcspn(rest + end, "\n")) : strdup("");
	unescape_octal(ret->point);
	unescape_octal(ret->source);
	return true;
}

int mounts_next(FILE *mounts, struct Mount *mount)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, mounts) > 0) {
		mount_done(mount);
		if (parse_line(line, mount))
			return mount->options ? 1 : -ENOMEM;
	}
	return 0;
}

int mount_of_path(const char *path, struct Mount *ret)
{
	_cleanup_fclose_ FILE *mounts = NULL;
	_cleanup_mount_ struct Mount mount = {0};
	struct statx st;
	int r;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_MNT_ID))
		return -ENODEV;
	mounts = mounts_open();
	if (!mounts)
		return -errno;
	while ((r = mounts_next(mounts, &mount)) > 0)
		if ((uint64_t)mount.id == st.stx_mnt_id) {
			*ret = mount;
			mount = (struct Mount){0};
			return 0;
		}
	return r < 0 ? r : -ENODEV;
}
