#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of test guests: Debian's packages, and the test kernel, built from Debian's source.

usage: kernel.py [DIR]

builds the test kernel in DIR (build-vm/test-kernel, where vm.py finds it): 150 MB to download,
2 GB while it builds, 5 minutes on two CPUs. devtools/packages.txt lists what that needs ("kernel").
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "build-vm"
DEBIAN = "linux-image-cloud-amd64"
SOURCE = "linux-source-6.12"


def skip(why):
    print(f"skipped: {why}", flush=True)
    sys.exit(77)


def apt(*words, cwd=None):
    """@return the error, or None"""
    r = subprocess.run(["apt-get", *words], cwd=cwd, capture_output=True, text=True)
    return None if r.returncode == 0 else (r.stderr.strip().splitlines() or ["no answer"])[-1]


def download(package, into):
    """The .deb of a package, fetched once; of a package that only names the present one, that."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        skip(f"no {package}: not a Debian system")
    into.mkdir(parents=True, exist_ok=True)
    out = subprocess.run(["apt-cache", "depends", package], capture_output=True, text=True).stdout
    real = re.search(r"Depends: (linux-image-[0-9]\S+)", out)
    name = real.group(1) if real else package
    error = None
    for last in (False, True):
        debs = sorted(into.glob(f"{name}_*.deb"))
        if debs:
            return debs[-1]
        if last:  # lists may be old, or not there
            apt("update")
        error = apt("download", name, cwd=into)
    debs = sorted(into.glob(f"{name}_*.deb"))
    return debs[-1] if debs else skip(f"no {package}: apt-get download {name}: {error}")


def debian_kernel(package, cache):
    """The image and the folder of modules of a kernel package."""
    deb = download(package, cache)
    root = cache / deb.stem
    if not root.exists():
        part = pathlib.Path(tempfile.mkdtemp(dir=cache))
        subprocess.run(["dpkg-deb", "-x", deb, part], check=True)
        part.rename(root)
    return next((root / "boot").glob("vmlinuz-*")), next((root / "lib/modules").iterdir())


def test_kernel(cache):
    for image in (os.environ.get("PLX_VM_KERNEL"), cache / "test-kernel/bzImage"):
        if image and os.access(image, os.R_OK):
            return pathlib.Path(image), None
    return skip("no test kernel: PLX_VM_KERNEL names none, and devtools/vm/kernel.py built none")


def find(name, cache):
    """@return image, folder of modules or None"""
    if name == "debian" or name.startswith("linux-image-"):
        return debian_kernel(DEBIAN if name == "debian" else name, cache)
    if name == "test":
        return test_kernel(cache)
    if not os.access(name, os.R_OK):
        skip(f"no kernel: can't read {name}")
    return pathlib.Path(name), None


# ---- modules ----

def depends(module):
    """Names of the modules that a module needs first."""
    found = re.search(rb"\0depends=([^\0]*)\0", b"\0" + module.read_bytes())
    return [n for n in (found.group(1).decode().split(",") if found else []) if n]


def ordered_modules(folder, wanted):
    """Files of the wanted modules and all that they need, in the order of loading."""
    files = {f.name.split(".ko")[0].replace("-", "_"): f for f in folder.rglob("*.ko")}
    order = []

    def take(name):
        f = files.get(name.replace("-", "_"))
        if f is None or f in order:
            return
        for d in depends(f):
            take(d)
        order.append(f)

    for name in wanted:
        take(name)
    return order


# ---- building ----

def unpack_source(into):
    tree = into / SOURCE
    if not tree.exists():
        deb = download(SOURCE, into)
        with tempfile.TemporaryDirectory(dir=into) as part:
            subprocess.run(f"dpkg-deb --fsys-tarfile '{deb}' | tar -xO ./usr/src/{SOURCE}.tar.xz | "
                           f"tar -xJ -C '{part}'", shell=True, check=True)
            pathlib.Path(part, SOURCE).rename(tree)
    return tree


def configure(make, out):
    """Everything is left out but what kernel.config names, and what that needs; that it stayed in
    is checked, for make drops silently what lacks a precondition."""
    config = HERE / "kernel.config"
    subprocess.run([*make, f"KCONFIG_ALLCONFIG={config}", "allnoconfig"], check=True,
                   stdout=subprocess.DEVNULL)
    wanted = set(re.findall(r"^CONFIG_.*", config.read_text(), re.M))
    missing = wanted - set((out / ".config").read_text().splitlines())
    if missing:
        sys.exit("kernel.config: the source doesn't take " + ", ".join(sorted(missing)))


def build(into):
    missing = [t for t in ("gcc", "make", "flex", "bison", "bc", "lz4", "xz") if not shutil.which(t)]
    if missing:
        sys.exit(f"kernel.py: no {', '.join(missing)}: install what devtools/packages.txt lists "
                 "for 'kernel'")
    into.mkdir(parents=True, exist_ok=True)
    into = into.resolve()
    out = into / "build"
    out.mkdir(exist_ok=True)
    make = ["make", "-C", unpack_source(into), f"O={out}", f"-j{len(os.sched_getaffinity(0))}"]
    configure(make, out)
    subprocess.run([*make, "bzImage"], check=True, stdout=subprocess.DEVNULL)
    shutil.copy(out / "arch/x86/boot/bzImage", into / "bzImage.new")
    (into / "bzImage.new").rename(into / "bzImage")
    print(into / "bzImage")


if __name__ == "__main__":
    if len(sys.argv) > 2 or any(a.startswith("-") for a in sys.argv[1:]):
        print(__doc__.strip())
        sys.exit(0 if {"-h", "--help"} & set(sys.argv) else 2)
    build(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else CACHE / "test-kernel")
