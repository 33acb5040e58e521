/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "udev-property.h"

#include <errno.h>

#include "escape.h"
#include "names.h"
#include "protection.h"
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
	if (kernel_mode() == PROTECTION_AUDIT)
		(void)puts(PROPERTY_MODE "=audit");
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}
