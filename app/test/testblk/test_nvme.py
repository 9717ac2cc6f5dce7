#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-testblk with the NVMe driver: against a controller in its own process, and in another."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

TESTBLK, EXPORT = sys.argv[1:3]
failures = 0


def check(cond, what):
    global failures
    if not cond:
        failures += 1
        print('FAIL', what, flush=True)


def run(lcores, *args):
    """Run to the end. Returns exit code, report and stderr."""
    p = subprocess.run([TESTBLK, '-l', lcores, '--', *args, '--json', '-'], capture_output=True,
                       text=True, timeout=60)
    r = json.loads(p.stdout) if p.stdout else None
    if r is not None:
        for s in [r['total'], *[q for d in r['devices'] for q in d['queues']]]:
            check(s['submitted'] == s['completed'] + s['failed'] + s['cancelled'],
                  f'{args}: account {s}')
    return p.returncode, r, p.stderr


def lcore_sets():
    cpus = sorted(os.sched_getaffinity(0))
    return [str(cpus[0])] + ([f'{cpus[0]},{cpus[1]}'] if len(cpus) > 1 else [])


def verified(lcores, *args):
    rc, r, err = run(lcores, *args, '--verify', 'crc32c')
    what = f'lcores {lcores} {args}'
    check(rc == 0, f'{what}: exit code {rc}: {err}')
    if r is None:
        check(False, f'{what}: no report')
        return
    v = r['verify']
    check(v['checked_blocks'] > 0 and v['wrong_blocks'] == 0 and v['complete'], f'{what}: {v}')
    check(r['total']['failed'] == 0, f'{what}: errors {r["total"]["errors"]}')
    check(all(q['completed'] > 0 for d in r['devices'] for q in d['queues']), f'{what}: idle queue')


def test_soft_nvme():
    if 'soft-nvme' not in sys.argv[3:]:
        return  # left out of this build
    for lcores in lcore_sets():
        verified(lcores, '--dev', 'soft-nvme:size=32M', '--rw', 'randwrite', '--size', '4M')
        verified(lcores, '--dev', 'soft-nvme:size=32M', '--rw', 'randrw', '--time', '0.3',
                 '--qd', '64', '--bs', '16k', '--queues', '2')
        verified(lcores, '--dev', 'soft-nvme:size=32M', '--dev', 'soft-nvme:size=32M',
                 '--rw', 'write', '--size', '2M', '--bs', '128k', '--qd', '4')


def cpu_share(*args):
    """Of a verified run, that of the process."""
    rc, r, err = run(lcore_sets()[-1].split(',')[-1], *args, '--verify', 'crc32c')
    check(rc == 0 and r['verify']['wrong_blocks'] == 0 and r['verify']['checked_blocks'] > 0,
          f'{args}: {rc} {err}')
    check(r['jobs'][0]['plx']['options']['poll_mode'] == args[-1], f'{args}: not told')
    return r['jobs'][0]['usr_cpu'] + r['jobs'][0]['sys_cpu']


def compare_sleep(*args):
    """A sleeping run takes far less of the CPU than one that polls."""
    busy = cpu_share(*args, '--poll-mode', 'busy')
    for mode in ('adaptive', 'interrupt'):
        share = cpu_share(*args, '--poll-mode', mode)
        check(share < busy / 2, f'{args}: {mode} takes {share:.1f} %, busy {busy:.1f} %')


def test_sleep_between():
    """Nothing is in flight most of the time."""
    if 'soft-nvme' in sys.argv[3:]:
        compare_sleep('--dev', 'soft-nvme:size=32M', '--rw', 'randwrite', '--rate_iops', '200',
                      '--time', '0.7')


def test_sleep_within():
    """Something always is, and its interrupt wakes: I/Os of another process that take 3 ms."""
    with tempfile.TemporaryDirectory() as folder:
        e = Exporter(folder, ',delay=3000')
        try:
            compare_sleep('--dev', f'vfio-user:{e.sock}', '--allow-write', '--rw', 'randwrite',
                          '--iodepth', '1', '--time', '0.4')
        finally:
            e.end(signal.SIGTERM)


