#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run a script in a QEMU guest with NVMe controllers behind an emulated Intel IOMMU.

The guest is made for the run: busybox, the programs named with --add and the libraries that they
need. It is emulated (TCG), so it runs wherever QEMU does. Its output is passed on; the exit status
is the script's, 124 when the guest was killed at the deadline, 125 when it ended by itself, and 77
where QEMU or the kernel is missing.

A line "vm: qmp {...}" from the guest is a QMP command for its machine, to plug devices and the
like; the answer is printed.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
DEBIAN = "linux-image-cloud-amd64"
MODULES = ["vfio_pci", "vfio_iommu_type1", "nvme"]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


# ---- the kernel ----

def download(package, into):
    """Of a package that only names the present one, that."""
    out = subprocess.run(["apt-cache", "depends", package], capture_output=True, text=True).stdout
    real = re.search(r"Depends: (linux-image-[0-9]\S+)", out)
    name = real.group(1) if real else package
    debs = sorted(into.glob(f"{name}_*.deb"))
    if not debs:
        got = subprocess.run(["apt-get", "download", name], cwd=into, capture_output=True, text=True)
        debs = sorted(into.glob(f"{name}_*.deb"))
        if not debs:
            last = (got.stderr.strip().splitlines() or ["no answer"])[-1]
            skip(f"no kernel: apt-get download {name}: {last}")
    return debs[-1]


def debian_kernel(package, cache):
    """The image and the folder of modules of a kernel package, downloaded once."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        skip("no kernel: not a Debian system; name one with --kernel")
    cache.mkdir(parents=True, exist_ok=True)
    deb = download(package, cache)
    root = cache / deb.stem
    if not root.exists():
        part = pathlib.Path(tempfile.mkdtemp(dir=cache))
        subprocess.run(["dpkg-deb", "-x", deb, part], check=True)
        part.rename(root)
    return next((root / "boot").glob("vmlinuz-*")), next((root / "lib/modules").iterdir())


def find_kernel(name, cache):
    if name == "debian" or name.startswith("linux-image-"):
        return debian_kernel(DEBIAN if name == "debian" else name, cache)
    if not name:
        skip("no test kernel: PLX_VM_KERNEL names none")
    if not os.access(name, os.R_OK):
        skip(f"no kernel: can't read {name}")
    return pathlib.Path(name), None


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


# ---- the initramfs ----

def libraries(program):
    out = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return [pathlib.Path(w) for w in re.findall(r"(/\S+) \(0x", out)]


def libgcc():
    """Ending a thread loads it, without a word in the program's headers."""
    for d in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"):
        f = pathlib.Path(d) / "libgcc_s.so.1"
        if f.exists():
            return f
    return None


def add_program(root, spec):
    src, _, dest = spec.partition(":")
    dest = root / (dest.lstrip("/") or "bin/" + os.path.basename(src))
    dest.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(src, dest)
    for lib in libraries(src):
        to = root / ("lib64" if lib.name.startswith("ld-linux") else "lib") / lib.name
        if not to.exists():
            shutil.copy(lib, to)


def make_initramfs(args, modules, tmp):
    root = tmp / "root"
    for d in ("bin", "dev", "etc", "lib/modules", "lib64", "proc", "root", "run", "sys", "tmp"):
        (root / d).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    shutil.copy(HERE / "init", root / "init")
    shutil.copy(HERE / "guest.sh", root / "etc/guest.sh")
    shutil.copy(args.script, root / "script")
    (root / "init").chmod(0o755)
    for spec in args.add:
        add_program(root, spec)
    if libgcc():
        shutil.copy(libgcc(), root / "lib/libgcc_s.so.1")
    for m in modules:
        shutil.copy(m, root / "lib/modules" / m.name)
    (root / "etc/modules").write_text("".join(f"/lib/modules/{m.name}\n" for m in modules))
    (root / "etc/vm.env").write_text("".join(f"export {e}\n" for e in args.env))
    out = tmp / "initramfs.gz"
    subprocess.run("find . | cpio -o -H newc -R 0:0 --quiet | gzip -1 >" + str(out), shell=True,
                   cwd=root, check=True)
    return out


# ---- the machine ----

