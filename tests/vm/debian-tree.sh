#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The second half of debian-image.sh, which runs it as root of a mount namespace where it can:
#
#   debian-tree.sh WORK BASE_TAR SIZE OVERLAY DESTDIR AGENT
#
# Leaves WORK/guest.
set -eu

work=$1 base=$2 size=$3 overlay=$4 destdir=$5 agent=$6
tree=$work/tree guest=$work/guest
uuid=74647861-7574-6800-0000-6c6162000000

unpack() {
    mkdir -p "$tree" "$guest"
    # devtmpfs fills /dev.
    tar -xpf "$base" --exclude="./dev/*" -C "$tree"
    for layer in "$destdir" "$overlay"; do
        # Owned by root, whoever built it: the policy's own files are refused otherwise.
        tar -C "$layer" --owner=0 --group=0 -cf - . | tar -C "$tree" --keep-directory-symlink -xpf -
    done
    install -D -o 0 -g 0 -m 755 "$agent" "$tree/usr/lib/tdx-lab/agent"
    chown -R 0:0 "$tree/usr/lib/tdx-lab"
    chmod 755 "$tree"
}

# What an installer does. A whole system on a slow machine takes its time: systemd's own limits.
set_up() {
    rm "$tree/etc/systemd/system.conf.d/lab.conf"
    printf 'UUID=%s / ext4 errors=remount-ro 0 1\n' "$uuid" >"$tree/etc/fstab"
    # Nor does the machine that builds have a say in where a guest resumes from.
    [ ! -d "$tree/etc/initramfs-tools" ] || echo RESUME=none >"$tree/etc/initramfs-tools/conf.d/resume"
    # Nothing is new to it when it boots for the first time.
    touch -r "$tree/usr" "$tree/etc/.updated" "$tree/var/.updated"
    chroot "$tree" systemctl enable tdx-authd.service tdx-authd.socket
    chroot "$tree" systemctl add-wants sysinit.target lab-agent.service
    # A test starts them.
    for unit in apparmor.service auditd.service audit-rules.service; do
        [ ! -e "$tree/usr/lib/systemd/system/$unit" ] || chroot "$tree" systemctl disable "$unit"
    done
}

# open_chroot, close_chroot: /proc and the /dev that scripts cannot do without. A file of that name
# stands in for a node where none can be made; the real one is bound over it.
open_chroot() {
    mount -t proc proc "$tree/proc" || echo "no /proc: going on without"
    ln -s /proc/self/fd "$tree/dev/fd"
    for node in "null 1 3" "urandom 1 9"; do
        # shellcheck disable=SC2086 # a name and two numbers
        set -- $node
        mknod -m 666 "$tree/dev/$1" c "$2" "$3" || {
            : >"$tree/dev/$1"
            mount --bind "/dev/$1" "$tree/dev/$1"
        }
    done
}

close_chroot() {
    for path in proc dev/null dev/urandom; do
        umount "$tree/$path" 2>/dev/null || :
    done
    rm -rf "${tree:?}"/dev/*
}

# As the kernel's package has it made when it is installed.
make_initrd() {
    release=$(ls "$tree/usr/lib/modules")
    DEB_MAINT_PARAMS=configure chroot "$tree" run-parts --report --exit-on-error \
        --arg="$release" --arg="/boot/vmlinuz-$release" /etc/kernel/postinst.d
    [ -s "$tree/boot/initrd.img-$release" ] || {
        echo "the hooks made no initrd"
        exit 1
    }
    cp "$tree/boot/vmlinuz-$release" "$guest/bzImage"
    cp "$tree/boot/initrd.img-$release" "$guest/initramfs"
    chmod 644 "$guest/initramfs"
    printf '%s\n' "$release" >"$guest/release"
}

make_disk() {
    mkfs.ext4 -qq -F -O '^has_journal' -E lazy_itable_init=1,lazy_journal_init=1 -m 0 \
        -U "$uuid" -d "$tree" "$guest/rootfs.ext4" "$size"
    printf 'root=UUID=%s ro\n' "$uuid" >"$guest/cmdline"
}

unpack
open_chroot
set_up
make_initrd
close_chroot
make_disk
# Here, where its owners are ours.
rm -rf "$tree"
