# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# This machine's Debian: its release, its mirror, its keyring, and systems made from there. Sourced
# after lib.sh.

: "${cache:?debian.sh: the caller must source lib.sh first}"

debian_codename() {
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    case $codename in
    bookworm | trixie) printf '%s\n' "$codename" ;;
    *) die "this machine runs '${codename:-an unknown release}'" "the lab is made for Debian 12 (bookworm) and 13 (trixie)" ;;
    esac
}

# A one-line apt source for SUITE, with the mirror and the keyring that this machine uses for its
# own release. apt itself reads the machine's sources, in whichever format they are.
debian_source() {
    # shellcheck disable=SC2016 # apt's own variables
    own=$(apt-get indextargets --format \
        '$(REPO_URI)|$(CODENAME)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(SOURCESENTRY)' 'Created-By: Packages' |
        awk -F '|' -v release="$(debian_codename)" '
            ($2 == release || $3 == release) && $4 == "main" && ($5 == "Debian" || $5 !~ /[a-z]/) {
                print $1 " " $6
                exit
            }')
    [ -n "$own" ] || die "apt has no source for $(debian_codename) main" \
        "look at /etc/apt/sources.list and /etc/apt/sources.list.d, then run apt-get update"
    file=${own#* }
    file=${file%:*}
    keyring=$(sed -n -e 's/^[Ss]igned-[Bb]y:[[:space:]]*\(\/[^[:space:]]*\).*/\1/p' \
        -e 's/^deb .*signed-by=\([^] ]*\).*/\1/p' "$file" | head -n 1)
    [ -r "${keyring:-/}" ] && [ -f "${keyring:-/}" ] || keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "${own%% *}" "$1"
}

# The machine's own apt settings that decide whether its mirror answers, as FLAG='KEY "VALUE"'.
debian_apt_options() {
    apt-config dump | sed -n -E \
        's/^(Acquire::(http|https)::Proxy|Acquire::Check-Valid-Until|Acquire::Retries) "(.+)";$/--aptopt=\1 "\3"/p'
}

# debian_bootstrap SUITE TAR PACKAGES: an archive of a minimal SUITE with PACKAGES. What no test reads
# stays out: a small image is made in a second.
debian_bootstrap() {
    bootstrap_suite=$1 bootstrap_tar=$2 bootstrap_packages=$(printf '%s' "$3" | tr -s ' \n' ,)
    work=$(mktemp -d "$cache/base.new.XXXXXX")
    debian_source "$bootstrap_suite" >"$work/sources.list"
    debian_apt_options >"$work/options"
    set --
    while read -r option; do
        set -- "$@" "$option"
    done <"$work/options"
    # shellcheck disable=SC2016 # the hook's own variable
    mmdebstrap --quiet --variant=essential --include="$bootstrap_packages" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/zoneinfo/*' \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --customize-hook='rm -rf "$1"/var/cache/apt "$1"/var/lib/apt/lists' \
        "$@" "$bootstrap_suite" "$work/${bootstrap_tar##*/}" "$work/sources.list" >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        die "mmdebstrap failed" "log: $work/log"
    }
    publish "$work/${bootstrap_tar##*/}" "$bootstrap_tar"
    rm -rf "$work"
}
