#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The profiles let in what their platforms need, and nothing that a host puts beside it.

Usage: profiles.py TDX-AUTHCTL SNAPSHOTS PROFILE...

PROFILE is a policy of conf/profiles. In the directory SNAPSHOTS

  NAME.json, NAME-MORE.json        are machines of the profile NAME,
  NAME.expect, NAME-MORE.expect    the verdicts that must come out there, as "policy test" takes them,
  hostile.json                     what a host may add to any of them.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

# What a profile lets in by its class, whoever made it: on metal nobody but the owner builds it in.
BY_CLASS = {"bare-metal": {"nvme", "ahci", "xhci_hcd"}}

number = 0
failed = 0


def report(name, problem):
    global number, failed
    number += 1
    print(f"{'not ok' if problem else 'ok'} {number} - {name}")
    if problem:
        failed += 1
        print("".join(f"# {line}\n" for line in str(problem).splitlines()), end="")


class Tool:
    """tdx-authctl, with the profiles as they would be installed."""

    def __init__(self, path, profiles, directory):
        self.path = path
        self.installed = os.path.join(directory, "profiles")
        self.root = os.path.join(directory, "root")
        os.mkdir(self.root)
        os.mkdir(self.installed)
        # A policy must be its reader's own, which a checkout need not be.
        for profile in profiles:
            shutil.copyfile(profile, os.path.join(self.installed, os.path.basename(profile)))
        self.env = dict(os.environ, TDX_AUTH_PROFILE_DIRECTORY=self.installed)

    def run(self, *words, text=None):
        return subprocess.run([self.path, *words], input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=self.env, encoding="utf-8", check=False)

    def file(self, name):
        return os.path.join(self.installed, name + ".yaml")

    def judge(self, name, devices):
        """The verdicts over a snapshot of these devices: (bus, name): (action, driver, why)."""
        done = self.run("policy", "test", "--policy", self.file(name), "--snapshot", "-", "--json",
                        text=json.dumps(devices))
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        return {device["device"]: device["verdict"] for device in json.loads(done.stdout)}


def check_clean(tool, name):
    done = tool.run("policy", "check", tool.file(name), "--root", tool.root)
    if done.returncode != 0 or not done.stdout.endswith(" 0 warnings\n"):
        return done.stdout


def check_rules(tool, name):
    """Each says what for, and those that let something in which driver, and how many at most."""
    policy = json.loads(tool.run("policy", "generate", "--profile", name, "--json").stdout)
    wrong = []
    for rule in policy["rules"]:
        missing = [key for key in ("name", "reason") if key not in rule]
        if rule["action"] in ("allow", "kernel") and "max" not in rule.get("count", {}):
            missing.append("count: max")
        # to no driver can a usb device be held
        if rule["action"] == "allow" and "usb" not in rule["match"] and "driver" not in rule:
            missing.append("driver")
        if missing:
            wrong.append(f"{rule.get('name')}: no {', '.join(missing)}")
    if policy["defaults"].get("usb") != "deny" or policy["defaults"].get("thunderbolt") != "deny":
        wrong.append(f"defaults: {policy['defaults']}")
    return "\n".join(wrong)


def check_expected(tool, name, snapshot):
    done = tool.run("policy", "test", "--policy", tool.file(name), "--snapshot", snapshot,
                    "--expect", re.sub(r"json$", "expect", snapshot))
    return done.returncode != 0 and done.stdout


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def add(snapshot, other):
    return dict(snapshot, devices=snapshot["devices"] + other["devices"])


def moved(hostile):
    """The same where it is found, and counted, before anything of the platform's."""
    return json.loads(json.dumps(hostile).replace("/sys/devices/pciffff:00/", "/sys/devices/A/"))


def check_hostile(tool, name, snapshot, hostile):
    """None of what is added is let in, and it takes nothing's place."""
    before = tool.judge(name, snapshot)
    after = tool.judge(name, add(snapshot, hostile))
    wrong = [f"{device}: {verdict['action']} {verdict['driver']}, was {before[device]['action']}"
             for device, verdict in after.items()
             if device in before and verdict != before[device]]
    wrong += [f"{device}: {verdict['action']} {verdict['driver']}: {verdict['why']}"
              for device, verdict in after.items()
              if device not in before and verdict["action"] not in ("deny", "remove") and
              verdict["driver"] not in BY_CLASS.get(name, ())]
    if len(after) != len(before) + len(hostile["devices"]):
        wrong.append("not all was judged")
    return "\n".join(wrong)


