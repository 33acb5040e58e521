/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "io.h"
#include "names.h"
#include "phase.h"
#include "policy-files.h"
#include "policy-write.h"

/* The first line of what is noted; what policy_write() makes of it comes after. */
#define LINE_POLICY "# policy"
#define LINE_BUILT_IN "# built-in"

#define NOTE_SIZE_MAX ((off_t)64 * 1024 * 1024) /* as of policy_load_in_force() */

bool initrd_is_here(void)
{
	return access(INITRD_RELEASE, F_OK) == 0 || access(INITRD_MARK, F_OK) == 0;
}

const char *initrd_policy_to_string(enum InitrdPolicy policy)
{
	static const char *const words[] = {
		[INITRD_NONE] = "none",	      [INITRD_SAME] = "same",
		[INITRD_DIFFERS] = "differs", [INITRD_REFUSED] = "refused-built-in",
		[INITRD_UNKNOWN] = "unknown",
	};

	return words[policy];
}

const char *initrd_policy_explain(enum InitrdPolicy policy)
{
	static const char *const phrases[] = {
		[INITRD_NONE] = "no policy was applied in an initrd: devices had their drivers "
				"before this system's daemon came",
		[INITRD_SAME] = "the policy that is installed here was applied there",
		[INITRD_DIFFERS] = "THE INITRD'S POLICY DIFFERS from the one here: run "
				   "update-initramfs -u (with dracut: dracut -f)",
		[INITRD_REFUSED] = "THE INITRD'S POLICY WAS REFUSED, the built-in one was "
				   "applied there: mend it, and run update-initramfs -u "
				   "(with dracut: dracut -f)",
		[INITRD_UNKNOWN] = "a policy was applied there, and whether it is the one here "
				   "cannot be told",
	};

	return phrases[policy];
}

int initrd_note(bool is_built_in, const struct Policy *policy)
{
	_cleanup_free_ char *text = NULL, *note = NULL;
	size_t size;
	int n;

	text = policy_text(policy, &size);
	if (!text)
		return -ENOMEM;
	n = asprintf(&note, "%s\n%s", is_built_in ? LINE_BUILT_IN : LINE_POLICY, text);
	if (n < 0) {
		note = NULL;
		return -ENOMEM;
	}
	return runtime_write(INITRD_POLICY_FILE, note, (size_t)n,
			     RUNTIME_REPLACE | RUNTIME_PRIVATE);
}

/* Returns 0 with what initrd_note() wrote; -ENOENT; another negative errno. */
static int read_note(char **ret)
{
	_cleanup_free_ char *path = runtime_path(INITRD_POLICY_FILE), *text = NULL;
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct stat st;
	ssize_t n;

	if (!path)
		return -ENOMEM;
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT ? -ENOENT : -EIO;
	if (st.st_size < 0 || st.st_size > NOTE_SIZE_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	n = text ? read_full(fd, text, (size_t)st.st_size) : -ENOMEM;
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

static enum InitrdPolicy compare_to_installed(const char *noted)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	_cleanup_free_ char *here = NULL;
	size_t size;

	if (policy_load_lasting(&policy) < 0 || !(here = policy_text(policy, &size)))
		return INITRD_UNKNOWN;
	return streq(noted, here) ? INITRD_SAME : INITRD_DIFFERS;
}

enum InitrdPolicy initrd_compare(void)
{
	_cleanup_free_ char *note = NULL;
	const char *noted;
	int r = read_note(&note);

	if (r < 0)
		return r == -ENOENT ? INITRD_NONE : INITRD_UNKNOWN;
	if (startswith(note, LINE_BUILT_IN "\n"))
		return INITRD_REFUSED;
	noted = startswith(note, LINE_POLICY "\n");
	return noted ? compare_to_installed(noted) : INITRD_UNKNOWN;
}
