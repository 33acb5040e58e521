/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lint-modalias.h"

#include "glob-match.h"
#include "util.h"

#define FORMAT_MAX 64 /* characters, less the end */

/* How the modaliases of devices on the governed buses look: "#" is a hexadecimal digit, "*" any
 * text; ids of pci are of 16 bits. drivers/pci/pci-sysfs.c, drivers/virtio/virtio.c,
 * drivers/acpi/device_sysfs.c, drivers/of/module.c, drivers/base/platform.c; usb: device_read().
 * One of ACPI's that goes by PRP0001 has a second line. pnp and thunderbolt devices have none. */
static const char *const formats[] = {
	"pci:v0000####d0000####sv0000####sd0000####bc##sc##i##",
	"virtio:d0000####v########",
	"usb:v####p####d####dc##dsc##dp##",
	"acpi:*:",
	"acpi:*:\nof:N*T*",
	"of:N*T*",
	"platform:*",
};

/* Whether the element of @glob, which is no star, fits what stands at @format, which is none. */
static bool element_fits(const char *glob, char format, bool any_case)
{
	if (format != '#')
		return glob_fits_character(glob, format, any_case);
	for (const char *digit = "0123456789ABCDEF"; *digit; digit++)
		if (glob_fits_character(glob, *digit, any_case))
			return true;
	return false;
}

/* Whether there is a text of @format that @glob fits. at[i]: what was read of the glob fits some
 * text of the first i characters of the format. */
static bool fits_format(const char *glob, const char *format, bool any_case)
{
	bool at[FORMAT_MAX + 1] = {true};
	size_t n = strlen(format);

	for (; *glob; glob = glob_next(glob)) {
		bool next[FORMAT_MAX + 1] = {false};

		for (size_t i = 0; i <= n; i++) {
			bool is_star = i < n && format[i] == '*';

			if (i > 0 && format[i - 1] == '*')
				at[i] = at[i] || at[i - 1];
			if (*glob == '*')
				next[i] = at[i] || (i > 0 && next[i - 1]);
			else if (at[i] && is_star)
				next[i] = true;
			else if (at[i] && i < n && element_fits(glob, format[i], any_case))
				next[i + 1] = true;
		}
		memcpy(at, next, sizeof(at));
	}
	return at[n] || (format[n - 1] == '*' && at[n - 1]);
}

static bool fits_any_format(const char *glob, bool any_case)
{
	for (size_t i = 0; i < ELEMENTSOF(formats); i++)
		if (fits_format(glob, formats[i], any_case))
			return true;
	return false;
}

/* Three or four capitals and a number, or a word; a few words have small letters beside capitals,
 * as VMBus. */
bool acpi_id_is_lower(const char *id)
{
	bool has_lower = false, has_upper = false, has_digit = false;

	for (; *id && *id != ':'; id++) {
		has_lower = has_lower || (*id >= 'a' && *id <= 'z');
		has_upper = has_upper || (*id >= 'A' && *id <= 'Z');
		has_digit = has_digit || (*id >= '0' && *id <= '9');
	}
	return has_lower && (has_digit || !has_upper);
}

const char *modalias_glob_problem(const char *glob)
{
	_cleanup_free_ char *longer = NULL;
	const char *id = startswith(glob, "acpi:");

	if (id && acpi_id_is_lower(id))
		return "ids of ACPI's are in upper case";
	if (fits_any_format(glob, false))
		return NULL;
	if (asprintf(&longer, "%s*", glob) < 0)
		return NULL;
	if (fits_any_format(longer, false))
		return "a modalias goes on behind that: end it with \"*\"";
	if (fits_any_format(longer, true))
		return "hexadecimal digits are in upper case, all else as the kernel has it";
	return "no device of these buses has one like it; see those that tdx-authctl show prints";
}
