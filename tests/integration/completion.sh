#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the completions for bash and zsh offer, by the tool's own help.
# Usage: completion.sh TDX-AUTHCTL DIRECTORY
set -u

authctl=$1 directory=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The tool, but for what a machine has.
cat >"$work/tdx-authctl" <<SCRIPT
#!/bin/sh
case "\$*" in
'list --no-legend --no-pager') printf '%s\n' 'pci:0000:00:01.0  A NIC  -' 'usb:1-1  A key  -' ;;
'modules list --no-legend --no-pager') printf '%s\n' 'nvme  denied  -' 'loop  allowed  -' ;;
*) exec '$authctl' "\$@" ;;
esac
SCRIPT
chmod +x "$work/tdx-authctl"
PATH=$work:$PATH

number=0 failed=0
ok() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then echo "ok $number - $2"; else
        failed=1
        echo "not ok $number - $2"
        sed 's/^/# /' "$work/out"
    fi
}

# bash WORD...: what it offers for the last word, which may be empty, behind the others
bash_offers() {
    bash -c '
        . "$0"
        words=("$@") n=$(($# - 1))
        previous=tdx-authctl
        [ "$n" = 0 ] || previous=${words[n - 1]}
        _tdx_authctl_candidates "$previous" "${words[n]}" "${words[@]:0:n}"
    ' "$directory/tdx-authctl.bash" "$@"
}
# shellcheck disable=SC2317 # called by its name
zsh_offers() {
    zsh -f -c '
        compadd() { [[ $1 = -a ]] && print -rl -- ${(P)2} }
        _describe() { print -rl -- ${${(P)3}%%:*} }
        _files() { [[ ${1-} = -/ ]] && print @directories || print @files }
        file=$1
        shift
        words=(tdx-authctl "$@") CURRENT=$#words
        source $file
    ' zsh "$directory/_tdx-authctl" "$@"
}
# offers WHAT EXPECTED WORD...: both offer these lines, in any order
offers() {
    what=$1 expected=$2
    shift 2
    for shell in $shells; do
        "${shell}_offers" "$@" >"$work/out" 2>&1
        sort "$work/out" >"$work/sorted"
        printf '%s' "${expected:+$expected }" | tr ' ' '\n' | sort | cmp -s - "$work/sorted"
        ok $? "$shell: $what"
    done
}
# has WHAT LINE WORD...: both offer this line, or with ! do not
has() {
    what=$1 line=$2 wanted=0
    case $line in '!'*) line=${line#!} wanted=1 ;; esac
    shift 2
    for shell in $shells; do
        "${shell}_offers" "$@" >"$work/out" 2>&1
        grep -qxF -- "$line" "$work/out"
        [ $? = "$wanted" ]
        ok $? "$shell: $what"
    done
}

shells=bash
! command -v zsh >/dev/null || shells='bash zsh'

has "verbs are offered" status ''
has "of two words the first" modules ''
has "and not the second" '!render' ''
offers "then the second" "check explain list render" modules ''
offers "devices" "pci:0000:00:01.0 usb:1-1" authorize ''
offers "behind options, too" "pci:0000:00:01.0 usb:1-1" deny --remove ''
offers "modules" "nvme loop" modules explain ''
has "the options of a verb" --driver authorize -
has "and none of another's" '!--driver' deny -
has "of a verb of two words" --no-legend modules list --
offers "files for a policy" "@files" list --policy ''
offers "directories for a root" "@directories" policy check --root ''
offers "nothing where nothing is taken" "" freeze ''

# As a shell of the user's calls it, which divides words at colons.
file=/usr/share/bash-completion/bash_completion
if [ -e "$file" ]; then
    bash -c '
        . "$1"
        . "$2"
        compopt() { :; }
        COMP_LINE="tdx-authctl show pci:00" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
        COMP_WORDS=(tdx-authctl show pci : 00) COMP_CWORD=4
        _tdx_authctl
        printf "%s\n" "${COMPREPLY[@]}"
    ' bash "$file" "$directory/tdx-authctl.bash" >"$work/out" 2>&1
    echo 0000:00:01.0 | cmp -s - "$work/out"
    ok $? "bash: a name with colons is completed behind them"
fi

# Each option of the tool is one that the completion finds in its help.
"$authctl" --help | sed -n '/^Options/,$s/^  \(-h, \)\{0,1\}\(--[a-z-]*\).*/\2/p' | grep -vx -e --version >"$work/options"
for verb in $("$authctl" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\( [a-z]*\)\{0,1\}\).*/\1/p' | tr ' ' :); do
    # shellcheck disable=SC2086 # a verb of two words
    bash_offers ${verb/:/ } - >>"$work/found" 2>&1
done
sort -u "$work/found" >"$work/all"
sort -u "$work/options" | comm -3 - "$work/all" >"$work/out"
[ ! -s "$work/out" ]
ok $? "bash: every option is that of a verb, and the other way round"

echo "1..$number"
exit "$failed"
