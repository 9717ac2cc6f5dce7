#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The measurements of bench.sh; see there."""
import argparse
import collections
import json
import os
import pathlib
import re
import resource
import signal
import statistics
import subprocess
import tempfile
import time

DEPTHS = (1, 32, 128)
BACKENDS = ("null", "ram")
DEVICE = {"null": "null:size=1T,block=512", "ram": "ram:size=256M"}

# whose a function is, by the source file it was compiled from
OWNERS = (
    ("drivers/block/nvme/", "driver"),
    ("drivers/block/virtio/vblk_io.c", "driver"),
    ("drivers/block/virtio/vblk_data.c", "driver"),
    ("lib/virtq/", "driver"),
    ("lib/virtio/vhost_user_queues.c", "driver"),  # rings
    ("drivers/block/virtio/", "lib, other"),  # now and then, not with each I/O
    ("lib/blk/", "class"),
    ("app/test-blk/", "tester"),
    ("lib/nvmet/", "controller"),
    ("lib/vfu/", "controller"),
    ("drivers/block/soft_nvme/", "soft-nvme"),
    ("drivers/block/null/", "null"),
)


def run(cmd, **kw):
    r = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=600, **kw)
    if r.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, cmd))}\n{r.stdout}{r.stderr}\nexit {r.returncode}")
    return r.stdout


class Exporter:
    """plx-export as a process of its own, for a with statement."""

    def __init__(self, bench, backend):
        self.path = bench.tmp / f"{backend}.sock"
        self.cmd = [bench.build / "app/export/plx-export", "-l", bench.target, "--",
                    "--dev", DEVICE[backend] + ",name=d0",
                    "--export", f"vfio-user:{self.path},dev=d0"]

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.proc = subprocess.Popen(list(map(str, self.cmd)), stdin=subprocess.DEVNULL,
                                     stdout=self.log, stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + 10
        while not self.path.exists():
            if self.proc.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                self.log.seek(0)
                raise SystemExit("plx-export did not start:\n" + self.log.read())
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(5)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()

    def status(self, key):
        """A line of /proc/PID/status, in KiB."""
        text = pathlib.Path(f"/proc/{self.proc.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", text, re.M)[1])


