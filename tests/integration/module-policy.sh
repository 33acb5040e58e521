#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What tdx-authctl renders of a policy for Debian's kernel, and what modprobe makes of it, for each of
# its modules.
# Usage: module-policy.sh TDX-AUTHCTL SHIPPED-POLICY...
# shellcheck disable=SC2317 # functions that check() calls
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
authctl=$1
shift

if ! tree=$("$here/module-tree.sh"); then
    echo "1..0 # SKIP the modules of Debian's kernel cannot be had: see above"
    exit 0
fi
version=$(ls "$tree/lib/modules")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root modules=$work/root/lib/modules/$version
gate="install /usr/lib/tdx-auth/tdx-auth-modgate"

# modprobe looks whether a module's file is there, and not into it.
mkdir -p "$modules" "$root/etc/tdx-auth/policy.d" "$root/usr/lib/tdx-auth/policy.d"
cp "$tree/lib/modules/$version"/modules.* "$modules"
cut -d: -f1 "$modules/modules.dep" >"$work/paths"
(cd "$modules" && sed 's,/[^/]*$,,' "$work/paths" | sort -u | xargs mkdir -p && xargs touch <"$work/paths")
sed 's,.*/,,; s,\..*,,; s,-,_,g' "$work/paths" | LC_ALL=C sort >"$work/names"
cp "$@" "$root/usr/lib/tdx-auth/policy.d"
sed -n 's/^ *- //p' "$@" | LC_ALL=C sort -u >"$work/shipped"

number=0 failed=0
ok() {
    number=$((number + 1))
    echo "ok $number - $1"
}
not_ok() {
    number=$((number + 1)) failed=1
    echo "not ok $number - $1"
}
# check WHAT COMMAND...: whether it succeeds
check() {
    what=$1
    shift
    if "$@"; then ok "$what"; else not_ok "$what"; fi
}
# same WHAT A B: two files
same() {
    if cmp -s "$2" "$3"; then ok "$1"; else
        not_ok "$1"
        diff "$2" "$3" | head -n 20 | sed 's/^/# /'
    fi
}
policy() {
    cat >"$root/etc/tdx-auth/policy.d/50-test.yaml"
}
exits() {
    want=$1 got=0
    shift
    "$@" >"$work/out" 2>"$work/err" || got=$?
    [ "$got" = "$want" ] || { sed 's/^/# /' "$work/out" "$work/err" | head -n 20; return 1; }
}
modules() {
    verb=$1
    shift
    "$authctl" modules "$verb" --root "$root" "$@"
}
render() {
    modules render >"$work/out" 2>"$work/err"
}
# Prints of each module "NAME allowed" or "NAME denied", as tdx-authctl says.
listed() {
    modules list | awk '$2 == "allowed" || $2 == "denied" { print $1, $2 }' | LC_ALL=C sort
}
# The same as modprobe does: what stands between two questions is what it would do.
asked() {
    rm -rf "$work/config"
    mkdir "$work/config"
    echo "install tdx_auth_next next" >"$work/config/0.conf"
    cp "$root/usr/lib/modprobe.d/00-tdx-auth.conf" "$work/config"
    sed 's/$/ tdx_auth_next/' "$work/names" | xargs -n 500000 -s 1000000 modprobe -n -v -a -C "$work/config" -d "$root" -S "$version" \
        2>"$work/err" >"$work/steps"
    awk -v gate="$gate" '
        NR == FNR { name[NR] = $1; next }
        BEGIN { n = 1; verdict = "nothing" }
        $0 == "install next " { print name[n++], verdict; verdict = "nothing"; next }
        index($0, gate) == 1 { verdict = "denied"; next }
        $1 == "insmod" && verdict != "denied" { verdict = "allowed"; next }
    ' "$work/names" "$work/steps" | LC_ALL=C sort
}
compare() {
    render && listed >"$work/listed" && asked >"$work/asked"
    same "$1" "$work/listed" "$work/asked"
}

