# SPDX-License-Identifier: BSD-3-Clause
"""In a guest with an NVMe controller at 3 and a null back end: 4 KiB random reads by the kernel's
driver (fio, io_uring, polled) and by ours (plx-testblk), in turns. Fails where ours is behind.

The machine is emulated, so the figures mean something next to each other only."""
import json
import pathlib
import statistics
import subprocess
import sys
import time

BDF = "0000:00:03.0"
DEPTHS = (1, 32, 128)
ROUNDS, SECONDS = int(sys.argv[1]), float(sys.argv[2])
PCI = pathlib.Path("/sys/bus/pci/devices") / BDF


def bind(driver):
    (PCI / "driver_override").write_text(driver)
    if (PCI / "driver").exists():
        (PCI / "driver/unbind").write_text(BDF)
    pathlib.Path("/sys/bus/pci/drivers_probe").write_text(BDF)


def run(*cmd):
    r = subprocess.run(list(map(str, cmd)), capture_output=True, text=True)
    if r.returncode != 0:
        sys.exit(f"{' '.join(map(str, cmd))}\n{r.stdout}{r.stderr}")
    return json.loads(r.stdout[r.stdout.index("{"):])


def disk():
    for _ in range(100):
        found = list(PCI.glob("nvme/nvme*/nvme*n1"))
        if found:
            return "/dev/" + found[0].name
        time.sleep(0.1)
    sys.exit("the kernel's driver made no disk")


def fio(depth):
    out = run("fio", "--name=j", f"--filename={disk()}", "--ioengine=io_uring", "--hipri=1",
              "--fixedbufs=1", "--registerfiles=1", "--direct=1", "--rw=randread", "--bs=4k",
              f"--iodepth={depth}", f"--runtime={SECONDS}", "--time_based", "--norandommap",
              "--randrepeat=0", "--cpus_allowed=0", "--output-format=json")
    return out["jobs"][0]["read"]["iops"]


def testblk(depth):
    out = run("plx-testblk", "-l", "0", "--in-memory", "--no-telemetry", "--", "--dev", f"pci:{BDF}",
              "--rw", "randread", "--bs", "4k", "--qd", depth, "--time", SECONDS, "--json", "-")
    return out["total"]["read"]["iops"]


def main():
    figures = {(who, d): [] for who in ("kernel", "ours") for d in DEPTHS}
    for _ in range(ROUNDS):
        bind("nvme")
        for d in DEPTHS:
            figures["kernel", d].append(fio(d))
        bind("vfio-pci")
        for d in DEPTHS:
            figures["ours", d].append(testblk(d))
    behind = False
    print("depth    kernel      ours  ratio (lowest - highest)")
    for d in DEPTHS:
        kernel, ours = figures["kernel", d], figures["ours", d]
        ratios = [o / k for o, k in zip(ours, kernel)]
        ratio = statistics.median(ratios)
        behind |= ratio <= 1
        print(f"{d:5}  {statistics.median(kernel):8.0f}  {statistics.median(ours):8.0f}  "
              f"{ratio:5.2f} ({min(ratios):.2f} - {max(ratios):.2f})")
    return behind


if __name__ == "__main__":
    sys.exit(main())
