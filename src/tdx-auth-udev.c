/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What udev runs for each device that comes, and for drivers, so it is small: it says what was
 * decided already, and leaves the rest to tdx-authctl(1), which waits for the daemon, or decides.
 */

#include <errno.h>

#include "driver-wait.h"
#include "escape.h"
#include "names.h"
#include "state-find.h"
#include "sysfs-io.h"
#include "udev-property.h"
#include "util.h"

int main(int argc, char **argv)
{
	_cleanup_(finding_done) struct Finding finding = {0};
	_cleanup_free_ char *source = NULL;
	_cleanup_close_ int dirfd = argc == 2 ? sysfs_open(argv[1]) : -1;
	dev_t dev;
	ino_t ino;

	if (dirfd >= 0 && sysfs_identity(dirfd, &dev, &ino) == 0 && udev_check_event(dirfd) == 0 &&
	    state_find(argv[1], dev, ino, &finding) == 0 &&
	    (source = unescape_text(finding.source)))
		return udev_print_verdict(finding.verdict, source) < 0 ? EXIT_FAILURE
								       : EXIT_SUCCESS;
	if (argc == 2 && startswith(argv[1], SYSFS_BUSES "/") && !driver_is_waited_for(argv[1]))
		return EXIT_SUCCESS;
	(void)execl(TDX_AUTHCTL, TDX_AUTHCTL, "udev", argc == 2 ? argv[1] : "", NULL);
	(void)fprintf(stderr, "tdx-auth-udev: " TDX_AUTHCTL ": %s\n", strerror(errno));
	return EXIT_FAILURE;
}