policy <<'EOF'
version: 1
modules: { mode: enforce, allow: ["ib_*"] }
rules:
- { action: allow, driver: nvme, match: { pci: { class: "0x010802" } } }
- { action: allow, driver: xhci_hcd, match: { pci: { vendor: "0x1b36", device: "0x000d", class: "0x0c0330" } } }
- { action: allow, driver: e1000e, match: { pci: { vendor: "0x8086", device: "0x10d3" } } }
EOF
compare "modprobe does with every module what the list says"
echo "# $(grep -c ' allowed' "$work/listed") of $(wc -l <"$work/listed") allowed, in $(grep -c ^install "$root/usr/lib/modprobe.d/00-tdx-auth.conf") lines"

# A host chooses modaliases; what of the rest (crypto, file systems, protocols) is loaded the guest says.
policy <<'EOF'
version: 1
modules: { mode: enforce }
EOF
render
listed | awk '$2 == "allowed" { print $1 }' >"$work/allowed"
awk '$2 ~ /^(acpi|cpu|dmi|hdaudio|hid|i2c|input|mdio|mei|pci|platform|pnp|scsi|serio|spi|usb|virtio|vmbus|wmi|x86cpu|xen)[:*]/ {
    print $3 }' "$modules/modules.alias" | LC_ALL=C sort -u >"$work/bound"
echo "# as shipped, a host can have these loaded: $(LC_ALL=C comm -12 "$work/allowed" "$work/bound" | tr '\n' ' ')"
echo "# that is $(LC_ALL=C comm -12 "$work/allowed" "$work/bound" | wc -l) of $(wc -l <"$work/bound") that devices have loaded, $(wc -l <"$work/allowed") allowed in all"
loadable_by_host() {
    [ "$(LC_ALL=C comm -12 "$work/allowed" "$work/bound" | grep -cE '^(gsmi|vboxguest|hv_vmbus|ccp|e1000e?|nvme|usb_storage)$')" = 0 ]
}
check "none of the modules that a host can have loaded is one of those it would choose" loadable_by_host

# PID 1 loads some by their names, once the host shows a device: what is below fs and net is no exception.
policy <<'EOF'
version: 1
defaults: { "*": deny }
modules: { mode: enforce }
EOF
listed | awk '$2 == "allowed" { print $1 }' | LC_ALL=C comm -12 - "$work/bound" >"$work/left"
grep ' cpu:' "$modules/modules.alias" | awk '{ print $3 }' | LC_ALL=C sort -u - "$work/shipped" |
    LC_ALL=C comm -13 - "$work/left" >"$work/reached"
check "where no device is allowed, no module that devices have loaded is" test ! -s "$work/reached"
sed 's/^/# /' "$work/reached"

policy <<'EOF'
version: 1
modules: { mode: enforce, allow: ["ib_*"] }
rules:
- { action: allow, driver: nvme, match: { pci: { class: "0x010802" } } }
- { action: allow, driver: xhci_hcd, match: { pci: { vendor: "0x1b36", device: "0x000d", class: "0x0c0330" } } }
- { action: allow, driver: e1000e, match: { pci: { vendor: "0x8086", device: "0x10d3" } } }
EOF
render
verdicts() {
    for expected in "$@"; do
        grep -qx "$expected" "$work/listed" || { echo "# not: $expected"; return 1; }
    done
}
check "what no host reaches is allowed, and what drives a device is denied" verdicts \
    "dm_crypt allowed" "tun allowed" "ext4 allowed" "nf_tables allowed" "isofs allowed" \
    "gsmi denied" "igb denied" "usb_storage denied" "snd_hda_intel denied" "qemu_fw_cfg denied" \
    "intel_uncore denied"
check "a rule's driver brings its module, or the one that needs it" verdicts \
    "nvme allowed" "nvme_core allowed" "xhci_pci allowed" "xhci_hcd allowed" "e1000e allowed"
check "hardened drivers are allowed where the kernel decides" verdicts \
    "virtio_blk allowed" "virtio_pci allowed" "virtio_net allowed" "virtio_scsi denied"
