#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The journal's catalog, the code and the manual know the same messages and fields.
# Usage: catalog.sh CATALOG NAMES_H MANUAL
set -eu

catalog=$1 names=$2 manual=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/lib/systemd/catalog" "$root/var/lib/systemd/catalog"
cp "$catalog" "$root/usr/lib/systemd/catalog/"

echo 1..3
failed=0
# same NUMBER WHAT A B: two sorted lists
same() {
    if [ -s "$3" ] && cmp -s "$3" "$4"; then
        echo "ok $1 - $2"
    else
        echo "not ok $1 - $2"
        diff "$3" "$4" | sed 's/^/# /' || :
        failed=1
    fi
}

sed -n 's/^#define MESSAGE_ID_[A-Z_]* "\(.*\)"$/\1/p' "$names" | sort >"$root/ids"
journalctl --root="$root" --update-catalog
journalctl --root="$root" --list-catalog | sed 's/ .*//' | sort >"$root/cataloged"
same 1 "every message has its entry, as journalctl reads it" "$root/ids" "$root/cataloged"

sed -n 's/^_\([0-9a-f]\{32\}\)_$/\1/p' "$manual" | sort >"$root/documented"
same 2 "every message is in the manual" "$root/ids" "$root/documented"

sed -n 's/^#define FIELD_[A-Z_]* "\(.*\)"$/\1/p' "$names" | sort >"$root/fields"
grep -o '@[A-Z_]*@' "$catalog" | tr -d @ | sort -u >"$root/used"
sort -u "$root/fields" "$root/used" >"$root/all"
same 3 "entries name fields that records have" "$root/fields" "$root/all"
exit "$failed"