def test_load_asleep():
    """Full load, with rings to another lcore and copies, where lcores try to sleep."""
    if 'soft-nvme' not in sys.argv[3:]:
        return
    for mode in ('adaptive', 'interrupt'):
        dev = ['--dev', 'soft-nvme:size=32M,name=a', '--poll-mode', mode]
        for lcores in lcore_sets():
            verified(lcores, *dev, '--rw', 'randrw', '--time', '0.2')
        if ',' in lcores:
            verified(lcores, *dev, '--rw', 'randwrite', '--size', '2M', '--hop')
        rc, r, err = run(lcores, *dev, '--dev', 'ram:size=32M', '--rw', 'copy', '--copy_to', 'a/n1',
                         '--size', '2M')
        check(rc == 0 and r['total']['completed'] == 1024, f'copy, {mode}: {rc} {err}')


class Exporter:
    """plx-export in another process, serving ram."""

    def __init__(self, folder, more=''):
        self.sock = os.path.join(folder, 's')
        self.p = subprocess.Popen(
            [EXPORT, '-l', lcore_sets()[0], '--', '--dev', f'ram:size=32M,name=r{more}',
             '--export', f'vfio-user:{self.sock},dev=r'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        self.said = ''
        while 'serving' not in self.said:
            line = self.p.stdout.readline()
            if line == '':
                raise RuntimeError(f'plx-export ended: {self.said}')
            self.said += line

    def end(self, sig):
        self.p.send_signal(sig)
        self.p.communicate(timeout=20)


def test_across_processes():
    """Data that one run has written is there for the next; a write needs leave."""
    with tempfile.TemporaryDirectory() as d:
        e = Exporter(d)
        dev = f'vfio-user:{e.sock}'
        last = lcore_sets()[0] if len(lcore_sets()) == 1 else lcore_sets()[1].split(',')[1]
        try:
            rc, _, err = run(last, '--dev', dev, '--rw', 'write', '--size', '1M')
            check(rc == 2 and '--allow-write' in err, f'without leave: {rc} {err}')
            verified(last, '--dev', dev, '--rw', 'write', '--size', '4M', '--allow-write')
            verified(last, '--dev', dev, '--rw', 'randread', '--size', '4M')
            rc, r, _ = run(last, '--dev', dev, '--rw', 'read', '--size', '4M', '--verify',
                           'crc32c', '--seed', '2')
            check(rc == 1 and r['verify']['wrong_blocks'] == 8192, f'other seed: {rc}')
            check('foreign' in r['verify']['first_mismatch']['verdict'], 'other seed: verdict')
        finally:
            e.end(signal.SIGTERM)


def cpu_seconds(pid):
    """It polls once its I/O runs; getting there takes some tenths of a second."""
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_exporter_killed():
    """Every I/O comes back, with an error, and the run ends."""
    with tempfile.TemporaryDirectory() as d:
        e = Exporter(d)
        last = lcore_sets()[-1].split(',')[-1]
        p = subprocess.Popen([TESTBLK, '-l', last, '--', '--dev', f'vfio-user:{e.sock}', '--time',
                              '60', '--json', '-'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        until = time.monotonic() + 30
        while p.poll() is None and cpu_seconds(p.pid) < 1.5 and time.monotonic() < until:
            time.sleep(0.05)
        if p.poll() is not None:
            check(False, f'ended early: {p.communicate()}')
            return
        e.end(signal.SIGKILL)
        out, err = p.communicate(timeout=40)
        check(p.returncode == 1, f'exporter killed: exit code {p.returncode}: {err}')
        r = json.loads(out)['total'] if out else {}
        check(r and r['submitted'] == r['completed'] + r['failed'] + r['cancelled'],
              f'exporter killed: account {r}')
        check(r and r['completed'] > 0 and r['failed'] + r['cancelled'] > 0,
              f'exporter killed: figures {r}')


for name, fn in list(globals().items()):
    if name.startswith('test_'):
        before = failures
        fn()
        print('ok  ' if failures == before else 'FAIL', name, flush=True)
sys.exit(failures != 0)