check "what is no driver brings none with it" verdicts \
    "vboxsf denied" "vboxguest denied" "hv_sock denied" "hv_vmbus denied" "kvm_amd denied" "ccp denied"
check "a glob of the policy allows what fits" verdicts "ib_core allowed" "ib_umad allowed"

cp "$root/usr/lib/modprobe.d/00-tdx-auth.conf" "$work/first.conf"
cp "$root/usr/lib/tdx-auth/modules.table" "$work/first.table"
check "it is rendered again" render
same "two renders are the same, the configuration" "$work/first.conf" "$root/usr/lib/modprobe.d/00-tdx-auth.conf"
same "and the table" "$work/first.table" "$root/usr/lib/tdx-auth/modules.table"
check "what is rendered is current" exits 0 modules check
check "a tree without the command that denies is told of" sh -c "
    '$authctl' modules check --root '$root' | grep -qx '$root/usr/lib/tdx-auth/tdx-auth-modgate, .* is not there: install tdx-auth'"
: >"$root/usr/lib/tdx-auth/tdx-auth-modgate"
check "and one with it is not" sh -c "! '$authctl' modules check --root '$root' | grep -q modgate"
mkdir -p "$root/etc/modprobe.d"
cp "$work/first.conf" "$root/etc/modprobe.d/00-tdx-auth.conf"
check "but not in force where the tree has a file in its place" sh -c "
    '$authctl' modules check --root '$root' >'$work/out'
    [ \$? = 3 ] && grep -qx '$root/etc/modprobe.d/00-tdx-auth.conf takes the place of what is rendered .*: remove it' '$work/out' &&
    '$authctl' modules render --root '$root' 2>&1 | grep -q 'takes the place of what is rendered'"
rm "$root/etc/modprobe.d/00-tdx-auth.conf"
check "aliases whose names begin those of modules keep their meaning" sh -c "
    modprobe -n -v -C '$work/config' -d '$root' -S '$version' aes | grep -q '^insmod .*/aesni-intel'"

check "a module of the new kernel is found to be undecided" sh -c "
    echo kernel/drivers/new/fresh.ko: >>'$modules/modules.dep'
    '$authctl' modules check --root '$root' >'$work/out'
    [ \$? = 3 ] && grep -q '^fresh: was unknown, is denied' '$work/out'"
cp "$tree/lib/modules/$version/modules.dep" "$modules"
check "the configuration begins with what the policy asks for" sh -c "
    grep '^# Asks: ' '$work/first.conf' | tail -n +2 >'$work/asks' && LC_ALL=C sort -cu '$work/asks' &&
    grep -q '^# Asks: driver e1000e pci:v00008086d000010D3sv' '$work/asks' && grep -qx '# Asks: allow ib_\\*' '$work/asks'"
check "the table says of each module that is denied why" sh -c "
    grep -q '^vboxsf	needs vboxguest, which is denied$' '$work/first.table' && ! grep -q ^dm_crypt '$work/first.table'"
check "explain names the line that refuses" sh -c "
    '$authctl' modules explain gsmi --root '$root' | grep -q '^Refused by: .*/usr/lib/modprobe.d/00-tdx-auth.conf:[0-9]'"
mkdir -p "$root/etc/modprobe.d"
# holes WHAT LINE: of LINE in a file before what was rendered
holes() {
    printf '%s\n' "$2" >"$root/etc/modprobe.d/00-a.conf"
    check "$1 is found" exits 3 modules check
    check "with its place" grep -q '^gsmi is denied, and loaded all the same: .*/etc/modprobe.d/00-a.conf:1 ' "$work/out"
    check "rendering warns of it" sh -c "
        '$authctl' modules render --root '$root' 2>&1 >/dev/null | grep -q 'gsmi is denied.*00-a.conf:1 '"
    check "as modprobe loads it" sh -c "
        rm -rf '$work/config' && mkdir '$work/config' &&
        cp '$root/usr/lib/modprobe.d/00-tdx-auth.conf' '$root/etc/modprobe.d/00-a.conf' '$work/config' &&
        ! modprobe -n -v -C '$work/config' -d '$root' -S '$version' gsmi | tail -n 1 | grep -q tdx-auth-modgate"
    rm "$root/etc/modprobe.d/00-a.conf"
}
holes "another command for a denied module" "install gsmi modprobe -i gsmi"
holes "a soft dependency of a denied module" "softdep gsmi pre: loop"
: >"$root/etc/modprobe.d/00-tdx-auth.conf"
check "a file in the place of what was rendered is found" exits 3 modules check
rm "$root/etc/modprobe.d/00-tdx-auth.conf"
check "and what refuses it, too, is none of these" sh -c "
    echo 'install gsmi /bin/true' >'$root/etc/modprobe.d/00-a.conf' && '$authctl' modules check --root '$root' >/dev/null"
