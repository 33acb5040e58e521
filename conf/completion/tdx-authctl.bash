# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Completion of tdx-authctl(1) for bash. Verbs and options are those that the tool itself tells.

# Prints the verbs, a line each; those of two words have a blank.
_tdx_authctl_verbs() {
    tdx-authctl --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\( [a-z]*\)\{0,1\}\).*/\1/p'
}

# _tdx_authctl_options VERB: prints the options that it takes.
_tdx_authctl_options() {
    # shellcheck disable=SC2086 # a verb of two words
    tdx-authctl $1 --help 2>/dev/null | sed -n 's/^  \(-h, \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

_tdx_authctl_devices() {
    tdx-authctl list --no-legend --no-pager 2>/dev/null | sed 's/ .*//'
}

_tdx_authctl_modules() {
    tdx-authctl modules list --no-legend --no-pager 2>/dev/null | sed 's/ .*//'
}

_tdx_authctl_drivers() {
    local directory
    for directory in /sys/bus/{pci,virtio,usb,thunderbolt,acpi,pnp,platform}/drivers/*/; do
        [ ! -d "$directory" ] || basename "$directory"
    done
}

_tdx_authctl_kernels() {
    local directory
    for directory in /lib/modules/*/; do
        [ ! -d "$directory" ] || basename "$directory"
    done
}

# _tdx_authctl_verb_of WORD...: prints the verb that the words have, of two words where there is one.
_tdx_authctl_verb_of() {
    local word first=
    for word in "$@"; do
        case $word in
        -*) continue ;;
        esac
        if [ -n "$first" ]; then
            if _tdx_authctl_verbs | grep -qxF -- "$first $word"; then
                first="$first $word"
            fi
            break
        fi
        first=$word
    done
    printf '%s\n' "$first"
}

# _tdx_authctl_candidates PREVIOUS CURRENT WORD...: prints what may stand in the place of the current
# word; the words are those before it. "@files" and "@directories" stand for what they say.
_tdx_authctl_candidates() {
    local previous=$1 current=$2 verb
    shift 2
    case $previous in
    --policy | --snapshot | --expect)
        echo @files
        return
        ;;
    --root)
        echo @directories
        return
        ;;
    --driver)
        _tdx_authctl_drivers
        return
        ;;
    --kernel)
        _tdx_authctl_kernels
        return
        ;;
    esac
    verb=$(_tdx_authctl_verb_of "$@")
    if [[ $current == -* ]]; then
        _tdx_authctl_options "$verb"
        return
    fi
    case $verb in
    '') _tdx_authctl_verbs | sed 's/ .*//' | sort -u ;;
    policy | modules) _tdx_authctl_verbs | sed -n "s/^$verb //p" ;;
    show | explain | authorize | deny) _tdx_authctl_devices ;;
    'modules explain') _tdx_authctl_modules ;;
    why | diff | 'policy check') echo @files ;;
    esac
}

_tdx_authctl() {
    local cur prev words cword candidates
    # names of devices have colons, at which bash divides words
    _get_comp_words_by_ref -n : cur prev words cword
    candidates=$(_tdx_authctl_candidates "$prev" "$cur" "${words[@]:1:cword-1}")
    case $candidates in
    @files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    @directories) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    *)
        mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$cur")
        __ltrim_colon_completions "$cur"
        ;;
    esac
}

complete -F _tdx_authctl tdx-authctl