class StorageDaemon:
    """qemu-storage-daemon on null-co as a vhost-user-blk back end, for a with statement."""

    def __init__(self, bench):
        self.path = bench.tmp / "vhost.sock"
        self.cmd = ["taskset", "-c", bench.target, "qemu-storage-daemon",
                    "--blockdev", "driver=null-co,node-name=n0,size=1099511627776",
                    "--export", "type=vhost-user-blk,id=e0,node-name=n0,addr.type=unix,"
                    f"addr.path={self.path}"]

    def __enter__(self):
        self.path.unlink(missing_ok=True)
        self.proc = subprocess.Popen(list(map(str, self.cmd)), stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self.path.exists():
            if self.proc.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("qemu-storage-daemon did not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.proc.terminate()
        self.proc.wait()


class Bench:
    def __init__(self, args):
        self.build = pathlib.Path(args.build)
        self.seconds, self.rounds = args.time, args.rounds
        cpus = args.cpus.split()
        if len(cpus) < 2:
            raise SystemExit("bench.sh wants two CPUs: one polls the controller, one the driver")
        self.target, self.host = cpus[0], cpus[1]
        self.samples = collections.defaultdict(list)

    def testblk(self, dev, *options, eal=()):
        cmd = [self.build / "app/test-blk/plx-testblk", "-l", self.host, *eal, "--", "--dev", dev,
               "--rw", "randread", "--bs", "4k", *options, "--json", "-"]
        return json.loads(run(cmd))["total"]

    def fill(self, dev):
        run([self.build / "app/test-blk/plx-testblk", "-l", self.host, "--", "--dev", dev,
             "--rw", "write", "--bs", "128k", "--size", "256M", "--allow-write"])

    def floor(self):
        for depth in DEPTHS:
            out = run([self.build / "app/test/perf/floor", self.host, self.target, depth,
                       self.seconds / 2]).split()
            self.samples["floor", depth].append(
                {"iops": float(out[0]), "mean": float(out[1]) / 1000})

    @staticmethod
    def figures(total):
        lat = total["read"]["latency_us"]
        return {"iops": total["read"]["iops"], "mean": lat["mean"], "p50": lat["p50"],
                "p99": lat["p99"], "p99.9": lat["p99.9"], "submit": total["submit_ns_per_io"],
                "complete": total["complete_ns_per_io"], "cycles": total["tsc_cycles_per_io"],
                "failed": total["failed"]}

    def exported(self, backend):
        with Exporter(self, backend) as e:
            if backend == "ram":  # blocks never written are all one page of zeroes
                self.fill(f"vfio-user:{e.path}")
            for depth in DEPTHS:
                total = self.testblk(f"vfio-user:{e.path}", "--qd", depth, "--time", self.seconds)
                self.samples[backend, depth].append(self.figures(total))

    def vhost_user(self):
        with StorageDaemon(self) as d:
            for depth in DEPTHS:
                total = self.testblk(f"vhost-user:{d.path}", "--qd", depth, "--time", self.seconds)
                self.samples["vhost-user", depth].append(self.figures(total))

    def alone(self):
        total = self.testblk(DEVICE["null"], "--qd", 128, "--time", self.seconds)
        self.samples["alone", 128].append(self.figures(total))
        out = run([self.build / "app/test/blk/bench-null", "-l", self.host])
        m = re.search(r"([\d.]+) M IOPS", out)
        if m:
            self.samples["class", 128].append({"iops": float(m[1]) * 1e6})

    def messages(self):
        """Between two threads: a reactor's beside those of a raw rte_ring, in one run."""
        out = run([self.build / "app/test/perf/messages", self.host, self.target, self.seconds])
        for line in out.splitlines():
            what, ring, reactor = line.rsplit(None, 2)
            self.samples["messages", what].append({"ring": float(ring), "reactor": float(reactor)})

    def callbacks(self):
        """The same reads by a queue's own calls, by callbacks on a reactor that polls on, and on
        one that would sleep: taking turns in one run."""
        with Exporter(self, "null") as e:
            for what, dev in ("null", DEVICE["null"]), ("vfio-user", f"vfio-user:{e.path}"):
                ios = int((5e6 if what == "null" else 5e5) * self.seconds)
                out = run(["taskset", "-c", self.host, self.build / "app/test/perf/callbacks",
                           "raw,callback,adaptive", dev, ios // 31, 31])
                self.samples["callbacks", what].append(
                    {k: float(v) for k, v in (line.split() for line in out.splitlines())})

    def first_io(self):
        """From exec to the end of a program that attaches, writes and reads one block."""
        with Exporter(self, "ram") as e:
            t = time.monotonic()
            run(["taskset", "-c", self.host, self.build / "examples/helloworld/helloworld",
                 f"vfio-user:{e.path}"])
            self.samples["start", 0].append({
                "seconds": time.monotonic() - t,
                "exporter_rss": e.status("VmRSS") / 1024,
                "exporter_huge": e.status("HugetlbPages") / 1024})

    def client_memory(self):
        """Resident and huge memory of plx-testblk in the middle of a run."""
        with Exporter(self, "null") as e:
            cmd = [self.build / "app/test-blk/plx-testblk", "-l", self.host, "--", "--dev",
                   f"vfio-user:{e.path}", "--time", "1.5"]
            p = subprocess.Popen(list(map(str, cmd)), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
            time.sleep(1)
            text = pathlib.Path(f"/proc/{p.pid}/status").read_text()
            p.wait()
        mib = {k: int(re.search(rf"^{k}:\s+(\d+)", text, re.M)[1]) / 1024
               for k in ("VmRSS", "HugetlbPages")}
        self.samples["memory", 0].append(mib)

    def one_round(self):
        self.floor()
        for backend in BACKENDS:
            self.exported(backend)
        self.vhost_user()
        self.alone()
        self.messages()
        self.callbacks()
        self.first_io()
        self.client_memory()

    # ---- instructions ----

    def callgrind(self, depth, ios, dev="soft-nvme:size=1T,medium=null"):
        out = self.tmp / f"callgrind.{depth}.{ios}"
        # each I/O reads 4 KiB of a part of the device that is read once
        run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
             self.build / "app/test-blk/plx-testblk", "-l", self.host, "--no-huge", "--",
             "--dev", dev, "--rw", "randread", "--bs", "4k",
             "--qd", depth, "--size", f"{ios * 4}K", "--json", "-"])
        return instructions(out)

    def instructions(self):
        """Of one I/O, by owner: the difference of runs of N and 2 N, so that set-up is left out."""
        n = 20000
        table = {}
        for depth in DEPTHS:
            a, b = self.callgrind(depth, n), self.callgrind(depth, 2 * n)
            table[depth] = {k: (b[k] - a[k]) / n for k in b}
        return table

    def null_instructions(self):
        """Of one uniformly random read from null at depth 128, by owner."""
        got = []
        for seconds in 0.5, 1.5:
            out = self.tmp / f"callgrind.null.{seconds}"
            said = run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                        self.build / "app/test-blk/plx-testblk", "-l", self.host, "--no-huge", "--",
                        "--dev", DEVICE["null"], "--qd", 128, "--time", seconds, "--json", "-"])
            got.append((json.loads(said)["total"]["completed"], instructions(out)))
        (n, a), (m, b) = got
        return {k: (b[k] - a[k]) / (m - n) for k in b}

    def callback_instructions(self):
        """Of one I/O at 32 in flight, by a queue's own calls and by callbacks, all parts."""
        n, got = 20000, {}
        for what, dev in ("null", DEVICE["null"]), ("soft-nvme", "soft-nvme:size=64M,medium=null"):
            for how in ("raw", "callback"):
                total = []
                for ios in (n, 2 * n):
                    out = self.tmp / f"callgrind.{how}.{ios}"
                    run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                         self.build / "app/test/perf/callbacks", "--no-huge", "--", how, dev, ios])
                    total.append(sum(instructions(out).values()))
                got[what, how] = (total[1] - total[0]) / n
        return got

    def vhost_user_instructions(self):
        """The virtio driver's share against qemu-storage-daemon, at each depth: of its work, and of
        polls that find nothing, whose number depends on who is faster."""
        n = 20000
        table = {}
        for depth in DEPTHS:
            with StorageDaemon(self) as d:
                a, b = (self.callgrind(depth, k * n, f"vhost-user:{d.path}") for k in (1, 2))
            table[depth] = (b["driver"] - a["driver"]) / n, b["looks"] / (2 * n)
        return table


