#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# In the tree of a guest of `./dev bench boot`, before its initrd is made: the unit that says when it
# is up, and of one contender the policy, in force from the initrd on as an image has it.
set -eu

cat >/etc/systemd/system/bench-boot.service <<'UNIT'
[Unit]
Description=How long the boot took
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'cat /proc/uptime /proc/stat >/run/bench-boot.new && mv /run/bench-boot.new /run/bench-boot'

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable bench-boot.service

if [ -e /usr/lib/tdx-lab/enforce ]; then
    mkdir -p /etc/tdx-auth/policy.d
    printf 'version: 1\nmodules: { mode: enforce }\n' >/etc/tdx-auth/policy.d/50-bench.yaml
    tdx-authctl modules render --root /
    grep -q ^install /usr/lib/modprobe.d/00-tdx-auth.conf
fi
