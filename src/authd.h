/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All of tdx-authd(8) but main(). Returns its exit status. */
int authd_main(int argc, char **argv);
