#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# AppArmor's parser takes the profile, which names what the daemon writes to.
# Usage: apparmor.sh PARSER PROFILE NAMES_H
set -eu

parser=$1 profile=$2 names=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo 1..3
failed=0
# report NUMBER WHAT TRUE
report() {
    if [ "$3" = yes ]; then
        echo "ok $1 - $2"
    else
        echo "not ok $1 - $2"
        failed=1
    fi
}

# Without a kernel and without a cache: it is compiled, and that is all.
compiles() {
    if "$parser" --skip-kernel-load --skip-cache "$1" >"$work/log" 2>&1; then
        echo yes
    else
        echo no
    fi
}

taken=$(compiles "$profile")
[ "$taken" = yes ] || sed 's/^/# /' "$work/log"
report 1 "the parser takes the profile" "$taken"

sed 's/^  capability audit_write,$/  capability audit_writ,/' "$profile" >"$work/broken"
[ "$(compiles "$work/broken")" = yes ] || refused=yes
report 2 "it would not take another" "${refused:-no}"

sed -n 's/^#define \(RUNTIME_DIR\|POLICY_DIR_OWNER\) "\(.*\)"$/\2/p' "$names" | while read -r path; do
    grep "^  owner $path/\** rwk*l" "$profile" || :
done >"$work/written"
[ "$(wc -l <"$work/written")" != 2 ] || complete=yes
report 3 "what is written to is in it" "${complete:-no}"
exit "$failed"
