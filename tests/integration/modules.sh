#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Run test-modules with the files of Debian's kernel; without them there is nothing to compare with.
# Usage: modules.sh TEST-MODULES MODPROBE-CONF
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

if ! tree=$("$here/module-tree.sh"); then
    echo "1..0 # SKIP the modules of Debian's kernel cannot be had: see above"
    exit 0
fi
version=$(ls "$tree/lib/modules")
exec "$1" "$tree" "$version" "$2"
