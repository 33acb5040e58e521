#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Build the guest kernels, once for each source, series and configuration.
#
#   kernel.sh build VARIANT...   prints the directory of each, one a line
#   kernel.sh source             unpacks the source, once, and prints its directory
#
# Variants: patched (virtio_pci built in), patched-modular (virtio_pci a module), patched-catalogue
# (the drivers of QEMU's device models built in), patched-catalogue-long (all of them; the long form of
# the tests boots this one and the next), patched-debug (lockdep, KASAN and their like), stock (no
# patches), kunit (the patches and little else, for their KUnit tests). A directory holds bzImage, config, release, modules/ (usr/lib/modules of that
# kernel) and, of a series that brings some, selftests/; it never changes once it is there. Everything
# lives in the cache, nothing in the checkout.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/vm
# shellcheck source=tests/vm/kernel-lib.sh
. "$here/kernel-lib.sh"

# Raised when this script builds something else from the same input.
recipe=1

# What the patches of the series change: a reworded message builds nothing anew.
series_diffs() {
    series | while read -r patch; do
        sed -n '/^diff --git /,/^-- $/p' "$patch"
    done
}

fragments() {
    case $1 in
    patched) set -- base virtio-builtin patched ;;
    patched-modular) set -- base virtio-modular patched ;;
    patched-catalogue) set -- base virtio-builtin patched catalogue ;;
    patched-catalogue-long) set -- base virtio-builtin patched catalogue catalogue-long ;;
    patched-debug) set -- debug ;;
    stock) set -- base virtio-builtin ;;
    kunit) set -- kunit ;;
    *) die "unknown kernel variant '$1'" "known: patched patched-modular patched-catalogue patched-catalogue-long patched-debug stock kunit" ;;
    esac
    for name; do
        printf '%s\n' "$here/kernel/$name.config"
    done
}

key() {
    {
        printf '%s %s %s\n' "$recipe" "$(source_version)" "$(gcc -dumpfullversion)"
        fragments "$1" | xargs cat
        case $1 in
        patched* | kunit) series_diffs ;;
        esac
    } | hash_text
}

# work_tree VARIANT: brings the tree that VARIANT is built from to source plus series.
# A stock tree and a patched one, each with its build directories beside it, so that a
# change of the series rebuilds what it touches.
work_tree() {
    case $1 in
    patched* | kunit) work=$kernels/work/patched want=$({ source_version && series_diffs; } | hash_text) ;;
    *) work=$kernels/work/stock want=$(source_version) ;;
    esac
    if [ "$(cat "$work/applied" 2>/dev/null)" = "$want" ]; then
        return 0
    fi
    rm -f "$work/applied"
    if ! git -C "$work/src" rev-parse -q --verify HEAD >/dev/null 2>&1 ||
        [ "$(cat "$work/version" 2>/dev/null)" != "$(source_version)" ]; then
        rm -rf "$work"
        mkdir -p "$work"
        git -C "$tree" worktree prune
        git -C "$tree" worktree add -qf --detach "$work/src" base
        source_version >"$work/version"
    fi
    commit=base
    case $1 in
    patched* | kunit) commit=$(series_commit) ;;
    esac
    git -C "$work/src" reset -q --hard
    git -C "$work/src" checkout -q --detach "$commit"
    git -C "$work/src" clean -qfdx
    printf '%s\n' "$want" >"$work/applied"
}

# A commit of the source with the series, made without a file being written: to check it out from
# the series before writes those that differ, and make builds no more than that.
series_commit() {
    GIT_INDEX_FILE=$work/index
    export GIT_INDEX_FILE
    git -C "$tree" read-tree base
    series | while read -r patch; do
        git -C "$tree" apply --cached --whitespace=nowarn "$patch" >"$work/apply.log" 2>&1 || {
            cat "$work/apply.log" >&2
            die "$patch does not apply to linux-source-$version $(source_version)" \
                "rebase the series on that source; nothing was built"
        }
    done
    git -C "$tree" commit-tree -p base -m "the series" "$(git -C "$tree" write-tree)"
}

# The options of the fragments that .config does not have. As in make's own reading of them, a
# later fragment has the last word.
unmet() {
    fragments "$1" | while read -r fragment; do
        [ "${fragment##*/}" = patched.config ] && ! has_gate && continue
        grep '^CONFIG_' "$fragment"
    done | awk -F= '{ last[$1] = $0 } END { for (name in last) print last[name] }' |
        LC_ALL=C sort | while read -r line; do
        grep -qxF "$line" "$2" || printf '%s\n' "$line"
    done
}

has_gate() {
    grep -qs '^config DEVICE_AUTHORIZATION$' "$work/src/drivers/base/Kconfig"
}

