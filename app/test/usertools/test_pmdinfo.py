#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-pmdinfo finds in each kind of file what the library itself says of its drivers."""
import functools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
import plx_test  # noqa: E402
from plx_test import check, end, skip  # noqa: E402

TOOL, SHARED, STATIC, PROG, DYNAMIC = sys.argv[1:6]


run = functools.partial(plx_test.run, "/usr/bin/python3", TOOL)


def drivers(path):
    rc, out, err = run("--json", path)
    check(rc == 0, f"{path}: {err}")
    return json.loads(out)["drivers"] if rc == 0 else []


def same(found, wanted):
    for d in found:
        d.pop("object")
    return sorted(found, key=lambda d: d["name"]) == sorted(wanted, key=lambda d: d["name"])


def refused(words, *args):
    rc, out, err = run(*args)
    check(rc == 1 and words in err and err.count("\n") == 1 and out == "", f"{args}: {rc} {err!r}")


def main():
    if subprocess.run(["/usr/bin/python3", "-c", "import elftools"], capture_output=True).returncode:
        skip("no pyelftools: apt-get install python3-pyelftools")
    truth = json.loads(subprocess.run([PROG], capture_output=True, text=True, check=True).stdout)
    built_in = [d for d in truth if d["name"] != "outsider"]
    check(len(built_in) > 0 and len(truth) == len(built_in) + 1, "the program's own list")
    check(same(drivers(PROG), truth), "a static program with a driver of its own")
    check(same(drivers(SHARED), built_in), "the shared library")
    check(same(drivers(DYNAMIC), built_in), "a program that needs the shared library")
    with tempfile.TemporaryDirectory() as tmp:
        stripped = pathlib.Path(tmp) / "stripped"
        subprocess.run(["strip", "-o", stripped, PROG], check=True)
        check(same(drivers(stripped), truth), "a stripped program")
        text = pathlib.Path(tmp) / "text"
        text.write_text("#!/bin/sh\n")
        refused("is neither a library nor a program", text)
        cut = pathlib.Path(tmp) / "cut"
        cut.write_bytes(pathlib.Path(PROG).read_bytes()[:5000])
        rc, _, err = run(cut)
        check(rc == 1 and err.count("\n") == 1, f"a file that was cut: {rc} {err!r}")
        refused("can't read", pathlib.Path(tmp) / "absent")
    refused("is a static library", STATIC)
    refused("contains no Pollux drivers", shutil.which("true"))
    rc, out, _ = run(PROG)
    check(rc == 0 and "outsider (" in out and "1234:5678, 1af4:* of class 010000" in out, out)
    check(run()[0] == 2, "no argument")


main()
end()