rm "$root/etc/modprobe.d/00-a.conf"
printf '# x\nblacklist nvme\n' >"$root/etc/modprobe.d/own.conf"
check "and that of the machine's own modprobe.d" sh -c "
    '$authctl' modules explain nvme --root '$root' | grep -q 'modprobe.d: .*/etc/modprobe.d/own.conf:2: blacklist'"
check "an alias is explained by its modules" sh -c "
    '$authctl' modules explain virtio:d00000002v00001AF4 --root '$root' | grep -q '^Module: *virtio_blk'"
json_is_valid() {
    modules list --json | python3 -c '
import json, sys
found = json.load(sys.stdin)
modules = {m["name"]: m for m in found["modules"]}
assert found["mode"] == "enforce" and found["strict"] is False
assert modules["nvme"]["verdict"] == "allowed" and modules["nvme"]["reason"] == "rule"
assert modules["gsmi"]["verdict"] == "denied" and modules["serio"]["verdict"] == "built-in"' &&
        modules explain gsmi --json | python3 -c '
import json, sys
found = json.load(sys.stdin)["modules"][0]
assert found["gated_by"]["line"] > 3 and found["refused_by"] is None and found["needs"] == []' &&
        modules check --json | python3 -c '
import json, sys
found = json.load(sys.stdin)
assert found["current"] is True and found["changes"] == [] and found["undecided"] == [] and found["holes"] == []'
}
check "JSON says the same" json_is_valid
check "a path below / has one slash" sh -c "
    '$authctl' modules render --root '$root//' 2>/dev/null | grep -qx '$root/usr/lib/modprobe.d/00-tdx-auth.conf'"
check "explain of a device tells the modules of the tree" sh -c "
    '$authctl' explain pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00 --root '$root' 2>/dev/null |
    grep -q '^Modules that fit: *e1000e\$'"
mv "$root/usr/lib/modprobe.d" "$work/outside"
ln -s "$work/outside" "$root/usr/lib/modprobe.d"
before=$(cksum <"$work/outside/00-tdx-auth.conf")
check "a link does not lead out of the tree, to write" exits 1 modules render
check "and is told" grep -q "cannot write $root/usr/lib/modprobe.d/00-tdx-auth.conf" "$work/err"
check "what it leads to is as it was" test "$(cksum <"$work/outside/00-tdx-auth.conf")" = "$before"
check "nor to look what was rendered" exits 3 modules check
mkdir -p "$root$work"
mv "$work/outside" "$root$work"
check "within the tree it leads where it does there" exits 0 modules check
rm "$root/usr/lib/modprobe.d"
mv "$root$work/outside" "$root/usr/lib/modprobe.d"
rm -r "${root:?}/$(echo "$work" | cut -d/ -f2)"
mkdir "$root/opt"
echo "install gsmi modprobe -i gsmi" >"$root/opt/0.conf"
ln -s /opt/0.conf "$root/etc/modprobe.d/0.conf"
check "lines of a file that a link within the tree leads to count" exits 3 modules check
rm -r "$root/etc/modprobe.d/0.conf" "$root/opt"
mkfifo "$root/boot-map" && mkdir -p "$root/boot" && mv "$root/boot-map" "$root/boot/System.map-$version"
check "nothing is waited for that has no end" exits 0 timeout 60 "$authctl" modules check --root "$root"
rm -r "${root:?}/boot"
mkdir -p "$root/run/modprobe.d"
: >"$root/run/modprobe.d/00-tdx-auth.conf"
check "a file in any directory before takes the place" sh -c "'$authctl' modules check --root '$root' --json |
    python3 -c 'import json, sys; found = json.load(sys.stdin); assert found[\"shadowed\"] and not found[\"current\"]'"
