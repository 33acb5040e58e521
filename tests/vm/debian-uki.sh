#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the owner of an image does whose initrd is made of packages, as mkosi makes one, and is with the
# kernel and its command line in one file: with tdx-auth no more than tdx-auth-initrd(7) says. Called by
# debian-tree.sh:
#
#   debian-uki.sh WORK BASE_TAR DESTDIR
#
# Of WORK/tree, a root file system, and WORK/guest/cmdline it makes WORK/guest/initramfs and
# WORK/guest/esp. BASE_TAR is a Debian of the initrd's packages.
set -eu

work=$1 base=$2 destdir=$3
tree=$work/tree guest=$work/guest initrd=$work/initrd
release=$(cat "$guest/release")
# What the root is on, and what the policy is to keep out: without a module here nothing is held to it.
modules="virtio_pci virtio_blk ext4 nvme qemu_fw_cfg dmi_sysfs gsmi e1000e"

unpack() {
    mkdir "$initrd"
    tar -xpf "$base" --exclude="./dev/*" -C "$initrd"
    tar -C "$destdir" --owner=0 --group=0 -cf - . | tar -C "$initrd" --keep-directory-symlink -xpf -
    chmod 755 "$initrd"
}

# With depmod's own words of what they need. modprobe.d is not asked: what it refuses is to be there.
add_modules() {
    directory=usr/lib/modules/$release
    mkdir -p "$initrd/$directory"
    cp "$tree/$directory"/modules.builtin* "$tree/$directory/modules.order" "$initrd/$directory"
    for module in $modules; do
        chroot "$tree" modprobe -C /dev/null -S "$release" --show-depends "$module"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u >"$work/modules"
    while read -r file; do
        install -D -m 644 "$tree/$file" "$initrd/usr${file#/usr}"
    done <"$work/modules"
    chroot "$initrd" depmod "$release"
}

# os-release(5), and the kernel's own name for what it starts. As a package's scripts do, the daemon
# is enabled there, too.
make_it_an_initrd() {
    ln -s os-release "$initrd/etc/initrd-release"
    ln -s usr/lib/systemd/systemd "$initrd/init"
    : >"$initrd/etc/machine-id"
    chroot "$initrd" systemctl enable tdx-authd.service tdx-authd.socket
    rm -rf "$initrd/usr/share/bash-completion" "$initrd/usr/share/perl5" "$initrd"/usr/lib/*/perl-base \
        "$initrd/var/lib/dpkg" "$initrd/usr/lib/udev/hwdb.d"
}

# The same for both: what root's own tools say of the initrd goes by that.
set_policy() {
    for root in "$initrd" "$tree"; do
        printf 'version: 1\nmodules: { mode: enforce }\n' >"$root/etc/tdx-auth/policy.d/50-owner.yaml"
        "$destdir/usr/bin/tdx-authctl" modules render --root "$root" --kernel "$release"
        grep -q ^install "$root/usr/lib/modprobe.d/00-tdx-auth.conf"
    done
}

pack() {
    (cd "$initrd" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) |
        zstd -q -10 -T0 >"$guest/initramfs"
}

# With what machine.c tells the other guests' kernels.
make_uki() {
    cp "$guest/initramfs" "$tree/boot/initrd"
    chroot "$tree" ukify build --linux="/boot/vmlinuz-$release" --initrd=/boot/initrd \
        --uname="$release" --os-release=@/etc/os-release --output=/boot/uki.efi \
        --cmdline="earlycon=uart8250,io,0x3f8 console=ttyS0 panic=-1 no_timer_check $(cat "$guest/cmdline")"
    mv "$tree/boot/uki.efi" "$work/uki.efi"
    rm "$tree/boot/initrd"
}

# A disk that is one file system, by the name at which firmware looks for what it starts.
make_esp() {
    size=$(($(stat -c %s "$work/uki.efi") / 1024 + 4096))
    mkfs.vfat -C -F 32 -i 74647861 "$guest/esp" "$size"
    mmd -i "$guest/esp" ::EFI ::EFI/BOOT
    mcopy -i "$guest/esp" "$work/uki.efi" ::EFI/BOOT/BOOTX64.EFI
}

unpack
add_modules
make_it_an_initrd
set_policy
pack
make_uki
make_esp
rm -rf "$initrd"
