#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The second half of image.sh, which runs it as root or under fakeroot:
#
#   image-tree.sh TREE BASE_TAR IMAGE SIZE OVERLAY MASKED DESTDIR AGENT KERNEL...
set -eu

tree=$1 base=$2 image=$3 size=$4 overlay=$5 masked=$6 destdir=$7 agent=$8
shift 8

mkdir -p "$tree"
# devtmpfs fills /dev.
tar -xpf "$base" --exclude="./dev/*" -C "$tree"
for layer in "$destdir" "$overlay"; do
    # Owned by root, whoever built it: the policy's own files are refused otherwise.
    tar -C "$layer" --owner=0 --group=0 -cf - . | tar -C "$tree" --keep-directory-symlink -xpf -
done
install -D -o 0 -g 0 -m 755 "$agent" "$tree/usr/lib/tdx-lab/agent"
grep -v '^#' "$masked" | while read -r unit; do
    ln -sf /dev/null "$tree/etc/systemd/system/$unit"
done
# Generators look at disks, fstab and consoles, which are none of the lab's concern: two seconds.
mkdir -p "$tree/etc/systemd/system-generators" "$tree/usr/lib/modules"
for generator in "$tree"/usr/lib/systemd/system-generators/*; do
    ln -sf /dev/null "$tree/etc/systemd/system-generators/${generator##*/}"
done
for kernel; do
    cp -a "$kernel"/modules/* "$tree/usr/lib/modules/"
    # Of one series, so the same for all kernels that have them.
    [ ! -d "$kernel/selftests" ] || cp -a "$kernel/selftests" "$tree/usr/lib/tdx-lab/"
done
chown -R 0:0 "$tree/usr/lib/modules" "$tree/usr/lib/tdx-lab"
chmod 755 "$tree"
mkfs.ext4 -qq -F -O '^has_journal' -E lazy_itable_init=1,lazy_journal_init=1 -m 0 \
    -U 74647861-7574-6800-0000-6c6162000000 -d "$tree" "$image" "$size" >/dev/null
