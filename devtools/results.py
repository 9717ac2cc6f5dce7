#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Test results of several runs, one a line in a file: result, run, test, reason (tab separated).

results.py add FILE RUN TESTLOG.json   append what a run of meson test says
results.py sum FILE                    list failures and skips, print the summary, exit 1 on failure
"""
import json
import re
import sys

PASSED = ("OK", "EXPECTEDFAIL")


def judge(test):
    """Result and reason. Who leaves a test out says why: 77 alone is how libFuzzer fails."""
    if test["result"] in PASSED:
        return "passed", ""
    if test["result"] == "SKIP":
        said = re.findall(r"^.*skipped: *(.+)$", test.get("stdout") or "", re.M)
        return ("skipped", said[-1].strip()) if said else ("failed", "exit status 77, and no reason")
    return "failed", f"{test['result'].lower()}, exit status {test['returncode']}"


def add(path, run, log):
    with open(log) as f:
        tests = [json.loads(line) for line in f if line.strip()]
    with open(path, "a") as f:
        for t in tests:
            name = t["name"].split(" / ")[-1].removeprefix("pollux:")
            result, reason = judge(t)
            f.write(f"{result}\t{run}\t{name}\t{reason}\n")
            if result == "failed":
                show(run, name, reason, t)


def show(run, name, reason, test):
    lines = ((test.get("stdout") or "") + (test.get("stderr") or "")).splitlines()
    print(f"---- {run}: {name}: {reason}")
    print("\n".join("     " + line for line in lines[-60:]), flush=True)


def total(path):
    with open(path) as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    for kind in ("skipped", "failed"):
        listed = [r for r in rows if r[0] == kind]
        if listed:
            print(f"\n{kind}:")
        for _, run, name, reason in listed:
            print(f"  {run}: {name}: {reason}")
    n = {k: sum(r[0] == k for r in rows) for k in ("passed", "failed", "skipped")}
    print(f"\n{n['passed']} passed, {n['failed']} failed, {n['skipped']} skipped", flush=True)
    return 1 if n["failed"] or not n["passed"] else 0


if __name__ == "__main__":
    if sys.argv[1] == "add":
        add(*sys.argv[2:])
    else:
        sys.exit(total(sys.argv[2]))
