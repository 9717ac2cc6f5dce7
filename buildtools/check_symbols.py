#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the library defines. usage: check_symbols.py NM SHARED STATIC

The shared library exports plx_* and nothing else, and all of the public functions. The static
library's other global names must not be those of a library that it is linked with: the linker
would let ours stand in for theirs.
"""
import re
import subprocess
import sys


def symbols(nm, *args):
    out = subprocess.run([nm, "-P", "--defined-only", *args], capture_output=True, text=True,
                         check=True).stdout
    rows = (line.split() for line in out.splitlines())
    return {r[0].split("@")[0]: r[1] for r in rows if len(r) >= 2 and not r[0].endswith(":")}


def linked(shared):
    out = subprocess.run(["ldd", shared], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"=> (/\S+)", out)))


def main():
    nm, shared, static = sys.argv[1:4]
    bad = []
    exported = symbols(nm, "-D", shared)
    for name, kind in sorted(exported.items()):
        if not name.startswith("plx_") and not (kind == "A" and name.startswith("POLLUX_")):
            bad.append(f"{shared} exports {name}, which is not plx_*")
    if not any(n.startswith("plx_") for n in exported):
        bad.append(f"{shared} exports no plx_* at all")

    ours = {n for n, k in symbols(nm, "-g", static).items() if not n.startswith("plx_")}
    for lib in linked(shared):
        for name in sorted(ours & symbols(nm, "-D", lib).keys()):
            bad.append(f"{name} is a global name here and in {lib}: rename ours")
    print("\n".join(bad) or f"{len(exported)} exported names, {len(ours)} private ones: fine")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
