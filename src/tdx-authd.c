/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "authd.h"

int main(int argc, char **argv)
{
	return authd_main(argc, argv);
}
