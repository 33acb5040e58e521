#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Print the directory in which lib/modules/VERSION has the indexes of all modules of this release's
# kernel, as depmod makes them. The package is unpacked into the cache, never installed; of the
# modules themselves nothing is kept.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/vm/lib.sh
. "$top/tests/vm/lib.sh"
PATH=$PATH:/usr/sbin:/sbin

# Raised when this script makes something else from the same package.
recipe=1

# The package that linux-image-amd64 stands for.
kernel_package() {
    LC_ALL=C apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

package_version() {
    LC_ALL=C apt-cache policy "$1" | sed -n 's/^  Candidate: \([^(].*\)$/\1/p'
}

# Sets package and tree; fails if apt knows of none.
find_package() {
    package=$(kernel_package)
    [ -n "$package" ] || return 1
    tree=$cache/modules/$package-$(package_version "$package")-$recipe
}

unpack() {
    # Debian 13 has them in /usr/lib, and kmod looks for them there.
    dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-same-owner --exclude=./boot --exclude=./usr/share
    [ ! -d "$2/usr/lib/modules" ] || mv "$2/usr/lib" "$2/lib"
    rm -rf "${2:?}/usr"
    ln -s . "$2/usr"
}

tree_locked() {
    [ ! -e "$tree" ] || return 0
    rm -rf "$cache"/modules/new.*
    work=$(mktemp -d "$cache/modules/new.XXXXXX")
    if ! (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$package") >"$work/log" 2>&1; then
        cat "$work/log" >&2
        rm -rf "$work"
        return 1
    fi
    say "unpacking the modules of $package"
    mkdir "$work/tree"
    unpack "$work/$package"_*.deb "$work/tree"
    version=$(ls "$work/tree/lib/modules")
    depmod -b "$work/tree" "$version"
    [ -s "$work/tree/lib/modules/$version/modules.alias.bin" ] || die "depmod made no modules.alias.bin of $package"
    rm -rf "$work/tree/lib/modules/$version/kernel"
    publish "$work/tree" "$tree"
    rm -rf "$work"
}

get_tree() {
    find_package && with_lock modules tree_locked
}

# apt's lists may be older than what the mirror has left.
update_lists() {
    [ "$(id -u)" = 0 ] && apt-get -q update >&2
}

mkdir -p "$cache/modules" || die "cannot create $cache/modules" "set TDX_AUTH_CACHE to a directory you may write to"
if ! get_tree && ! { update_lists && get_tree; }; then
    # shellcheck disable=SC2012 # our own names
    tree=$(ls -dt "$cache"/modules/linux-image-* 2>/dev/null | head -n 1)
    [ -n "$tree" ] || die "cannot download the package of Debian's kernel" "is the network there? as root, run apt-get update"
fi
touch "$tree"
# shellcheck disable=SC2012 # our own names
ls -dt "$cache"/modules/linux-image-* | tail -n +3 | xargs -r rm -rf
printf '%s\n' "$tree"