# the way of a poll up to where it finds something
LOOKS = re.compile("vblk_poll_(split|packed)$")


def owner_of(path):
    for part, owner in OWNERS:
        if part in path:
            return owner
    return "lib, other" if "/lib/" in path else "libc and EAL"


def instructions(path):
    """Sum of self costs by owner. Of callgrind's format: fl= and fn= name what costs belong to,
    fi= and fe= the file of an inlined line, which stays with its function; a calls= line is
    followed by the inclusive cost of the call."""
    names, functions, total = {}, {}, collections.Counter()
    owner, skip = "", False
    with open(path) as f:
        for line in f:
            key = line[:3]
            if key in ("fl=", "fi=", "fe="):
                m = re.match(r"f.=\((\d+)\)(?: (.*))?", line)
                if m[2]:
                    names[m[1]] = m[2]
                if key == "fl=":
                    owner = owner_of(names[m[1]])
            elif line.startswith(("cfi=", "cfl=")):
                m = re.match(r"cf.=\((\d+)\)(?: (.*))?", line)
                if m[2]:
                    names[m[1]] = m[2]
            elif line.startswith(("fn=", "cfn=")):
                m = re.match(r"c?fn=\((\d+)\)(?: (.*))?", line)
                if m[2]:
                    functions[m[1]] = m[2]
                if key == "fn=" and LOOKS.match(functions[m[1]]):
                    owner = "looks"
            elif line.startswith("calls="):
                skip = True
            elif line[0] in "0123456789+-*":
                if not skip:
                    total[owner] += int(line.split()[1])
                skip = False
    return total


def median(samples, key):
    return statistics.median(s[key] for s in samples)


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    mem = pathlib.Path("/proc/meminfo").read_text()
    huge = re.search(r"HugePages_Total:\s+(\d+)", mem)[1]
    size = re.search(r"Hugepagesize:\s+(\d+)", mem)[1]
    dpdk = run(["pkg-config", "--modversion", "libdpdk"]).strip()
    virtual = "virtual machine, " if "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text() else ""
    return (f"{cpu}, {len(os.sched_getaffinity(0))} CPUs, {virtual}Linux {os.uname().release.split('-')[0]}, "
            f"{huge} hugepages of {size} KiB, DPDK {dpdk}")


def rst_table(title, head, rows):
    """A reStructuredText simple table, which reads well as plain text too."""
    cells = [head] + [[str(c) for c in r] for r in rows]
    width = [max(len(r[i]) for r in cells) for i in range(len(head))]
    rule = "  ".join("=" * w for w in width)
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, width)).rstrip() for r in cells]
    return "\n".join([title, "", rule, lines[0], rule, *lines[1:], rule, ""])


