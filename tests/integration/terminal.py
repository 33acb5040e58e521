#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tdx-authctl prints to a terminal, and to what is none: width, colours, pager.

Usage: terminal.py TDX-AUTHCTL
"""

import json
import os
import pty
import re
import subprocess
import sys
import tempfile

COLUMNS = 80
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
authctl = sys.argv[1]
number = failures = 0

SNAPSHOT = {
    "version": 1,
    "attributes": [],
    "devices": [
        {
            "bus": "pci",
            "syspath": f"/sys/devices/pci0000:00/0000:00:0{i}.0",
            "modalias": f"pci:v00008086d000010D{i}sv00000000sd00000000bc02sc00i00",
            "ids": {"vendor": "0x8086", "device": f"0x10d{i}", "class": "0x020000"},
        }
        for i in range(1, 6)
    ]
    + [
        {
            "bus": "virtio",
            "syspath": "/sys/devices/pci0000:00/0000:00:02.0/virtio0",
            "modalias": "virtio:d00000001v00001AF4",
            "ids": {"device": "0x0001", "vendor": "0x1af4"},
        }
    ],
}
POLICY = "version: 1\ndefaults: { pci: deny, virtio: allow }\n"


def check(what, is_so, *told):
    global number, failures
    number += 1
    print(f"{'ok' if is_so else 'not ok'} {number} - {what}")
    if not is_so:
        failures += 1
        for text in told:
            print("".join(f"# {line}\n" for line in str(text).splitlines()), end="")


def environment(**more):
    known = {key: os.environ[key] for key in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ}
    return {**known, "TERM": "xterm", "LC_ALL": "C.UTF-8", "COLUMNS": str(COLUMNS), "PAGER": "", **more}


def on_terminal(*arguments, **more):
    """Its exit status, and what a terminal was sent."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [authctl, *arguments], stdin=follower, stdout=follower, stderr=follower, env=environment(**more)
    )
    os.close(follower)
    text = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(leader)
    return process.wait(timeout=60), text.decode().replace("\r\n", "\n")


def to_pipe(*arguments, **more):
    done = subprocess.run([authctl, *arguments], capture_output=True, text=True, timeout=60, env=environment(**more))
    return done.returncode, done.stdout, done.stderr


