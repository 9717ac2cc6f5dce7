# SPDX-License-Identifier: BSD-3-Clause
"""The first file system of a test guest, made from programs of this machine."""
import os
import pathlib
import re
import shutil
import subprocess

from kernel import skip

HERE = pathlib.Path(__file__).resolve().parent
# what Debian calls the packages of programs that tests ask for by name
PACKAGES = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static",
            "nvme": "nvme-cli", "setpriv": "util-linux", "vdpa": "iproute2",
            "qemu-storage-daemon": "qemu-system-common"}
PYTHON = pathlib.Path("/usr/bin/python3")
NOT_OF_PYTHON = {"distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test"}


def program(name):
    return shutil.which(name) or skip(f"no {name}: apt-get install {PACKAGES.get(name, name)}")


def libraries(path):
    out = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
    return [pathlib.Path(w) for w in re.findall(r"(/\S+) \(0x", out)]


def libgcc():
    """Ending a thread loads it, without a word in the program's headers."""
    for d in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"):
        f = pathlib.Path(d) / "libgcc_s.so.1"
        if f.exists():
            return f
    return None


def add_libraries(root, path):
    for lib in libraries(path):
        to = root / ("lib64" if lib.name.startswith("ld-linux") else "lib") / lib.name
        if not to.exists():
            shutil.copy(lib, to)


def add_file(root, spec):
    """PROGRAM of this machine, or FILE[:DEST]"""
    src, _, dest = spec.partition(":")
    if "/" not in src:
        src = program(src)
    dest = root / (dest.lstrip("/") or "bin/" + os.path.basename(src))
    dest.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(src, dest)
    add_libraries(root, src)


def add_python(root):
    """The system's, with its library as it was compiled at installation: the guest is slow."""
    if not PYTHON.exists():
        skip(f"no {PYTHON}: apt-get install python3")
    name = PYTHON.resolve().name
    tag = "cpython-" + name.removeprefix("python").replace(".", "")
    lib = pathlib.Path("/usr/lib") / name
    add_file(root, f"{PYTHON}:/bin/python3")
    (root / "usr/bin").symlink_to("/bin")
    for f in lib.rglob("*.py"):
        part = f.relative_to(lib)
        if NOT_OF_PYTHON & set(part.parts):
            continue
        to = root / "usr/lib" / name / part
        to.parent.mkdir(parents=True, exist_ok=True)
        compiled = f.parent / f"__pycache__/{f.stem}.{tag}.pyc"
        if compiled.exists():
            shutil.copy(compiled, to.with_suffix(".pyc"))
        else:
            shutil.copy(f, to)
    for f in (lib / "lib-dynload").glob("*.so"):
        add_file(root, f"{f}:/usr/lib/{name}/lib-dynload/{f.name}")


def make(args, modules, tmp):
    """@return the compressed archive"""
    root = tmp / "root"
    for d in ("bin", "dev", "etc", "lib/modules", "lib64", "mnt", "proc", "root", "run", "sys", "tmp",
              "usr/lib", "var"):
        (root / d).mkdir(parents=True)
    (root / "var/run").symlink_to("/run")
    add_file(root, "busybox")
    shutil.copy(HERE / "init", root / "init")
    shutil.copy(HERE / "guest.sh", root / "etc/guest.sh")
    if args.script:
        shutil.copy(args.script, root / "script")
    (root / "init").chmod(0o755)
    for spec in args.add:
        add_file(root, spec)
    if args.python:
        add_python(root)
    if libgcc():
        shutil.copy(libgcc(), root / "lib/libgcc_s.so.1")
    for m in modules:
        shutil.copy(m, root / "lib/modules" / m.name)
    (root / "etc/modules").write_text("".join(f"/lib/modules/{m.name}\n" for m in modules))
    (root / "etc/vm.env").write_text("".join(f"export {e}\n" for e in args.env))
    out = tmp / "initramfs.gz"
    subprocess.run("find . | cpio -o -H newc -R 0:0 --quiet | gzip -1 >" + str(out), shell=True,
                   cwd=root, check=True)
    shutil.rmtree(root)
    return out
