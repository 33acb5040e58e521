/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "initrd-file.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "util.h"

/* Blanks and archives alike begin at multiples of 4. */
static void pad(FILE *out)
{
	while (ftell(out) % 4 != 0)
		(void)fputc(0, out);
}

/* "070701" and 13 numbers. Each gets an inode of its own, as it would be a link else. */
static void add_entry(FILE *out, const char *name, unsigned mode, const char *text)
{
	static unsigned ino = 0x7e57;
	size_t size = strlen(text);

	(void)fprintf(out, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", ino++,
		      mode, 0, 0, 1, 0, size, 0, 0, 0, 0, strlen(name) + 1, 0);
	(void)fwrite(name, strlen(name) + 1, 1, out);
	pad(out);
	(void)fwrite(text, size, 1, out);
	pad(out);
}

static void add_directories(FILE *out, const char *file)
{
	for (const char *slash = strchr(file, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_free_ char *directory = strndup(file, (size_t)(slash - file));

		if (directory)
			add_entry(out, directory, S_IFDIR | 0755, "");
	}
}

static int copy(FILE *in, FILE *out)
{
	static char buffer[1 << 16];
	size_t n;

	while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
		if (fwrite(buffer, 1, n, out) != n)
			return -EIO;
	return ferror(in) ? -EIO : 0;
}

static int write_to(FILE *out, const char *guest, const char *file, const char *text)
{
	const char *lab = getenv("TDX_AUTH_LAB");
	_cleanup_fclose_ FILE *in = NULL;
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s/initramfs", lab ? lab : "", guest);
	in = fopen(path, "re");
	if (!in)
		return -errno;
	r = copy(in, out);
	if (r < 0)
		return r;
	pad(out);
	add_directories(out, file);
	add_entry(out, file, S_IFREG | 0644, text);
	add_entry(out, "TRAILER!!!", 0, "");
	return ferror(out) ? -EIO : 0;
}

char *initrd_with_file(const char *guest, const char *file, const char *text)
{
	const char *logs = getenv("TDX_AUTH_LOGS");
	_cleanup_free_ char *path = NULL;
	FILE *out;
	int fd, r;

	if (asprintf(&path, "%s/initrd.XXXXXX", logs ? logs : "/tmp") < 0)
		return NULL;
	(void)mkdir(logs ? logs : "/tmp", 0755);
	fd = mkstemp(path);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out)
		return NULL;
	r = write_to(out, guest, file, text);
	if (fclose(out) != 0 && r == 0)
		r = -errno;
	if (r == 0)
		return TAKE_PTR(path);
	(void)unlink(path);
	errno = -r;
	return NULL;
}
