/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "udev-property.h"

#include <errno.h>

#include "escape.h"
#include "names.h"
#include "phase.h"
#include "protection.h"
#include "sysfs-io.h"
#include "util.h"

/* A value that begins with a quotation mark, udev would take the other end's for its own. */
static const char *unquoted(const char *value)
{
	return value + strspn(value, "\"'");
}

int udev_print_verdict(const char *verdict, const char *source)
{
	_cleanup_free_ char *safe = escape_text(source);

	if (!safe)
		return -ENOMEM;
	(void)printf(PROPERTY_VERDICT "=%s\n" PROPERTY_RULE "=%s\n", verdict, unquoted(safe));
	if (kernel_mode() == PROTECTION_AUDIT || phase_is_audit())
		(void)puts(PROPERTY_MODE "=audit");
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}

/* A device that firmware describes may show several, one a line: drivers/acpi/device_sysfs.c,
 * __acpi_device_modalias(). */
int udev_check_event(int dirfd)
{
	const char *wanted = getenv("MODALIAS");
	_cleanup_free_ char *text = NULL;
	char *rest;
	int r;

	if (isempty(wanted))
		return 0;
	r = sysfs_read(dirfd, "modalias", &text);
	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (streq(line, wanted))
			return 0;
	return -ESTALE;
}
