/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "initrd.h"

#include <errno.h>
#include <fcntl.h>

#include "io.h"
#include "names.h"
#include "phase.h"
#include "policy-files.h"
#include "policy-write.h"

/* The first word of what is noted. */
#define WORD_POLICY "policy"
#define WORD_BUILT_IN "built-in"

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

int initrd_hash(const struct Policy *policy, char ret[static SHA256_TEXT_SIZE])
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return -ENOMEM;
	policy_write(file, policy);
	if (fclose(file) != 0)
		return -ENOMEM;
	sha256_text(text, size, ret);
	return 0;
}

int initrd_note(bool is_built_in, const char *hash)
{
	char line[SHA256_TEXT_SIZE + 16];
	int n = snprintf(line, sizeof(line), "%s %s\n", is_built_in ? WORD_BUILT_IN : WORD_POLICY,
			 hash);

	return runtime_write(INITRD_POLICY_FILE, line, (size_t)n, true);
}

/* Returns 0 with the line that initrd_note() wrote, without its end; -ENOENT; another negative
 * errno. */
static int read_note(char *ret, size_t size)
{
	_cleanup_free_ char *path = runtime_path(INITRD_POLICY_FILE);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	ssize_t n;

	if (fd < 0)
		return path ? -errno : -ENOMEM;
	n = read_full(fd, ret, size - 1);
	if (n <= 0 || ret[n - 1] != '\n')
		return n < 0 ? (int)n : -EBADMSG;
	ret[n - 1] = '\0';
	return 0;
}

static bool is_hash(const char *text)
{
	return strlen(text) == SHA256_TEXT_SIZE - 1 &&
	       strspn(text, "0123456789abcdef") == SHA256_TEXT_SIZE - 1;
}

static enum InitrdPolicy compare_to_installed(const char *hash)
{
	_cleanup_policy_ struct Policy *policy = NULL;
	char here[SHA256_TEXT_SIZE];

	if (policy_load_lasting(&policy) < 0 || initrd_hash(policy, here) < 0)
		return INITRD_UNKNOWN;
	return streq(hash, here) ? INITRD_SAME : INITRD_DIFFERS;
}

enum InitrdPolicy initrd_compare(char ret_hash[static SHA256_TEXT_SIZE])
{
	char line[SHA256_TEXT_SIZE + 16];
	const char *hash;
	int r = read_note(line, sizeof(line));

	*ret_hash = '\0';
	if (r < 0)
		return r == -ENOENT ? INITRD_NONE : INITRD_UNKNOWN;
	hash = strchr(line, ' ');
	if (!hash || !is_hash(hash + 1))
		return INITRD_UNKNOWN;
	hash++;
	(void)snprintf(ret_hash, SHA256_TEXT_SIZE, "%s", hash);
	if (startswith(line, WORD_BUILT_IN " "))
		return INITRD_REFUSED;
	return startswith(line, WORD_POLICY " ") ? compare_to_installed(hash) : INITRD_UNKNOWN;
}
