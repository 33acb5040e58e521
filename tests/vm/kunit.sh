#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Boot a kernel that has KUnit tests and say in TAP how they went, one line for each case.
#
#   kunit.sh KERNEL [KERNEL PARAMETER]...   KERNEL: a directory, as kernel.sh prints it
#
# KTAP nests, and other messages of the kernel come between its lines: what belongs to a test is
# indented. Succeeds if a test ran, all that were announced came to an end and nothing failed.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/vm/lib.sh
. "$top/tests/vm/lib.sh"

kernel=${1:?KERNEL}/bzImage
shift
deadline=300

[ -r "$kernel" ] || die "$kernel is not there" "build it with ./dev kernel --kunit"
logs=${TDX_AUTH_LOGS:-$top/build/lab-logs}
mkdir -p "$logs"
log=$logs/kunit.log

# The early console is there in every mode of the gate, and needs no driver.
status=0
timeout -k 5 "$deadline" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -machine q35 -smp 2 \
    -m 256 -nodefaults -no-user-config -no-reboot -display none -serial "file:$log" \
    -kernel "$kernel" \
    -append "earlyprintk=serial,ttyS0,115200,keep panic=-1 kunit_shutdown=reboot $*" \
    </dev/null >&2 || status=$?
case $status in
0) ;;
124 | 137) echo "# the kernel was given $deadline s and did not end" ;;
*) echo "# QEMU ended with status $status" ;;
esac

awk -v log_name="$log" '
    { sub(/\r$/, "") }
    /^    # Subtest: / { suite = $3 }
    /^1\.\./ { suites = substr($0, 4) + 0; next }
    /^    1\.\./ { planned += substr($0, 8); next }
    /^(not )?ok [0-9]/ { suites--; next }
    /^    (not )?ok [0-9]/ {
        cases++
        if ($1 == "not")
            failed++
        else if (!/# SKIP/)
            passed++
        sub(/^ +/, "")
        sub(/ok [0-9]+ /, "ok " cases " - " suite ".")
        print
        next
    }
    /^    / || /^ *# / {
        sub(/^ *# /, "")
        print "# " $0
    }
    /WARNING: |BUG: |INFO: task |Kernel panic|Oops/ {
        complaints++
        print "# " $0
    }
    END {
        # A suite that never began has at least one case.
        if (suites > 0)
            planned += suites
        if (complaints) {
            failed++
            planned++
            print "not ok " ++cases " - the kernel has nothing to complain about"
        }
        if (planned)
            print "1.." planned
        else
            print "Bail out! no test was announced"
        good = passed && !failed && cases == planned
        if (!good)
            print "# all that the kernel said: " log_name
        exit !good
    }
' "$log"
