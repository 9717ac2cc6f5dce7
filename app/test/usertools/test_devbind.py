#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-devbind on a tree of files that stands for the machine, with a kernel that binds and unbinds
as Linux does."""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
from plx_test import check, end  # noqa: E402

sys.dont_write_bytecode = True
TOOL = sys.argv[1]
loader = importlib.machinery.SourceFileLoader("devbind", TOOL)
devbind = importlib.util.module_from_spec(importlib.util.spec_from_loader("devbind", loader))
loader.exec_module(devbind)

NVME, TWIN0, TWIN1, VIRTIO, NIC, BRIDGE, BARE = (
    "0000:01:00.0", "0000:05:00.0", "0000:05:00.1", "0000:06:00.0", "0000:07:00.0", "0000:00:01.0",
    "0000:08:00.0")


class Machine(devbind.Host):
    """Files as below /sys, /proc and /dev, and what the kernel does when they are written."""

    def __init__(self):
        super().__init__(tempfile.mkdtemp())
        self.broken, self.modules, self.chowned, self.loaded = set(), {"vfio-pci"}, {}, []
        self.busy_nodes, self.wrote = set(), []
        for d in ("nvme", "virtio-pci", "e1000e", "pcieport"):
            self.folder(f"/sys/bus/pci/drivers/{d}")
        self.function(BRIDGE, 0x8086, 0x3420, 0x060400, "pcieport", 1)
        self.function(NVME, 0x1b36, 0x10, 0x010802, "nvme", 7, node=1)
        self.function(TWIN0, 0x1b36, 0x10, 0x010802, "nvme", 9)
        self.function(TWIN1, 0x1b36, 0x10, 0x010802, "nvme", 9)
        self.function(VIRTIO, 0x1af4, 0x1042, 0x010000, "virtio-pci", 11)
        self.function(NIC, 0x8086, 0x10d3, 0x020000, "e1000e", 12)
        self.function(BARE, 0x1b36, 0x10, 0x010802, "nvme", None)
        self.file(f"/sys/bus/pci/devices/{NIC}/net/eth0/flags", "0x1002")
        self.disk("nvme0n1", NVME, "259:0", 2097152, ["nvme0n1p1", "nvme0n1p2"])
        self.disk("vda", VIRTIO, "254:0", 4096, [])
        self.file("/proc/swaps", "Filename Type Size Used Priority\n")
        self.mounts()

    def folder(self, path):
        pathlib.Path(self.root + path).mkdir(parents=True, exist_ok=True)

    def file(self, path, text=""):
        self.folder(os.path.dirname(path))
        pathlib.Path(self.root + path).write_text(text)

    def symlink(self, path, to):
        self.folder(os.path.dirname(path))
        os.symlink(to, self.root + path)

    def function(self, bdf, vendor, device, cls, driver, group, node=-1):
        d = f"/sys/bus/pci/devices/{bdf}"
        for name, text in (("vendor", hex(vendor)), ("device", hex(device)), ("class", hex(cls)),
                           ("numa_node", str(node)), ("driver_override", "(null)\n"),
                           ("modalias", f"pci:{vendor:08x}"), ("native", driver)):
            self.file(f"{d}/{name}", text)
        self.symlink(f"{d}/driver", f"../../../../bus/pci/drivers/{driver}")
        if group is not None:
            self.symlink(f"{d}/iommu_group", f"../../../../kernel/iommu_groups/{group}")
            self.file(f"/sys/kernel/iommu_groups/{group}/devices/{bdf}")

    def disk(self, name, bdf, dev, sectors, parts):
        real = f"/sys/bus/pci/devices/{bdf}/disk/{name}"
        self.file(f"{real}/size", str(sectors))
        self.file(f"{real}/dev", dev)
        self.file(f"/dev/{name}")
        self.folder(f"{real}/holders")
        for i, p in enumerate(parts, 1):
            self.file(f"{real}/{p}/partition", str(i))
            self.file(f"{real}/{p}/dev", f"{dev.split(':')[0]}:{i}")
            self.folder(f"{real}/{p}/holders")
            self.file(f"/dev/{p}")
        self.symlink(f"/sys/block/{name}", self.root + real)

    def mounts(self, *lines):
        self.file("/proc/self/mountinfo", "".join(
            f"{30 + i} 1 {dev} / {where} rw - ext4 {source} rw\n"
            for i, (dev, where, source) in enumerate((("0:1", "/", "none"),) + lines)))

    def process(self, pid, comm, node):
        self.file(f"/proc/{pid}/comm", comm + "\n")
        self.symlink(f"/proc/{pid}/fd/5", node)

    def state(self):
        """All that binding may change."""
        d = "/sys/bus/pci/devices"
        return {b: (self.link(f"{d}/{b}/driver"), self.read(f"{d}/{b}/driver_override"))
                for b in self.list(d)}

    # the kernel

    def take(self, bdf, driver):
        d = f"/sys/bus/pci/devices/{bdf}"
        if driver in self.broken:
            raise OSError(22, "Invalid argument")
        self.symlink(f"{d}/driver", f"../../../../bus/pci/drivers/{driver}")
        group = self.link(f"{d}/iommu_group")
        if driver == "vfio-pci":
            self.file(f"/dev/vfio/{group}")
            self.folder(f"{d}/vfio-dev/vfio{group}")
            if self.exists("/dev/iommu"):
                self.file(f"{d}/vfio-dev/vfio{group}/dev", "511:0")
                self.file(f"/dev/vfio/devices/vfio{group}")

    def write(self, path, text):
        self.wrote.append(path)
        if path.endswith("/driver_override"):
            self.file(path, text if text.strip() else "(null)\n")
        elif path.endswith("/driver/unbind"):
            os.unlink(self.root + path[:-len("/unbind")])
            shutil.rmtree(f"{self.root}/sys/bus/pci/devices/{text}/vfio-dev", ignore_errors=True)
        elif path == "/sys/bus/pci/drivers_probe":
            d = f"/sys/bus/pci/devices/{text}"
            override = self.read(f"{d}/driver_override")
            driver = self.read(f"{d}/native") if override == "(null)" else override
            if not self.link(f"{d}/driver") and self.exists(f"/sys/bus/pci/drivers/{driver}"):
                self.take(text, driver)
        else:
            raise AssertionError(path)

    def chown(self, path, uid):
        if path in self.broken:
            raise OSError(1, "Operation not permitted", path)
        self.chowned[path] = uid

    def modprobe(self, module):
        self.loaded.append(module)
        if module.startswith("pci:"):
            self.folder("/sys/bus/pci/drivers/nvme")
        elif module not in self.modules:
            return f"Module {module} not found."
        else:
            self.folder(f"/sys/bus/pci/drivers/{module}")
        return ""

    def held(self, node):
        return node in self.busy_nodes

    def writable(self, path):
        return path not in self.broken


@contextlib.contextmanager
def machine():
    m = Machine()
    try:
        yield m
    finally:
        shutil.rmtree(m.root)


def run(m, *argv):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            rc = devbind.main(list(argv), m)
        except SystemExit as e:
            rc = e.code
    return rc, out.getvalue(), err.getvalue()


def refused(m, rc_wanted, words, *argv):
    """One line, and nothing changed."""
    before = m.state()
    rc, out, err = run(m, *argv)
    check(rc == rc_wanted and words in err and err.count("\n") == 1, f"{argv}: {rc} {err!r} {out!r}")
    check(m.state() == before, f"{argv}: it left {m.state()}, was {before}")


def driver(m, bdf):
    return m.state()[bdf][0]


def used_by(m, bdf):
    rc, out, err = run(m, "--status-json")
    check(rc == 0, err)
    return next(f for f in json.loads(out)["functions"] if f["bdf"] == bdf)["used_by"]


def status():
    with machine() as m:
        rc, out, _ = run(m)
        check(rc == 0 and out.count("\n") == 6 and NIC not in out and BRIDGE not in out, out)
        check("nvme0n1 1 GiB" in out and "vda 2 MiB" in out, out)
        rc, out, _ = run(m, "--status-json")
        fn = {f["bdf"]: f for f in json.loads(out)["functions"]}
        check(fn[NVME]["kind"] == "nvme" and fn[NVME]["group"] == 7, fn[NVME])
        check(fn[NVME]["numa_node"] == 1 and fn[NVME]["driver"] == "nvme", fn[NVME])
        check(fn[NVME]["disks"] == [{"name": "nvme0n1", "bytes": 1 << 30}], fn[NVME])
        check(fn[VIRTIO]["kind"] == "virtio-blk" and fn[BARE]["group"] is None, fn)
        check(fn[NVME]["used_by"] == [], fn[NVME])
        check(m.wrote == [], "status writes nothing")


def uses():
    with machine() as m:
        m.mounts(("259:1", "/home", "/dev/nvme0n1p1"), ("0:40", "/a\\040b", "/dev/nvme0n1p2"))
        check(used_by(m, NVME) == ["nvme0n1p1 mounted on /home", "nvme0n1p2 mounted on /a b"],
              used_by(m, NVME))
        refused(m, 1, "nvme0n1p1 mounted on /home", "-b", "vfio-pci", NVME)
        check(m.wrote == [], "refused before anything was written")
        rc, _, err = run(m, "--force", "-b", "vfio-pci", NVME)
        check(rc == 0 and "taken by force" in err and driver(m, NVME) == "vfio-pci", err)
    with machine() as m:
        part = f"/sys/bus/pci/devices/{NVME}/disk/nvme0n1/nvme0n1p2"
        m.file(f"{part}/holders/dm-0")
        m.file("/sys/block/dm-0/dm/name", "vg-root\n")
        m.file("/sys/block/dm-0/dev", "253:0\n")
        m.mounts(("253:0", "/", "/dev/mapper/vg-root"))
        m.file("/proc/swaps", "Filename Type\n/dev/nvme0n1p1 partition 1 0 -2\n")
        check(used_by(m, NVME) == ["nvme0n1p1 swap", "nvme0n1p2 held by dm-0 (vg-root)",
                                   "nvme0n1p2 dm-0 mounted on /"], used_by(m, NVME))
        refused(m, 1, "held by dm-0", "--unbind", NVME)
    with machine() as m:
        m.process(44, "dd", "/dev/vda")
        refused(m, 1, "vda open by dd (process 44)", "-b", "vfio-pci", VIRTIO)
        m.busy_nodes = {"/dev/nvme0n1p2"}
        refused(m, 1, "nvme0n1 held by the kernel or another program", "-b", "vfio-pci", NVME)
    with machine() as m:
        check(run(m, "-b", "vfio-pci", NVME)[0] == 0, "bind")
        m.process(45, "plx-export", "/dev/vfio/7")
        refused(m, 1, "/dev/vfio/7 open by plx-export (process 45)", "-b", "kernel", NVME)
        m.file(f"/sys/bus/pci/devices/{NIC}/net/eth0/flags", "0x1003")
        refused(m, 1, "eth0 is up", "-b", "vfio-pci", NIC)


def multipath():
    with machine() as m:
        os.rename(f"{m.root}/sys/block/nvme0n1", f"{m.root}/sys/block/nvme0c1n1")
        m.file("/sys/block/nvme0n1/size", "2048")
        m.file("/sys/block/nvme0n1/dev", "259:9")
        m.mounts(("259:9", "/srv", "/dev/nvme0n1"))
        check(used_by(m, NVME) == ["nvme0n1 mounted on /srv"], used_by(m, NVME))


def there_and_back():
    with machine() as m:
        rc, out, err = run(m, "--bind", "vfio-pci", "1:0.0")
        check(rc == 0 and m.state()[NVME] == ("vfio-pci", "vfio-pci"), f"{rc} {out} {err}")
        check(m.loaded == ["vfio-pci"], m.loaded)
        m.wrote.clear()
        rc, out, _ = run(m, "--bind", "vfio-pci", NVME)
        check(rc == 0 and "already" in out and m.wrote == [], out)
        check(run(m, "-b", "nvme", NVME)[0] == 0 and m.state()[NVME] == ("nvme", "(null)"), m.state())
        check(run(m, "-b", "vfio-pci", NVME, VIRTIO)[0] == 0 and driver(m, VIRTIO) == "vfio-pci", "two")
        check(run(m, "-b", "kernel", NVME, VIRTIO)[0] == 0, "kernel")
        check(m.state()[VIRTIO] == ("virtio-pci", "(null)"), m.state())
        check(m.state()[NVME] == ("nvme", "(null)"), m.state())
        check(run(m, "--unbind", NVME)[0] == 0 and driver(m, NVME) == "", m.state())
        os.rmdir(m.root + "/sys/bus/pci/drivers/nvme")
        check(run(m, "-b", "kernel", NVME)[0] == 0 and driver(m, NVME) == "nvme", m.state())
        check(any(x.startswith("pci:") for x in m.loaded), m.loaded)


def groups():
    with machine() as m:
        rc, out, _ = run(m, "-b", "vfio-pci", TWIN0)
        check(rc == 0 and f"note: {TWIN1} is in IOMMU group 9" in out, out)
        rc, out, _ = run(m, "-b", "vfio-pci", TWIN1)
        check(rc == 0 and "note" not in out, out)


def failing():
    with machine() as m:
        m.folder("/sys/bus/pci/drivers/vfio-pci")
        m.broken = {"vfio-pci"}
        refused(m, 1, "vfio-pci did not take it: Invalid argument", "-b", "vfio-pci", NVME)
        m.folder("/sys/bus/pci/drivers/other")
        m.broken = {"vfio-pci", "nvme"}
        rc, _, err = run(m, "-b", "vfio-pci", NVME)
        check(rc == 1 and "could not be given back to nvme" in err, err)
    with machine() as m:
        check(run(m, "-b", "vfio-pci", TWIN0)[0] == 0, "one before")
        m.function("0000:09:00.0", 0x1b36, 0x10, 0x010802, "nvme", 13)
        take = m.take

        def some(bdf, drv):
            if bdf == "0000:09:00.0" and drv == "vfio-pci":
                raise OSError(16, "Device or resource busy")
            take(bdf, drv)
        m.take = some
        refused(m, 1, "0000:09:00.0: vfio-pci did not take it", "-b", "vfio-pci", TWIN0, NVME,
                "0000:09:00.0")
    with machine() as m:
        m.modules = set()
        refused(m, 1, "as root: modprobe vfio-pci says: Module", "-b", "vfio-pci", NVME)
        refused(m, 1, "belong to virtio-pci", "-b", "virtio_blk", VIRTIO)
        refused(m, 1, "there is no IOMMU", "-b", "vfio-pci", BARE)
        m.broken = {f"/sys/bus/pci/devices/{NVME}/driver_override"}
        refused(m, 1, "it takes root", "-b", "vfio-pci", NVME)
        refused(m, 1, "is a bridge", "-b", "vfio-pci", BRIDGE)
        refused(m, 1, "there is no PCI function 0000:77:00.0", "-b", "vfio-pci", "77:00.0")
        m.file(devbind.NOIOMMU_KNOB, "Y\n")
        m.modules = {"vfio-pci"}
        check(run(m, "-b", "vfio-pci", BARE)[0] == 0, "noiommu")


def users():
    with machine() as m:
        m.file("/dev/iommu")
        rc, out, err = run(m, "-b", "vfio-pci", "--user", "root", NVME)
        nodes = {"/dev/vfio/7": 0, "/dev/vfio/devices/vfio7": 0, "/dev/iommu": 0}
        check(rc == 0 and m.chowned == nodes, f"{m.chowned} {err}")
        check("/dev/vfio/7 belongs to root now" in out, out)
    with machine() as m:
        rc, _, err = run(m, "-b", "vfio-pci", "--user", "root", NVME)
        check(rc == 0 and m.chowned == {"/dev/vfio/7": 0}, f"{m.chowned} {err}")
    with machine() as m:
        m.broken = {"/dev/vfio/7"}
        refused(m, 1, "/dev/vfio/7: Operation not permitted", "-b", "vfio-pci", "--user", "root", NVME)


def command_line():
    with machine() as m:
        refused(m, 2, "is not a PCI address", "-b", "vfio-pci", "nvme0")
        refused(m, 2, "is not a PCI address", "-b", "vfio-pci", "0000:01:20.0")
        refused(m, 2, "which functions", "-b", "vfio-pci")
        refused(m, 2, "what shall be done", NVME)
        refused(m, 2, "there is no user", "-b", "vfio-pci", "--user", "no-such-user", NVME)
        refused(m, 2, "--user goes with", "-b", "kernel", "--user", "root", NVME)
        refused(m, 2, "not a driver's name", "-b", "../x", NVME)
        refused(m, 2, "not allowed with", "-s", "-u", NVME)
        env = dict(os.environ, PLX_DEVBIND_ROOT=m.root)
        p = subprocess.run(["/usr/bin/python3", TOOL, "--status-json"], capture_output=True,
                           text=True, env=env, timeout=60)
        check(p.returncode == 0 and len(json.loads(p.stdout)["functions"]) == 5, p.stderr)


def library_ids():
    """What the library's drivers take is told; without the list nothing breaks."""
    here = pathlib.Path(TOOL).resolve().parent / "drivers.json"
    with machine() as m, tempfile.TemporaryDirectory() as tmp:
        if here.is_file():
            fns = devbind.functions(m)
            check({f["pollux"] for f in fns if f["kind"] == "nvme"} <= {"nvme", None}, fns)
            for d in json.loads(here.read_text())["drivers"]:
                check(all(devbind.match({"vendor": i["vendor"], "device": i["device"],
                                         "class": i["class"]}, devbind.KINDS) for i in d["pci_ids"]),
                      f"plx-devbind's own list lacks ids of {d['name']}")
        ids = pathlib.Path(tmp) / "drivers.json"
        devbind.DRIVERS_JSON = [ids]
        check({f["pollux"] for f in devbind.functions(m)} == {None}, "no list")
        ids.write_text(json.dumps({"drivers": [{"name": "mine", "pci_ids": [
            {"vendor": 0x8086, "device": None, "class": 0x020000}]}]}))
        fn = {f["bdf"]: f["pollux"] for f in devbind.functions(m)}
        check(fn[NIC] == "mine" and fn[NVME] is None, fn)


for test in (library_ids, status, uses, multipath, there_and_back, groups, failing, users,
             command_line):
    test()
end()
