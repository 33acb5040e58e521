#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The second half of debian-image.sh, which runs it as root of a mount namespace where it can:
#
#   debian-tree.sh WORK BASE_TAR SIZE OVERLAY DESTDIR AGENT plain|luks|strict|uki [INITRD_BASE_TAR]
#
# Leaves WORK/guest. With "luks" its root file system is in a container of LUKS, of which the initrd has the
# key; with "strict", too, and what the manuals have as examples is in force. With "uki" the initrd is made
# of packages, and with the kernel in one file.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$1 base=$2 size=$3 overlay=$4 destdir=$5 agent=$6 way=$7 initrd_base=${8-}
tree=$work/tree guest=$work/guest
uuid=74647861-7574-6800-0000-6c6162000000
key=/etc/keys/root.key
root=UUID=$uuid more="" luks=""

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
    printf '%s / ext4 errors=remount-ro 0 1\n' "$root" >"$tree/etc/fstab"
    printf 'root=%s ro%s\n' "$root" "$more" >"$guest/cmdline"
    # Nor does the machine that builds have a say in where a guest resumes from.
    [ ! -d "$tree/etc/initramfs-tools" ] || echo RESUME=none >"$tree/etc/initramfs-tools/conf.d/resume"
    # Nothing is new to it when it boots for the first time.
    touch -r "$tree/usr" "$tree/etc/.updated" "$tree/var/.updated"
    [ ! -e "$tree/usr/lib/systemd/system/tdx-authd.service" ] ||
        chroot "$tree" systemctl enable tdx-authd.service tdx-authd.socket
    chroot "$tree" systemctl add-wants sysinit.target lab-agent.service
    # A test starts them.
    for unit in apparmor.service auditd.service audit-rules.service; do
        [ ! -e "$tree/usr/lib/systemd/system/$unit" ] || chroot "$tree" systemctl disable "$unit"
    done
    # What a bench has to do to it.
    [ ! -x "$tree/usr/lib/tdx-lab/prepare" ] || chroot "$tree" /usr/lib/tdx-lab/prepare
}

# As their reader does it in an image. That the policy is rendered is for the hook to see to that a new
# kernel has called.
set_up_examples() {
    examples=/usr/share/doc/tdx-auth/examples
    chroot "$tree" install -m 644 "$examples/50-strict.yaml" /etc/tdx-auth/policy.d
    chroot "$tree" install -m 644 "$examples/tdx-auth-freeze.service" /etc/systemd/system
    chroot "$tree" systemctl enable tdx-auth-freeze.service
}

# make_container SIZE: qemu-img(1) needs no device mapper. How long the key takes it measures in CPU time,
# of which some machines tell it none ("Unable to get accurate CPU usage"), now and then.
make_container() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        ! qemu-img create -q -f luks --object "secret,id=key,file=$tree$key" \
            -o key-secret=key,iter-time=10 "$guest/rootfs.ext4" "$1" || return 0
    done
    return 1
}

# The container comes first, empty: the initrd has to know its name.
set_up_luks() {
    install -d -m 700 "$tree/etc/keys"
    printf 'the key of the lab' >"$tree$key"
    chmod 400 "$tree$key"
    make_container "$size"
    # LUKS1 On-Disk Format Specification, 2.1: where the name is.
    luks=$(dd if="$guest/rootfs.ext4" bs=1 skip=168 count=36 status=none)
    root=/dev/mapper/root
    if [ -d "$tree/etc/initramfs-tools" ]; then
        printf 'root UUID=%s %s luks,initramfs\n' "$luks" "$key" >"$tree/etc/crypttab"
        printf 'KEYFILE_PATTERN="%s"\n' "$key" >>"$tree/etc/cryptsetup-initramfs/conf-hook"
        echo UMASK=0077 >"$tree/etc/initramfs-tools/conf.d/umask"
    else
        printf '%s\n' 'add_dracutmodules+=" crypt systemd-cryptsetup "' "install_items+=\" $key \"" \
            >"$tree/etc/dracut.conf.d/lab.conf"
        more=" rd.luks.name=$luks=root rd.luks.key=$luks=$key"
    fi
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

# The kernel's package has it made when it is installed.
make_initrd() {
    release=$(ls "$tree/usr/lib/modules")
    cp "$tree/boot/vmlinuz-$release" "$guest/bzImage"
    printf '%s\n' "$release" >"$guest/release"
    if [ "$way" = uki ]; then
        "$here/debian-uki.sh" "$work" "$initrd_base" "$destdir"
        return
    fi
    DEB_MAINT_PARAMS=configure chroot "$tree" run-parts --report --exit-on-error \
        --arg="$release" --arg="/boot/vmlinuz-$release" /etc/kernel/postinst.d
    [ -s "$tree/boot/initrd.img-$release" ] || {
        echo "the hooks made no initrd"
        exit 1
    }
    cp "$tree/boot/initrd.img-$release" "$guest/initramfs"
    chmod 644 "$guest/initramfs"
}

make_disk() {
    mkfs.ext4 -qq -F -O '^has_journal' -E lazy_itable_init=1,lazy_journal_init=1 -m 0 \
        -U "$uuid" -d "$tree" "$work/plain" "$size"
    if [ -n "$luks" ]; then
        qemu-img convert -q -n -f raw --object "secret,id=key,file=$tree$key" --target-image-opts \
            "$work/plain" "driver=luks,key-secret=key,file.filename=$guest/rootfs.ext4"
        rm "$work/plain"
    else
        mv "$work/plain" "$guest/rootfs.ext4"
    fi
}

unpack
open_chroot
case $way in
luks | strict) set_up_luks ;;
esac
set_up
[ "$way" != strict ] || set_up_examples
make_initrd
close_chroot
make_disk
# Here, where its owners are ours.
rm -rf "$tree"
