#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Build and boot the kernel series patch by patch, and say in TAP how that went: each patch with the
# option and without it, in every mode that it knows; and gcc with W=1 and sparse have nothing to say
# about the files that a patch touches that they did not say before the series.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/vm/kernel-lib.sh
. "$top/tests/vm/kernel-lib.sh"

config=$top/tests/vm/kernel/each.config
work=$kernels/work/series
deadline=120

smake() {
    kernel_make "$work" "$work/$state" LOCALVERSION=-tdx-auth-series "$@"
}

prepare() {
    with_lock kernel source_tree
    tree=$kernels/source/linux-$(source_version)
    if [ ! -e "$work/src/.git" ]; then
        rm -rf "$work"
        mkdir -p "$work"
        git -C "$tree" worktree prune
        git -C "$tree" worktree add -qf --detach "$work/src" base
    fi
    rm -rf "$(git -C "$work/src" rev-parse --git-path rebase-apply)"
    git -C "$work/src" reset -q --hard base
    git -C "$work/src" clean -qfdx
    # An init that ends the machine.
    rm -rf "$work/root" && mkdir "$work/root"
    cp "$(command -v busybox)" "$work/root/reboot"
    (cd "$work/root" && echo reboot | cpio --quiet -o -H newc) >"$work/initramfs"
}

# The options of the series that the source knows by now.
options() {
    for option in DEVICE_AUTHORIZATION DEVICE_AUTHORIZATION_KUNIT_TEST; do
        ! grep -rqx --include=Kconfig "config $option" "$work/src/drivers/base" ||
            printf 'CONFIG_%s=y\n' "$option"
    done
}

# Anew for each patch: what the source does not know yet does not stay in .config.
configure() {
    grep '^CONFIG_' "$config" >"$work/wanted"
    [ "$state" = n ] || options >>"$work/wanted"
    smake tinyconfig && cat "$work/wanted" >>"$work/$state/.config" && smake olddefconfig || return 1
    if grep -vxFf "$work/$state/.config" "$work/wanted"; then
        echo "these options were not met"
        return 1
    fi
}

# Of the .c files on standard input, the objects that this kernel has.
objects() {
    while read -r file; do
        [ ! -e "$work/$state/${file%.c}.o" ] || printf '%s\n' "${file%.c}.o"
    done
}

# warnings FILE...: what gcc and sparse say about them, without the numbers of lines. Fails if one of
# the two does, or is not there.
warnings() {
    present=$(printf '%s\n' "$@" | objects)
    [ -n "$present" ] || return 0
    # shellcheck disable=SC2086 # one file a word
    smake W=1 C=2 $present >"$work/warnings" 2>&1 || {
        tail -n 20 "$work/warnings" >&2
        return 1
    }
    sed -nE 's/^(.*\/)?([^/:]+\.[ch]):[0-9:]+ (warning|error): /\2: \3: /p' \
        "$work/warnings" | sort -u
}

# boots NAME PARAMETER...: as far as to init, without a word of complaint.
boots() {
    log=$work/$1.log
    shift
    timeout -k 5 "$deadline" qemu-system-x86_64 -accel tcg -cpu max -machine q35 -smp 2 -m 256 \
        -nodefaults -no-user-config -no-reboot -display none -serial "file:$log" \
        -device virtio-serial-pci -device e1000,romfile= -device qemu-xhci \
        -kernel "$work/$state/arch/x86/boot/bzImage" -initrd "$work/initramfs" \
        -append "earlyprintk=serial,ttyS0,115200,keep panic=-1 kunit.enable=0 rdinit=/reboot $* -- -f" </dev/null \
        >"$log.qemu" 2>&1 || {
        echo "QEMU ended with status $?" >>"$log"
        return 1
    }
    grep -q 'Run /reboot as init process' "$log" &&
        ! grep -aE 'WARNING: |BUG: |Kernel panic|Oops|Call Trace' "$log"
}

# What was built of another patch must not be booted for this one.
build() {
    rm -f "$work/$state/arch/x86/boot/bzImage"
    configure && smake -j"$(jobs)" bzImage modules
}

# good DESCRIPTION COMMAND...: one line of TAP.
good() {
    what=$1
    shift
    number=$((number + 1))
    if "$@" >"$work/output" 2>&1; then
        echo "ok $number - $what"
    else
        echo "not ok $number - $what"
        tail -n 20 "$work/output" | sed 's/^/# /'
        failed=1
    fi
}

modes() {
    if [ "$state" = n ]; then
        boots "$state"
    else
        boots "$state-off" dev_auth=off && boots "$state-audit" dev_auth=audit &&
            boots "$state-enforce" dev_auth=enforce
    fi
}

says_nothing_new() {
    # shellcheck disable=SC2046 # one file a word
    warnings $(touched "$patch") >"$work/said" || return 1
    ! comm -13 "$work/known.$state" "$work/said" | grep .
}

# touched PATCH...: the C files that they change.
touched() {
    sed -n 's,^+++ b/\(.*\.c\)$,\1,p' "$@" | sort -u
}

main() {
    prepare
    list=$(series)
    number=0
    failed=0
    echo "1..$(($(printf '%s\n' "$list" | wc -l) * 6))"
    for state in y n; do
        mkdir -p "$work/$state"
        build >"$work/output" 2>&1 || die "the source does not build without the series" "$(tail "$work/output")"
        # shellcheck disable=SC2046,SC2086 # one file a word
        warnings $(touched $list) >"$work/known.$state" ||
            die "gcc and sparse cannot check the source without the series" "run ./dev setup"
    done
    for patch in $list; do
        name=${patch##*/}
        name=${name%.patch}
        git -C "$work/src" am -q "$patch" || die "$patch does not apply"
        for state in y n; do
            good "$name builds with $state" build
            good "$name boots with $state" modes
            good "$name with $state: nothing new from W=1 and sparse" says_nothing_new
        done
    done
    return "$failed"
}

# The trees are one for all checkouts.
mkdir -p "$kernels"
with_lock series main
