#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Make guests that are Debian as Debian ships it: its own kernel, its own initrd, its own way to boot.
#
#   debian-image.sh DESTDIR AGENT GUEST...   prints the directory of each, one a line
#
# Guests: debian12, debian13 (initrd by initramfs-tools), debian12-dracut, debian13-dracut, and each
# with -luks behind it; debian13-strict (as debian13-luks, with the manuals' examples in force);
# debian13-uki (initrd made of packages by debian-uki.sh, and the module policy in force in it);
# debian12-plain, debian13-plain (without DESTDIR: a test installs packages there). A
# directory holds bzImage, initramfs, rootfs.ext4 with DESTDIR and the AGENT in it (with -luks and
# -strict in a container of LUKS), cmdline (what the kernel has to be told to find its root) and release;
# with -uki also esp, a disk that firmware starts. It never changes once it is there. All of it is in the
# cache.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/vm
# shellcheck source=tests/vm/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/vm/debian.sh
. "$here/debian.sh"
PATH=$PATH:/usr/sbin:/sbin

# Raised when this script makes something else from the same input.
recipe=1
packages="usr-is-merged linux-image-amd64 systemd systemd-sysv udev kmod lvm2 busybox zstd e2fsprogs login
    libyaml-0-2 libkmod2 dbus dbus-daemon polkitd libglib2.0-bin libaudit1"
initrd_packages="usr-is-merged systemd systemd-sysv udev kmod e2fsprogs libyaml-0-2 libkmod2 libjson-c5
    libaudit1"
size=1200M

destdir=${1:?DESTDIR} agent=${2:?AGENT}
shift 2
guests=$cache/debian

suite_of() {
    case $1 in
    debian12 | debian12-*) echo bookworm ;;
    debian13 | debian13-*) echo trixie ;;
    esac
}

# The guest whose packages it has.
plain_of() {
    plain=${1%-luks}
    plain=${plain%-strict}
    printf '%s\n' "${plain%-plain}"
}

# What makes its initrd; the packages of the two cannot be installed together.
generator_of() {
    case $(plain_of "$1") in
    debian12 | debian13) echo initramfs-tools cryptsetup-initramfs ;;
    debian12-dracut) echo dracut cryptsetup ;;
    debian13-dracut) echo dracut cryptsetup systemd-cryptsetup ;;
    # The kernel's package wants a generator, which is not called. It is cryptsetup that brings json-c else.
    debian13-uki) echo initramfs-tools libjson-c5 systemd-ukify systemd-boot-efi ;;
    *) die "unknown guest '$1'" "known: debian12 debian13 debian12-dracut debian13-dracut, and each with -luks or -plain; debian13-strict, debian13-uki" ;;
    esac
}

# What confines and what records, in the guests that test-debian.c looks at with them. debian-tree.sh
# keeps both from starting: to other tests it is as if they were not there.
guards_of() {
    case $(plain_of "$1") in
    debian12 | debian13) echo apparmor auditd ;;
    esac
}

packages_of() {
    printf '%s %s %s' "$packages" "$(generator_of "$1")" "$(guards_of "$1")"
}

# Both ways of a root disk, and each initrd has both; or everything but the root in one file.
way_of() {
    case $1 in
    *-luks) echo luks ;;
    *-strict) echo strict ;;
    *-uki) echo uki ;;
    *) echo plain ;;
    esac
}

# base_file NAME PACKAGES
base_file() {
    printf '%s/base-%s-%s.tar.zst\n' "$guests" "$1" "$(printf '%s %s' "$recipe" "$2" | hash_text)"
}

base_of() {
    base_file "$(plain_of "$1")" "$(packages_of "$1")"
}

# What is installed in it beside packages.
tree_of() {
    case $1 in
    *-plain) printf '%s\n' "$guests/empty" ;;
    *) printf '%s\n' "$destdir" ;;
    esac
}

# That of the initrd, where that is made of packages.
initrd_base_of() {
    case $1 in
    *-uki) base_file "$1-initrd" "$initrd_packages" ;;
    esac
}

# make_base NAME TAR PACKAGES
make_base() {
    [ ! -e "$2" ] || return 0
    say "making $1 (about a minute)"
    # The initrd comes later, when there is something of ours to go into it.
    (
        export INITRD=No
        debian_bootstrap "$(suite_of "$guest")" "$2" "$3"
    )
    keep_newest "base-$1-????????????????.tar.zst" 2
}

# A root of our own: what goes into an initrd is found by scripts of Debian's, in a chroot with /proc.
# A container's root may not mount: the scripts then go without.
as_root() {
    if [ "$(id -u)" != 0 ]; then
        unshare --map-root-user --map-auto --mount --pid --fork "$@" ||
            die "cannot become root in a namespace" "run as root, or install uidmap and give this user ranges in /etc/subuid and /etc/subgid"
    elif unshare --mount --pid --fork true 2>/dev/null; then
        unshare --mount --pid --fork "$@"
    else
        "$@"
    fi
}

make_guest() {
    [ ! -e "$result" ] || return 0
    say "making the image of $guest"
    # Of a run that was ended.
    rm -rf "$guests/new.$guest".*
    work=$(mktemp -d "$guests/new.$guest.XXXXXX")
    as_root "$here/debian-tree.sh" "$work" "$base" "$size" "$here/image" "$(tree_of "$guest")" "$agent" \
        "$(way_of "$guest")" "$initrd_base" >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        die "the image of $guest could not be made" "log: $work/log"
    }
    publish "$work/guest" "$result"
    rm -rf "$work"
    keep_newest "$guest-????????????????" 8
}

keep_newest() {
    # shellcheck disable=SC2012,SC2086 # our own names: a pattern
    (cd "$guests" && ls -dt $1 | tail -n +"$(($2 + 1))" | xargs -r rm -rf)
}

make_locked() {
    # Of which there are several guests.
    with_lock "${base##*/}" make_base "$(plain_of "$guest")" "$base" "$(packages_of "$guest")"
    [ -z "$initrd_base" ] || make_base "$guest-initrd" "$initrd_base" "$initrd_packages"
    make_guest
}

result_of() {
    printf '%s/%s-%s\n' "$guests" "$1" "$(printf '%s ' "$(base_of "$1")" "$size" "$(contents_of "$1")" "$(uki_contents "$1")" | hash_text)"
}

contents_of() {
    printf '%s-%s-%s' "$overlay" "$(tree_hash "$(tree_of "$1")")" "$maker"
}

uki_contents() {
    case $1 in
    *-uki) printf '%s %s' "$(initrd_base_of "$1")" "$(hash_of "$here/debian-uki.sh")" ;;
    esac
}

[ -x "$agent" ] || die "$agent is not there" "run ./dev build first"
for guest; do
    generator_of "$guest" >/dev/null
done
mkdir -p "$guests/empty"
overlay=$(tree_hash "$here/image")
maker=$(cat "$here/debian-tree.sh" "$agent" | hash_text)

# At the same time: each keeps one core busy, and for a while only the network.
running=
for guest; do
    result=$(result_of "$guest") base=$(base_of "$guest") initrd_base=$(initrd_base_of "$guest")
    [ ! -e "$result" ] || continue
    with_lock "debian-$guest" make_locked >&2 &
    running="$running $!"
done
failed=
for pid in $running; do
    wait "$pid" || failed=yes
done
[ -z "$failed" ] || exit 1
for guest; do
    result_of "$guest"
done