def report(b, icount, calls, virtio, null):
    def mega(v):
        return f"{v / 1e6:.2f} M"

    rows = []
    for what in ("floor",) + BACKENDS + ("vhost-user",):
        for depth in DEPTHS:
            s = b.samples[what, depth]
            low, high = min(x["iops"] for x in s), max(x["iops"] for x in s)
            row = [what, depth, mega(median(s, "iops")), f"{low / 1e6:.2f} - {high / 1e6:.2f}",
                   f"{median(s, 'mean'):.2f}"]
            if what == "floor":
                row += ["\\"] * 6
            else:
                row += [f"{median(s, k):.2f}" for k in ("p50", "p99", "p99.9")]
                row += [f"{median(s, k):.0f}" for k in ("submit", "complete", "cycles")]
            rows.append(row)
    out = [f"Machine: {machine()}. "
           f"Medians of {b.rounds} interleaved rounds of {b.seconds:g} s.", ""]
    out.append(rst_table(
        "4 KiB random reads, driver on one core, controller on the other; vhost-user is the virtio "
        "driver on qemu-storage-daemon's null-co. Latency in µs, submit and complete in ns an I/O:",
        ["back end", "depth", "IOPS", "lowest - highest", "mean", "p50", "p99", "p99.9", "submit",
         "complete", "TSC cycles"], rows))
    out.append(f"The class alone, ``null:`` at depth 128 on one core: "
               f"{mega(median(b.samples['alone', 128], 'iops'))} IOPS with plx-testblk")
    if b.samples["class", 128]:
        out[-1] += (f", {mega(median(b.samples['class', 128], 'iops'))} in a bare loop "
                    "that checks each status")
    out[-1] += (f". {sum(null.values()):.0f} instructions an I/O: {null['tester']:.0f} of the tester, "
                f"with a histogram of latencies, {null['null'] + null.get('class', 0):.0f} of class and "
                "driver together.\n")
    rows = []
    for what in ("burst 1", "burst 8", "burst 32", "trip"):
        ring, reactor = (median(b.samples["messages", what], k) for k in ("ring", "reactor"))
        rows.append(["round trip", f"{ring:.0f} ns", f"{reactor:.0f} ns"] if what == "trip" else
                    [f"one way, {what}", f"{ring / 1e6:.1f} M/s", f"{reactor / 1e6:.1f} M/s"])
    out.append(rst_table("Messages between two cores, several senders allowed:",
                         ["", "rte_ring", "reactor"], rows))
    rows = []
    for what in ("null", "vfio-user"):
        raw, call, adaptive = (median(b.samples["callbacks", what], k)
                               for k in ("raw", "callback", "adaptive"))
        rows.append([what, f"{raw:.1f}", f"{call:.1f}", f"{adaptive:.1f}",
                     f"{100 * (call / adaptive - 1):+.1f} %"])
    out.append(rst_table(
        "A queue's own calls, callbacks on a reactor that polls on, and callbacks on an adaptive one; "
        "32 in flight, TSC cycles an I/O. The last column is the adaptive one's throughput beside the "
        "other's:", ["device", "own calls", "callbacks", "adaptive", "at load"], rows))
    out.append("Instructions an I/O, all parts: " + "; ".join(
        f"{what}: {calls[what, 'raw']:.0f} by a queue's own calls, "
        f"{calls[what, 'callback']:.0f} by callbacks" for what in ("null", "soft-nvme")) + ".\n")
    s, m = b.samples["start", 0], b.samples["memory", 0]
    out.append(f"From start to end of a program that attaches over vfio-user, writes and reads: "
               f"{median(s, 'seconds'):.2f} s. Resident memory {median(m, 'VmRSS'):.0f} MiB and "
               f"{median(m, 'HugetlbPages'):.0f} MiB of hugepages (plx-testblk), "
               f"{median(s, 'exporter_rss'):.0f} MiB and {median(s, 'exporter_huge'):.0f} MiB "
               f"(plx-export; the RAM disk is not counted until it is written).\n")
    owners = [k for k in ("driver", "class", "tester", "controller", "soft-nvme", "null",
                          "lib, other", "libc and EAL")
              if any(t.get(k, 0) >= 0.5 for t in icount.values())]
    out.append(rst_table(
        "Instructions an I/O (callgrind, both sides in one process, back end null; the class is "
        "inlined into driver and tester):",
        ["depth", *owners], [[d, *(f"{abs(t.get(o, 0)):.0f}" for o in owners)]
                             for d, t in icount.items()]))
    out.append(rst_table(
        "The virtio driver on qemu-storage-daemon, in the same way; how often it looks in vain is "
        "chance, and depends on who is faster:",
        ["depth", "work", "looks", "together"],
        [[d, f"{w:.0f}", f"{k:.0f}", f"{w + k:.0f}"] for d, (w, k) in virtio.items()]))
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", required=True)
    p.add_argument("--cpus", required=True)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--time", type=float, default=2)
    p.add_argument("--rst", type=pathlib.Path)
    args = p.parse_args()
    b = Bench(args)
    with tempfile.TemporaryDirectory() as tmp:
        b.tmp = pathlib.Path(tmp)
        virtio = b.vhost_user_instructions()
        icount, calls, null = b.instructions(), b.callback_instructions(), b.null_instructions()
        for i in range(b.rounds):
            print(f"round {i + 1} of {b.rounds}", flush=True)
            b.one_round()
    text = report(b, icount, calls, virtio, null)
    print("\n" + text)
    if args.rst:
        args.rst.write_text(text)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
