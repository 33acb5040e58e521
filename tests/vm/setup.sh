#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Install what building, testing and the demo need. Nothing to do: a fraction of a second.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/vm
# shellcheck source=tests/vm/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/vm/debian.sh
. "$here/debian.sh"

build="acpica-tools gcc libc6-dev make meson ninja-build pkgconf libudev-dev libsystemd-dev libyaml-dev
    libkmod-dev libcmocka-dev libjson-c-dev libumockdev-dev umockdev python3-jsonschema python3-yaml
    scdoc systemd udev libaudit-dev dbus-daemon libglib2.0-bin apparmor"
kernel="bc bison ccache cpio flex git kmod libelf-dev libssl-dev perl sparse xz-utils
    linux-source-6.12"
guest="busybox-static debian-archive-keyring dosfstools e2fsprogs fakeroot mmdebstrap mtools ovmf
    qemu-system-x86 qemu-utils zstd"
# zsh and bash-completion: for the test of the completions; gcovr: for the coverage
lint="bash-completion clang-format clang-tidy codespell gcovr python3-git python3-ply shellcheck zsh"
packaging="debhelper dh-apparmor dpkg-dev lintian rpm"
# The runtime is the one of the release's clang; libFuzzer is in it.
fuzz="clang libclang-rt-dev"

missing() {
    # A package of either architecture spelling counts; dpkg-query says nothing of unknown ones.
    # shellcheck disable=SC2086 # a list
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
        sed -n 's/^installed //p' | sort -u >"$installed"
    printf '%s\n' "$@" | sort -u | comm -23 - "$installed"
}

has_candidate() {
    apt-cache policy "$1" | grep -q '^  Candidate: [^(]'
}

# A package that this release has in its backports alone, by an apt state of our own: the
# machine's sources stay as they are.
install_backport() {
    say "$1 comes from $(debian_codename)-backports"
    state=$(mktemp -d "${TMPDIR:-/tmp}/tdx-auth-apt.XXXXXX")
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    debian_source "$(debian_codename)-backports" >"$state/sources.list"
    set -- "$1" -q -o "Dir::State=$state" -o "Dir::State::Lists=$state/lists" \
        -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$state/cache" \
        -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- \
        -o APT::Sandbox::User=root
    package=$1
    shift
    apt-get "$@" update || die "cannot read $(cat "$state/sources.list")" "is the network there?"
    (cd "$state" && apt-get "$@" download "$package") || die "cannot download $package"
    DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install "$state"/*.deb
    rm -rf "$state"
}

mkdir -p "$cache" || die "cannot create $cache" "set TDX_AUTH_CACHE to a directory you may write to"
installed=$(mktemp "$cache/installed.XXXXXX")
trap 'rm -f "$installed"' EXIT

# shellcheck disable=SC2086 # lists
wanted=$(missing $build $kernel $guest $lint $packaging $fuzz)
[ -n "$wanted" ] || exit 0

# shellcheck disable=SC2086 # a list
[ "$(id -u)" = 0 ] || die "packages are missing: $(printf '%s ' $wanted)" \
    "installing them takes root: run ./dev setup as root once"

# shellcheck disable=SC2086 # a list
say "installing: $(printf '%s ' $wanted)"
apt-get -q update || die "apt-get update failed" "see its message above"
for package in $wanted; do
    if has_candidate "$package"; then
        ready="${ready-} $package"
    else
        late="${late-} $package"
    fi
done
# shellcheck disable=SC2086 # a list
[ -z "${ready-}" ] || DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install $ready
for package in ${late-}; do
    install_backport "$package"
done

# shellcheck disable=SC2086 # lists
wanted=$(missing $build $kernel $guest $lint $packaging $fuzz)
# shellcheck disable=SC2086 # a list
[ -z "$wanted" ] || die "still missing after the installation: $(printf '%s ' $wanted)"
