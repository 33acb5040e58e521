#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dracut.modules(7): the policy holds from the initrd on.

# called by dracut
check() {
    require_binaries tdx-authctl || return 1
    return 0
}

# called by dracut
depends() {
    echo udev-rules
}

# The units, and the links that have them started, as they are installed.
install_units() {
    local path n=0
    # shellcheck disable=SC2154 # dracut's own
    for path in "$systemdsystemunitdir"/tdx-auth-{initrd,panic}.service \
        "$systemdsystemunitdir"/*.wants/tdx-auth-*.service \
        "$systemdsystemunitdir"/*.requires/tdx-auth-*.service; do
        case ${path##*/} in
        tdx-auth-initrd.service | tdx-auth-panic.service) ;;
        *) continue ;;
        esac
        inst_simple "$path" && [[ -e $initdir$path ]] || return
        n=$((n + 1))
    done
    # two units, what starts the one, and what the other comes before
    ((n >= 8))
}

# No initrd is better than one that is open.
fail() {
    dfatal "tdx-auth: $1"
    exit 1
}

# called by dracut
install() {
    # shellcheck source=conf/initrd-files.sh
    . /usr/lib/tdx-auth/initrd-files.sh
    # shellcheck disable=SC2154 # dracut's own
    tdx_auth_copy "$initdir" inst || fail "the policy could not be copied"
    if dracut_module_included systemd; then
        install_units || fail "its units could not be copied"
    else
        # shellcheck disable=SC2154 # dracut's own
        inst_hook pre-udev 00 "$moddir/tdx-auth-apply.sh"
    fi
    inst_hook emergency 00 "$moddir/tdx-auth-emergency.sh"
}
