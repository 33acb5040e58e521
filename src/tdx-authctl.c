/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "authctl.h"

int main(int argc, char **argv)
{
	return authctl_main(argc, argv);
}
