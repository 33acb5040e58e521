/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "first-drivers.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "escape.h"
#include "io.h"
#include "log.h"
#include "names.h"
#include "phase.h"
#include "protection.h"

#define SIZE_MAX_READ ((size_t)4 * 1024 * 1024) /* of a file that is read */

static const struct FirstDriver *at(const struct FirstDrivers *drivers, size_t i)
{
	return (const struct FirstDriver *)drivers->list.data + i;
}

static void first_driver_done(struct FirstDriver *item)
{
	free(item->device);
	free(item->driver);
}

void first_drivers_done(struct FirstDrivers *drivers)
{
	for (size_t i = 0; i < drivers->list.n; i++)
		first_driver_done((struct FirstDriver *)drivers->list.data + i);
	vector_done(&drivers->list);
	*drivers = (struct FirstDrivers){0};
}

/* Takes over the strings, which may be NULL for want of memory. Returns 0 or -ENOMEM. */
static int add(struct FirstDrivers *drivers, enum Bus bus, char *device, char *driver)
{
	struct FirstDriver item = {bus, device, driver};

	if (device && driver && vector_add(&drivers->list, &item, sizeof(item)) == 0)
		return 0;
	first_driver_done(&item);
	drivers->is_incomplete = true;
	return -ENOMEM;
}

bool first_drivers_are_due(void)
{
	_cleanup_free_ char *path = runtime_path(FIRST_DRIVERS_FILE);

	return path && access(path, F_OK) < 0 && kernel_mode() != PROTECTION_KERNEL;
}

void first_drivers_add(struct FirstDrivers *drivers, const struct Device *device)
{
	if (device->driver)
		(void)add(drivers, device->bus, strdup(device->sysname), strdup(device->driver));
}

/* --- text --- */

static int compare_drivers(const void *a, const void *b)
{
	const struct FirstDriver *x = a, *y = b;

	return x->bus == y->bus ? strcmp(x->driver, y->driver) : (int)x->bus - (int)y->bus;
}

/* How many of the @n at @first, one at least, have the driver of the first. */
static size_t count_alike(const struct FirstDriver *first, size_t n)
{
	size_t i = 1;

	while (i < n && compare_drivers(first, first + i) == 0)
		i++;
	return i;
}

/* @sorted: so that those with one driver stand together. */
static void write_text(FILE *file, const struct FirstDriver *sorted, size_t n)
{
	size_t alike;

	for (size_t i = 0; i < n; i += alike) {
		alike = count_alike(sorted + i, n - i);
		(void)fprintf(file, "%s%s (%s", i ? ", " : "", sorted[i].driver,
			      bus_to_string(sorted[i].bus));
		if (alike > 1)
			(void)fprintf(file, ", %zu devices", alike);
		(void)fputc(')', file);
	}
}

char *first_drivers_text(const struct FirstDrivers *drivers)
{
	size_t size, n = drivers->list.n;
	_cleanup_free_ struct FirstDriver *sorted = calloc(n + 1, sizeof(*sorted));
	_cleanup_free_ char *text = NULL;
	FILE *file = sorted ? open_memstream(&text, &size) : NULL;

	if (!file)
		return NULL;
	for (size_t i = 0; i < n; i++)
		sorted[i] = *at(drivers, i);
	qsort(sorted, n, sizeof(*sorted), compare_drivers);
	write_text(file, sorted, n);
	return fclose(file) == 0 ? TAKE_PTR(text) : NULL;
}

/* --- the file --- */

static bool write_line(FILE *file, const struct FirstDriver *item)
{
	_cleanup_free_ char *device = escape_word(item->device),
			    *driver = escape_word(item->driver);

	return device && driver &&
	       fprintf(file, "%s %s %s\n", bus_to_string(item->bus), device, driver) > 0;
}

static int write_file(const struct FirstDrivers *drivers)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	bool is_complete = !drivers->is_incomplete;

	if (!file)
		return -ENOMEM;
	for (size_t i = 0; i < drivers->list.n; i++)
		is_complete = write_line(file, at(drivers, i)) && is_complete;
	if (fclose(file) != 0 || !is_complete)
		return -ENOMEM;
	return runtime_write(FIRST_DRIVERS_FILE, text, size, 0);
}

void first_drivers_note(const struct FirstDrivers *drivers)
{
	_cleanup_free_ char *text = first_drivers_text(drivers), *safe = escape_text(text);
	int r = write_file(drivers);

	if (r < 0)
		log_warning("cannot note in " RUNTIME_DIR
			    " which drivers had devices before the first decision: %s",
			    strerror(-r));
	if (drivers->list.n > 0)
		log_info("drivers that had devices before the first decision: %s",
			 safe ? safe : "?");
}

/* "BUS NAME DRIVER", without the line's end. */
static int parse_line(char *line, struct FirstDrivers *ret)
{
	char *name = strchr(line, ' '), *driver = name ? strchr(name + 1, ' ') : NULL;
	enum Bus bus;

	if (!driver || strchr(driver + 1, ' '))
		return -EBADMSG;
	*name++ = *driver++ = '\0';
	bus = bus_from_string(line);
	if (bus == _BUS_INVALID || !*name || !*driver)
		return -EBADMSG;
	return add(ret, bus, unescape_text(name), unescape_text(driver)) < 0 ? -EBADMSG : 0;
}

static int parse(char *text, struct FirstDrivers *ret)
{
	int r = 0;

	while (r >= 0 && *text) {
		char *end = strchr(text, '\n');

		if (!end)
			return -EBADMSG;
		*end = '\0';
		r = parse_line(text, ret);
		text = end + 1;
	}
	return r;
}

int first_drivers_read(struct FirstDrivers *ret)
{
	_cleanup_free_ char *path = runtime_path(FIRST_DRIVERS_FILE), *text = NULL;
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct stat st;
	ssize_t n;

	*ret = (struct FirstDrivers){0};
	if (fd < 0)
		return path ? -errno : -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (size_t)st.st_size > SIZE_MAX_READ)
		return -EBADMSG;
	text = malloc((size_t)st.st_size + 1);
	n = text ? read_full(fd, text, (size_t)st.st_size) : -ENOMEM;
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return strlen(text) == (size_t)n ? parse(text, ret) : -EBADMSG;
}