with tempfile.TemporaryDirectory() as work:
    snapshot, policy, copy = (os.path.join(work, name) for name in ("snapshot", "policy.yaml", "copy"))
    with open(snapshot, "w") as f:
        json.dump(SNAPSHOT, f)
    with open(policy, "w") as f:
        f.write(POLICY)
    given = ("--snapshot", snapshot, "--policy", policy)

    status, text = on_terminal("list", *given)
    plain = COLOUR.sub("", text)
    check("a list is as wide as the terminal", status == 0 and max(map(len, plain.splitlines())) == COLUMNS, text)
    check("what it cuts it says", "…" in plain, text)
    check("names of devices are whole", "virtio:virtio0" in plain and "pci:0000:00:05.0" in plain, text)
    check("verdicts have their colours", "\x1b[31mdeny\x1b[0m" in text and "\x1b[32mallow" in text, text)
    _, text = on_terminal("list", *given, "--full")
    check("or nothing is cut", "…" not in text and max(map(len, text.splitlines())) > COLUMNS, text)
    _, text = on_terminal("list", *given, NO_COLOR="1")
    check("who wants no colours gets none", not COLOUR.search(text), text)
    _, text = on_terminal("list", *given, TERM="dumb")
    check("nor does a dumb terminal", not COLOUR.search(text), text)
    status, text, _ = to_pipe("list", *given)
    check("what is no terminal gets all, without colours", status == 0 and "…" not in text and not COLOUR.search(text), text)

    status, text = on_terminal("list", *given, PAGER=f"tee '{copy}' | sed s/^/paged:/")
    paged = open(copy).read() if os.path.exists(copy) else ""
    check("a pager has it first", status == 0 and paged and text.startswith("paged:"), status, text)
    check("with the width and the colours of the terminal", "…" in paged and COLOUR.search(paged), paged)
    _, text = on_terminal("list", *given, PAGER="sed s/^/paged:/", TDX_AUTH_PAGER="sed s/^/ours:/")
    check("one of ours goes before", text.startswith("ours:"), text)
    status, text = on_terminal("list", *given, "--no-pager", PAGER="sed s/^/paged:/")
    check("unless it is not wanted", status == 0 and "paged:" not in text, text)
    _, text = on_terminal("list", *given, "--json", PAGER="sed s/^/paged:/")
    check("nor for what a program reads", "paged:" not in text, text)
    _, text = on_terminal("diff", snapshot, "--policy", policy, PAGER="sed s/^/paged:/")
    check("nor by verbs that print little", "paged:" not in text, text)
    status, text = on_terminal("modules", "list", *given, PAGER="head -n 1")
    check("who leaves the pager has seen enough", status in (0, 1) and "Broken pipe" not in text, status, text)
    _, text = on_terminal("list", *given, PAGER="echo secure=$LESSSECURE")
    check("a pager is told to run no commands", "secure=1" in text, text)
    status, text, _ = to_pipe("list", *given, PAGER="sed s/^/paged:/")
    check("and there is none where nobody looks", status == 0 and "paged:" not in text, text)

    _, text, _ = to_pipe("list", *given, "--tree")
    check("a tree has a device behind the one that it hangs on", "pci:0000:00:02.0 " in text
          and text.splitlines()[3].startswith("└─virtio:virtio0 "), text)
    _, text, _ = to_pipe("list", *given, "--tree", LC_ALL="C")
    check("in ASCII where that is what is read", "\n`-virtio:virtio0 " in text, text)
    _, text, _ = to_pipe("list", *given, "--json")
    parents = {device["device"]: device["parent"] for device in json.loads(text)["devices"]}
    check("JSON has the parents", parents["virtio:virtio0"] == "pci:0000:00:02.0" and parents["pci:0000:00:01.0"] is None, text)
    status, _, text = to_pipe("list", *given, "--json", "--tree")
    check("and no tree", status == 2 and "--tree is for people" in text, text)
    _, text, _ = to_pipe("list", *given, "--no-legend")
    check("without legend there are devices alone", len(text.splitlines()) == 6 and "DEVICE" not in text, text)

    for name in ("pci:0000:00:03", "0000:00:03", "pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00", "virtio:v"):
        status, text, _ = to_pipe("show", name, *given)
        check(f"a device is found by {name[:20]}", status == 0 and "Device: " in text, text)
    status, _, text = to_pipe("show", "0000:00:0", *given)
    check("several are told", status == 2 and "pci:0000:00:01.0, pci:0000:00:02.0" in text, text)
    status, _, text = to_pipe("show", "0000:00:01.1", *given)
    check("of none the nearest is", status == 4 and "the nearest is 0000:00:01.0" in text, text)
    status, _, text = to_pipe("explain", "virtoi:virtio0", *given)
    check("with a bus that is misspelled, too", status == 4 and "no such device" in text, text)

    status, text, _ = to_pipe("authorize", "--help")
    check("a verb has a help of its own", status == 0 and text.startswith("Usage: tdx-authctl authorize DEV")
          and "--driver NAME" in text and "--expect" not in text, text)
    status, text, _ = to_pipe("--help", "modules", "list")
    check("of two words, and wherever the option is", text.startswith("Usage: tdx-authctl modules list"), text)
    status, text, _ = to_pipe("-h")
    check("without a verb it is that of all", status == 0 and "Verbs:" in text, text)
    status, _, text = to_pipe("lsit", "--help")
    check("a verb that is none has none", status == 2 and 'the nearest is "list"' in text, text)

print(f"1..{number}")
sys.exit(failures > 0)
