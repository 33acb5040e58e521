# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the scripts that build kernels share: the source, the series, and how make is called.
# Sourced, never run; the caller sets top= (the checkout) first.

: "${top:?kernel-lib.sh: the caller must set top= to the checkout}"
# shellcheck source=tests/vm/lib.sh
. "$top/tests/vm/lib.sh"

version=6.12
tarball=/usr/src/linux-source-$version.tar.xz
patches=$top/kernel-patches/$version
kernels=$cache/kernel

source_version() {
    dpkg-query -W -f '${Version}' "linux-source-$version" 2>/dev/null ||
        die "linux-source-$version is not installed" "run ./dev setup"
}

# The patches of the series, in order; none when there is no series yet.
series() {
    [ -e "$patches/series" ] || return 0
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$patches/series" | while read -r name; do
        [ -r "$patches/$name" ] ||
            die "$patches/series names $name, which is not there" "add the patch or take its line out of the series"
        printf '%s\n' "$patches/$name"
    done
}

# A git repository of the source as Debian ships it, one commit on the branch "base".
source_tree() {
    tree=$kernels/source/linux-$(source_version)
    if [ -d "$tree" ]; then
        return 0
    fi
    [ -r "$tarball" ] || die "$tarball is not there" "run ./dev setup"
    say "unpacking $tarball (a minute or two)"
    rm -rf "$kernels/source/new"
    mkdir -p "$kernels/source/new"
    tar -xf "$tarball" --strip-components=1 -C "$kernels/source/new"
    # -f: Debian's source tree ignores everything in its own .gitignore.
    (
        cd "$kernels/source/new" || exit
        git -c init.defaultBranch=base init -q
        git config user.name tdx-auth
        git config user.email tdx-auth@localhost
        git config commit.gpgSign false
        git config gc.auto 0
        git config core.hooksPath /dev/null
        git add -Af
        git commit -qm "linux-source-$(source_version)"
    )
    publish "$kernels/source/new" "$tree"
    find "$kernels/source" -mindepth 1 -maxdepth 1 ! -path "$tree" -exec rm -rf {} +
}

# kernel_make WORK OUT ARGUMENT...: make for the source in WORK/src, whose objects are in OUT.
kernel_make() {
    kernel_work=$1 kernel_out=$2
    shift 2
    # Times, users and paths out of the objects: they would only cost cache hits.
    env CCACHE_DIR="$cache/ccache" CCACHE_MAXSIZE=4G CCACHE_BASEDIR="$kernel_work" CCACHE_NOHASHDIR=1 \
        KBUILD_BUILD_TIMESTAMP=@1 KBUILD_BUILD_USER=tdx-auth KBUILD_BUILD_HOST=lab \
        nice make -s -C "$kernel_work/src" O="$kernel_out" CC="ccache gcc" HOSTCC="ccache gcc" "$@"
}