rm -r "${root:?}/run"
check "a tree that is not there is told as what it is" sh -c "
    '$authctl' policy check --root '$work/none' 2>&1 | grep -q 'root $work/none: No such file or directory'"
check "a kernel that is not there is told with those that are" sh -c "
    '$authctl' modules check --root '$root' --kernel 0.1 >'$work/out' 2>&1
    [ \$? = 1 ] && grep -q 'there is no kernel 0.1 in $root/lib/modules, which has: $version\$' '$work/out' &&
    [ \$(wc -l <'$work/out') = 1 ]"
mkdir -p "$root/lib/modules/0.2/kernel"
check "a kernel without modules.dep fails the check" exits 3 modules check
check "and is told" grep -q '^the kernel 0.2 is left out, as it has modules and no modules.dep: run depmod$' "$work/out"
check "in JSON, too" sh -c "'$authctl' modules check --root '$root' --json |
    python3 -c 'import json, sys; assert json.load(sys.stdin)[\"left_out\"] == [\"0.2\"]'"
rm -r "$root/lib/modules/0.2"
printf 'install nvme /bin/false\nblacklist dm_crypt\n' >"$root/etc/modprobe.d/own.conf"
modules check >"$work/out" || :
check "an allowed module that the machine's own modprobe.d keeps out is told" \
    grep -q '^nvme is allowed (driver of the rule 50-test.yaml:.*), and not loaded all the same: .*/own.conf:1 has an install ' "$work/out"
check "but not one that is blacklisted for devices and allowed by its name" sh -c "! grep -q '^dm_crypt is allowed' '$work/out'"
rm "$root/etc/modprobe.d/own.conf"
mv "$root/usr/lib/tdx-auth/policy.d/10-modules.yaml" "$work"
check "a tree without the list of what drives nothing is told" sh -c "
    '$authctl' modules render --root '$root' 2>&1 >/dev/null | grep -q '$root/usr/lib/tdx-auth/policy.d/10-modules.yaml is not there'"
mv "$work/10-modules.yaml" "$root/usr/lib/tdx-auth/policy.d"
render
check "no longer when it is there" sh -c "! grep -q 10-modules '$work/err'"
check "a module that is not there is an error" exits 1 modules explain no_such_module
printf 'softdep nvme pre: igb post: pci:v00008086d000010D3sv0sd0bc02sc00i00\n' >"$root/etc/modprobe.d/own.conf"
compare "soft dependencies of the machine are allowed with their module"
check "by their names" verdicts "igb allowed"
check "and stay what they were" sh -c "
    modprobe -n -v -C '$work/config' -d '$root' -S '$version' nvme | tr '\\n' ' ' |
    grep -q 'igb.ko .*nvme.ko .*e1000e.ko'"
rm "$root/etc/modprobe.d/own.conf"

policy <<'EOF'
version: 1
modules: { mode: enforce }
rules:
- { name: nic, action: allow, driver: no_such_driver, match: { pci: { vendor: "0x8086", device: "0x10d3" } } }
EOF
by_ids() {
    note="50-test.yaml:nic: no module is called like the driver no_such_driver; by their ids alone these are allowed for it: e1000e"
    render && grep -q "$note" "$work/err" && modules check >"$work/out" && grep -qx "$note" "$work/out" &&
        modules explain e1000e | grep -q '^Why: *by ids alone, as no module is called no_such_driver: 50-test.yaml:nic$' &&
        modules check --json | python3 -c 'import json, sys; assert len(json.load(sys.stdin)["notes"]) == 1'
}
check "of a driver that no module is called like, the modules are told that its ids bring" by_ids

