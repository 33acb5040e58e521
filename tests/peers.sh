#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What users of USBGuard suffered, issue by issue: of each there is a test here that names it, as
# "usbguard#NUMBER", in the comment above it.
#
#   peers.sh TESTS
set -eu

# Lost events; children before parents; threads; attributes that come later; own changes; sleep; an
# end that nobody saw; restarts; stopping; the gap before the start; owners locked out; a sandbox
# too tight; D-Bus without a check; files rewritten; leaks; files that others may write; other buses.
issues="349 315 316 689 687 688 493 502 444 543 594 350 565 609 367 472 151 447 644 122 155 589 634
    363 284 392 494 273 531 486 636 588 654 219 435 693 150 593 173 420"

# shellcheck disable=SC2086 # a list
set -- "${1:?TESTS}" $issues
tests=$1
shift
echo "1..$#"
n=0
status=0
for issue; do
    n=$((n + 1))
    # The comment stands right above the function.
    if find "$tests" -name '*.c' -exec grep -h -A6 "usbguard#$issue\>" {} + | grep -q '^static void test_'; then
        echo "ok $n - usbguard#$issue has a test"
    else
        echo "not ok $n - usbguard#$issue has a test"
        status=1
    fi
done
exit $status
