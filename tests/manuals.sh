#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manuals say what the programs do: every verb, option and key is in one, and what is in one there
# is. (Those of the policy: policies.py; of D-Bus: test-bus.c; what they show whole: examples.sh.)
# Usage: manuals.sh TDX-AUTHCTL TDX-AUTHD SOURCE-DIRECTORY
set -u

authctl=$1 authd=$2 source=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

number=0 failed=0
# ok WHAT: whether $work/out, what is wrong, is empty
ok() {
    number=$((number + 1))
    if [ ! -s "$work/out" ]; then echo "ok $number - $1"; else
        failed=1
        echo "not ok $number - $1"
        sed 's/^/# /' "$work/out"
    fi
}
# same WHAT A B: the lines of two files, in whatever order
same() {
    sort -u "$2" >"$work/a"
    sort -u "$3" >"$work/b"
    comm -3 "$work/a" "$work/b" | sed 's/^\t/only in the manual: /; t; s/^/not in the manual: /' >"$work/out"
    ok "$1"
}
# section MANUAL HEADING: its text up to the next one
section() {
    sed -n "/^# $2\$/,/^# [A-Z]/p" "$source/man/$1.scd"
}

for manual in "$source"/man/*.scd; do
    scdoc <"$manual" 2>"$work/out" | groff -man -ww -z -Tutf8 2>>"$work/out"
    ok "$(basename "$manual") is formatted without a warning"
done
for manual in "$source"/man/*.scd; do
    name=$(basename "$manual" .scd)
    # every other manual of ours that it names there is
    grep -oE '\*(tdx-auth[a-z.-]*|org\.tdxauth1)\*\([0-9]\)' "$manual" | tr -d '*' | sort -u |
        sed 's/(\(.\))/.\1/' | while read -r other; do
        [ -e "$source/man/$other.scd" ] || echo "$name names $other"
    done >"$work/out"
    ok "$name names manuals that there are"
done
for manual in "$source"/man/*.scd; do
    grep -qE '^# EXAMPLES?$|^# A FIRST POLICY$|^# A STATUS, READ$|^# AN INITRD MADE OF PACKAGES$' "$manual" ||
        echo "none in $(basename "$manual")"
done >"$work/out"
ok "each has examples"

"$authctl" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\( [a-z]*\)\{0,1\}\) .*/\1/p' | sed 's/ *$//' >"$work/verbs"
section tdx-authctl.1 VERBS | sed -n 's/^\*\([a-z]*\( [a-z]*\)\{0,1\}\)\*.*/\1/p' >"$work/described"
echo udev >>"$work/described" # of udev's rules: tdx-authd(8)
same "tdx-authctl's verbs are in its manual" "$work/verbs" "$work/described"

"$authctl" --help | sed -n '/^Options/,$p' | grep -oE -e '--[a-z-]+' | sort -u >"$work/options"
section tdx-authctl.1 OPTIONS | grep -E '^\*-' | grep -oE -e '--[a-z-]+' >"$work/described"
same "so are its options" "$work/options" "$work/described"

# Each verb's own, where the manual shows how it is called.
while read -r verb; do
    # shellcheck disable=SC2086 # a verb of two words
    "$authctl" $verb --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p' | grep -vx -e --full -e --no-legend -e --no-pager |
        sed "s/^/$verb /"
done <"$work/verbs" | grep -v '^udev' >"$work/options"
section tdx-authctl.1 VERBS | sed -n 's/^\*\([a-z]*\( [a-z]*\)\{0,1\}\)\*\(.*\)/\1\t\3/p' | while IFS=$'\t' read -r verb rest; do
    printf '%s\n' "$rest" | grep -oE -e '--[a-z-]+' | sed "s/^/$verb /"
done >"$work/described"
same "and what each verb takes" "$work/options" "$work/described"

"$authd" --help | grep -oE -e '--[a-z-]+' | sort -u >"$work/options"
section tdx-authd.8 OPTIONS | grep -E '^\*-' | grep -oE -e '--[a-z-]+' >"$work/described"
same "tdx-authd's options are in its manual" "$work/options" "$work/described"

sed -n '/^static const struct Key .*\[\] = {$/,/};/s/^\t{"\([a-z-]*\)", .*/\1/p' "$source/src/config.c" >"$work/keys"
section tdx-authd.yaml.5 KEYS | sed -n 's/^\*\([a-z-]*\)\*$/\1/p' >"$work/described"
same "the keys of its configuration are in theirs" "$work/keys" "$work/described"
sed -n 's/^\([a-z-]*\): .*/\1/p' "$source/conf/tdx-authd.yaml" >"$work/described"
same "and in the file that is shipped" "$work/keys" "$work/described"

grep -oE '#define ATTR_(AUTHORIZED[A-Z_]*|MODE|LOCK) "[a-z_]*"' "$source/src/names.h" | sed 's/.*"\(.*\)"/\1/' >"$work/keys"
while read -r attribute; do
    sed 's/\\_/_/g' "$source/man/tdx-auth-sysfs.5.scd" | grep -qE "[*/_]${attribute}[*_]" || echo "$attribute"
done <"$work/keys" >"$work/out"
ok "the attributes that are written are in tdx-auth-sysfs(5)"

echo "1..$number"
exit "$failed"
