#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lay out what bench-kernel.c boots: no Debian, and as little as possible besides the kernels.
#
#   bench-lab.sh LAB INIT KERNEL...   KERNEL: a directory, as kernel.sh prints it
#
# LAB becomes a directory of links to the kernels, initramfs (INIT alone), rom (a PCI option ROM that
# no firmware runs), and for INIT and each kernel NAME.entry: the address of its first instruction.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/vm/lib.sh
. "$top/tests/vm/lib.sh"

lab=${1:?LAB} init=${2:?INIT}
shift 2

# number FILE OFFSET SIZE
number() {
    od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# The entry of a 64-bit ELF file on standard input.
elf_entry() {
    od -An -v -t x8 -j 24 -N 8 | tr -d ' '
}

# The kernel in a bzImage, as Documentation/arch/x86/boot.rst says where it is, with the compression
# that the fragments choose.
unpack() {
    payload=$((($(number "$1" 497 1) + 1) * 512 + $(number "$1" 584 4)))
    tail -c "+$((payload + 1))" "$1" | head -c "$(number "$1" 588 4)" | xz -dc --single-stream
}

# A page of ROM with one image, for EFI: a firmware that is none leaves it alone. Reading it takes
# a signature, the offset of the PCI data structure and there the image's length and "last".
make_rom() {
    printf '\125\252\004'
    head -c 21 /dev/zero
    printf '\034\000\000\000PCIR\364\032\101\020\000\000\030\000\000\000\000\002\004\000\000\000\003\200'
    head -c 1998 /dev/zero
}

new=$lab.new.$$
rm -rf "$new"
mkdir -p "$new/tree"
cp "$init" "$new/tree/init"
(cd "$new/tree" && echo init | cpio -o -H newc -R 0:0 --quiet) >"$new/initramfs"
rm -r "$new/tree"
make_rom >"$new/rom"
elf_entry <"$init" >"$new/init.entry"
for kernel; do
    name=${kernel##*/}
    name=${name%-*}
    ln -s "$kernel" "$new/$name"
    unpack "$kernel/bzImage" >"$new/vmlinux" || die "$kernel/bzImage cannot be unpacked"
    elf_entry <"$new/vmlinux" >"$new/$name.entry"
    rm "$new/vmlinux"
done
publish "$new" "$lab"
