#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Before udev, and before any module. Sourced; what ends in die() powers off by the hook for it.

/usr/bin/tdx-authctl apply --initrd || die "tdx-auth: the policy was not applied"
