# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What an initrd needs of tdx-auth: sourced by initramfs-tools' hook and dracut's module.

# tdx_auth_copy_file DESTDIR PATH: as it is, its owner included. What a link leads to may not come
# along, so its content is copied; but a link to /dev/null, which takes a file away, stays one.
tdx_auth_copy_file() {
    mkdir -p "$1${2%/*}"
    if [ "$(readlink "$2")" = /dev/null ]; then
        ln -sf /dev/null "$1$2"
    else
        cp -pL "$2" "$1$2"
    fi
}

# tdx_auth_copy_policy DESTDIR: the files that last, at their places, so that decisions name them.
# What is refused here must not be accepted there, as an initrd's files all become root's: it boots
# with the built-in policy then, and says so.
tdx_auth_copy_policy() {
    if ! /usr/bin/tdx-authctl policy show >/dev/null; then
        echo "tdx-auth: W: THE POLICY IS REFUSED: this initrd will go by the built-in one" >&2
        mkdir -p "$1/etc/tdx-auth/policy.d"
        echo "refused: when this initrd was made" >"$1/etc/tdx-auth/policy.d/00-refused.yaml"
        return
    fi
    for tdx_auth_file in /usr/lib/tdx-auth/policy.d/*.yaml /etc/tdx-auth/policy.d/*.yaml; do
        if [ -e "$tdx_auth_file" ] || [ -L "$tdx_auth_file" ]; then
            tdx_auth_copy_file "$1" "$tdx_auth_file" || return
        fi
    done
}

# tdx_auth_copy DESTDIR COPY: COPY is a command that takes the path of a program and copies that with
# all it needs.
tdx_auth_copy() {
    for tdx_auth_file in /usr/bin/tdx-authctl /usr/lib/tdx-auth/tdx-auth-panic \
        /usr/lib/tdx-auth/tdx-auth-modgate /usr/lib/tdx-auth/tdx-auth-udev; do
        if [ -e "$tdx_auth_file" ]; then
            "$2" "$tdx_auth_file" || return
        fi
    done
    tdx_auth_copy_policy "$1" || return
    # for the udev rules, which decide there
    mkdir -p "$1/etc/tdx-auth" && : >"$1/etc/tdx-auth/in-initrd" || return
    for tdx_auth_file in /usr/lib/udev/rules.d/60-tdx-auth.rules /etc/udev/rules.d/60-tdx-auth.rules \
        /usr/lib/modprobe.d/00-tdx-auth.conf /etc/modprobe.d/00-tdx-auth.conf \
        /usr/lib/tdx-auth/modules.table /etc/tdx-auth/modules.table /etc/tdx-auth/initrd.conf; do
        if [ -e "$tdx_auth_file" ] && ! [ -e "$1$tdx_auth_file" ]; then
            tdx_auth_copy_file "$1" "$tdx_auth_file" || return
        fi
    done
}