def check_disguised(tool, name, snapshot):
    """What has the ids of a pci device that a rule lets in, and another class, gets no other
    driver."""
    before = tool.judge(name, snapshot)
    disguised = json.loads(json.dumps(snapshot))
    for device in disguised["devices"]:
        if device["bus"] == "pci":
            device["ids"]["class"] = "0x010601"
            device["modalias"] = re.sub("bc..sc..i..$", "bc01sc06i01", device["modalias"])
    wrong = []
    for device, verdict in tool.judge(name, disguised).items():
        allowed = before[device]
        if verdict["action"] == "allow" and device.startswith("pci:") and \
                verdict["driver"] not in {allowed["driver"], *BY_CLASS.get(name, ())}:
            wrong.append(f"{device}: {verdict['driver']}, was {allowed['driver']}")
    return "\n".join(wrong)


def check_used(tool, name, snapshots):
    """No rule that no snapshot has a device for is right by luck."""
    whys = {verdict["why"].split(": ")[0]
            for snapshot in snapshots for verdict in tool.judge(name, snapshot).values()}
    policy = json.loads(tool.run("policy", "generate", "--profile", name, "--json").stdout)
    unused = [rule["name"] for rule in policy["rules"]
              # a snapshot has nothing that is plugged later
              if rule.get("when") not in ("hot", ["hot"]) and rule["name"] not in whys]
    return unused and "decide over nothing: " + ", ".join(unused)


def check_printed(tool, name):
    done = tool.run("policy", "generate", "--profile", name)
    with open(tool.file(name), encoding="utf-8") as file:
        return (done.returncode != 0 or done.stdout != file.read()) and done.stdout


def check_listed(tool, names):
    listed = json.loads(tool.run("policy", "generate", "--profile", "help", "--json").stdout)
    if [entry["profile"] for entry in listed] != names:
        return listed
    bare = [entry["profile"] for entry in listed if not entry["purpose"]]
    return bare and f"for nothing: {bare}"


def main():
    authctl, snapshots, *profiles = sys.argv[1:]
    names = sorted(os.path.basename(profile).removesuffix(".yaml") for profile in profiles)
    there = sorted(os.listdir(os.path.dirname(profiles[0])))
    report("all profiles are installed",
           there != [name + ".yaml" for name in names] and f"there are {there}")
    machines = {name: [] for name in names}
    for file in sorted(os.listdir(snapshots)):
        owners = [name for name in names if file == name + ".json" or
                  (file.endswith(".json") and file.startswith(name + "-"))]
        for name in owners:
            machines[name].append(os.path.join(snapshots, file))
    hostile = read(os.path.join(snapshots, "hostile.json"))
    with tempfile.TemporaryDirectory() as directory:
        tool = Tool(authctl, profiles, directory)
        for name in names:
            report(f"{name}: nothing in it is hardly meant", check_clean(tool, name))
            report(f"{name}: each rule says all that it should", check_rules(tool, name))
            report(f"{name}: is printed as it stands", check_printed(tool, name))
            report(f"{name}: there is a machine to judge", not machines[name] and "none")
            for path in machines[name]:
                machine = os.path.basename(path)
                snapshot = read(path)
                report(f"{name}: {machine} gets what it needs", check_expected(tool, name, path))
                report(f"{name}: what is added to {machine} is refused",
                       check_hostile(tool, name, snapshot, hostile))
                report(f"{name}: what comes before all of {machine} is refused",
                       check_hostile(tool, name, snapshot, moved(hostile)))
                report(f"{name}: what of {machine} has another class gets no other driver",
                       check_disguised(tool, name, snapshot))
            report(f"{name}: each rule is for something",
                   check_used(tool, name, [add(read(path), hostile) for path in machines[name]]))
        report("help lists them, and what each is for", check_listed(tool, names))
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


main()