def nvme_options(i, spec, tmp):
    """null:SIZE, raw:SIZE (an empty image) or a file, and properties of the controller."""
    back, _, more = spec.partition(",")
    if back.startswith("null:"):
        drive = f"driver=null-co,size={back[5:]},read-zeroes=on"
    else:
        if back.startswith("raw:"):
            image = tmp / f"nvme{i}.img"
            subprocess.run(["truncate", "-s", back[4:], image], check=True)
            back = image
        drive = f"driver=raw,file.driver=file,file.filename={back}"
    device = f"nvme,drive=drive{i},id=nvme{i},serial=PLX{i:05d}"
    if "addr=" not in more:
        device += f",addr={3 + i}"
    return ["-drive", f"if=none,id=drive{i},{drive}",
            "-device", device + ("," + more if more else "")]


def qemu_command(args, kernel, initramfs, tmp):
    append = "console=ttyS0 quiet panic=-1 mitigations=off " + args.append
    cmd = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max",
           "-smp", str(args.cpus), "-m", str(args.mem), "-machine", "q35,kernel-irqchip=split",
           "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
           "-serial", "stdio", "-kernel", str(kernel), "-initrd", str(initramfs),
           "-qmp", f"unix:{tmp}/qmp,server=on,wait=off"]
    if args.iommu != "off":
        cmd += ["-device", "intel-iommu,intremap=on,caching-mode=on,aw-bits=" + args.iommu]
        append += " intel_iommu=on"
    for i, spec in enumerate(args.nvme):
        cmd += nvme_options(i, spec, tmp)
    for more in args.qemu:
        cmd += more.split()
    return cmd + ["-append", append]


class Qmp:
    """The machine's control socket, connected at the first command."""

    def __init__(self, path):
        self.path, self.file = path, None

    def command(self, line):
        if self.file is None:
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(self.path))
            self.file = s.makefile("rw")
            self.file.readline()
            self.command('{"execute": "qmp_capabilities"}')
        self.file.write(line + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                return answer


def run(cmd, qmp, seconds):
    """@return the script's exit status, or why there is none"""
    proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace")
    late = threading.Event()

    def kill():
        late.set()
        proc.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    status = None
    try:
        for line in proc.stdout:
            line = line.rstrip()
            print(line, flush=True)
            if line.startswith("vm: qmp "):
                print("vm:", qmp.command(line[8:]), flush=True)
            elif line.startswith("vm: exit "):
                status = int(line[9:])
        proc.wait()
    finally:
        timer.cancel()
        proc.kill()
    if late.is_set():
        print(f"vm: killed after {seconds} s")
        return 124
    if status is None:
        print("vm: the guest ended without the script's exit status; "
              f"QEMU's is {proc.returncode}")
        return 125
    return status


def parse():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--kernel", default=os.environ.get("PLX_VM_KERNEL", ""), metavar="KERNEL",
                   help="a bzImage with all built in; debian; or a linux-image-* package, which is "
                   "downloaded ($PLX_VM_KERNEL)")
    p.add_argument("--cache", type=pathlib.Path, default=TOP / "build-vm", metavar="DIR",
                   help="for kernel packages (build-vm)")
    p.add_argument("--nvme", action="append", default=[], metavar="null:SIZE|raw:SIZE|FILE[,PROPERTY...]",
                   help="a controller, at 0000:00:03.0 and on")
    p.add_argument("--iommu", default="48", metavar="BITS|off", help="address width (48)")
    p.add_argument("--add", action="append", default=[], metavar="FILE[:DEST]",
                   help="a program with its libraries, at /bin; or any file")
    p.add_argument("--env", action="append", default=[], metavar="NAME=VALUE",
                   help="for the script")
    p.add_argument("--mem", type=int, default=1024, metavar="MIB")
    p.add_argument("--cpus", type=int, default=2)
    p.add_argument("--timeout", type=int, default=120, metavar="S")
    p.add_argument("--append", default="", help="to the kernel's command line")
    p.add_argument("--qemu", action="append", default=[], metavar="OPTIONS", help="for QEMU")
    p.add_argument("script", help="run by sh in the guest; it may source /etc/guest.sh")
    return p.parse_args()


def main():
    args = parse()
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"),
                             ("busybox", "busybox-static"), ("cpio", "cpio")):
        if not shutil.which(program):
            skip(f"no {program}: apt-get install {package}")
    kernel, folder = find_kernel(args.kernel, args.cache)
    modules = ordered_modules(folder, MODULES) if folder else []
    with tempfile.TemporaryDirectory(prefix="plx-vm-") as tmp:
        tmp = pathlib.Path(tmp)
        command = qemu_command(args, kernel, make_initramfs(args, modules, tmp), tmp)
        return run(command, Qmp(tmp / "qmp"), args.timeout)


if __name__ == "__main__":
    sys.exit(main())
