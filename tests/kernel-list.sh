#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The kernel series has the list of hardened devices that conf/hardened.yaml makes.
# Usage: kernel-list.sh HARDENED-GEN HEADER PATCHES
# HEADER is what the generator made, PATCHES the directory of the series.
set -eu

generator=$1
header=$2
patches=$(cd "$3" && pwd)
path=drivers/base/authorize_hardened.h

tree=$(mktemp -d "${TMPDIR:-/tmp}/tdx-auth-list.XXXXXX")
trap 'rm -rf "$tree"' EXIT

# Applies what the series does to the one file. git looks at no repository above.
apply_series() {
    : >"$tree/log"
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$patches/series" | while read -r name; do
        grep -q "^diff --git a/$path " "$patches/$name" || continue
        (cd "$tree" && GIT_CEILING_DIRECTORIES=${tree%/*} git apply --include="$path" "$patches/$name") \
            >>"$tree/log" 2>&1 || return 1
    done
}

comment() {
    sed 's/^/# /' "$1"
}

echo 1..2
failed=0

if ! apply_series || [ ! -s "$tree/$path" ]; then
    echo "not ok 1 - the series adds the list as conf/hardened.yaml has it"
    echo "# the patches in $patches do not make $path"
    comment "$tree/log"
    failed=1
elif ! diff -u --label "the series" "$tree/$path" --label conf/hardened.yaml "$header" >"$tree/diff"; then
    echo "not ok 1 - the series adds the list as conf/hardened.yaml has it"
    comment "$tree/diff"
    failed=1
else
    echo "ok 1 - the series adds the list as conf/hardened.yaml has it"
fi

printf 'version: 1\nhardened:\n  - drivers: x\n' >"$tree/bad.yaml"
if "$generator" kernel "$tree/bad.yaml" >"$tree/out" 2>"$tree/err" || [ -s "$tree/out" ] ||
    ! grep -q "^$tree/bad.yaml:3:5: .*\"driver\"" "$tree/err"; then
    echo "not ok 2 - the generator names the place of an error and makes nothing"
    comment "$tree/err"
    failed=1
else
    echo "ok 2 - the generator names the place of an error and makes nothing"
fi
exit "$failed"
