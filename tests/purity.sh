#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The core does no I/O: libcore.a may need nothing but these symbols from outside.
# Usage: purity.sh LIBCORE
set -eu

lib=$1
allowed='
asprintf vasprintf snprintf sprintf
malloc calloc realloc reallocarray free strdup
memchr memcmp memcpy memset
qsort strchr strrchr strcmp strncmp strncasecmp strlen strnlen strspn strcspn strpbrk strstr
fnmatch tsearch tdestroy
yaml_event_delete yaml_parser_delete yaml_parser_initialize yaml_parser_parse
yaml_parser_set_encoding yaml_parser_set_input_string
'

symbols() {
    nm "$@" "$lib" 2>/dev/null | awk 'NF >= 2 { print $NF }' | sort -u
}

undefined=$(symbols -u)
defined=$(symbols --defined-only)
echo 1..1
if [ -z "$undefined" ] || [ -z "$defined" ]; then
    echo "not ok 1 - nm found no symbols in $lib"
    exit 1
fi

impure=
for symbol in $undefined; do
    case $symbol in
    # what compilers and their sanitizers bring in
    __asan_* | __ubsan_* | __stack_chk_fail | _GLOBAL_OFFSET_TABLE_) continue ;;
    __*_chk) plain=${symbol#__} plain=${plain%_chk} ;;
    *) plain=$symbol ;;
    esac
    if ! printf '%s\n' "$allowed" "$defined" | tr ' ' '\n' | grep -qxF -e "$symbol" -e "$plain"; then
        impure="$impure $symbol"
    fi
done
if [ -n "$impure" ]; then
    echo "not ok 1 - the core is pure"
    echo "# symbols not on the list:$impure"
    exit 1
fi
echo "ok 1 - the core is pure"
