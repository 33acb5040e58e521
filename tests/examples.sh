#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is installed as an example, and booted with by test-debian.c, is what a manual shows, and no more
# than that.
# Usage: examples.sh EXAMPLE... -- MANUAL...
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
examples=
while [ "$1" != -- ]; do
    examples="$examples $1"
    shift
done
shift

# Each literal block in a file of its own.
for manual; do
    awk -v out="$work/${manual##*/}" '/^```$/ { n += !within; within = !within; next }
        within { print > (out "." n) }' "$manual"
done

number=0 failed=0
for example in $examples; do
    number=$((number + 1)) result="not ok"
    for block in "$work"/*; do
        ! cmp -s "$block" "$example" || result=ok
    done
    [ "$result" = ok ] || failed=1
    echo "$result $number - a manual shows ${example##*/} as it is"
done
echo "1..$number"
exit "$failed"
