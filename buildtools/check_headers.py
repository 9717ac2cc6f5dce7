#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every installed header compiles alone. usage: check_headers.py HEADER... -- COMPILER [FLAG...]

The headers are copied into one folder, as installed, so that none can lean on a private one. The
compiler command ends with its language's -std; each header is compiled twice in one file, too,
which its include guard must bear.
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def main():
    split = sys.argv.index("--")
    headers, compiler = sys.argv[1:split], sys.argv[split + 1:]
    if not shutil.which(compiler[0]):
        print(f"skipped: no compiler {compiler[0]}")
        return 77
    suffix = ".cpp" if "++" in compiler[-1] else ".c"

    with tempfile.TemporaryDirectory() as tmp:
        for h in headers:
            shutil.copy(h, tmp)

        def check(name):
            src = pathlib.Path(tmp, f"alone_{name}{suffix}")
            src.write_text(f'#include "{name}"\n#include "{name}"\n')
            return name, subprocess.run(
                [*compiler, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{tmp}", src],
                capture_output=True, text=True)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(check, (pathlib.Path(h).name for h in headers)))

    for name, r in results:
        print(f"{'ok  ' if r.returncode == 0 else 'FAIL'} {name}")
        if r.returncode:
            print(r.stderr)
    return 1 if any(r.returncode for _, r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
