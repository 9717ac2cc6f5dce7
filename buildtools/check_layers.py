#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who may include whom. usage: check_layers.py SOURCE_ROOT

A folder of lib/ includes what stands below it, by bare name; a driver includes the public headers
of lib and its own, never another driver's; apps and examples include installed headers and their
own, examples also each other's. Tests may include anything. Nobody includes DPDK's driver SDK or what is internal to DPDK.
"""
import pathlib
import re
import sys

# each folder of lib/ and the ones that it may include
DIRECT = {
    "common": [],
    "eal": ["common"],
    "mem": ["eal"],
    "vfio": ["mem"],
    "pci": ["vfio"],
    "virtq": ["common"],
    "virtio": ["virtq", "pci", "mem"],
    "blk": ["mem"],
    "reactor": ["eal"],
    "vfu": ["mem"],
    "nvmet": ["blk", "vfu"],
    "mp": ["mem", "blk"],
    "probe": ["pci", "virtio", "blk", "mp"],
    "blkr": ["blk", "reactor"],
    "export": ["probe", "blk"],
}
# headers beyond that: folder -> names
ALSO = {"vfu": ["vfio_user_spec.h"]}
SDK = re.compile(r"(rte_vfio|(bus_\w+|\w*dev|cryptodev|dmadev|eventdev|ethdev)_driver|ethdev_pci|"
                 r"dev_driver|eal_\w+|rte_\w+_(pmd|core_driver))\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def below(folder):
    seen, todo = set(), [folder]
    while todo:
        f = todo.pop()
        if f not in seen:
            seen.add(f)
            todo += DIRECT.get(f, [])
    return seen


def why_not(path, parts, name, home):
    """Why the file may not include the header, or None. home: the header's folder."""
    public = home[0] == "lib" and name.startswith("plx_")
    own = home == parts[: len(home)]
    if own or parts[0] == home[0] == "examples":
        return None
    if parts[0] == "lib":
        if home[0] != "lib":
            return "lib includes lib only"
        if parts[1] not in DIRECT:
            return f"lib/{parts[1]} has no place in the layers of buildtools/check_layers.py"
        if name in ALSO.get(parts[1], []) or home[1] in below(parts[1]):
            return None
        return f"lib/{home[1]} does not stand below lib/{parts[1]}"
    if parts[0] == "drivers":
        if home[0] == "drivers":
            return "a driver never includes another driver"
        return None if public else "a driver includes public headers of lib only"
    return None if public else f"{parts[0]} includes installed headers only"


def main():
    root = pathlib.Path(sys.argv[1])
    files = [p for top in ("lib", "drivers", "app", "examples")
             for p in sorted((root / top).rglob("*.[ch]"))]
    homes = {}
    for p in files:
        if p.suffix == ".h":
            homes.setdefault(p.name, []).append(p.relative_to(root).parent.parts)
    bad = []
    for p in files:
        rel = p.relative_to(root)
        parts = rel.parts
        is_test = parts[:2] == ("app", "test")
        text = p.read_text()
        for m in INCLUDE.finditer(text):
            where = f"{rel}:{text.count(chr(10), 0, m.start(2)) + 1}"
            name = pathlib.PurePosixPath(m[2]).name
            if name not in homes and SDK.match(name):
                bad.append(f"{where}: {m[2]} is no public header of DPDK")
            if is_test or name not in homes:
                continue
            if "/" in m[2]:
                bad.append(f"{where}: include {name} by its bare name")
            reasons = [why_not(p, parts, name, home) for home in homes[name]]
            if all(reasons):
                bad.append(f"{where}: may not include {name}: {reasons[0]}")
    print("\n".join(bad) or f"{len(files)} files include what they may")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