policy <<'EOF'
version: 1
modules: { mode: enforce, allow: [dm-cyrpt, "no_such_*", "nf_*", nvme] }
EOF
modules check >"$work/out" || :
check "a name that no kernel has is told with the nearest" grep -qx \
    '/etc/tdx-auth/policy.d/50-test.yaml:2: modules: allow has "dm-cyrpt", and no kernel has such a module; the nearest is dm_crypt' "$work/out"
check "a glob that fits nothing, too" grep -q 'modules: allow has "no_such_\*", and no kernel has such a module$' "$work/out"
check "and no other" test "$(grep -c 'and no kernel has such a module' "$work/out")" = 2

policy <<'EOF'
version: 1
modules: { mode: enforce, strict: true, allow: [ext4, "nf_*"] }
EOF
check "another policy is not what was rendered" exits 3 modules check
check "and that is why" grep -q '^What was rendered is not what the policy says (the policy asks for other modules): run' "$work/out"
compare "so it is where the policy is strict"
echo "# $(grep -c ' allowed' "$work/listed") allowed, in $(grep -c ^install "$root/usr/lib/modprobe.d/00-tdx-auth.conf") lines"
check "a module that has soft dependencies is denied like any other" verdicts \
    "cxl_mem denied" "act_mpls denied" "btrfs denied"
check "strictly, what is no driver has to be named, too" verdicts \
    "ext4 allowed" "jbd2 allowed" "mbcache allowed" "nf_tables allowed" "xfs denied" "can denied"

policy <<'EOF'
version: 1
defaults: { "*": deny }
modules: { mode: enforce, strict: true }
EOF
ln -s /dev/null "$root/etc/tdx-auth/policy.d/10-modules.yaml"
compare "nothing allowed refuses all"
check "by one line" test "$(grep -c ^install "$root/usr/lib/modprobe.d/00-tdx-auth.conf")" = 1
rm "$root/etc/tdx-auth/policy.d/10-modules.yaml"

policy <<'EOF'
version: 1
modules: { mode: audit }
EOF
render
check "an audit has the gate load what it would deny" sh -c "
    grep -q '^install ' '$root/usr/lib/modprobe.d/00-tdx-auth.conf' &&
    ! grep '^install ' '$root/usr/lib/modprobe.d/00-tdx-auth.conf' | grep -qv ' audit$'"
policy <<'EOF'
version: 1
modules: { mode: "off" }
EOF
check "what an earlier policy refused is found" exits 3 modules check
check "and why that is" grep -q '(the policy says off, what was rendered says audit)' "$work/out"
render
check "off refuses nothing" sh -c "! grep -q ^install '$root/usr/lib/modprobe.d/00-tdx-auth.conf'"
check "and is current then" exits 0 modules check

policy <<'EOF'
version: 1
modules: { mode: enforce, allow: ["$(id)", "a;b", "*`id`", "x;*"] }
EOF
# shellcheck disable=SC2016 # not to be expanded
check "hostile names in a policy reach no line but comments" sh -c "
    '$authctl' modules render --root '$root' >/dev/null 2>&1 && ! grep '^[^#].*[\$;\`]' '$root/usr/lib/modprobe.d/00-tdx-auth.conf'"
# shellcheck disable=SC2016 # not to be expanded
printf 'kernel/drivers/x/$(touch x).ko:\nkernel/fs/a*[b.ko:\nkernel/fs/\033[2J;`id`.ko:\n' >>"$modules/modules.dep"
# shellcheck disable=SC2016 # not to be expanded
compare_hostile() {
    render && ! grep -q '^[^#].*[$;`]' "$root/usr/lib/modprobe.d/00-tdx-auth.conf" &&
        modules list | grep -q '^a\*\[b  *denied' && ! modules list | grep -q "$(printf '\033')"
}
check "nor do those of modules, which are denied" compare_hostile
check "a modules.dep that is none is an error" sh -c "
    echo garbage >'$modules/modules.dep'; ! '$authctl' modules render --root '$root' 2>/dev/null"

