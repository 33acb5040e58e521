#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What happens to the module policy when a kernel is installed, with stubs in the places of tdx-authctl and
# depmod. Usage: kernel-hook.sh TDX-AUTH-KERNEL
set -u

hook=${1:?TDX-AUTH-KERNEL}
work=$(mktemp -d "${TMPDIR:-/tmp}/kernel-hook.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
export TDX_AUTHCTL="$work/tdx-authctl" TDX_AUTH_MODULE_ROOT="$work" PATH="$work:$PATH"

# stub NAME [COMMAND]: notes how it was called.
stub() {
    printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n%s\n' "$1" "$work" "${2-}" >"$work/$1"
    chmod +x "$work/$1"
}

n=0
# expect NAME STATUS CALLS: of the hook for the kernel 2.
expect() {
    n=$((n + 1))
    : >"$work/calls"
    sh "$hook" 2 >"$work/out" 2>&1
    status=$?
    if [ "$status" = "$2" ] && [ "$(sed 's| --root /$||' "$work/calls")" = "$3" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        sed 's/^/# /' "$work/calls" "$work/out"
    fi
}

stub depmod
# shellcheck disable=SC2016 # the stub's own
stub tdx-authctl 'case $2 in check) echo changed; exit 3 ;; esac'
mkdir -p "$work/lib/modules/1" "$work/lib/modules/2"
: >"$work/lib/modules/1/modules.dep"

expect "modules are listed first where nobody did" 0 "depmod 2
tdx-authctl modules check
tdx-authctl modules render"
: >"$work/lib/modules/2/modules.dep"
expect "it is rendered for all kernels, not for the new one alone" 0 "tdx-authctl modules check
tdx-authctl modules render"
stub tdx-authctl
expect "what is up to date is left alone" 0 "tdx-authctl modules check"
stub tdx-authctl 'exit 1'
expect "no failure keeps a kernel from being installed" 0 "tdx-authctl modules check
tdx-authctl modules render"
rm -r "$work/lib/modules/2"
expect "a kernel without modules changes nothing" 0 ""
echo "1..$n"
