#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run a script in a QEMU guest with block devices behind an emulated Intel IOMMU.

The guest is made for the run: busybox, the programs named with --add and the libraries that they
need. It is emulated (TCG), so it runs wherever QEMU does. Its output is passed on; the exit status
is the script's, 124 when the guest was killed at the deadline, 125 when it ended by itself, and 77
where QEMU, the kernel or a program is missing. Nothing of it stays behind. Without a script there
is a shell.

The script may give QMP commands to its own machine, to plug devices and the like: qmp in guest.sh.
"""
import argparse
import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import initramfs
import kernel

MODULES = ["vfio_pci", "vfio_iommu_type1", "nvme", "virtio_pci", "virtio_blk"]


def drive(name, back, tmp):
    """null:SIZE, raw:SIZE (an empty image) or a file, as a drive of that name."""
    if back.startswith("null:"):
        what = f"driver=null-co,size={back[5:]},read-zeroes=on"
    else:
        if back.startswith("raw:"):
            image = tmp / f"{name}.img"
            subprocess.run(["truncate", "-s", back[4:], image], check=True)
            back = image
        what = f"driver=raw,file.driver=file,file.filename={back}"
    return ["-drive", f"if=none,id={name},{what}"]


def joined(device, properties, defaults):
    """A device with its properties, and those defaults that none of them replaces."""
    given = {p.split("=")[0] for p in properties}
    return ",".join([device, *properties, *(d for d in defaults if d.split("=")[0] not in given)])


def nvme_options(i, spec, tmp):
    """A controller and its namespace, whose properties begin with ns."""
    back, *more = spec.split(",")
    ns = [p[3:] for p in more if p.startswith("ns.")]
    ctrl = [p for p in more if not p.startswith("ns.")]
    # a namespace that could be shared has a disk of another name
    return [*drive(f"nvme{i}d", back, tmp),
            "-device", joined(f"nvme,id=nvme{i}", ctrl, [f"serial=PLX{i:05d}", f"addr={3 + i:x}"]),
            "-device", joined(f"nvme-ns,drive=nvme{i}d,bus=nvme{i}", ns, ["shared=off"])]


def virtio_options(i, spec, tmp):
    back, *more = spec.split(",")
    return [*drive(f"virtio{i}d", back, tmp),
            "-device", joined(f"virtio-blk-pci,drive=virtio{i}d,id=virtio{i}", more,
                              [f"serial=PLXV{i:05d}", "disable-legacy=on", "iommu_platform=on",
                               f"addr={0x10 + i:x}"])]


def qemu_command(args, image, archive, tmp, qmp, tty):
    # on a busy machine the timer's interrupts come too late for the kernel's check of them
    append = "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check " + args.append
    # should this script be killed, the guest is
    cmd = [initramfs.program("setpriv"), "--pdeathsig", "KILL",
           initramfs.program("qemu-system-x86_64"), "-accel", "tcg,thread=multi", "-cpu", "max",
           "-smp", str(args.cpus), "-m", str(args.mem), "-machine", "q35,kernel-irqchip=split",
           "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
           "-kernel", str(image), "-initrd", str(archive), "-serial", "stdio",
           "-chardev", f"socket,id=tty,fd={tty}", "-serial", "chardev:tty",
           "-chardev", f"socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control"]
    if args.iommu != "off":
        cmd += ["-device", "intel-iommu,intremap=on,caching-mode=on,aw-bits=" + args.iommu]
        append += " intel_iommu=on"
    for i, spec in enumerate(args.nvme):
        cmd += nvme_options(i, spec, tmp)
    for i, spec in enumerate(args.virtio):
        cmd += virtio_options(i, spec, tmp)
    for spec in args.drive:
        cmd += drive(*spec.split("=", 1), tmp)
    for more in args.qemu:
        cmd += shlex.split(more)
    return cmd + ["-append", append]


class Control:
    """The guest's second serial port is a way to its machine: each line is a QMP command, and is
    answered by a line."""

    def __init__(self):
        self.qmp, qmp_end = socket.socketpair()
        self.tty, tty_end = socket.socketpair()
        self.ends = (qmp_end, tty_end)
        self.fds = (qmp_end.fileno(), tty_end.fileno())

    def serve(self):
        for end in self.ends:
            end.close()
        threading.Thread(target=self.relay, daemon=True).start()

    def relay(self):
        qmp, tty = self.qmp.makefile("rw"), self.tty.makefile("rw", errors="replace")

        def command(line):
            qmp.write(line + "\n")
            qmp.flush()
            for answer in qmp:
                if "event" not in json.loads(answer):
                    return answer
            return ""

        try:
            qmp.readline()
            command('{"execute": "qmp_capabilities"}')
            for line in tty:
                tty.write(command(line.strip()))
                tty.flush()
        except OSError:  # the guest is gone
            pass


def shell(cmd, control):
    proc = subprocess.Popen(cmd, pass_fds=control.fds)
    control.serve()
    return proc.wait()


def run(cmd, control, seconds):
    """@return the script's exit status, or why there is none"""
    proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace",
                            pass_fds=control.fds)
    control.serve()
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
            if line.startswith("vm: exit "):
                status = int(line[9:])
        proc.wait()
    finally:
        timer.cancel()
        proc.kill()
        proc.wait()
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
    p.add_argument("--kernel", default="debian", metavar="KERNEL",
                   help="debian: Debian's own, downloaded; test: $PLX_VM_KERNEL or what kernel.py "
                   "built; a linux-image-* package; or a bzImage with all built in (debian)")
    p.add_argument("--cache", type=pathlib.Path, default=kernel.CACHE, metavar="DIR",
                   help="for kernels (build-vm)")
    p.add_argument("--nvme", action="append", default=[],
                   metavar="null:SIZE|raw:SIZE|FILE[,PROPERTY...]",
                   help="a controller, at 0000:00:03.0 and on, with a namespace: its properties "
                   "begin with ns., as in ns.logical_block_size=4096")
    p.add_argument("--virtio", action="append", default=[],
                   metavar="null:SIZE|raw:SIZE|FILE[,PROPERTY...]",
                   help="a virtio-blk function, at 0000:00:10.0 and on")
    p.add_argument("--drive", action="append", default=[], metavar="ID=null:SIZE|raw:SIZE|FILE",
                   help="a drive for a device that --qemu makes")
    p.add_argument("--iommu", default="48", metavar="BITS|off", help="address width (48)")
    p.add_argument("--add", action="append", default=[], metavar="PROGRAM|FILE[:DEST]",
                   help="a program of this machine, or a file, with its libraries, to /bin or DEST")
    p.add_argument("--python", action="store_true", help="have python3 and its library")
    p.add_argument("--module", action="append", default=[], help="load it, if it is a module")
    p.add_argument("--env", action="append", default=[], metavar="NAME=VALUE",
                   help="for the script, in the shell's quotes")
    p.add_argument("--mem", type=int, default=1024, metavar="MIB")
    p.add_argument("--cpus", type=int, default=2)
    p.add_argument("--timeout", type=int, default=120, metavar="S")
    p.add_argument("--append", default="", help="to the kernel's command line")
    p.add_argument("--qemu", action="append", default=[], metavar="OPTIONS", help="for QEMU")
    p.add_argument("script", nargs="?", help="run by sh in the guest; it may source /etc/guest.sh")
    return p.parse_args()


def main():
    args = parse()
    initramfs.program("cpio")
    image, folder = kernel.find(args.kernel, args.cache)
    modules = kernel.ordered_modules(folder, MODULES + args.module) if folder else []
    control = Control()
    with tempfile.TemporaryDirectory(prefix="plx-vm-") as tmp:
        tmp = pathlib.Path(tmp)
        archive = initramfs.make(args, modules, tmp)
        command = qemu_command(args, image, archive, tmp, *control.fds)
        return run(command, control, args.timeout) if args.script else shell(command, control)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