kmake() {
    # LOCALVERSION set: the git tree's state must not end up in the release.
    kernel_make "$work" "$out" LOCALVERSION="-tdx-auth-$variant" "$@"
}

# progress LOG PID: the number of object files so far, until PID ends.
progress() {
    while kill -0 "$2" 2>/dev/null; do
        sleep 5
        if [ -t 2 ]; then
            printf '\rdev: kernel %s: %s objects ' "$variant" "$(objects)" >&2
        elif [ "$(($(date +%s) - shown))" -ge 30 ]; then
            shown=$(date +%s)
            say "kernel $variant: $(objects) objects, $((shown - began)) s"
        fi
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
}

objects() {
    find "$out" -name '*.o' 2>/dev/null | wc -l
}

compile() {
    began=$(date +%s)
    shown=$began
    kmake -j"$(jobs)" bzImage modules >"$out/build.log" 2>&1 &
    make_pid=$!
    progress "$out/build.log" "$make_pid"
    wait "$make_pid" || {
        grep -E -m 20 'error|Error|undefined' "$out/build.log" >&2 || tail -n 20 "$out/build.log" >&2
        die "kernel $variant does not build" "log: $out/build.log"
    }
}

configure() {
    # Variants of one source differ in a few options: start from the other one's objects. Not where
    # none of them would be of use, as KASAN changes them all.
    case $variant in
    patched | patched-catalogue-long | patched-debug) ;;
    *)
        if [ ! -d "$out" ] && [ -d "$work/patched" ]; then
            rm -rf "$out.new"
            cp -a "$work/patched" "$out.new"
            mv "$out.new" "$out"
        fi
        ;;
    esac
    mkdir -p "$out"
    kmake tinyconfig >/dev/null
    fragments "$variant" | xargs cat >>"$out/.config"
    kmake olddefconfig >/dev/null 2>&1
    missing=$(unmet "$variant" "$out/.config")
    [ -z "$missing" ] || die "kernel $variant: these options were not met:" "$missing" \
        "a dependency is missing in $here/kernel/*.config"
}

# What a guest boots and what goes into its image.
collect() {
    new=$kernels/new.$variant
    rm -rf "$new"
    mkdir -p "$new"
    cp "$out/arch/x86/boot/bzImage" "$new/bzImage"
    cp "$out/.config" "$new/config"
    cp "$out/include/config/kernel.release" "$new/release"
    kmake modules_install INSTALL_MOD_PATH="$new/root" DEPMOD=true >/dev/null
    mkdir -p "$new/modules"
    mv "$new/root/lib/modules"/* "$new/modules/"
    rm -rf "$new/root"
    rm -f "$new"/modules/*/build "$new"/modules/*/source
    run_depmod
    collect_selftests
    publish "$new" "$result"
    # A kernel of a series that is gone is dead weight; keep a few to go back and forth.
    # shellcheck disable=SC2012 # our own names: VARIANT-HASH
    ls -dt "$kernels/$variant"-???????????????? | tail -n +4 | xargs -r rm -rf
}

# What the series has for kselftest, laid out as in the source.
collect_selftests() {
    selftests=$work/src/tools/testing/selftests
    [ -d "$selftests/device_auth" ] || return 0
    mkdir -p "$new/selftests/kselftest"
    cp -a "$selftests/device_auth" "$new/selftests/"
    cp -a "$selftests/kselftest/ktap_helpers.sh" "$new/selftests/kselftest/"
}

run_depmod() {
    stage=$kernels/new.$variant/depmod
    mkdir -p "$stage/lib"
    ln -s ../../modules "$stage/lib/modules"
    PATH=$PATH:/usr/sbin:/sbin depmod -b "$stage" "$(cat "$new/release")"
    rm -rf "$stage"
}

build_locked() {
    [ ! -d "$result" ] || return 0
    source_tree
    work_tree "$variant"
    out=$work/$variant
    say "building kernel $variant (about 5 minutes the first time, less with a warm ccache)"
    configure
    compile
    collect
    say "kernel $variant: done in $(($(date +%s) - began)) s"
}

build() {
    variant=$1
    # Here once, because what fails inside a pipe goes unseen.
    series >/dev/null
    result=$kernels/$variant-$(key "$variant")
    [ -d "$result" ] || with_lock kernel build_locked
    printf '%s\n' "$result"
}

# A function, so that the shell has read it all before it starts: the file may change meanwhile.
main() {
    case ${1-} in
    build)
        shift
        for variant; do
            build "$variant"
        done
        ;;
    source)
        with_lock kernel source_tree
        printf '%s\n' "$kernels/source/linux-$(source_version)"
        ;;
    *)
        die "usage: kernel.sh build VARIANT... | source"
        ;;
    esac
}

main "$@"