# Two kernels of two modules: the new one brings another driver for a device that is allowed.
# module VERSION NAME ALIAS: a module that depmod can read
module() {
    mkdir -p "$root/lib/modules/$1/kernel/drivers/net"
    printf 'static const char info[] __attribute__((section(".modinfo"), used)) = "alias=%s";' "$3" |
        ${CC:-cc} -x c -c -o "$root/lib/modules/$1/kernel/drivers/net/$2.ko" -
}
kernels() {
    root=$work/two
    mkdir -p "$root/etc/tdx-auth/policy.d"
    module 6.1.0 e1000e 'pci:v00008086d000010D3sv*sd*bc*sc*i*'
    depmod -b "$root" 6.1.0
    module 6.2.0 e1000e 'pci:v00008086d000010D3sv*sd*bc*sc*i*'
    module 6.2.0 fresh 'pci:v00008086d000010D3sv*sd*bc*sc*i*'
    module 6.2.0 other 'pci:v00008086d00000001sv*sd*bc*sc*i*'
    depmod -b "$root" 6.2.0
    policy <<'EOF'
version: 1
modules: { mode: enforce }
rules: [ { action: allow, driver: e1000e, match: { pci: { vendor: "0x8086", device: "0x10d3" } } } ]
EOF
    cat >"$work/snapshot" <<'EOF'
{ "version": 1, "attributes": [], "devices": [ { "bus": "pci", "syspath": "/sys/devices/pci0000:00/0000:00:03.0",
  "modalias": "pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00",
  "ids": { "vendor": "0x8086", "device": "0x10d3", "class": "0x020000" } } ] }
EOF
    modules render --kernel 6.1.0 --snapshot "$work/snapshot" >/dev/null 2>&1
}
if kernels 2>"$work/err"; then
    check "nothing is undecided of the kernel that was rendered for" exits 0 modules check --kernel 6.1.0 --snapshot "$work/snapshot"
    check "another kernel needs a decision" exits 3 modules check --kernel 6.2.0 --snapshot "$work/snapshot"
    check "over what fits a device that is allowed" grep -q '^fresh: denied, and new: it fits pci:0000:00:03.0' "$work/out"
    check "and over nothing else" sh -c "! grep -q '^other: denied' '$work/out' && grep -q '^other: was unknown, is denied' '$work/out'"
    modules render --kernel 6.2.0 --snapshot "$work/snapshot" >/dev/null
    check "once it is rendered for it was decided" exits 0 modules check --kernel 6.2.0 --snapshot "$work/snapshot"
    check "without a version all kernels have to be served" exits 3 modules check --snapshot "$work/snapshot"
    check "and it is told for which it is" grep -q '(it is for other kernels: 6.2.0)' "$work/out"
    modules render --snapshot "$work/snapshot" >/dev/null
    check "and are, by one file" exits 0 modules check --snapshot "$work/snapshot"
    check "which names them" sh -c "grep '^# Kernel' '$root/usr/lib/modprobe.d/00-tdx-auth.conf' | tr '\n' ' ' | grep -qx '# Kernel: 6.1.0 # Kernel: 6.2.0 '"
    check "without the devices other reasons alone are no difference" exits 0 modules check
    check "it is the same as for each of them by its name" exits 0 modules check --kernel 6.1.0 --kernel 6.2.0 --snapshot "$work/snapshot"
    check "what both have is loaded in both" sh -c "
        for version in 6.1.0 6.2.0; do
            modprobe -n -v -C '$root/usr/lib/modprobe.d' -d '$root' -S \$version e1000e | grep -q ^insmod || exit 1
        done"
    check "what one has is denied there" sh -c "
        modprobe -n -v -C '$root/usr/lib/modprobe.d' -d '$root' -S 6.2.0 fresh | grep -q '^install .*modgate'"
else
    sed 's/^/# /' "$work/err"
    not_ok "modules of the test's own"
fi

echo "1..$number"
exit "$failed"
