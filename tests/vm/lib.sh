# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the lab's scripts share: messages, the cache and its locks.
# Sourced, never run; the caller sets top= (the checkout) first.

: "${top:?lib.sh: the caller must set top= to the checkout}"

cache=${TDX_AUTH_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set: set TDX_AUTH_CACHE to a directory}/.cache}/tdx-auth}

say() {
    printf '%s\n' "dev: $*" >&2
}

# die WHAT [REMEDY]...: each further argument on a line of its own.
die() {
    printf '%s\n' "dev: error: $1" >&2
    shift
    for line; do
        printf '%s\n' "dev:   $line" >&2
    done
    exit 1
}

# hash_of FILE...: one hash over names as given and contents.
hash_of() {
    for file; do
        printf '%s\n' "${file##*/}"
        cat "$file" || exit 1
    done | sha256sum | cut -c1-16
}

hash_text() {
    sha256sum | cut -c1-16
}

# Contents and modes of a tree; not its time stamps.
tree_hash() {
    (
        cd "$1" || exit 1
        find . -printf '%P %m %l\n' | LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
    ) | hash_text
}

# with_lock NAME COMMAND...: one at a time across all checkouts that share the cache.
# Calls COMMAND, a shell function or a program, in a subshell.
with_lock() {
    lock_name=$1
    shift
    mkdir -p "$cache/lock" || die "cannot create $cache/lock" "set TDX_AUTH_CACHE to a directory you may write to"
    (
        if ! flock -n 9; then
            say "waiting for another ./dev that holds $cache/lock/$lock_name"
            flock 9
        fi
        "$@"
    ) 9>"$cache/lock/$lock_name"
}

# publish FROM TO: TO appears whole or not at all.
publish() {
    if [ -e "$2" ]; then
        rm -rf "$2.old" && mv -T "$2" "$2.old"
    fi
    mv -T "$1" "$2" || die "cannot move $1 to $2"
    rm -rf "$2.old"
}

# One more than there are cores: a compiler behind ccache waits now and then.
jobs() {
    echo $(($(nproc) + 1))
}
