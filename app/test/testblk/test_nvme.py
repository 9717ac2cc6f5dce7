#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-testblk with the NVMe driver: against a controller in its own process, and in another."""
import json
import subprocess
import sys
import time

sys.path.append(sys.path[0] + '/..')
from plx_test import Exporter, check, cpu_seconds, cpus, main, run_json  # noqa: E402

TESTBLK, EXPORT = sys.argv[1:3]


def run(lcores, *args):
    return run_json(TESTBLK, '-l', lcores, '--', *args)


def lcore_sets():
    first, *more = cpus()
    return [str(first)] + [f'{first},{second}' for second in more[:1]]


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


def test_sleep_within(folder):
    """Something always is, and its interrupt wakes: I/Os of another process that take 3 ms."""
    with exporter(folder, ',delay=3000') as e:
        compare_sleep('--dev', e.name, '--allow-write', '--rw', 'randwrite', '--iodepth', '1',
                      '--time', '0.4')


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


def exporter(folder, more=''):
    return Exporter(EXPORT, folder, f'ram:size=32M{more}', '-l', lcore_sets()[0])


def test_across_processes(d):
    """Data that one run has written is there for the next; a write needs leave."""
    last = lcore_sets()[-1].split(',')[-1]
    with exporter(d) as e:
        rc, _, err = run(last, '--dev', e.name, '--rw', 'write', '--size', '1M')
        check(rc == 2 and '--allow-write' in err, f'without leave: {rc} {err}')
        verified(last, '--dev', e.name, '--rw', 'write', '--size', '4M', '--allow-write')
        verified(last, '--dev', e.name, '--rw', 'randread', '--size', '4M')
        rc, r, _ = run(last, '--dev', e.name, '--rw', 'read', '--size', '4M', '--verify', 'crc32c',
                       '--seed', '2')
        check(rc == 1 and r['verify']['wrong_blocks'] == 8192, f'other seed: {rc}')
        check('foreign' in r['verify']['first_mismatch']['verdict'], 'other seed: verdict')


def test_exporter_killed(d):
    """Every I/O comes back, with an error, and the run ends."""
    with exporter(d) as e:
        last = lcore_sets()[-1].split(',')[-1]
        p = subprocess.Popen([TESTBLK, '-l', last, '--', '--dev', e.name, '--time', '60', '--json', '-'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        # it polls once its I/O runs; getting there takes some tenths of a second
        until = time.monotonic() + 30
        while p.poll() is None and cpu_seconds(p.pid) < 1.5 and time.monotonic() < until:
            time.sleep(0.05)
        if p.poll() is not None:
            check(False, f'ended early: {p.communicate()}')
            return
        e.kill()
        out, err = p.communicate(timeout=40)
        check(p.returncode == 1, f'exporter killed: exit code {p.returncode}: {err}')
        r = json.loads(out)['total'] if out else {}
        check(r and r['submitted'] == r['completed'] + r['failed'] + r['cancelled'],
              f'exporter killed: account {r}')
        check(r and r['completed'] > 0 and r['failed'] + r['cancelled'] > 0,
              f'exporter killed: figures {r}')


main(globals())
