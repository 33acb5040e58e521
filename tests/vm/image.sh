#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lay out the lab: what tests and demo boot.
#
#   image.sh LAB DESTDIR AGENT KERNEL...
#
# LAB becomes a directory of links into the cache: rootfs.ext4 (Debian of this machine's release,
# DESTDIR and the AGENT on top, modules and selftests of every KERNEL), initramfs (busybox, the agent, modules), one
# directory for each KERNEL (as kernel.sh prints them), and accel, the name of the accelerator that works here.
# A KERNEL that has a disk of its own (as debian-image.sh prints them) is no more than linked.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/vm
# shellcheck source=tests/vm/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/vm/debian.sh
. "$here/debian.sh"
PATH=$PATH:/usr/sbin:/sbin

# Raised when this script makes something else from the same input.
recipe=2
packages="usr-is-merged systemd systemd-sysv udev kmod libyaml-0-2 libkmod2 busybox
    dbus dbus-daemon polkitd libglib2.0-bin libaudit1 usbguard"
size=640M

lab=${1:?LAB} destdir=${2:?DESTDIR} agent=${3:?AGENT}
shift 3

base_locked() {
    [ ! -e "$base" ] || return 0
    say "making the guest's Debian $(debian_codename) (about a minute)"
    debian_bootstrap "$(debian_codename)" "$base" "$packages"
}

# As root the tree's owners are what they should be; else fakeroot pretends.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        fakeroot -- "$@"
    fi
}

rootfs_locked() {
    [ ! -e "$rootfs" ] || return 0
    say "making the guest's image"
    work=$(mktemp -d "$cache/image.new.XXXXXX")
    as_root "$here/image-tree.sh" "$work/tree" "$base" "$work/rootfs.ext4" "$size" \
        "$here/image" "$here/masked-units" "$destdir" "$agent" "$@" || die "the guest's image could not be made"
    publish "$work/rootfs.ext4" "$rootfs"
    rm -rf "$work"
    # shellcheck disable=SC2012 # our own names
    ls -dt "$cache"/image/rootfs-* | tail -n +13 | xargs -r rm -f
}

initramfs_locked() {
    [ ! -e "$initramfs" ] || return 0
    work=$(mktemp -d "$cache/image.new.XXXXXX")
    tree=$work/tree
    mkdir -p "$tree/bin" "$tree/lib/modules" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/run" "$tree/tmp"
    cp /usr/bin/busybox "$tree/bin/busybox" 2>/dev/null || cp /bin/busybox "$tree/bin/busybox"
    for applet in $("$tree/bin/busybox" --list); do
        [ -e "$tree/bin/$applet" ] || ln -s busybox "$tree/bin/$applet"
    done
    cp "$agent" "$tree/init"
    for kernel; do
        cp -a "$kernel"/modules/* "$tree/lib/modules/"
    done
    (cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/initramfs"
    publish "$work/initramfs" "$initramfs"
    rm -rf "$work"
    # shellcheck disable=SC2012 # our own names
    ls -dt "$cache"/image/initramfs-* | tail -n +13 | xargs -r rm -f
}

# Whether kvm works is for a guest to show: a /dev/kvm that opens may still run nothing.
# Asked once for each boot of this machine.
probe_accel() {
    accel=$cache/accel-$(cat /proc/sys/kernel/random/boot_id)
    [ ! -e "$accel" ] || return 0
    say "looking for an accelerator"
    log=$(mktemp "$cache/accel.XXXXXX")
    timeout -k 1 20 qemu-system-x86_64 -accel kvm -cpu max -M q35 -nodefaults -display none \
        -no-reboot -m 256 -kernel "$1/bzImage" -initrd "$initramfs" \
        -append "console=ttyS0 panic=-1 lab.probe" -serial "file:$log" >/dev/null 2>&1 || :
    rm -f "$cache"/accel-*
    if grep -q 'lab: probe' "$log"; then
        echo kvm >"$accel.new"
    else
        echo tcg >"$accel.new"
    fi
    mv "$accel.new" "$accel"
    rm -f "$log"
}

guests=
for kernel; do
    shift
    if [ -e "$kernel/rootfs.ext4" ]; then
        guests="$guests $kernel"
    else
        set -- "$@" "$kernel"
    fi
done
[ $# -gt 0 ] || die "no KERNEL to lay out"
[ -x "$agent" ] || die "$agent is not there" "run ./dev build first"

mkdir -p "$cache/image"
base=$cache/image/base-$(debian_codename)-$(printf '%s %s' "$recipe" "$packages" | hash_text).tar
[ -e "$base" ] || with_lock base base_locked

overlay=$(tree_hash "$here/image")
installed=$(tree_hash "$destdir")
rootfs=$cache/image/rootfs-$(printf '%s ' "$recipe" "$size" "$base" "$overlay" "$installed" "$@" |
    cat - "$here/image-tree.sh" "$here/masked-units" "$agent" | hash_text).ext4
[ -e "$rootfs" ] || with_lock image rootfs_locked "$@"

initramfs=$cache/image/initramfs-$({
    printf '%s ' "$recipe" "$@"
    cat "$agent"
} | hash_text).gz
[ -e "$initramfs" ] || with_lock image initramfs_locked "$@"

with_lock accel probe_accel "$1"

# The lab is swapped whole: a test that starts now sees the old one or the new one.
new=$lab.new.$$
rm -rf "$new"
mkdir -p "$new"
ln -s "$rootfs" "$new/rootfs.ext4"
ln -s "$initramfs" "$new/initramfs"
cp "$cache/accel-$(cat /proc/sys/kernel/random/boot_id)" "$new/accel"
# shellcheck disable=SC2086 # one directory a word
for kernel in "$@" $guests; do
    name=${kernel##*/}
    ln -s "$kernel" "$new/${name%-*}"
done
publish "$new" "$lab"
