#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The form of every source file. usage: check_tree.py SOURCE_ROOT [CLANG_FORMAT]

An SPDX line within the first three, at most 800 lines of C, no space at a line's end, no
unfinished business; and with a second argument, C as clang-format would write it.
"""
import pathlib
import re
import subprocess
import sys

FOLDERS = ("lib", "drivers", "app", "examples", "config", "buildtools", "devtools", "doc", "usertools", ".ci")
CODE = {".c", ".h", ".cpp", ".py", ".sh", ".build"}
OPEN = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def sources(root):
    yield from root.glob("meson*")
    for folder in FOLDERS:
        for p in sorted((root / folder).rglob("*")):
            if p.is_file() and not {"__pycache__", "_build", "seeds"} & set(p.parts):
                yield p


def form(rel, text):
    lines = text.splitlines()
    code = rel.suffix in CODE or rel.name == "run" or rel.parts[0] == "usertools"
    if code and not any("SPDX-License-Identifier: BSD-3-Clause" in s for s in lines[:3]):
        yield 1, "no SPDX-License-Identifier: BSD-3-Clause in the first three lines"
    if rel.suffix in (".c", ".h") and len(lines) > 800:
        yield len(lines), f"{len(lines)} lines: what second role does it have?"
    for i, s in enumerate(lines, 1):
        if s != s.rstrip():
            yield i, "space at the end of the line"
        if OPEN.search(s):
            yield i, "unfinished: " + s.strip()
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end"


def main():
    root = pathlib.Path(sys.argv[1])
    files = list(sources(root))
    if len(sys.argv) > 2:
        c_files = [p for p in files if p.suffix in (".c", ".h", ".cpp")]
        return subprocess.run([sys.argv[2], "--dry-run", "-Werror", *c_files]).returncode
    bad = 0
    for p in files:
        for line, what in form(p.relative_to(root), p.read_text()):
            print(f"{p.relative_to(root)}:{line}: {what}")
            bad += 1
    if not bad:
        print(f"{len(files)} files in good form")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
